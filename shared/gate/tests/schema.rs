//! The published schema of decisions is the one of the code.
#![cfg(test)]

#[test]
fn the_committed_schema_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/decision.schema.json");
    let fresh = serde_json::to_string_pretty(&pilotage_gate::schema()).unwrap() + "\n";
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed != fresh {
        std::fs::write(path, &fresh).unwrap();
        panic!("{path} was stale and has been written anew; look at the difference and commit it");
    }
}
