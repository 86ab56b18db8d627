//! One corpus of valid and invalid files runs through the decoder and through the JSON schema.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where its own files cannot be read"
)]

use std::path::{Path, PathBuf};

use pilotage_config::{Source, parse, schema};
use pilotage_diagnostic::render_terminal;
use pilotage_yaml::{Node, Value};

fn cases(kind: &str) -> Vec<(String, Source)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(kind);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let source = Source::new(format!("{name}.yaml"), text);
            (name, source)
        })
        .collect()
}

fn json(yaml: &str) -> Option<serde_json::Value> {
    serde_yaml::from_str(yaml).ok()
}

#[test]
fn valid_files_pass_the_decoder_and_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, source) in cases("valid") {
        let (config, problems) = parse(&source);
        assert!(
            config.is_some(),
            "{}",
            render_terminal(problems.as_slice(), false)
        );
        let told: Vec<String> = validator
            .iter_errors(&json(source.text()).unwrap())
            .map(|e| e.to_string())
            .collect();
        assert!(told.is_empty(), "{name}: {told:?}");
    }
}

#[test]
fn invalid_files_are_told_whole() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, source) in cases("invalid") {
        let (config, problems) = parse(&source);
        assert!(config.is_none() && problems.has_errors(), "{name} has no error");
        insta::assert_snapshot!(name.clone(), render_terminal(problems.as_slice(), false));
        let rejects = source.text().starts_with("# schema: rejects");
        if let Some(document) = json(source.text()).filter(|document| !document.is_null()) {
            assert_eq!(
                !validator.is_valid(&document),
                rejects,
                "{name}: does the schema reject it?"
            );
        }
    }
}

#[test]
fn warnings_are_told_whole() {
    for wanted in ["warnings", "design", "big"] {
        let (_, source) = cases("valid")
            .into_iter()
            .find(|(name, _)| name == wanted)
            .unwrap();
        let (_, problems) = parse(&source);
        insta::assert_snapshot!(
            format!("valid_{wanted}"),
            render_terminal(problems.as_slice(), false)
        );
    }
}

#[test]
fn the_committed_schema_is_the_schema_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let fresh = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    #[expect(
        clippy::disallowed_methods,
        reason = "the one switch that lets a test write the file it guards"
    )]
    let refresh = std::env::var_os("PILOTAGE_REFRESH").is_some();
    if refresh {
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "schema.json is stale: run this test with PILOTAGE_REFRESH=1 and commit it"
    );
}

/// The keys of the biggest example that the format itself knows, with their places.
fn keys<'n>(node: &'n Node, free: bool, found: &mut Vec<&'n pilotage_yaml::Entry>) {
    match &node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| keys(item, false, found)),
        Value::Mapping(entries) => {
            for entry in entries {
                if !free {
                    found.push(entry);
                }
                let names = [
                    "targets",
                    "registries",
                    "environments",
                    "policies",
                    "people",
                    "groups",
                    "services",
                ];
                let named = !free && names.contains(&entry.key.as_str()) && entry.value.entries().is_some();
                keys(&entry.value, named, found);
            }
        }
    }
}

#[test]
fn a_typo_in_every_key_is_told_with_the_right_word() {
    let (_, source) = cases("valid")
        .into_iter()
        .find(|(name, _)| name == "big")
        .unwrap();
    let (root, _) = pilotage_yaml::parse(&source, &pilotage_yaml::Limits::default());
    let root = root.unwrap();
    let mut found = Vec::new();
    keys(&root, false, &mut found);
    assert!(found.len() > 80, "{}", found.len());
    for entry in found {
        // The last letter twice.
        let mut text = source.text().to_owned();
        text.insert(entry.key_span.end, entry.key.chars().last().unwrap());
        let (line, column) = source.line_column(entry.key_span.start);
        let broken = Source::new("big.yaml", text);
        let (_, problems) = parse(&broken);
        let suggestion = format!("did you mean `{}`?", entry.key);
        let told = problems.iter().any(|problem| {
            problem.is_error()
                && problem.place().is_some_and(|label| {
                    broken.line_column(label.span.start) == (line, column) && label.message == suggestion
                })
        });
        assert!(
            told,
            "{}:{line}:{column}\n{}",
            entry.key,
            render_terminal(problems.as_slice(), false)
        );
    }
}
