//! No text may panic, hang or overflow the stack, and every place lies in it.

use std::collections::BTreeMap;

use pilotage_diagnostic::{Diagnostics, render_terminal};
use pilotage_yaml::{Decode, Decoder, Limits, Node, Source, Span, Value, merge, parse, source_from_bytes};
use proptest::prelude::*;

const WIDE: Limits = Limits {
    bytes: 16 << 20,
    depth: 1_000_000,
    nodes: 10_000_000,
};

fn check_span(source: &Source, span: Span) {
    assert!(span.start <= span.end, "{span:?}");
    assert!(
        source.text().get(span.range()).is_some(),
        "{span:?} in {:?}",
        source.text()
    );
}

fn check_node(source: &Source, node: &Node, around: Span) {
    check_span(source, node.span);
    assert!(
        around.start <= node.span.start && node.span.end <= around.end,
        "{:?} outside of {around:?} in {:?}",
        node.span,
        source.text()
    );
    match &node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| check_node(source, item, node.span)),
        Value::Mapping(entries) => {
            for entry in entries {
                check_span(source, entry.key_span);
                assert_eq!(entry.value.key_span, Some(entry.key_span));
                check_node(source, &entry.value, node.span);
            }
        }
    }
}

/// Parses, decodes and renders, and checks all places.
fn survive(source: &Source, limits: &Limits) -> (Option<Node>, Diagnostics) {
    let (node, problems) = parse(source, limits);
    let mut told = problems.clone();
    if let Some(node) = &node {
        check_node(source, node, Span::new(0, source.text().len()));
        let mut cx = Decoder::new(source);
        let decoded = BTreeMap::<String, Vec<String>>::decode(node, &mut cx);
        assert_eq!(decoded.is_none(), cx.count() > 0);
        told.extend(cx.finish());
        assert_eq!(merge(node, node).kind(), node.kind());
        assert_eq!(node.to_json().is_object(), node.entries().is_some());
    } else {
        assert!(problems.has_errors());
    }
    for problem in &told {
        assert!(!problem.labels.is_empty());
        problem
            .labels
            .iter()
            .for_each(|label| check_span(source, label.span));
    }
    let shown = render_terminal(told.as_slice(), false);
    assert!(
        !shown.contains(|c: char| c.is_control() && c != '\n'),
        "{shown:?}"
    );
    (node, problems)
}

fn codes(text: impl Into<String>, limits: &Limits) -> Vec<String> {
    let (_, problems) = survive(&Source::new("f.yaml", text), limits);
    problems.iter().map(|problem| problem.code.clone()).collect()
}

#[test]
fn an_alias_bomb_does_not_expand() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ('b'..='i').zip('a'..='h') {
        let nine = vec![format!("*{last}"); 9].join(", ");
        bomb += &format!("{this}: &{this} [{nine}]\n");
    }
    let codes = codes(bomb, &WIDE);
    assert_eq!(codes, ["yaml-anchor"], "one of them says it for all");
}

#[test]
fn deep_nesting_is_refused_at_its_place() {
    for deep in ["[", "{a: ", "- ", "? "] {
        let text = deep.repeat(100_000);
        assert_eq!(codes(text.as_str(), &WIDE), ["yaml-too-deep"], "{deep:?}");
        assert_eq!(codes(text, &Limits::default()).len(), 1);
    }
    // Without spaces it is one long text.
    assert_eq!(codes("-".repeat(100_000), &WIDE), Vec::<String>::new());
    let by_indent: String = (0..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert_eq!(codes(by_indent, &WIDE), ["yaml-too-deep"]);
}

#[test]
fn megabytes_are_read_or_refused_in_time() {
    let large = "key: value\n".repeat(5 * 1024 * 1024 / 11);
    assert_eq!(codes(large.as_str(), &Limits::default()), ["yaml-too-large"]);
    // One key and 95,000 repeats of it.
    assert_eq!(codes(&large[..1024 * 1024], &WIDE).len(), 101);
    let list = "- value\n".repeat(512 * 1024 / 8);
    assert_eq!(codes(list.as_str(), &WIDE), Vec::<String>::new());
    let nodes = Limits { nodes: 1_000, ..WIDE };
    assert_eq!(codes(list, &nodes), ["yaml-too-large"]);
    for text in [
        "\"".repeat(1 << 18),
        "a".repeat(1 << 18),
        "#".repeat(1 << 18),
        "a: ".repeat(1 << 18),
        "!".repeat(1 << 18),
    ] {
        survive(&Source::new("f.yaml", text), &WIDE);
    }
}

#[test]
fn what_is_no_text_is_placed() {
    assert_eq!(codes("a: \0", &WIDE), ["yaml-control-character"]);
    assert_eq!(codes("a: b\rc: d", &WIDE), ["yaml-line-break"]);
    assert_eq!(codes("\0".repeat(1 << 20), &WIDE).len(), 101);
    let problem = source_from_bytes("f", b"a: \xf0\x9f").unwrap_err();
    assert_eq!(
        (problem.code.as_str(), problem.labels[0].span),
        ("not-utf8", Span::new(3, 6))
    );
}

/// Pieces of YAML in any order find more than random characters do.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "b",
        ": ",
        ":",
        "- ",
        "-",
        "\n",
        "\n  ",
        "\n    ",
        " ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "? ",
        "?",
        "|",
        ">",
        "|-\n",
        "'",
        "\"",
        "#",
        " #",
        "&x ",
        "*x",
        "!t ",
        "!!str ",
        "<<",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "\t",
        "\r\n",
        "\r",
        "~",
        "null",
        "1.10",
        "é",
        "世",
        "\u{feff}",
        "\\",
        "\\u0000",
        "\0",
        "\u{85}",
        "\u{2028}",
        "@",
        "`",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_yaml_survive(text in yaml_like()) {
        survive(&Source::new("f.yaml", text), &WIDE);
    }

    #[test]
    fn any_text_survives(text in any::<String>()) {
        survive(&Source::new("f.yaml", text), &WIDE);
    }

    #[test]
    fn any_bytes_survive(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match source_from_bytes("f.yaml", &bytes) {
            Ok(source) => { survive(&source, &WIDE); }
            Err(problem) => check_span(&problem.labels[0].source, problem.labels[0].span),
        }
    }

    #[test]
    fn any_path_survives(path in "[a-c.\\[\\]\"0-9]{0,12}") {
        let source = Source::new("f.yaml", "a: {b: [1, {c: 2}]}\n");
        let (node, _) = parse(&source, &WIDE);
        let node = node.unwrap();
        prop_assert!(node.at(&path).is_none_or(|inner| inner.span.end <= node.span.end));
    }

    /// What a JSON text says is what the tree says.
    #[test]
    fn json_reads_as_json(texts in prop::collection::btree_map("[a-z]{1,5}", any::<(i64, bool, String)>(), 0..6)) {
        let json = serde_json::to_value(&texts).unwrap();
        let source = Source::new("f.json", ascii_json(&json));
        let (node, problems) = parse(&source, &WIDE);
        prop_assert!(problems.is_empty(), "{problems:?}");
        prop_assert_eq!(node.unwrap().to_json(), json);
    }
}

/// JSON with every character outside of ASCII escaped: some may not stand in a file as they are.
fn ascii_json(json: &serde_json::Value) -> String {
    let mut units = [0; 2];
    let mut shown = String::new();
    for c in json.to_string().chars() {
        if c.is_ascii() && !c.is_control() {
            shown.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                shown += &format!("\\u{unit:04x}");
            }
        }
    }
    shown
}
