//! The binary against a real mail server, and against servers that misbehave.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use pilotage_tests::command::{Command, Output};
use pilotage_tests::smtp::{Hang, Mail, Orders, PASSWORD, Protection, Smtp, USER};
use serde_json::{Value, json};

fn message() -> Value {
    json!({
        "schema": "notify-message/v1", "project": "acme", "environment": "qa", "service": "shop",
        "version": {"from": "1.2.0", "to": "1.3.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "subject": "Prices <script>alert(1)</script> & =?utf-8?Q?more?=",
        "committer": {"name": "Ana <b>Costa</b>", "email": "ana@example.com"},
        "maintainer": {"name": "Shop", "email": "shop@example.com"},
        "release": "qa.shop.17",
        "reasons": ["healthcheck: 503 (13×)"],
        "links": [{"label": "Build", "url": "https://ci.example.com/job/1?a=1&b=2"}],
    })
}

/// A command that knows the server and trusts it.
fn notify(event: &str, server: &Smtp, tls: &str) -> Command {
    trusting(server.ca_file(), event, server, tls)
}

fn trusting(authority: PathBuf, event: &str, server: &Smtp, tls: &str) -> Command {
    let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
    let config = format!(
        "apiVersion: pilotage/v1\nproject: acme\n\
         targets: {{here: {{process: {{state: /s, command: [x], artifact: /a, listen: \"127.0.0.1:1\"}}}}}}\n\
         environments: {{qa: {{target: here, notify: {{email: [qa@example.com]}}}}}}\n\
         mail: {{host: localhost, port: {}, from: pilotage@example.com, tls: {tls}}}\n",
        server.port()
    );
    let file = |name: &str, text: &str| std::fs::write(command.home().join(name), text).unwrap();
    file("pilotage.yaml", &config);
    file("message.json", &message().to_string());
    command
        .args([
            "--event",
            event,
            "--message",
            "message.json",
            "--config",
            "pilotage.yaml",
            "--env",
            "qa",
        ])
        .arg("--ca-file")
        .arg(authority)
}

fn logged_in(command: Command) -> Command {
    command
        .env("PILOTAGE_SMTP_USER", USER)
        .env("PILOTAGE_SMTP_PASSWORD", PASSWORD)
}

/// Runs it, and looks for the password in everything it leaves.
fn run(command: Command) -> Output {
    let output = command.run_reported();
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
        .map(|(address, outcome)| (format!("email {address}"), (*outcome).to_owned()))
        .collect()
}

fn plain(answers: &[(&str, &[&str])]) -> Orders {
    let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let answers: BTreeMap<_, _> = answers
        .iter()
        .map(|(address, texts)| ((*address).to_owned(), list(texts)))
        .collect();
    Orders {
        tls: Protection::None,
        login: false,
        answers,
        hangs: None,
    }
}

#[test]
fn bad_news_goes_to_everybody_one_mail_each_over_an_encrypted_connection() {
    let server = Smtp::start(&Orders::default());
    let output = run(logged_in(notify("failed", &server, "starttls")));
    assert_eq!(output.code, Some(0), "{output}");
    let all = ["qa@example.com", "ana@example.com", "shop@example.com"];
    assert_eq!(channels(&output), pairs(&all.map(|address| (address, "sent"))));
    let mut mails = server.stop();
    mails.sort_by(|a, b| a.to.cmp(&b.to));
    let told: Vec<&str> = mails.iter().map(|mail| mail.to[0].as_str()).collect();
    assert_eq!(told, ["ana@example.com", "qa@example.com", "shop@example.com"]);
    for mail in &mails {
        assert_eq!(
            (mail.to.len(), mail.encrypted, mail.user.as_deref()),
            (1, true, Some(USER))
        );
        let others = all.iter().filter(|address| **address != mail.to[0]);
        for other in others {
            assert!(!mail.raw.contains(other), "{} leaks to {}", other, mail.to[0]);
        }
    }
    let mail = &mails[0];
    assert_eq!(mail.from, "pilotage@example.com");
    assert_eq!(mail.header("From"), ["Pilotage acme <pilotage@example.com>"]);
    assert_eq!(
        mail.header("Subject"),
        ["[acme] qa/shop: the release of 1.3.0 FAILED"]
    );
    assert_eq!(mail.header("Auto-Submitted"), ["auto-generated"]);
    assert_eq!(mail.header("List-Id"), ["<qa.acme.pilotage.example.com>"]);
    assert_eq!(mail.header("X-Pilotage-Release"), ["qa.shop.17"]);
    let text = mail.text.as_deref().unwrap();
    assert!(
        text.contains("- healthcheck: 503 (13×)") && text.contains("Prices <script>"),
        "{text}"
    );
    let html = mail.html.as_deref().unwrap();
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; =?utf-8")
            && html.contains("Ana &lt;b&gt;Costa"),
        "{html}"
    );
    assert!(
        html.contains("<a href=\"https://ci.example.com/job/1?a=1&amp;b=2\">Build</a>"),
        "{html}"
    );
    assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
}

#[test]
fn the_mails_of_a_release_are_one_thread_and_a_second_telling_is_known_for_one() {
    let server = Smtp::start(&Orders::default());
    for event in ["started", "succeeded", "succeeded"] {
        let output = run(logged_in(notify(event, &server, "starttls")));
        assert_eq!(
            channels(&output),
            pairs(&[("qa@example.com", "sent")]),
            "{output}"
        );
    }
    let mails = server.stop();
    let id = |mail: &Mail| mail.header("Message-ID")[0].to_owned();
    assert_eq!(mails.len(), 3);
    assert_eq!(mails[0].header("References"), Vec::<&str>::new());
    assert_eq!(mails[1].header("References"), [id(&mails[0])]);
    assert_eq!(mails[1].header("In-Reply-To"), [id(&mails[0])]);
    assert_eq!(id(&mails[1]), id(&mails[2]));
    assert_ne!(id(&mails[0]), id(&mails[1]));
}

#[test]
fn a_server_without_starttls_and_one_of_an_unknown_authority_get_nothing() {
    let server = Smtp::start(&plain(&[]));
    let output = run(logged_in(notify("started", &server, "starttls")));
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("qa@example.com", "failed")])),
        "{output}"
    );
    assert!(output.stdout.contains("offers no STARTTLS"), "{output}");
    assert!(
        output.report()["help"].to_string().contains("tls: smtps"),
        "{output}"
    );
    assert_eq!(server.stop(), []);

    let (server, other) = (Smtp::start(&Orders::default()), Smtp::start(&Orders::default()));
    let output = run(logged_in(trusting(
        other.ca_file(),
        "started",
        &server,
        "starttls",
    )));
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("qa@example.com", "failed")])),
        "{output}"
    );
    assert!(output.stdout.contains("certificate"), "{output}");
    assert_eq!(output.report()["result"]["channels"][0]["attempts"], 1);
    assert_eq!(server.stop(), []);
}

#[test]
fn a_server_that_is_encrypted_from_the_first_byte_and_one_on_this_machine_that_is_not() {
    let server = Smtp::start(&Orders {
        tls: Protection::Smtps,
        ..Orders::default()
    });
    let output = run(logged_in(notify("started", &server, "smtps")));
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(server.stop().len(), 1);

    let server = Smtp::start(&plain(&[]));
    let output = run(notify("started", &server, "none"));
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!server.stop()[0].encrypted);
}

#[test]
fn one_refused_recipient_is_named_and_the_others_are_told() {
    let server = Smtp::start(&plain(&[("ana@example.com", &["550 5.1.1 no such user here"])]));
    let output = run(notify("failed", &server, "none"));
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        channels(&output),
        pairs(&[
            ("qa@example.com", "sent"),
            ("ana@example.com", "failed"),
            ("shop@example.com", "sent")
        ])
    );
    assert!(
        output.stdout.contains("email ana@example.com: failed"),
        "{output}"
    );
    assert!(output.stdout.contains("550 5.1.1 no such user here"), "{output}");
    assert_eq!(output.report()["result"]["channels"][1]["attempts"], 1);
    assert_eq!(server.stop().len(), 2);
}

#[test]
fn a_recipient_who_is_put_off_is_asked_again_within_the_time() {
    let server = Smtp::start(&plain(&[("qa@example.com", &["450 4.2.0 greylisted", "250 OK"])]));
    let output = run(notify("started", &server, "none"));
    assert_eq!(
        (output.code, channels(&output)),
        (Some(0), pairs(&[("qa@example.com", "sent")])),
        "{output}"
    );
    assert_eq!(
        output.report()["result"]["channels"][0]["attempts"],
        2,
        "{output}"
    );
    assert_eq!(server.stop().len(), 1);

    let server = Smtp::start(&plain(&[("qa@example.com", &["450 4.2.0 greylisted"])]));
    let output = run(notify("started", &server, "none").args(["--within", "3s"]));
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("qa@example.com", "failed")])),
        "{output}"
    );
    assert!(
        output.stdout.contains("not now: 450 4.2.0 greylisted"),
        "{output}"
    );
}

#[test]
fn a_server_that_falls_silent_ends_with_the_time_and_what_is_not_known_is_said() {
    for (hangs, outcome) in [(Hang::Greeting, "failed"), (Hang::Data, "unknown")] {
        let server = Smtp::start(&Orders {
            hangs: Some(hangs),
            ..plain(&[])
        });
        let command =
            notify("started", &server, "none").args(["--try-timeout", "300ms", "--within", "500ms"]);
        let output = run(command);
        assert_eq!(
            (output.code, channels(&output)),
            (Some(4), pairs(&[("qa@example.com", outcome)])),
            "{output}"
        );
    }
    // It took the mail and did not say so: the second one is the same mail.
    let server = Smtp::start(&Orders {
        hangs: Some(Hang::After),
        ..plain(&[])
    });
    let output = run(notify("started", &server, "none").args(["--within", "3s"]));
    assert_eq!(
        channels(&output),
        pairs(&[("qa@example.com", "unknown")]),
        "{output}"
    );
    let ids: Vec<String> = server
        .stop()
        .iter()
        .map(|mail| mail.header("Message-ID")[0].to_owned())
        .collect();
    assert!(ids.len() > 1 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_wrong_password_is_told_and_never_shown() {
    let server = Smtp::start(&Orders::default());
    let command = notify("started", &server, "starttls")
        .env("PILOTAGE_SMTP_USER", USER)
        .env("PILOTAGE_SMTP_PASSWORD", "planted-secret-wrong");
    let output = run(command);
    assert_eq!(
        (output.code, channels(&output)),
        (Some(4), pairs(&[("qa@example.com", "failed")])),
        "{output}"
    );
    assert!(
        output.stdout.contains("logging in: the mail server says no: 535"),
        "{output}"
    );
    assert!(
        output.report()["help"]
            .to_string()
            .contains("PILOTAGE_SMTP_PASSWORD"),
        "{output}"
    );

    let output = run(notify("started", &server, "starttls").env("PILOTAGE_SMTP_USER", USER));
    assert_eq!(output.code, Some(2), "{output}");
    assert_eq!(server.stop(), []);
}

#[test]
fn a_check_greets_the_server_and_sends_nothing() {
    let server = Smtp::start(&Orders::default());
    let check = |password: &str, tls: &str| {
        let given = notify("started", &server, tls);
        let config = std::fs::read(given.home().join("pilotage.yaml")).unwrap();
        let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
        std::fs::write(command.home().join("pilotage.yaml"), config).unwrap();
        let command = command
            .args(["--check", "--config", "pilotage.yaml", "--try-timeout", "2s"])
            .env("PILOTAGE_SMTP_USER", USER)
            .env("PILOTAGE_SMTP_PASSWORD", password);
        run(command.arg("--ca-file").arg(server.ca_file()))
    };
    let output = check(PASSWORD, "starttls");
    assert_eq!(output.code, Some(0), "{output}");
    let told = format!(
        "mail localhost:{}: good: encrypted by STARTTLS, logged in\n",
        server.port()
    );
    assert!(output.stdout.ends_with(&told), "{output}");
    let output = check("planted-secret-wrong", "starttls");
    assert_eq!(output.code, Some(1), "{output}");
    assert!(
        output
            .stdout
            .contains("wrong: logging in: the mail server says no: 535"),
        "{output}"
    );
    assert_eq!(server.stop(), []);

    let silent = Smtp::start(&Orders {
        hangs: Some(Hang::Greeting),
        ..Orders::default()
    });
    let given = notify("started", &silent, "starttls");
    let command = Command::program(env!("CARGO_BIN_EXE_pilotage-notify"));
    std::fs::copy(
        given.home().join("pilotage.yaml"),
        command.home().join("pilotage.yaml"),
    )
    .unwrap();
    let output = run(command.args(["--check", "--config", "pilotage.yaml", "--try-timeout", "300ms"]));
    assert_eq!(output.code, Some(4), "{output}");
    assert!(output.stdout.contains("no answer: connecting"), "{output}");
}

#[test]
fn hostile_titles_add_no_header() {
    let server = Smtp::start(&plain(&[]));
    let names = |mail: &Mail| mail.header_names().join(",");
    assert_eq!(run(notify("started", &server, "none")).code, Some(0));
    for hostile in [
        "x\r\nBcc: victim@example.com",
        "=?utf-8?Q?=0d=0aBcc:?=",
        "\u{202e}evil\u{0}\u{1b}[2J",
    ] {
        let command = notify("started", &server, "none");
        let mut message = message();
        message["version"]["to"] = json!(hostile);
        message["subject"] = json!(hostile);
        std::fs::write(command.home().join("message.json"), message.to_string()).unwrap();
        let output = run(command);
        assert_eq!(output.code, Some(0), "{output}");
    }
    let mails = server.stop();
    assert_eq!(mails.len(), 4);
    for mail in &mails {
        assert_eq!(
            (names(mail), mail.to.len()),
            (names(&mails[0]), 1),
            "{}",
            mail.raw
        );
        let subject = mail.header("Subject")[0];
        assert!(
            !subject.contains(['\r', '\n', '\u{202e}', '\u{1b}']),
            "{subject:?}"
        );
    }
    assert!(
        mails[2].header("Subject")[0].contains("= ?utf-8?Q?=0d=0aBcc:?="),
        "{}",
        mails[2].raw
    );
}
