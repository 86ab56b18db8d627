//! `pilotage schema`: the published JSON Schemas.

use std::process::Stdio;

use pilotage_outcome::{Fault, StepReport};
use pilotage_step::{Context, child_environment, sibling};
use serde_json::Value;

use crate::args::Format;

pub(crate) async fn run(format: Format, cx: &Context) -> Result<StepReport, Fault> {
    let schema = match format {
        Format::Descriptor => pilotage_descriptor::schema(),
        Format::Config => pilotage_config::schema(),
        Format::Report => pilotage_outcome::schema(),
        Format::Event => pilotage_ledger::schema::release_event(),
        Format::Decision => pilotage_gate::schema(),
        Format::Manifest => pilotage_manifest::schema(),
        Format::Message => return message(cx).await,
    };
    Ok(StepReport::document(document(&schema)?))
}

fn document(schema: &Value) -> Result<String, Fault> {
    serde_json::to_string_pretty(schema)
        .map(|text| text + "\n")
        .map_err(|error| Fault::internal("the schema cannot be written").caused_by(error))
}

/// The message belongs to the step that words it, which is asked for its schema.
async fn message(cx: &Context) -> Result<StepReport, Fault> {
    const BINARY: &str = "pilotage-notify";
    let asked = tokio::process::Command::new(sibling(BINARY))
        .arg("--schema")
        .env_clear()
        .envs(child_environment(&cx.env, &[]))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = cx
        .cancel
        .run(asked)
        .await?
        .map_err(|error| Fault::unavailable(format!("{BINARY} cannot be started")).caused_by(error))?;
    let text = String::from_utf8(output.stdout).unwrap_or_default();
    if !output.status.success() || text.is_empty() {
        return Err(Fault::unavailable(format!(
            "{BINARY} did not say its schema ({})",
            output.status
        )));
    }
    Ok(StepReport::document(text))
}
