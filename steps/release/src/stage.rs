//! The stages of a release: what runs, when, and what its failure means.

use std::fmt;
use std::str::FromStr;

use pilotage_config::{OnFailure, StepName, When};
use pilotage_quantity::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One stage of a plan, as it stands in one line of the plan's `stages` file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StagePlan {
    /// Its place in the plan, from 1.
    pub index: usize,
    /// The step that runs.
    pub step: StepName,
    /// The image that holds the step, for whoever runs stages in containers.
    pub image: String,
    /// When it runs.
    pub when: When,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// The hard end of the step.
    pub deadline: Duration,
}

impl StagePlan {
    /// `<index>-<step>`: the stem of the stage's files in the plan directory.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("{}-{}", self.index, self.step)
    }
}

impl fmt::Display for StagePlan {
    /// One line of the `stages` file: index, step, image, when, on_failure, deadline, separated by single blanks, so that
    /// a shell's `read` takes it apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            step,
            image,
            when,
            on_failure,
            deadline,
        } = self;
        write!(f, "{index} {step} {image} {when} {on_failure} {deadline}")
    }
}

/// Why a line is no stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{line}` is no stage: expected `index step image when on_failure deadline`")]
pub struct StageLineError {
    line: String,
}

impl FromStr for StagePlan {
    type Err = StageLineError;

    fn from_str(line: &str) -> Result<Self, StageLineError> {
        let wrong = || StageLineError {
            line: line.to_owned(),
        };
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().ok_or_else(wrong);
        let stage = Self {
            index: word()?.parse().map_err(|_| wrong())?,
            step: word()?.parse().map_err(|_| wrong())?,
            image: word()?.to_owned(),
            when: word()?.parse().map_err(|_| wrong())?,
            on_failure: word()?.parse().map_err(|_| wrong())?,
            deadline: word()?.parse().map_err(|_| wrong())?,
        };
        if words.next().is_some() {
            Err(wrong())
        } else {
            Ok(stage)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_prints_and_parses() {
        let line = "2 healthcheck pilotage/healthcheck:0.1.0 ok undo 5m";
        let stage: StagePlan = line.parse().unwrap();
        assert_eq!(
            (stage.step, stage.on_failure),
            (StepName::Healthcheck, OnFailure::Undo)
        );
        assert_eq!(stage.to_string(), line);
        assert_eq!(stage.stem(), "2-healthcheck");
        for bad in [
            "",
            "1 deploy",
            "x deploy i ok stop 5m",
            "1 deploi i ok stop 5m",
            "1 deploy i ok stop 5m more",
        ] {
            assert!(bad.parse::<StagePlan>().is_err(), "{bad:?}");
        }
    }
}
