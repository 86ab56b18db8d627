//! The format is a contract with whoever makes something of it.

use pilotage_manifest::{
    Command, ExitMeaning, Kind, Manifest, Output, Parameter, SCHEMA, SecretVariable, schema,
};

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../step-manifest.schema.json")).unwrap();
    assert_eq!(
        committed,
        schema(),
        "write it anew: `pilotage schema manifest > shared/manifest/step-manifest.schema.json`"
    );
}

#[test]
fn what_is_written_is_read_again_and_is_valid() {
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        step: "greet".to_owned(),
        binary: "pilotage-greet".to_owned(),
        version: "1.0.0".to_owned(),
        commands: vec![Command {
            path: Vec::new(),
            about: "Greets.".to_owned(),
            description: None,
            parameters: vec![Parameter {
                name: "names".to_owned(),
                positional: true,
                short: None,
                env: "PILOTAGE_NAMES".to_owned(),
                kind: Kind::Text,
                value: Some("NAME".to_owned()),
                default: None,
                required: true,
                repeated: true,
                help: "Who is greeted.".to_owned(),
                heading: None,
            }],
        }],
        common: Vec::new(),
        secrets: vec![SecretVariable {
            env: "PILOTAGE_WORD".to_owned(),
            help: "The magic word.".to_owned(),
        }],
        outputs: vec![Output {
            key: "greeted".to_owned(),
            help: "How many.".to_owned(),
        }],
        exit_codes: vec![ExitMeaning {
            code: 0,
            outcome: "passed".to_owned(),
            meaning: "passed".to_owned(),
        }],
    };
    let text = manifest.to_json();
    assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
    let value = serde_json::from_str(&text).unwrap();
    let problems: Vec<String> = jsonschema::validator_for(&schema())
        .unwrap()
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:?}");
}
