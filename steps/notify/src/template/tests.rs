use pilotage_message::Message;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A release with something in every field.
fn full() -> serde_json::Value {
    json!({
        "schema": "notify-message/v1", "project": "acme", "environment": "prod", "service": "shop",
        "version": {"from": "1.2.0", "to": "1.3.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "subject": "Take prices from the new service (a -> b)",
        "author": {"name": "Bo Lind", "email": "bo@example.com"},
        "committer": {"name": "Ana Costa", "email": "Ana@Example.com"},
        "release": "prod.shop.17",
        "outcome": "failed",
        "reasons": ["healthcheck: /health answered 503 (13×), expected 200-299", "gate people: \"Bo\" <bo@example.com> is not in release-managers"],
        "satisfy": ["a commit by one of: ana, cem"],
        "stages": [
            {"name": "deploy", "outcome": "passed", "duration": "12s"},
            {"name": "healthcheck", "outcome": "failed", "duration": "1m", "detail": "timeout 60s reached"},
            {"name": "smoke", "outcome": "skipped"},
        ],
        "duration": "1m15s",
        "held": {"running": "1.2.0", "rejected": "1.3.0", "until": "a new commit"},
        "links": [{"label": "Build", "url": "https://ci.example.com/job/shop/17/?a=1&b=2"}, {"label": "log", "url": "file:///etc/passwd"}],
    })
}

fn smallest() -> serde_json::Value {
    json!({"schema": "notify-message/v1", "project": "acme", "environment": "qa", "service": "cart"})
}

fn facts(event: Event, message: &serde_json::Value, member: Option<&str>) -> Context {
    let message: Message = serde_json::from_value(message.clone()).unwrap();
    Context::new(event, &message, None).with_member(member)
}

#[test]
fn a_version_that_runs_already_is_not_said_to_have_been_another() {
    let mut message = smallest();
    message["version"] = json!({"from": "1.1.0", "to": "1.1.0"});
    let line = |event: Event| {
        let format = Format::Text;
        let text = Templates::ours().render(event, format, &facts(event, &message, None));
        text.unwrap().lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        line(Event::Started),
        "qa/cart: is being released as 1.1.0, the version that runs now"
    );
    assert_eq!(line(Event::Succeeded), "qa/cart: 1.1.0 is released");
}

#[test]
fn our_messages_read_well() {
    let mut all = String::new();
    for (name, message) in [("full", full()), ("smallest", smallest())] {
        for format in Format::ALL {
            for event in Event::ALL {
                let text = Templates::ours()
                    .render(event, format, &facts(event, &message, Some("U012AB")))
                    .unwrap();
                all.push_str(&format!("=== {name} {event}.{}\n{text}\n\n", format.ending()));
            }
        }
    }
    insta::assert_snapshot!(all);
}

fn own(name: &str, text: &str) -> Templates {
    let mut templates = Templates::ours();
    templates.files.insert(name.to_owned(), Source::new(name, text));
    templates
}

fn said(text: &str) -> String {
    own("failed.slack", text)
        .render(
            Event::Failed,
            Format::Slack,
            &facts(Event::Failed, &full(), Some("U012AB")),
        )
        .unwrap()
}

#[test]
fn a_template_cannot_switch_the_escaping_off() {
    for text in [
        "{{ subject }}",
        "{% autoescape false %}{{ subject }}{% endautoescape %}",
        "{{ subject | e }}",
        "{{ subject | escape | escape }}",
        "{% set kept %}{{ subject }}{% endset %}{{ kept }}",
        "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(subject) }}",
        "{{ '' ~ subject }}",
    ] {
        assert_eq!(
            said(text),
            "Take prices from the new service (a -&gt; b)",
            "{text}"
        );
    }
    assert_eq!(said("{{ mention }} {{ mention | e }}"), "<@U012AB> <@U012AB>");
    assert_eq!(said("{{ '<!channel>' }}"), "&lt;!channel&gt;");
}

#[test]
fn a_wrong_template_is_told_with_its_place() {
    let mut told = String::new();
    for text in [
        "a\n{{ subjekt }}",
        "{% if commit.author.name %}x{% endif %}",
        "a\nb {% if %}",
        "{{ subject | safe }}",
        "{% include 'gone.slack' %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
    ] {
        let error = own("failed.slack", text)
            .render(Event::Failed, Format::Slack, &facts(Event::Failed, &full(), None))
            .unwrap_err();
        let TemplateError::Invalid(problems) = error else {
            panic!("{error}")
        };
        for problem in problems.iter() {
            told.push_str(&problem.line());
            told.push('\n');
        }
    }
    // A mistake in an included file is told where it is.
    let mut templates = own("failed.slack", "{% include '_own' %}");
    templates
        .files
        .insert("_own".to_owned(), Source::new("_own", "x\n\n{{ nothing }}"));
    let TemplateError::Invalid(problems) = templates
        .render(Event::Failed, Format::Slack, &facts(Event::Failed, &full(), None))
        .unwrap_err()
    else {
        panic!("it cannot be read")
    };
    told.push_str(&problems.as_slice()[0].line());
    insta::assert_snapshot!(told);
}

#[test]
fn a_directory_puts_its_templates_over_ours_and_a_misspelt_one_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("failed.slack", "{% include '_who' %} broke {{ service }}");
    write("_who", "{{ committer.name }}");
    write(".gitignore", "");
    let facts = facts(Event::Failed, &full(), None);
    let templates = Templates::with_directory(directory.path()).unwrap();
    assert_eq!(
        templates.render(Event::Failed, Format::Slack, &facts).unwrap(),
        "Ana Costa broke shop"
    );
    assert!(
        templates
            .render(Event::Failed, Format::Text, &facts)
            .unwrap()
            .contains("FAILED")
    );
    write("faild.slack", "");
    let Err(TemplateError::Invalid(problems)) = Templates::with_directory(directory.path()) else {
        panic!("it is misspelt")
    };
    assert_eq!(problems.as_slice()[0].help, ["did you mean `failed.slack`?"]);
    assert!(matches!(
        Templates::with_directory(Path::new("/no/such")),
        Err(TemplateError::Unreadable { .. })
    ));
}

#[test]
fn who_brought_it_is_found_by_the_mail_address() {
    let message: Message = serde_json::from_value(full()).unwrap();
    let text = "apiVersion: pilotage/v1\nproject: acme\n\
        targets: {here: {process: {state: /s, command: [x], artifact: /a, listen: \"127.0.0.1:1\"}}}\n\
        environments: {qa: {target: here}}\n\
        people: {bo: {emails: [bo@example.com], slack: U0BO}, ana: {emails: [ana@example.com], slack: U0ANA}}\n";
    let (config, problems) = pilotage_config::parse(&Source::new("pilotage.yaml", text));
    let config = config.unwrap_or_else(|| panic!("{:?}", problems.to_data()));
    let facts = Context::new(Event::Failed, &message, Some(&config));
    let slack = own("failed.slack", "{{ mention }}")
        .render(Event::Failed, Format::Slack, &facts)
        .unwrap();
    assert_eq!(slack, "<@U0ANA>");
    let text = own("failed.txt", "{{ mention }}")
        .render(Event::Failed, Format::Text, &facts)
        .unwrap();
    assert_eq!(text, "Ana Costa");
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<!channel>".to_owned()),
        Just("<@U999>".to_owned()),
        Just("<https://evil.example|x>".to_owned()),
        Just("&lt;!here&gt;".to_owned()),
        Just("\n\n".to_owned()),
        Just("{{ 7 * 7 }}".to_owned()),
        Just("\u{1b}[2J\0\u{202e}".to_owned()),
        Just("|".to_owned()),
        "[ -~]{0,10}",
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    // Each case renders all messages.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_value_can_mention_anybody_or_make_a_link(text in hostile()) {
        let mut message = full();
        for place in ["/subject", "/author/name", "/committer/name", "/version/from", "/version/to", "/outcome",
            "/reasons/0", "/satisfy/0", "/stages/1/outcome", "/stages/1/detail", "/held/running", "/held/rejected",
            "/held/until", "/links/0/label", "/links/1/url", "/stages/0/name"] {
            *message.pointer_mut(place).unwrap() = json!(text);
        }
        for event in Event::ALL {
            let facts = facts(event, &message, Some("U012AB"));
            let slack = Templates::ours().render(event, Format::Slack, &facts).unwrap();
            let ours = slack.replace("<@U012AB>", "").replace("<https://ci.example.com/job/shop/17/?a=1&amp;b=2|", "");
            // What is left of our link is its closing bracket. Only links/1, an http URL by chance, may add another.
            let opened = ours.matches('<').count();
            prop_assert!(opened == 0 || mrkdwn::web_url(&text).is_some(), "{slack}");
            let bad = |c: char| c.is_control() && c != '\n';
            prop_assert!(!slack.contains(bad) && !slack.contains('\u{202e}'), "{slack:?}");
            prop_assert!(!slack.contains("49") || text.contains("49"), "a value was taken for a template: {slack}");
            let plain = Templates::ours().render(event, Format::Text, &facts).unwrap();
            prop_assert!(!plain.contains(bad) && !plain.contains('\u{202e}'), "{plain:?}");
        }
    }
}
