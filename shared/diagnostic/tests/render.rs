//! What people see: each snapshot was read by one.

use pilotage_diagnostic::{Diagnostic, DiagnosticData, Source, Span, render_terminal};

fn show(diagnostic: Diagnostic) -> String {
    let shown = render_terminal(std::slice::from_ref(&diagnostic), false);
    let dangerous = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!shown.contains(dangerous), "{shown:?}");
    shown
}

#[expect(clippy::unwrap_used, reason = "a test ends here when its input is wrong")]
fn span_of(source: &Source, part: &str) -> Span {
    let start = source.text().find(part).unwrap();
    Span::new(start, start + part.len())
}

#[test]
fn two_places_and_help() {
    let source = Source::new(
        "services/shop.yaml",
        "version: \"1.4.2\"\nimage: shop\nports: []\nenv: {}\n\nversion: \"1.4.3\"\n",
    );
    insta::assert_snapshot!(show(
        Diagnostic::error("yaml-duplicate-key", "the key `version` stands twice in one map")
            .at(&source, Span::new(48, 55), "here it stands again")
            .also(&source, Span::new(0, 7), "here it stood first")
            .help("keep one of them")
    ));
}

#[test]
fn two_files() {
    let shop = Source::new("services/shop.yaml", "domain: a.example.com\n");
    let cart = Source::new("services/cart.yaml", "kind: service\ndomain: a.example.com\n");
    insta::assert_snapshot!(show(
        Diagnostic::error("route-taken", "two services claim one route")
            .at(&cart, span_of(&cart, "a.example.com"), "claimed again")
            .also(&shop, span_of(&shop, "a.example.com"), "claimed first")
    ));
}

#[test]
fn hostile_text_is_spelt_out() {
    let source = Source::new(
        "a\n\u{1b}[2Jb.yaml",
        "x: \u{1b}[31mred\u{202e}gnp.exe # \u{200b}\0\n",
    );
    insta::assert_snapshot!(show(
        Diagnostic::error("hos\u{7}tile", "the message\nhas \u{1b}[2J lines")
            .at(&source, Span::new(3, 11), "a\nlabel \u{202e}")
            .help("help\r\nme")
    ));
}

#[test]
fn spans_outside_the_text_or_inside_a_character() {
    let source = Source::new("f", "größe: é\n");
    let shown: Vec<_> = [(500, 900), (3, 4), (8, 9), (5, usize::MAX), (10, 10)]
        .map(|(start, end)| show(Diagnostic::error("e", "m").at(&source, Span { start, end }, "here")))
        .into();
    insta::assert_snapshot!(shown.join("\n"));
    let reversed = Span { start: 5, end: 1 };
    assert!(show(Diagnostic::error("e", "m").at(&source, reversed, "here")).contains("f:1:4"));
}

#[test]
fn nothing_to_show() {
    let empty = Source::new("empty.yaml", "");
    insta::assert_snapshot!(show(Diagnostic::error("yaml-empty", "the file is empty").at(
        &empty,
        Span::at(0),
        "here"
    )));
    insta::assert_snapshot!(show(Diagnostic::warning("odd", "there is no place").help("look")));
    assert_eq!(render_terminal(&[], true), "");
}

#[test]
fn line_ends_tabs_and_wide_characters() {
    let source = Source::new("f", "a: 1\r\n\tb: 世界 x\r\nc: 3\rd: 4\n");
    let shown: Vec<_> = ["1", "世界", "x", "3", "4"]
        .map(|part| show(Diagnostic::error("e", "m").at(&source, span_of(&source, part), "here")))
        .into();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn long_lines_are_cut_around_the_place() {
    let source = Source::new("f", format!("{}!{}\n", "[".repeat(100_000), "]".repeat(100_000)));
    insta::assert_snapshot!(show(
        Diagnostic::error("e", "m")
            .at(&source, span_of(&source, "!"), "here")
            .also(&source, Span::at(0), "the start")
            .also(&source, Span::at(200_000), "the end")
    ));
}

#[test]
fn a_span_over_lines_is_shown_by_its_first() {
    let source = Source::new("f", "a:\n  b: 1\n  c: 2\n");
    insta::assert_snapshot!(show(Diagnostic::error("e", "m").at(
        &source,
        Span::new(5, 16),
        "this map"
    )));
}

#[test]
fn colour_is_only_in_what_we_add() {
    let source = Source::new("f", "a: \u{1b}[0m\n");
    let diagnostic = Diagnostic::warning("w", "m").at(&source, Span::new(3, 7), "here");
    let shown = render_terminal(&[diagnostic.clone(), diagnostic], true);
    insta::assert_snapshot!(shown.replace('\u{1b}', "ESC"));
}

#[test]
fn the_json_twin() {
    let source = Source::new("f.yaml", "a: 1\na: é\n");
    let diagnostic = Diagnostic::error("yaml-duplicate-key", "twice")
        .at(&source, Span::new(8, 10), "again")
        .also(&source, Span::new(0, 4), "first")
        .help("keep one");
    let data = diagnostic.to_data();
    insta::assert_json_snapshot!(data);
    let json = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<DiagnosticData>(&json).unwrap(), data);
    let nowhere = Diagnostic::warning("w", "m").to_data();
    let json = serde_json::to_string(&nowhere).unwrap();
    assert_eq!(json, r#"{"code":"w","severity":"warning","message":"m"}"#);
    assert_eq!(serde_json::from_str::<DiagnosticData>(&json).unwrap(), nowhere);
    insta::assert_json_snapshot!("the_schema", schemars::schema_for!(DiagnosticData));
}
