//! Every refusal, as people see it: each snapshot was read by one.

use std::collections::BTreeMap;

use pilotage_diagnostic::render_terminal;
use pilotage_name::EnvironmentName;
use pilotage_quantity::{Duration, Memory};
use pilotage_yaml::{Decode, Decoder, Fields, Limits, Node, Source, parse, record, source_from_bytes, words};

words! {
    /// What a service is.
    pub enum Kind {
        /// It listens.
        Service = "service",
        /// It runs to its end.
        Job = "job",
        /// It does nothing.
        Off = "off",
    }
}

record! {
    /// A port.
    pub struct Port {
        /// Its name.
        pub name: String,
        /// Its number.
        pub port: u16,
    }
}

record! {
    /// A shop: all kinds of fields.
    pub struct Shop {
        /// The format.
        pub api_version as "apiVersion": String = "v1".to_owned(),
        /// What it is.
        pub kind: Kind = Kind::Service,
        /// What runs.
        pub version: String,
        /// Ports.
        pub ports: Vec<Port>,
        /// Variables.
        pub env: BTreeMap<String, String>,
        /// How long.
        pub timeout: Option<Duration>,
        /// How much.
        pub memory: Option<Memory>,
        /// How many.
        pub replicas: u32 = 1,
        /// Whether.
        pub enabled: bool = true,
    }
}

fn decode(text: &str) -> (Option<Shop>, String) {
    let source = Source::new("f.yaml", text);
    let (node, mut problems) = parse(&source, &Limits::default());
    let mut cx = Decoder::new(&source);
    let shop = node.and_then(|node| Shop::decode(&node, &mut cx));
    problems.extend(cx.finish());
    (shop, render_terminal(problems.sorted().as_slice(), false))
}

fn problems(text: &str) -> String {
    let (_, problems) = decode(text);
    assert_ne!(problems, "", "{text}");
    problems
}

fn all(texts: &[&str]) -> String {
    let shown: Vec<_> = texts.iter().map(|text| problems(text)).collect();
    shown.join("\n")
}

#[test]
fn a_good_file_has_none() {
    let (shop, problems) = decode(
        "# A shop.\nversion: \"1.10\"\nkind: off\nports:\n- {name: http, port: 8080}\n- name: 'on'\n  port: 1\nenv: {NO: \"no\", A: |-\n  x\n  }\n",
    );
    // A block scalar may not stand in a flow map.
    assert!(shop.is_none() && problems.contains("yaml-syntax"), "{problems}");
    let (shop, problems) = decode(
        "# A shop.\nversion: \"1.10\"\nkind: off\nports:\n- {name: http, port: 8080}\n- name: 'on'\n  port: 1\nenv:\n  NO: \"no\"\n  A: |-\n    10\ntimeout: 1m30s\nmemory: 256Mi\nenabled: FALSE\n",
    );
    assert_eq!(problems, "");
    let shop = shop.unwrap();
    assert_eq!(
        (shop.version.as_str(), shop.kind, shop.replicas, shop.enabled),
        ("1.10", Kind::Off, 1, false)
    );
    assert_eq!(
        shop.ports[1],
        Port {
            name: "on".into(),
            port: 1
        }
    );
    assert_eq!(shop.env["A"], "10");
    // What holds its default is not written.
    insta::assert_json_snapshot!(shop);
    insta::assert_json_snapshot!(schemars::schema_for!(Shop));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let (shop, problems) = decode("\u{feff}version: a\r\nports:\r\n  - {name: x, port: 1}\r\n");
    assert_eq!(problems, "");
    assert_eq!(shop.unwrap().version, "a");
}

#[test]
fn keys() {
    insta::assert_snapshot!(problems(
        "verison: a\ncolour: red\nports:\n  - {name: http, prot: 80}\n  - port: 1\n    name: x\n    x\u{301}\u{200b}: 1\n"
    ));
    insta::assert_snapshot!(problems(
        "version: a\nports: []\nversion: [b]\nreplicas: x\nversion: c\n"
    ));
}

#[test]
fn types() {
    insta::assert_snapshot!(problems(
        "version: [a]\nkind: servce\nports: {http: 80}\nenv: [a]\nreplicas: \"2\"\nenabled: yes\ntimeout:\nmemory: lots\napiVersion: {}\n"
    ));
    insta::assert_snapshot!(all(&["just a text\n", "- a\n", "12"]));
}

#[test]
fn texts_that_have_to_be_quoted() {
    insta::assert_snapshot!(problems(
        "version: 1.10\nenv: {A: yes, B: null, C: ~, D: 0x10, E: 1e3, F: true, G: 22:30, H: 1_000, I: 12, J: 2024-01-01, K: }\n"
    ));
}

#[test]
fn numbers() {
    insta::assert_snapshot!(all(&[
        "version: a\nreplicas: -1",
        "version: a\nreplicas: 99999999999999999999999999999999999999999999",
        "version: a\nreplicas: 010",
        "version: a\nreplicas: 0x10",
        "version: a\nreplicas: 1.0",
        "version: a\ntimeout: 30",
        "version: a\nports: [{name: a, port: 65536}]",
    ]));
}

#[test]
fn what_yaml_can_and_we_refuse() {
    insta::assert_snapshot!(all(&[
        "base: &b {x: 1}\nversion: a\nenv:\n  <<: *b\n  A: b\n",
        "version: !!str 1.10\nenv: !env {A: !x b}\n",
        "version: a\n---\nversion: b\n",
        "%YAML 1.1\n---\nversion: a\n",
        "version: a\n? [x, y]\n: z\n{a: b}: c\n: d\n",
        "version: {{ version }}\n",
    ]));
}

#[test]
fn nothing_in_it() {
    insta::assert_snapshot!(all(&["", "\n\n", "# a comment\n", "---\n", "~\n", "{}\n"]));
}

#[test]
fn what_is_not_yaml() {
    insta::assert_snapshot!(all(&[
        "version: a\n\treplicas: 2\n",
        "version: \"a\n",
        "version: a: b\n",
        "version: [a, b\n",
        "version: a\n  replicas: 2\n",
        "version: @a\n",
        "version: \"\\q\"\n",
        "version: *nobody\n",
        "ports:\n  - a\n - b\n",
        "version: ]",
    ]));
}

#[test]
fn what_is_no_text() {
    insta::assert_snapshot!(all(&[
        "version: a\0b\u{1b}[2J\n",
        "# looks like a comment\rversion: evil\n",
        "version: \u{202e}cba # \u{2066}\n",
        "version: a\n\u{feff}replicas: 2\n",
    ]));
    let bytes: [&[u8]; 4] = [b"version: gr\xfc\xdfe\n", b"\xff\xfev\0", b"a\xc3", b"\x80"];
    let shown = bytes.map(|bytes| {
        let problem = source_from_bytes("f.yaml", bytes).unwrap_err();
        render_terminal(&[*problem], false)
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn limits() {
    let limits = Limits {
        bytes: 100,
        depth: 3,
        nodes: 10,
    };
    let tell = |text: String| {
        let source = Source::new("f.yaml", text);
        let (node, problems) = parse(&source, &limits);
        (node.is_some(), render_terminal(problems.as_slice(), false))
    };
    assert_eq!(tell("[[[a]]]".into()), (true, String::new()));
    assert_eq!(tell("[1,2,3,4,5,6,7,8,9]".into()), (true, String::new()));
    let refused = [
        "[[[[a]]]]",
        "a:\n  b:\n    c:\n    - d\n",
        "[1,2,3,4,5,6,7,8,9,10]",
    ]
    .map(|text| tell(text.into()));
    let large = tell("a".repeat(101));
    assert!(refused.iter().chain([&large]).all(|(node, _)| !node));
    let shown: Vec<_> = refused
        .into_iter()
        .chain([large])
        .map(|(_, shown)| shown)
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn too_many_problems_are_counted() {
    let text: String = std::iter::once("version: a\n".to_owned())
        .chain((0..5_000).map(|n| format!("k{n}: x\n")))
        .collect();
    let source = Source::new("f.yaml", text);
    let (node, _) = parse(&source, &Limits::default());
    let mut cx = Decoder::new(&source);
    assert!(Shop::decode(&node.unwrap(), &mut cx).is_some());
    let problems = cx.finish();
    assert_eq!(problems.len(), 101);
    let last = problems.iter().last().unwrap();
    assert_eq!(last.message, "and at least 4900 more problems in this file");
}

#[test]
fn one_of_several_keys_and_keys_with_a_grammar() {
    let text = "- {http: a, tcp: b, udp: c}\n- {name: x}\n- {tcp: c}\n";
    let source = Source::new("f.yaml", text);
    let (node, _) = parse(&source, &Limits::default());
    let mut cx = Decoder::new(&source);
    let mut chosen = Vec::new();
    for item in node.unwrap().items().unwrap() {
        let mut fields = Fields::of(item, &mut cx, "an endpoint").unwrap();
        let _: Option<Option<String>> = fields.required("name", &mut cx);
        chosen.push(
            fields
                .one_of(&["http", "tcp", "udp"], &mut cx)
                .map(|(key, _)| key),
        );
        fields.finish(&mut cx);
    }
    assert_eq!(chosen, [None, None, Some("tcp")]);
    let names = Source::new("g.yaml", "qa: {}\nQA: {}\n");
    let (node, _) = parse(&names, &Limits::default());
    let mut keys = Decoder::new(&names);
    let environments = BTreeMap::<EnvironmentName, Node>::decode(&node.unwrap(), &mut keys);
    assert!(environments.is_none());
    let mut problems = cx.finish();
    problems.extend(keys.finish());
    insta::assert_snapshot!(render_terminal(problems.as_slice(), false));
}
