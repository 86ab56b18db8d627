//! Events and decisions as one story, oldest first. Pure.

use jiff::Timestamp;
use pilotage_gate::{Answer, GateResult, Verdict};
use pilotage_ledger::{Entry, Event, PastRecord, ReleaseChain, What};
use pilotage_name::{CommitId, ReleaseId};
use pilotage_quantity::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One event of the story.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chapter {
    /// When, by the clock of whoever wrote it down.
    pub at: Timestamp,
    /// What happened.
    pub kind: Kind,
    /// The version it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The commit it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The release it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// What happened, in one sentence.
    pub said: String,
    /// More of it, a line each: gates, stages, reasons, what would help.
    pub details: Vec<String>,
    /// Other commits it is about.
    #[serde(skip)]
    commits: Vec<CommitId>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The gates let a push through.
    Accepted,
    /// What is asked was taken as running.
    TakenOver,
    /// The gates refused a push.
    Refused,
    /// A push waits.
    Waiting,
    /// A push asked not to be released.
    Skipped,
    /// A push asked for nothing new.
    Nothing,
    /// A release began.
    Begun,
    /// A release did what was asked.
    Succeeded,
    /// A release ended otherwise.
    Failed,
    /// A release switched back.
    Undone,
    /// A person rejected a version.
    Rejected,
    /// A person gave a release up, or another took it over.
    Abandoned,
    /// A person looked at doubtful events.
    Affirmed,
    /// Something that is not believed, or that a later version wrote.
    Other,
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::TakenOver => "adopted",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
            Self::Nothing => "nothing new",
            Self::Begun => "begun",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Rejected => "rejected",
            Self::Abandoned => "abandoned",
            Self::Affirmed => "affirmed",
            Self::Other => "other",
        }
    }
}

impl Chapter {
    fn new(at: Timestamp, kind: Kind, said: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            version: None,
            commit: None,
            release: None,
            said: said.into(),
            details: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// Whether it is about a commit, or about a push that brought it.
    #[must_use]
    pub fn is_about(&self, commit: &CommitId) -> bool {
        self.commit.as_ref() == Some(commit) || self.commits.contains(commit)
    }
}

/// The story: decisions and events by time. Both are given oldest first.
#[must_use]
pub fn tell(chain: &ReleaseChain, decisions: &[PastRecord]) -> Vec<Chapter> {
    let mut all = decided(decisions);
    let mut begun: Option<&Event> = None;
    for entry in &chain.entries {
        if let Some(event) = entry.event.as_ref().filter(|_| entry.doubt.is_none())
            && matches!(event.what, What::Begun(_))
        {
            begun = Some(event);
        }
        all.extend(happened(entry, begun));
    }
    // Stable: what is written at one moment keeps its order, decisions before what followed from them.
    all.sort_by_key(|chapter| chapter.at);
    all
}

/// Decisions that say the same again, as a monitor that waits does on each tick, are told once.
fn decided(records: &[PastRecord]) -> Vec<Chapter> {
    let mut all: Vec<Chapter> = Vec::new();
    let mut last: Option<Told> = None;
    for past in records {
        let Ok(decision) = Told::deserialize(&past.record.decision) else {
            all.push(Chapter::new(
                past.at,
                Kind::Other,
                "a decision that this version cannot read",
            ));
            last = None;
            continue;
        };
        if !last.as_ref().is_some_and(|last| last.says(&decision)) {
            all.push(decision.chapter());
        }
        last = Some(decision);
    }
    all
}

/// A decision as far as a story needs it. Its evidence is left as it was written: it grows from version to version, and
/// an old decision is to be told all the same.
#[derive(Deserialize)]
struct Told {
    verdict: Verdict,
    version: Option<String>,
    commit: CommitId,
    gates: Vec<GateResult>,
    #[serde(default)]
    notes: Vec<String>,
    at: Timestamp,
    #[serde(default)]
    evidence: Value,
}

impl Told {
    /// Whether it says the same as another one, though at another time.
    fn says(&self, other: &Self) -> bool {
        (self.verdict, &self.commit, &self.gates) == (other.verdict, &other.commit, &other.gates)
    }

    fn changes(&self, key: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.evidence[key].as_array().into_iter().flatten()
    }

    /// The newest change: its commit, and who committed it, as the commit claims.
    fn newest(&self) -> Option<(CommitId, String)> {
        let newest = self.changes("brought").next_back()?;
        let committer = &newest["committer"];
        let who = format!(
            "{} <{}>",
            committer["name"].as_str()?,
            committer["email"].as_str()?
        );
        Some((newest["commit"].as_str()?.parse().ok()?, who))
    }

    fn chapter(&self) -> Chapter {
        let kind = match self.verdict {
            Verdict::Accept => Kind::Accepted,
            Verdict::Adopt => Kind::TakenOver,
            Verdict::Refuse => Kind::Refused,
            Verdict::Wait => Kind::Waiting,
            Verdict::Skip => Kind::Skipped,
            Verdict::Nothing => Kind::Nothing,
        };
        let version = self.version.as_deref().unwrap_or("what the branch asks for");
        let tip = self.commit.short();
        let said = match self.newest() {
            Some((commit, who)) if commit == self.commit => format!("{version} at {tip}, brought by {who}"),
            Some((commit, who)) => {
                format!(
                    "{version} at {}, brought by {who}; decided at {tip}",
                    commit.short()
                )
            }
            None => format!("{version} at {tip}"),
        };
        let mut chapter = Chapter::new(self.at, kind, said);
        let (passed, others): (Vec<_>, Vec<_>) =
            self.gates.iter().partition(|gate| gate.answer == Answer::Pass);
        for gate in others {
            for evidence in &gate.evidence {
                chapter.details.push(format!("{}: {evidence}", gate.gate));
            }
            for needs in &gate.satisfy {
                chapter.details.push(format!("{} needs {needs}", gate.gate));
            }
        }
        if !passed.is_empty() {
            let names: Vec<&str> = passed.iter().map(|gate| gate.gate.as_str()).collect();
            chapter.details.push(format!("passed {}", names.join(", ")));
        }
        chapter.details.extend(self.notes.iter().cloned());
        chapter.version.clone_from(&self.version);
        chapter.commit = Some(self.commit.clone());
        let changes = self.changes("brought").chain(self.changes("accountable"));
        chapter.commits = changes
            .filter_map(|change| change["commit"].as_str()?.parse().ok())
            .collect();
        chapter
    }
}

/// What one entry of the chain tells; `begun` is the newest begin, this one included.
fn happened(entry: &Entry, begun: Option<&Event>) -> Option<Chapter> {
    let event = entry.event.as_ref()?;
    if let Some(doubt) = &entry.doubt {
        let said = format!(
            "{} of {} is not believed: {doubt}",
            event.what.kind(),
            event.release
        );
        return Some(Chapter::new(event.at, Kind::Other, said));
    }
    let of = begun.filter(|begun| begun.release == event.release);
    let release = &event.release;
    let mut chapter = match &event.what {
        What::Begun(begun) => {
            let Begun { version, at, by } = Begun::of(begun);
            Chapter::new(
                event.at,
                Kind::Begun,
                format!("{release}: {version} at {at}, {by}"),
            )
        }
        What::Finished(finished) => {
            let good = finished.outcome == pilotage_ledger::EndWord::Succeeded && !finished.undone;
            let took = of.map(|begun| {
                format!(
                    " after {}",
                    duration(event.at.as_millisecond() - begun.at.as_millisecond())
                )
            });
            let how = match (good, finished.undone) {
                (true, _) => String::new(),
                (false, true) => format!(", {} and switched back", finished.outcome),
                (false, false) => format!(", {} with effects {}", finished.outcome, finished.effects),
            };
            let kind = if good { Kind::Succeeded } else { Kind::Failed };
            let mut chapter = Chapter::new(
                event.at,
                kind,
                format!("{release}{}{how}", took.unwrap_or_default()),
            );
            let stages: Vec<String> = finished
                .stages
                .iter()
                .map(|stage| match &stage.outcome {
                    pilotage_ledger::EndWord::Succeeded => {
                        format!(
                            "{} {}",
                            stage.step,
                            duration(i64::try_from(stage.milliseconds).unwrap_or(i64::MAX))
                        )
                    }
                    other => format!("{} {other}", stage.step),
                })
                .collect();
            if !stages.is_empty() {
                chapter.details.push(stages.join(" · "));
            }
            chapter.details.extend(finished.reason.iter().cloned());
            if let Some(proof) = &finished.proof {
                let version = proof
                    .version
                    .as_deref()
                    .map(|version| format!("version {version}, "));
                chapter.details.push(format!(
                    "proved: {}digest {}",
                    version.unwrap_or_default(),
                    proof.digest
                ));
            }
            chapter
        }
        What::Undone(undone) => {
            let to = match &undone.to {
                Some(version) => format!("{version} runs again"),
                None => "nothing runs any more".to_owned(),
            };
            let mut chapter = Chapter::new(event.at, Kind::Undone, format!("{release}: {to}"));
            chapter.details.push(undone.reason.clone());
            chapter
        }
        What::Rejected(rejected) => {
            let said = format!(
                "{} at {} by {}",
                rejected.version,
                rejected.commit.short(),
                rejected.by
            );
            let mut chapter = Chapter::new(event.at, Kind::Rejected, said);
            chapter.details.push(rejected.reason.clone());
            chapter.version = Some(rejected.version.clone());
            chapter.commit = Some(rejected.commit.clone());
            chapter
        }
        What::Adopted(adopted) => {
            let said = format!(
                "{} at {} was taken over by {}",
                adopted.version,
                adopted.commit.short(),
                adopted.by
            );
            let mut chapter = Chapter::new(event.at, Kind::TakenOver, said);
            chapter.details.push(adopted.reason.clone());
            chapter.version = Some(adopted.version.clone());
            chapter.commit = Some(adopted.commit.clone());
            chapter
        }
        What::Abandoned(abandoned) => {
            let how = match abandoned.takeover {
                true => format!("{release} was taken over by {}", abandoned.by),
                false => format!("{release} was given up by {}", abandoned.by),
            };
            let mut chapter = Chapter::new(event.at, Kind::Abandoned, how);
            chapter.details.push(abandoned.reason.clone());
            chapter
        }
        What::Affirmed(affirmed) => {
            let said = format!("{} lets the record go on over doubtful events", affirmed.by);
            let mut chapter = Chapter::new(event.at, Kind::Affirmed, said);
            chapter.details.push(affirmed.reason.clone());
            chapter
        }
        What::Unknown { kind, .. } => Chapter::new(
            event.at,
            Kind::Other,
            format!("{kind} of {release}, which a later version wrote"),
        ),
    };
    chapter.details.retain(|line| !line.is_empty());
    if let Some(What::Begun(begun)) = of.map(|event| &event.what) {
        chapter.version.get_or_insert_with(|| begun.version.clone());
        chapter.commit.get_or_insert_with(|| begun.commit.clone());
    }
    chapter.release = of.map(|_| release.clone());
    Some(chapter)
}

/// What a begin says of itself.
struct Begun<'a> {
    version: &'a str,
    at: &'a str,
    by: String,
}

impl<'a> Begun<'a> {
    fn of(begun: &'a pilotage_ledger::Begun) -> Self {
        use pilotage_ledger::TriggerKind as T;
        let who = &begun.trigger.by;
        let by = match &begun.trigger.kind {
            T::Monitor => format!("for {who}"),
            T::Hand => format!("by hand of {who}"),
            T::Rollback => format!("a rollback by {who}"),
            T::Jenkins => format!("by Jenkins for {who}"),
            T::Other(_) => format!("{} for {who}", begun.trigger.kind),
        };
        Self {
            version: &begun.version,
            at: match &begun.trigger.change {
                Some(change) => change.commit.short(),
                None => begun.commit.short(),
            },
            by,
        }
    }
}

/// A time in the unit people say it in.
fn duration(milliseconds: i64) -> String {
    match u64::try_from(milliseconds) {
        // The clocks of two machines.
        Err(_) => "no time".to_owned(),
        Ok(short @ 0..10_000) => format!("{}.{}s", short / 1000, short % 1000 / 100),
        Ok(long) => Duration::from_secs(long / 1000).to_string(),
    }
}
