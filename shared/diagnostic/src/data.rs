use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Diagnostic, Label, Severity};

/// A diagnostic for reports: plain values, no source text. Readers must ignore keys they do not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiagnosticData {
    /// A stable kebab-case name of the kind of problem.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where it is wrong; absent when the problem has no place.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    #[schemars(flatten)]
    pub place: Option<PlaceData>,
    /// Places that explain it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<PlaceData>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

/// A place in a file; lines and columns start at 1, columns count characters, the end is the place after the last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaceData {
    /// The name of the file.
    pub file: String,
    /// Line of the first character.
    pub line: usize,
    /// Column of the first character.
    pub column: usize,
    /// Line of the place after the last character.
    pub end_line: usize,
    /// Column of the place after the last character.
    pub end_column: usize,
    /// The remark at this place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
}

impl From<&Diagnostic> for DiagnosticData {
    fn from(diagnostic: &Diagnostic) -> Self {
        let place = diagnostic.place();
        Self {
            code: diagnostic.code.clone(),
            severity: diagnostic.severity,
            message: diagnostic.message.clone(),
            place: place.map(PlaceData::from),
            related: diagnostic
                .labels
                .iter()
                .filter(|label| !place.is_some_and(|place| std::ptr::eq(place, *label)))
                .map(PlaceData::from)
                .collect(),
            help: diagnostic.help.clone(),
        }
    }
}

impl From<&Label> for PlaceData {
    fn from(label: &Label) -> Self {
        let span = label.source.clamp(label.span);
        let (line, column) = label.source.line_column(span.start);
        let (end_line, end_column) = label.source.line_column(span.end);
        Self {
            file: label.source.name().to_owned(),
            line,
            column,
            end_line,
            end_column,
            label: label.message.clone(),
        }
    }
}
