use jiff::Timestamp;
use pilotage_command_line::CommandLines;
use pilotage_config::Config;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::direction::{Direction, direction};
use crate::evidence::{Asked, Evidence, FirstSight};
use crate::gates;

/// The name of the format.
const SCHEMA: &str = "decision/v1";

/// What a decision says to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Release what is asked.
    Accept,
    /// Take what is asked as running already: record it, touch nothing.
    Adopt,
    /// Do not release; another commit, or other evidence, is needed.
    Refuse,
    /// Do not release yet; evidence may still come, so ask again.
    Wait,
    /// The person who pushed asked not to release this one; the next commit brings it along.
    Skip,
    /// There is nothing to release.
    Nothing,
}

/// One gate's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The gate has no objection.
    Pass,
    /// The gate refuses.
    Refuse,
    /// The gate cannot pass yet.
    Wait,
    /// The push asks not to be released.
    Skip,
    /// There is nothing to release, so there is nothing to refuse.
    Nothing,
}

/// One gate's answer with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateResult {
    /// The gate's name, such as `people`.
    pub gate: String,
    /// Its answer.
    pub answer: Answer,
    /// What the answer rests on, one plain sentence each.
    pub evidence: Vec<String>,
    /// What was seen besides, where the gate objects: the commits that would have passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<String>,
    /// What would make it pass; empty when it passes.
    pub satisfy: Vec<String>,
}

impl GateResult {
    pub(crate) fn new(gate: &str, answer: Answer) -> Self {
        Self {
            gate: gate.to_owned(),
            answer,
            evidence: Vec::new(),
            aside: Vec::new(),
            satisfy: Vec::new(),
        }
    }

    pub(crate) fn because(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    pub(crate) fn aside(mut self, seen: impl Into<String>) -> Self {
        self.aside.push(seen.into());
        self
    }

    pub(crate) fn needs(mut self, satisfy: impl Into<String>) -> Self {
        self.satisfy.push(satisfy.into());
        self
    }
}

/// All gates of one service in one environment for one range of commits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// Always `decision/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// What to do.
    pub verdict: Verdict,
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// The commit that was decided.
    pub commit: CommitId,
    /// The version that is asked for, when the descriptor is valid.
    pub version: Option<String>,
    /// The digest of the resolved descriptor that is asked for, when it is valid.
    pub digest: Option<String>,
    /// Every gate that had something to say, in the order in which they were asked.
    pub gates: Vec<GateResult>,
    /// What people should know though no gate turns on it: a downgrade, a revert, a version once rejected.
    pub notes: Vec<String>,
    /// The hash of the policy that was in force.
    pub policy_hash: String,
    /// When it was decided.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// When people were told of it, where it is one that they are told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub told: Option<Timestamp>,
    /// What the decision rests on, as it was.
    pub evidence: Evidence,
}

impl Decision {
    /// The gates that stand in the way, or that ended the questions.
    pub fn objections(&self) -> impl Iterator<Item = &GateResult> {
        self.gates.iter().filter(|gate| gate.answer != Answer::Pass)
    }

    /// The decision in one line without its reasons.
    #[must_use]
    pub fn title(&self) -> String {
        let what = match &self.version {
            Some(version) => format!("{} {version}", self.service),
            None => self.service.to_string(),
        };
        let verdict = match self.verdict {
            Verdict::Accept => "accepted",
            Verdict::Adopt => "adopted",
            Verdict::Refuse => "refused",
            Verdict::Wait => "waiting",
            Verdict::Skip => "skipped",
            Verdict::Nothing => "nothing to do",
        };
        format!("{what} in {}: {verdict}", self.environment)
    }

    /// The decision in one line, for logs and messages: verdict, then the first objection's first reason.
    #[must_use]
    pub fn headline(&self) -> String {
        let reason = self
            .objections()
            .find(|gate| decides(self.verdict, gate.answer))
            .and_then(|gate| {
                gate.evidence
                    .first()
                    .map(|evidence| format!(" ({}: {evidence})", gate.gate))
            });
        self.title() + &reason.unwrap_or_default()
    }
}

/// Whether an answer of this kind is what led to the verdict.
fn decides(verdict: Verdict, answer: Answer) -> bool {
    matches!(
        (verdict, answer),
        (Verdict::Refuse, Answer::Refuse)
            | (Verdict::Wait, Answer::Wait)
            | (Verdict::Skip, Answer::Skip)
            | (Verdict::Nothing, Answer::Nothing)
    )
}

/// Asks every gate about the evidence, under the policy of the config branch, at the time `now`. `commands` are those
/// that people are told to type.
///
/// All gates are asked even when one has refused already, so that a person mends everything in one go. Where there is
/// nothing to release there is nothing to refuse; then a skip counts, then a refusal, and a wait comes last.
#[must_use]
pub fn decide(config: &Config, evidence: Evidence, commands: &CommandLines, now: Timestamp) -> Decision {
    let case = gates::Case {
        config,
        evidence: &evidence,
        commands,
        now,
    };
    let results: Vec<GateResult> = gates::ALL.iter().filter_map(|gate| gate(&case)).collect();
    let said = |answer: Answer| results.iter().any(|result| result.answer == answer);
    let verdict = if said(Answer::Nothing) {
        Verdict::Nothing
    } else if said(Answer::Skip) {
        Verdict::Skip
    } else if said(Answer::Refuse) {
        Verdict::Refuse
    } else if said(Answer::Wait) {
        Verdict::Wait
    } else if evidence.first_sight == FirstSight::Adopt {
        Verdict::Adopt
    } else {
        Verdict::Accept
    };
    let seen = evidence.asked.valid();
    Decision {
        schema: SCHEMA.to_owned(),
        verdict,
        environment: evidence.environment.clone(),
        service: evidence.service.clone(),
        commit: evidence.tip.clone(),
        version: seen.map(|seen| seen.version.clone()),
        digest: seen.map(|seen| seen.digest.clone()),
        gates: results,
        notes: notes(&evidence),
        policy_hash: config.policy_hash(),
        at: now,
        told: None,
        evidence,
    }
}

fn notes(evidence: &Evidence) -> Vec<String> {
    let mut notes = Vec::new();
    let Asked::Valid(asked) = &evidence.asked else {
        return notes;
    };
    if let Some(running) = &evidence.running {
        match direction(&running.version, &asked.version) {
            Direction::Down => {
                notes.push(format!(
                    "this is a downgrade: {} runs, {} is asked",
                    running.version, asked.version
                ));
            }
            Direction::Same if running.digest != asked.digest => {
                notes.push(format!("the version stays {}; settings change", asked.version));
            }
            Direction::Up | Direction::Same | Direction::Unordered => {}
        }
    }
    if let Some(newest) = evidence.newest()
        && newest.subject.starts_with("Revert \"")
    {
        notes.push(format!("{} is a revert", newest.commit.short()));
    }
    if let Some(rejected) = evidence.rejected.iter().find(|seen| seen.digest == asked.digest) {
        notes.push(format!(
            "exactly this was rejected before, at {}",
            rejected.commit.short()
        ));
    } else if let Some(rejected) = evidence
        .rejected
        .iter()
        .find(|seen| seen.version == asked.version)
    {
        notes.push(format!(
            "version {} was rejected before, at {}, with other settings",
            asked.version,
            rejected.commit.short()
        ));
    }
    notes
}
