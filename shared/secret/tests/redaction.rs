//! No writing of a secret survives redaction, however the text around it looks and however a stream is cut.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use pilotage_secret::{Coverage, Redactor, Secret};
use proptest::prelude::*;

const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'#')
    .add(b'?')
    .add(b'%');

fn contains(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && text.windows(part.len()).any(|window| window == part)
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn ascii_json(text: &str) -> String {
    json(text)
        .chars()
        .map(|c| if c.is_ascii() { c.to_string() } else { utf16(c) })
        .collect()
}

fn utf16(character: char) -> String {
    let mut units = [0; 2];
    character
        .encode_utf16(&mut units)
        .iter()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect()
}

/// Everything a log could hold of one value, computed with other code than the redactor's.
fn writings(value: &str) -> Vec<String> {
    let encoded = |set| utf8_percent_encode(value, set).to_string();
    vec![
        value.to_owned(),
        encoded(COMPONENT),
        encoded(NON_ALPHANUMERIC),
        encoded(PATH),
        encoded(COMPONENT).replace("%20", "+"),
        json(value),
        ascii_json(value),
        json(value).replace('/', "\\/"),
    ]
}

/// A value with `before` in front, in base64, and the characters of it that the value alone decides.
fn in_base64(before: &[u8], value: &str, after: &[u8], url_safe: bool) -> (String, String) {
    let all = [before, value.as_bytes(), after].concat();
    let text = if url_safe {
        URL_SAFE_NO_PAD.encode(&all)
    } else {
        STANDARD.encode(&all)
    };
    let first = (before.len() * 8).div_ceil(6);
    let last = (before.len() + value.len()) * 8 / 6;
    let core = text[first..last].to_owned();
    (text, core)
}

fn streamed(redactor: &Redactor, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    let mut rest = text;
    for cut in cuts {
        let (piece, left) = rest.split_at((*cut).min(rest.len()));
        out.extend(stream.push(piece));
        rest = left;
    }
    out.extend(stream.push(rest));
    out.extend(stream.flush());
    out
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{4,24}",
        "[ -~]{4,24}",
        "[a-b\\\\%\"]{4,12}",
        "[a-zé😀\n\t/+ ]{4,16}",
        "[aA]{4,6}",
    ]
    .prop_map(|text| text.trim().to_owned())
    .prop_filter("long enough to be looked for", |text| text.chars().count() >= 4)
    .prop_filter("not in the mask itself", |text| {
        !"[secret][secret]".contains(text.as_str())
    })
}

proptest! {
    #[test]
    fn no_writing_survives_in_any_chunking(
        value in value(),
        other in value(),
        before in "[ -~\n]{0,8}",
        between in "[ -~]{0,4}",
        raw in prop::collection::vec(any::<u8>(), 0..5),
        url_safe in any::<bool>(),
        cuts in prop::collection::vec(0_usize..9, 0..60),
    ) {
        let redactor = Redactor::new();
        prop_assert_eq!(redactor.register(&Secret::new(value.clone())), Coverage::Masked);
        redactor.register(&Secret::new(other.clone()));
        let mut text = before;
        for writing in writings(&value).into_iter().chain(writings(&other)) {
            text.push_str(&writing);
            text.push_str(&between);
        }
        let (encoded, core) = in_base64(&raw, &value, &raw, url_safe);
        text.push_str(&encoded);

        let whole = redactor.redact(&text).into_owned();
        let cut = streamed(&redactor, text.as_bytes(), &cuts);
        prop_assert_eq!(&String::from_utf8_lossy(&cut), &whole);
        for writing in writings(&value).into_iter().chain(writings(&other)) {
            prop_assert!(!whole.contains(&writing), "{writing:?} is left in {whole:?}");
        }
        prop_assert!(!whole.contains(&core), "{core:?} is left in {whole:?}");
    }

    #[test]
    fn any_bytes_pass_when_nothing_is_registered(
        text in prop::collection::vec(any::<u8>(), 0..200),
        cuts in prop::collection::vec(0_usize..20, 0..20),
    ) {
        prop_assert_eq!(streamed(&Redactor::new(), &text, &cuts), text);
    }

    #[test]
    fn bytes_around_a_value_stay(
        before in prop::collection::vec(0_u8..b'a', 0..50),
        after in prop::collection::vec(0_u8..b'a', 0..50),
        cuts in prop::collection::vec(0_usize..20, 0..20),
    ) {
        let redactor = Redactor::new();
        redactor.register(&Secret::new("swordfish"));
        let text = [&before[..], b"swordfish", &after[..]].concat();
        // Every base64 writing of this value has lower-case letters, so only the literal can match here.
        let expected = [&before[..], b"[secret]", &after[..]].concat();
        prop_assert_eq!(streamed(&redactor, &text, &cuts), expected);
    }
}

#[test]
fn the_longest_value_wins_and_overlaps_become_one_mask() {
    let redactor = Redactor::new();
    redactor.register_named("SHORT", &Secret::new("abcd"));
    redactor.register_named("LONG", &Secret::new("abcdefgh"));
    redactor.register_named("TAIL", &Secret::new("ghijkl"));
    assert_eq!(redactor.redact("abcd abcdefgh"), "[secret SHORT] [secret LONG]");
    assert_eq!(redactor.redact("abcdefghijkl."), "[secret LONG].");
    for cut in 0..13 {
        assert_eq!(streamed(&redactor, b"abcdefghijkl.", &[cut]), b"[secret LONG].");
    }
}

#[test]
fn a_stream_holds_back_only_what_could_be_a_beginning() {
    let redactor = Redactor::new();
    redactor.register(&Secret::new("hunter2!"));
    let mut stream = redactor.stream();
    assert_eq!(stream.push(b"log in: hun"), b"log in: ");
    assert_eq!(stream.push(b"t"), b"");
    assert_eq!(stream.push(b"ing season, hunter"), b"hunting season, ");
    assert_eq!(stream.push(b"2!\n"), b"[secret]\n");
    assert_eq!(stream.push(b"hunter2"), b"");
    assert_eq!(stream.flush(), b"hunter2");
    assert!(!contains(&stream.flush(), b"hunter2"));
}

#[test]
fn short_values_are_told_and_left() {
    let redactor = Redactor::new();
    assert_eq!(redactor.register(&Secret::new(" abc \n")), Coverage::TooShort);
    assert_eq!(redactor.redact("abc"), "abc");
}

#[test]
fn a_key_of_several_lines_is_found_line_by_line() {
    let redactor = Redactor::new();
    redactor.register_named(
        "KEY",
        &Secret::new("-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"),
    );
    assert_eq!(redactor.redact("1| MIIEvQIBADANBg"), "1| [secret KEY]");
    assert_eq!(
        redactor.redact(
            "{\"key\": \"-----BEGIN KEY-----\\nMIIEvQIBADANBg\\nkqhkiG9w0BAQEF\\n-----END KEY-----\"}"
        ),
        "{\"key\": \"[secret KEY]\"}"
    );
}

#[test]
fn a_basic_authorization_header_is_masked() {
    let redactor = Redactor::new();
    redactor.register(&Secret::new("hunter2-and-more"));
    for user in ["a", "bo", "ana", "anna"] {
        let header = STANDARD.encode(format!("{user}:hunter2-and-more"));
        let shown = redactor.redact(&header).into_owned();
        assert!(shown.contains("[secret]") && shown.len() < 20, "{shown}");
    }
}
