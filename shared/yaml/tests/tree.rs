//! Places, paths and overlays.

use pilotage_yaml::{Limits, Node, Source, merge, parse};

#[expect(clippy::unwrap_used, reason = "a test ends here when its input is wrong")]
fn read(text: &str) -> (Source, Node) {
    let source = Source::new("f.yaml", text);
    let (node, problems) = parse(&source, &Limits::default());
    assert!(problems.is_empty(), "{problems:?}");
    (source, node.unwrap())
}

const SHOP: &str = "\
version: \"1.0\"
files:
  /etc/app.yaml: {from: app.yaml}
healthcheck:
  endpoints:
    - {http: /health, port: http}
    - tcp: admin

  empty:
after: []
text: |
  one
  two
last: 1 # comment
";

#[test]
fn every_part_knows_its_bytes() {
    let (source, node) = read(SHOP);
    for (path, text) in [
        ("version", "\"1.0\""),
        ("files", "/etc/app.yaml: {from: app.yaml}"),
        ("files[\"/etc/app.yaml\"]", "{from: app.yaml}"),
        ("files[\"/etc/app.yaml\"].from", "app.yaml"),
        (
            "healthcheck.endpoints",
            "- {http: /health, port: http}\n    - tcp: admin",
        ),
        ("healthcheck.endpoints[0].port", "http"),
        ("healthcheck.endpoints[1]", "tcp: admin"),
        ("healthcheck.endpoints[1].tcp", "admin"),
        ("healthcheck.empty", ""),
        ("after", "[]"),
        ("last", "1"),
    ] {
        assert_eq!(
            node.at(path).map(|node| source.slice(node.span)),
            Some(text),
            "{path}"
        );
    }
    let port = node.at("healthcheck.endpoints[0].port").unwrap();
    assert_eq!(source.slice(port.name_span()), "port");
    assert_eq!(source.slice(port.entry_span()), "port: http");
    assert_eq!(source.slice(node.at("text").unwrap().span).trim(), "one\n  two");
    assert_eq!(node.at("").map(|node| node.span), Some(node.span));
    assert_eq!(node.span.start, 0);
}

#[test]
fn paths_that_lead_nowhere() {
    let (_, node) = read(SHOP);
    for path in [
        "nothing",
        "version.x",
        "after[0]",
        "healthcheck.endpoints[x]",
        "healthcheck.",
        ".version",
        "after[0",
        "[\"version",
        "healthcheck[0]",
        "healthcheck.endpoints[-1]",
        "version[\"x\"]",
    ] {
        assert_eq!(node.at(path), None, "{path}");
    }
}

#[test]
fn overlays_merge_maps_replace_the_rest_and_remove_by_null() {
    let (source, node) = read(
        "base:\n  a: {x: 1, y: [1, 2], z: {k: 1}}\n  b: text\n  c: 3\nover:\n  a: {y: [3], z: ~, w: 4}\n  b: {new: {deep: null, n: 1}, none: null}\n  d: 5\n  e: null\n",
    );
    let merged = merge(node.at("base").unwrap(), node.at("over").unwrap());
    insta::assert_json_snapshot!(merged, @r#"
    {
      "a": {
        "x": 1,
        "y": [
          3
        ],
        "w": 4
      },
      "b": {
        "new": {
          "n": 1
        }
      },
      "c": 3,
      "d": 5
    }
    "#);
    let line = |path: &str| source.line_column(merged.at(path).unwrap().span.start).0;
    assert_eq!(
        [line("a.x"), line("a.y"), line("a.w"), line("b.new.n"), line("c")],
        [2, 6, 6, 7, 4]
    );
    assert_eq!(merge(&merged, &merged), merged);
}

#[test]
fn an_overlay_that_is_no_map_replaces_all() {
    let (_, node) = read("a: {x: 1}\nb: [1]\n");
    let (a, b) = (node.at("a").unwrap(), node.at("b").unwrap());
    assert_eq!(merge(a, b).to_json(), b.to_json());
    assert_eq!(merge(b, a).to_json(), a.to_json());
}
