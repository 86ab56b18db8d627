use schemars::SchemaGenerator;
use serde_json::Value;

use crate::file::ConfigFile;

/// The JSON schema (draft 2020-12) of pilotage.yaml. It knows the structure; what the parts mean together is checked by
/// [`crate::parse`] alone.
#[must_use]
pub fn schema() -> Value {
    SchemaGenerator::default()
        .into_root_schema_for::<ConfigFile>()
        .to_value()
}
