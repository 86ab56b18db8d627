//! The binary against a Slack that holds it to Slack's contract.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use pilotage_tests::command::{Command, Output};
use pilotage_tests::slack::{Answer, Slack, TOKEN, WEBHOOK};
use serde_json::{Value, json};

const CONFIG: &str = r##"
apiVersion: pilotage/v1
project: acme
targets: {here: {process: {state: /s, command: [x], artifact: /a, listen: "127.0.0.1:1"}}}
environments: {qa: {target: here}, prod: {target: here}}
people: {ana: {emails: [ana@example.com], slack: U0ANA}}
notify: {slack: ["#ops"]}
"##;
const DESCRIPTOR: &str = "version: \"1.3.0\"\nimage: shop\nnotify: {slack: [\"#shop\"]}\n";

fn message() -> Value {
    json!({
        "schema": "notify-message/v1", "project": "acme", "environment": "qa", "service": "shop",
        "version": {"from": "1.2.0", "to": "1.3.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "subject": "Prices <!channel> a -> b",
        "committer": {"name": "Ana Costa", "email": "ana@example.com"},
        "release": "qa.shop.17",
        "reasons": ["healthcheck: 503 (13×)"],
    })
}

/// A command whose home holds the files.
fn notify(event: &str) -> Command {
    let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
    let file = |name: &str, text: &str| std::fs::write(command.home().join(name), text).unwrap();
    file("shop.yaml", DESCRIPTOR);
    file("pilotage.yaml", CONFIG);
    file("message.json", &message().to_string());
    command.args(["--event", event, "--message", "message.json"])
}

fn with_files(command: Command) -> Command {
    command.args([
        "--descriptor",
        "shop.yaml",
        "--config",
        "pilotage.yaml",
        "--env",
        "qa",
    ])
}

fn by_token(command: Command, slack: &Slack) -> Command {
    command
        .args(["--slack-api-url", &slack.api_url()])
        .env("PILOTAGE_SLACK_TOKEN", TOKEN)
}

/// Runs it while the fake serves, and looks for the secrets in everything it leaves.
async fn run(command: Command) -> Output {
    let output = tokio::task::spawn_blocking(move || command.run_reported())
        .await
        .unwrap();
    let all = format!("{output}{}", output.report());
    assert!(!all.contains("planted-secret"), "{all}");
    output
}

fn channels(output: &Output) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let report = output.report();
    let all = report["result"]["channels"].as_array().unwrap().iter();
    all.map(|channel| (text(&channel["channel"]), text(&channel["outcome"])))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(channel, outcome)| ((*channel).to_owned(), (*outcome).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_channels_of_the_service_and_of_the_configuration_are_told_and_the_person_is_mentioned() {
    let slack = Slack::start().await;
    let output = run(by_token(with_files(notify("failed")), &slack)).await;
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        channels(&output),
        pairs(&[("slack #shop", "sent"), ("slack #ops", "sent")])
    );
    assert_eq!(slack.violations(), Vec::<String>::new());
    let messages = slack.messages();
    let mut ids: Vec<&str> = messages.iter().map(|message| message.channel.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["C01SHOP", "C02OPS"]);
    let blocks = messages[0].blocks.to_string();
    assert!(
        blocks.contains("<@U0ANA>") && blocks.contains("&lt;!channel&gt; a -&gt; b"),
        "{blocks}"
    );
    assert!(!blocks.contains("<!channel>"), "{blocks}");
    let report = output.report();
    assert!(
        report["outputs"]["permalink"]
            .as_str()
            .unwrap()
            .starts_with("https://acme.slack.com/archives/")
    );
    assert_eq!(report["release"], "qa.shop.17");
    for request in slack
        .requests()
        .iter()
        .filter(|request| request.method == "chat.postMessage")
    {
        assert_eq!(
            (&request.arguments["parse"], &request.arguments["link_names"]),
            (&json!("none"), &json!(false))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_channel_that_fails_is_named_and_fails_nothing() {
    let slack = Slack::start().await;
    let command = notify("started").args([
        "--to",
        "slack:#shop",
        "--to",
        "slack:#gone",
        "--to",
        "slack:#secret",
        "--to",
        "console",
    ]);
    let output = run(by_token(command, &slack)).await;
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        channels(&output),
        pairs(&[
            ("slack #shop", "sent"),
            ("slack #gone", "failed"),
            ("slack #secret", "failed"),
            ("console", "sent")
        ])
    );
    let report = output.report();
    assert_eq!(
        (&report["outcome"], &report["effects"]),
        (&json!("passed"), &json!("partial"))
    );
    let help = report["help"].to_string();
    assert!(
        help.contains("check the name of #gone") && help.contains("in #secret; or give it the scope"),
        "{help}"
    );
    assert!(
        output.stdout.starts_with("qa/shop: is being released as 1.3.0"),
        "{output}"
    );
    assert!(
        output
            .stdout
            .contains("slack #gone: failed: Slack says `channel_not_found`"),
        "{output}"
    );
    assert_eq!(slack.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_channel_that_takes_it_is_exit_4() {
    let slack = Slack::start().await;
    let only = || notify("started").args(["--to", "slack:#shop"]);
    let wrong = only()
        .args(["--slack-api-url", &slack.api_url()])
        .env("PILOTAGE_SLACK_TOKEN", "xoxb-planted-secret-other");
    let output = run(wrong).await;
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("slack #shop", "failed")])),
        "{output}"
    );
    assert!(
        output.report()["help"]
            .to_string()
            .contains("PILOTAGE_SLACK_TOKEN")
    );

    let output = run(only()).await;
    assert_eq!(output.code, Some(4), "{output}");
    assert!(
        output
            .stdout
            .contains("neither PILOTAGE_SLACK_TOKEN nor PILOTAGE_SLACK_WEBHOOK is set"),
        "{output}"
    );
    // Nothing that the other side says in a wrong place gets into our outputs.
    slack.answer(
        "chat.postMessage",
        Answer::Body(r#"{"ok":false,"error":"<!channel> injected"}"#),
    );
    let output = run(by_token(only(), &slack)).await;
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("slack #shop", "unknown")])),
        "{output}"
    );
    assert!(!format!("{output}").contains("injected"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_slack_is_asked_again_and_a_broken_one_is_not() {
    let slack = Slack::start().await;
    slack.answer("chat.postMessage", Answer::RateLimited(Some("1")));
    let output = run(by_token(notify("started").args(["--to", "slack:#shop"]), &slack)).await;
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.report()["result"]["channels"][0]["attempts"], 2);
    assert_eq!(slack.messages().len(), 1);

    for answer in [Answer::Status(500), Answer::DoAndDrop, Answer::Status(504)] {
        let slack = Slack::start().await;
        slack.answer("chat.postMessage", answer);
        let output = run(by_token(notify("started").args(["--to", "slack:#shop"]), &slack)).await;
        assert_eq!(
            (output.code, channels(&output)),
            (Some(4), pairs(&[("slack #shop", "unknown")])),
            "{output}"
        );
        assert_eq!(slack.methods(), ["chat.postMessage"], "no second message");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slack_that_never_answers_does_not_hold_up_the_others() {
    let slack = Slack::start().await;
    slack.answer("chat.postMessage", Answer::Never);
    let command = notify("started").args(["--to", "slack:#shop", "--to", "console", "--within", "500ms"]);
    let output = run(by_token(command, &slack)).await;
    assert_eq!(
        (output.code, channels(&output)),
        (Some(0), pairs(&[("slack #shop", "unknown"), ("console", "sent")])),
        "{output}"
    );

    // A signal in the middle: cancelled, with a report.
    slack.answer("chat.postMessage", Answer::Never);
    let command = by_token(notify("started").args(["--to", "slack:#shop"]), &slack);
    let report = command.home().join("report.json");
    let running = command.arg("--report").arg(&report).spawn();
    slack.until_requests(2).await;
    running.terminate();
    let output = tokio::task::spawn_blocking(move || running.wait()).await.unwrap();
    assert_eq!(
        (output.code, &output.report()["effects"]),
        (Some(143), &json!("partial")),
        "{output}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_state_file_a_release_has_one_message_and_bad_news_is_said_anew() {
    let slack = Slack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let say = |event: &str| {
        by_token(
            notify(event)
                .args(["--to", "slack:#shop"])
                .arg("--state")
                .arg(&state),
            &slack,
        )
    };
    for (event, outcome) in [("started", "sent"), ("succeeded", "edited"), ("failed", "edited")] {
        let output = run(say(event)).await;
        assert_eq!(channels(&output), pairs(&[("slack #shop", outcome)]), "{output}");
    }
    let messages = slack.messages();
    assert_eq!((messages.len(), messages[0].edits), (2, 2));
    assert_eq!(
        (messages[1].thread.as_ref(), messages[1].broadcast),
        (Some(&messages[0].ts), true)
    );
    assert!(
        messages[0].text.contains("Prices") && messages[0].text.contains("failed"),
        "{messages:?}"
    );
    assert!(
        !messages[1].text.contains("Prices") && messages[1].text.contains("failed"),
        "{messages:?}"
    );

    slack.delete(&messages[0].ts);
    let output = run(say("succeeded")).await;
    assert_eq!(channels(&output), pairs(&[("slack #shop", "sent")]), "{output}");
    assert!(output.stdout.contains("message_not_found"), "{output}");
    assert_eq!(slack.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_state_a_release_has_one_message_by_what_it_carries() {
    let slack = Slack::start().await;
    let say = |event: &str| by_token(notify(event).args(["--to", "slack:#shop"]), &slack);
    assert_eq!(run(say("started")).await.code, Some(0));
    slack.chatter(250);
    for event in ["succeeded", "failed"] {
        let output = run(say(event)).await;
        assert_eq!(channels(&output), pairs(&[("slack #shop", "edited")]), "{output}");
    }
    let ours = |slack: &Slack| -> Vec<(u32, bool)> {
        let all = slack.messages();
        let ours = all.iter().filter(|message| message.text != "chatter");
        ours.map(|message| (message.edits, message.thread.is_some()))
            .collect()
    };
    // One message, edited, and the bad news said anew in its thread.
    assert_eq!(ours(&slack), [(2, false), (0, true)]);
    assert_eq!(slack.violations(), Vec::<String>::new());
    let output = run(by_token(
        notify("succeeded").args(["--to", "slack:C01SHOP"]),
        &slack,
    ))
    .await;
    assert_eq!(
        channels(&output),
        pairs(&[("slack C01SHOP", "edited")]),
        "{output}"
    );

    // Another release is another message.
    let command = say("succeeded");
    let mut other = message();
    other["release"] = json!("qa.shop.18");
    std::fs::write(command.home().join("message.json"), other.to_string()).unwrap();
    assert_eq!(channels(&run(command).await), pairs(&[("slack #shop", "sent")]));

    // What may not be looked for is said anew, with what would help.
    slack.answer("conversations.history", Answer::Refuse("missing_scope"));
    let output = run(say("succeeded")).await;
    assert_eq!(
        (output.code, channels(&output)),
        (Some(0), pairs(&[("slack #shop", "sent")])),
        "{output}"
    );
    assert!(output.stdout.contains("could not be looked for"), "{output}");
    assert!(
        output.report()["help"].to_string().contains("channels:history"),
        "{output}"
    );
    assert_eq!(slack.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_tried_again_starts_in_silence_and_ends_where_people_were_told() {
    let slack = Slack::start().await;
    let say = |event: &str, release: &str, repeats: Option<&str>| {
        let command = by_token(notify(event).args(["--to", "slack:#shop"]), &slack);
        let mut told = message();
        told["release"] = json!(release);
        if let Some(repeats) = repeats {
            told["repeats"] = json!(repeats);
        }
        std::fs::write(command.home().join("message.json"), told.to_string()).unwrap();
        run(command)
    };
    assert_eq!(say("started", "qa.shop.17", None).await.code, Some(0));
    assert_eq!(say("failed", "qa.shop.17", None).await.code, Some(0));
    let before = slack.messages().len();
    let output = say("started", "qa.shop.18", Some("qa.shop.17")).await;
    assert_eq!(
        (output.code, slack.messages().len()),
        (Some(0), before),
        "{output}"
    );
    assert!(
        output.stdout.contains("people were told by qa.shop.17"),
        "{output}"
    );
    let output = say("succeeded", "qa.shop.18", Some("qa.shop.17")).await;
    assert_eq!(channels(&output), pairs(&[("slack #shop", "edited")]), "{output}");
    assert_eq!(slack.messages().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_one_channel_and_its_url_is_a_secret() {
    let slack = Slack::start().await;
    let command = with_files(notify("succeeded")).env("PILOTAGE_SLACK_WEBHOOK", slack.webhook_url());
    let output = run(command).await;
    assert_eq!(
        (output.code, channels(&output)),
        (Some(0), pairs(&[("slack webhook", "sent")])),
        "{output}"
    );
    assert_eq!(slack.violations(), Vec::<String>::new());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhook");
    std::fs::write(&file, format!("http://127.0.0.1:1{WEBHOOK}\n")).unwrap();
    let command = with_files(notify("succeeded"))
        .args(["--within", "2s"])
        .env("PILOTAGE_SLACK_WEBHOOK_FILE", &file);
    let output = run(command).await;
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("slack webhook", "failed")])),
        "{output}"
    );
    assert!(output.stdout.contains("connection refused"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_the_messages_and_asks_nobody() {
    let slack = Slack::start().await;
    let output = run(by_token(with_files(notify("refused")).arg("--dry-run"), &slack)).await;
    assert_eq!(output.code, Some(0), "{output}");
    assert!(
        output
            .stdout
            .contains("--- slack #shop\n:no_entry: *qa/shop*: *1.3.0* is refused"),
        "{output}"
    );
    assert_eq!(slack.requests(), []);
    assert_eq!(output.report()["effects"], "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_proves_what_a_release_will_need_and_tells_nobody() {
    let slack = Slack::start().await;
    let check = || {
        let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
        std::fs::write(command.home().join("shop.yaml"), DESCRIPTOR).unwrap();
        std::fs::write(command.home().join("pilotage.yaml"), CONFIG).unwrap();
        by_token(with_files(command.arg("--check")), &slack)
    };
    let output = run(check()).await;
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        output.stdout,
        "templates: good: 48 messages rendered\nslack token: good: pilotage in Acme\n\
         slack #shop: good: the app is in it\nslack #ops: good: the app is in it\n"
    );

    slack.archive_ops();
    let output = run(check().args([
        "--to",
        "slack:#ops",
        "--to",
        "slack:#secret",
        "--to",
        "slack:U0ANA",
    ]))
    .await;
    assert_eq!(output.code, Some(1), "{output}");
    for line in [
        "slack #ops: wrong: it is archived",
        "slack #secret: wrong: the app is not in it, or it does not exist",
        "slack U0ANA: not known: a person needs no invitation",
    ] {
        assert!(output.stdout.contains(line), "{output}");
    }
    assert!(
        output.report()["help"]
            .to_string()
            .contains("/invite @<app>` in #secret"),
        "{output}"
    );

    let output = run(check().env("PILOTAGE_SLACK_TOKEN", "xoxb-planted-secret-other")).await;
    assert_eq!(output.code, Some(1), "{output}");
    assert!(
        output
            .stdout
            .contains("slack token: wrong: Slack says `invalid_auth`"),
        "{output}"
    );

    slack.answer("auth.test", Answer::Status(500));
    let output = run(check()).await;
    assert_eq!(output.code, Some(4), "{output}");
    assert!(output.stdout.contains("slack token: no answer"), "{output}");

    slack.answer("users.conversations", Answer::Refuse("missing_scope"));
    let output = run(check()).await;
    assert_eq!(output.code, Some(0), "{output}");
    assert!(
        output
            .stdout
            .contains("slack #shop: not known: Slack says `missing_scope`"),
        "{output}"
    );

    let command = check();
    std::fs::create_dir(command.home().join("t")).unwrap();
    std::fs::write(command.home().join("t/thawed.html"), "a\n{{ nobody }}").unwrap();
    let output = run(command.args(["--templates", "t"])).await;
    assert_eq!(output.code, Some(1), "{output}");
    assert!(
        output.stdout.contains("templates: wrong: t/thawed.html:2"),
        "{output}"
    );

    assert_eq!(slack.messages(), []);
    assert_eq!(slack.violations(), Vec::<String>::new());
}

#[test]
fn inputs_of_no_use_are_told_before_anything_is_sent() {
    let run = |command: Command, change: fn(&std::path::Path)| {
        change(command.home());
        command.run_reported()
    };
    let bad = |home: &std::path::Path| {
        std::fs::create_dir(home.join("t")).unwrap();
        std::fs::write(home.join("t/failed.txt"), "a\n{{ nobody }}").unwrap();
        std::fs::write(home.join("shop.yaml"), "version: 1.10\n").unwrap();
        std::fs::write(home.join("broken.json"), "{\n\"schema\": 1}").unwrap();
    };
    for (args, code, file) in [
        (&["--to", "console", "--templates", "t"][..], 3, "t/failed.txt"),
        (&["--descriptor", "shop.yaml"][..], 3, "shop.yaml"),
        (&["--message", "broken.json"][..], 3, "broken.json"),
        (&["--env", "prod"][..], 2, ""),
        (&["--to", "mail:a@b"][..], 2, ""),
        (&["--message", "gone.json"][..], 2, ""),
    ] {
        let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
        std::fs::write(command.home().join("message.json"), message().to_string()).unwrap();
        let mut command = command.args(["--event", "failed"]).args(args);
        if !args.contains(&"--message") {
            command = command.args(["--message", "message.json"]);
        }
        let output = run(command, bad);
        assert_eq!(output.code, Some(code), "{args:?}: {output}");
        if code == 3 {
            assert_eq!(output.report()["diagnostics"][0]["file"], file, "{output}");
        }
    }
}

#[test]
fn the_published_schema_is_the_one_of_the_code() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/message/notify-message.schema.json"
    );
    let printed = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"))
        .arg("--schema")
        .run();
    assert_eq!(printed.code, Some(0), "{printed}");
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        printed.stdout, published,
        "`pilotage-notify --schema > {path}` publishes it anew"
    );
}

#[test]
fn what_happened_may_stand_in_the_message_and_an_environment_needs_no_service() {
    let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
    let say = |event: &str| {
        json!({"schema": "notify-message/v1", "event": event, "project": "acme", "environment": "qa",
            "reasons": ["the branch was rewritten"]})
    };
    std::fs::write(command.home().join("message.json"), say("frozen").to_string()).unwrap();
    let output = command
        .args(["--message", "message.json", "--to", "console"])
        .run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        output.stdout,
        "qa: FROZEN, nothing is released here\n  - the branch was rewritten\n"
    );
    assert_eq!(output.report()["result"]["event"], "frozen");

    let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
    std::fs::write(command.home().join("message.json"), MESSAGE_OF_NO_EVENT).unwrap();
    let output = command
        .args(["--message", "message.json", "--to", "console"])
        .run();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("what happened"), "{output}");
}

const MESSAGE_OF_NO_EVENT: &str = r#"{"schema":"notify-message/v1","project":"acme","environment":"qa"}"#;
