//! Which stage comes next: the pipeline of one release, a pure state machine fed with how each stage ended.

use pilotage_config::{OnFailure, When};

use crate::stage::StagePlan;

/// How one stage ended, as far as the others care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageEnd {
    /// It passed, or there was nothing to do.
    Passed,
    /// It did not.
    Failed,
    /// It was not run: its step is not part of this version, or its time did not come.
    Skipped,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run this stage, then say how it ended.
    Run(StagePlan),
    /// Switch back to what ran before, then say whether that worked.
    Undo {
        /// The stage whose failure asks for it.
        because: StagePlan,
    },
    /// The plan is at its end.
    End,
}

/// The pipeline of one release and how far it came.
#[derive(Clone, Debug)]
pub struct Pipeline {
    left: std::collections::VecDeque<StagePlan>,
    ends: Vec<(StagePlan, StageEnd)>,
    failed: bool,
    undo: Option<StagePlan>,
    undone: Option<bool>,
    deployed: bool,
}

impl Pipeline {
    /// Starts before the first stage.
    #[must_use]
    pub fn new(stages: Vec<StagePlan>) -> Self {
        Self {
            left: stages.into(),
            ends: Vec::new(),
            failed: false,
            undo: None,
            undone: None,
            deployed: false,
        }
    }

    /// What to do now. Stages whose time does not come are passed over and recorded as skipped.
    pub fn go_on(&mut self) -> Next {
        if let Some(because) = self.undo.take() {
            return Next::Undo { because };
        }
        while let Some(stage) = self.left.pop_front() {
            let due = match stage.when {
                When::Always => true,
                When::Ok => !self.failed,
                When::Failed => self.failed,
            };
            if due {
                return Next::Run(stage);
            }
            self.ends.push((stage, StageEnd::Skipped));
        }
        Next::End
    }

    /// Records how a stage ended. The failure of a stage that may fail (`on_failure: continue`) changes nothing for the
    /// others.
    pub fn ended(&mut self, stage: StagePlan, end: StageEnd) {
        if end == StageEnd::Failed {
            match stage.on_failure {
                OnFailure::Continue => {}
                OnFailure::Stop => self.failed = true,
                OnFailure::Undo => {
                    self.failed = true;
                    // Without a switch there is nothing to switch back.
                    if self.deployed && self.undone.is_none() {
                        self.undo = Some(stage.clone());
                    }
                }
            }
        }
        if end == StageEnd::Passed && stage.step == pilotage_config::StepName::Deploy {
            self.deployed = true;
        }
        self.ends.push((stage, end));
    }

    /// Records whether switching back worked.
    pub fn undone(&mut self, worked: bool) {
        self.undone = Some(worked);
    }

    /// Gives the rest of the plan up: only stages that run always, or on failure, still come.
    pub fn give_up(&mut self) {
        self.failed = true;
    }

    /// Whether the release has failed so far.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether the release switched back, and if it tried, whether that worked.
    #[must_use]
    pub fn undo_result(&self) -> Option<bool> {
        self.undone
    }

    /// Every stage that ended or was passed over, in order.
    #[must_use]
    pub fn ends(&self) -> &[(StagePlan, StageEnd)] {
        &self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QA: [&str; 4] = [
        "1 notify i always continue 1m",
        "2 deploy i ok stop 5m",
        "3 healthcheck i ok stop 2m",
        "4 notify i always continue 1m",
    ];

    /// Plays a plan; the named stages fail. Says what was run, in order.
    fn play(lines: &[&str], failing: &[usize]) -> (Vec<String>, Pipeline) {
        let mut pipeline = Pipeline::new(lines.iter().map(|line| line.parse().unwrap()).collect());
        let mut played = Vec::new();
        loop {
            match pipeline.go_on() {
                Next::Run(stage) => {
                    played.push(stage.stem());
                    let end = if failing.contains(&stage.index) {
                        StageEnd::Failed
                    } else {
                        StageEnd::Passed
                    };
                    pipeline.ended(stage, end);
                }
                Next::Undo { because } => {
                    played.push(format!("undo after {}", because.stem()));
                    pipeline.undone(true);
                }
                Next::End => return (played, pipeline),
            }
        }
    }

    #[test]
    fn all_stages_run_in_order_when_all_pass() {
        let (played, pipeline) = play(&QA, &[]);
        assert_eq!(played, ["1-notify", "2-deploy", "3-healthcheck", "4-notify"]);
        assert!(!pipeline.has_failed());
    }

    #[test]
    fn a_failed_deploy_stops_the_rest_but_not_the_last_word() {
        let (played, pipeline) = play(&QA, &[2]);
        assert_eq!(played, ["1-notify", "2-deploy", "4-notify"]);
        assert!(pipeline.has_failed());
        assert_eq!(pipeline.ends()[2].1, StageEnd::Skipped);
    }

    #[test]
    fn a_failed_notification_fails_nothing() {
        let (played, pipeline) = play(&QA, &[1, 4]);
        assert_eq!(played.len(), 4);
        assert!(!pipeline.has_failed());
    }

    #[test]
    fn undo_comes_right_after_its_stage_and_once() {
        let mut prod = QA;
        prod[2] = "3 healthcheck i ok undo 2m";
        let (played, pipeline) = play(&prod, &[3]);
        assert_eq!(
            played,
            [
                "1-notify",
                "2-deploy",
                "3-healthcheck",
                "undo after 3-healthcheck",
                "4-notify"
            ]
        );
        assert_eq!(
            (pipeline.has_failed(), pipeline.undo_result()),
            (true, Some(true))
        );
    }

    #[test]
    fn nothing_is_undone_where_nothing_was_deployed() {
        let (played, pipeline) = play(&["1 healthcheck i ok undo 2m"], &[1]);
        assert_eq!(played, ["1-healthcheck"]);
        assert_eq!(pipeline.undo_result(), None);
    }

    #[test]
    fn a_stage_for_failures_runs_after_one_only() {
        let lines = ["1 deploy i ok stop 5m", "2 regression i failed stop 1m"];
        assert_eq!(play(&lines, &[]).0, ["1-deploy"]);
        assert_eq!(play(&lines, &[1]).0, ["1-deploy", "2-regression"]);
    }
}
