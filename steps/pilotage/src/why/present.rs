//! How things are now. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pilotage_command_line::CommandLines;
use pilotage_decision::Still;
use pilotage_decision::past::under_way;
use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::{Liveness, ReleaseState};
use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};
use serde::Serialize;

/// How things are now.
#[derive(Clone, Debug, Serialize)]
pub struct Present {
    service: ServiceName,
    environment: EnvironmentName,
    /// What was last proved to run.
    pub runs: Option<Runs>,
    /// What git asks for.
    pub asks: Asks,
    /// Whether what runs is what git asks for.
    pub equal: bool,
    /// Why not, one sentence each.
    pub why: Vec<String>,
    /// What would help, one sentence each.
    pub satisfy: Vec<String>,
}

/// What was last proved to run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Runs {
    /// The version.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
    /// The newest commit that brought something of it.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: Option<String>,
    /// By whose change.
    pub by: String,
    /// The tip that the branch had when it was decided.
    pub decided_at: CommitId,
    /// The release that proved it.
    pub release: ReleaseId,
    /// It is retired: that nothing runs is what was proved.
    pub retired: bool,
    /// It was taken over, not released.
    pub adopted: bool,
    #[serde(skip)]
    digest: String,
}

/// What git asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Asks {
    /// A version.
    Valid {
        /// The tip of the branch.
        commit: CommitId,
        /// The version.
        version: String,
        /// The digest of the resolved descriptor.
        digest: String,
    },
    /// A descriptor with errors.
    Broken {
        /// The tip of the branch.
        commit: CommitId,
        /// Every error in one line.
        problems: Vec<String>,
    },
    /// There is no descriptor.
    Nothing,
    /// The branch itself is not there.
    Unknown,
}

/// What is known of the present.
#[derive(Debug)]
pub struct Known<'a> {
    /// What git asks for.
    pub asks: Asks,
    /// What the record says.
    pub state: &'a ReleaseState,
    /// What is known of whoever holds the release that goes on.
    pub holder: &'a Liveness,
    /// What the gates say now; none where they cannot be asked.
    pub decision: Option<Decision>,
    /// Why nothing is decided in the environment.
    pub still: Option<Still>,
    /// Why nothing is decided at all.
    pub broken: Option<String>,
    /// The commands that people are told to type.
    pub commands: &'a CommandLines,
}

impl Present {
    /// The present of one service.
    #[must_use]
    pub fn of(environment: &EnvironmentName, service: &ServiceName, known: Known<'_>) -> Self {
        let state = known.state;
        let runs = state.proved.as_ref().map(|proved| Runs {
            version: proved.version.clone(),
            since: proved.since,
            commit: match &proved.change {
                Some(change) => change.commit.clone(),
                None => proved.commit.clone(),
            },
            subject: proved.change.as_ref().map(|change| change.subject.clone()),
            by: proved.by.clone(),
            decided_at: proved.commit.clone(),
            release: proved.release.clone(),
            retired: proved.retired,
            adopted: proved.adopted,
            digest: proved.descriptor.clone(),
        });
        let equal = match (&runs, &known.asks) {
            (Some(runs), Asks::Valid { digest, .. }) => runs.digest == *digest && state.unsettled.is_none(),
            _ => false,
        };
        let mut present = Self {
            service: service.clone(),
            environment: environment.clone(),
            runs,
            asks: known.asks.clone(),
            equal,
            why: Vec::new(),
            satisfy: Vec::new(),
        };
        present.explain(known);
        // What stands in the way of everything is said by more than one.
        let mut seen = BTreeSet::new();
        present.satisfy.retain(|needs| seen.insert(needs.clone()));
        present
    }

    fn explain(&mut self, known: Known<'_>) {
        let Known {
            state,
            decision,
            still,
            commands,
            ..
        } = known;
        if let Some(broken) = known.broken {
            self.why.push(broken);
            self.satisfy.push(format!(
                "a commit to the config branch that mends it; `{}` tells all",
                commands.check()
            ));
        }
        if let Some(still) = &still {
            self.why.push(still.why.clone());
            self.satisfy.push(still.needs.clone());
        }
        if let Some(running) = &state.running {
            self.why.push(under_way(running, known.holder));
        }
        if let Some(release) = &state.unsettled {
            self.why.push(format!(
                "{release} ended without proof, so what runs has to be looked up at the target"
            ));
        }
        if self.equal {
            return;
        }
        match &self.asks {
            Asks::Nothing if self.runs.is_some() => {
                self.why.push(
                    "its descriptor is gone from the branch; that stops nothing, the service is an orphan"
                        .to_owned(),
                );
                self.satisfy
                    .push("the descriptor back, with `state: retired` to stop the service".to_owned());
            }
            Asks::Nothing | Asks::Unknown => {}
            Asks::Broken { problems, .. } => self.why.extend(problems.iter().cloned()),
            Asks::Valid { .. } => {}
        }
        if let Some(held) = &state.held {
            self.why.push(format!(
                "held: {} was rejected by {} ({})",
                held.asked.version, held.release, held.why
            ));
        }
        let Some(decision) = decision else { return };
        for gate in decision.objections() {
            // What was said above needs no second telling.
            if gate.gate == "history" && still.is_some() {
                continue;
            }
            let told = state.held.is_some() && gate.gate == "difference";
            let broken = matches!(self.asks, Asks::Broken { .. }) && gate.gate == "descriptor";
            if !told && !broken {
                self.why
                    .extend(gate.evidence.iter().map(|said| format!("{}: {said}", gate.gate)));
            }
            self.satisfy.extend(gate.satisfy.iter().cloned());
        }
        if self.why.is_empty() && decision.verdict == Verdict::Accept {
            let broken_off = state
                .last()
                .filter(|release| decision.digest.as_ref() == Some(&release.begun.descriptor))
                .and_then(pilotage_decision::past::loose_end);
            let (why, satisfy) = match broken_off {
                Some(end) => (
                    format!("the gates let it through, and {end}"),
                    "another try: a monitor that runs makes it, or".to_owned(),
                ),
                None => (
                    "the gates let it through, and no release has begun yet".to_owned(),
                    format!("a monitor that runs (`{}`), or", commands.watch()),
                ),
            };
            self.why.push(why);
            self.satisfy.push(format!(
                "{satisfy} `{}`",
                commands.release(&self.environment, &self.service)
            ));
        }
    }

    /// What runs, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            service, environment, ..
        } = self;
        match &self.runs {
            None => format!("{service} was never proved to run in {environment}"),
            Some(runs) if runs.retired => {
                format!(
                    "{service} is retired in {environment} since {}",
                    moment(runs.since)
                )
            }
            Some(runs) => {
                let (since, commit) = (moment(runs.since), runs.commit.short());
                let how = match (&runs.subject, runs.adopted) {
                    (_, true) => format!("taken over by {} as it was at {commit}", runs.by),
                    (Some(subject), false) => {
                        format!("by {} with {commit} \"{subject}\" ({})", runs.by, runs.release)
                    }
                    (None, false) => format!("by {} with {commit} ({})", runs.by, runs.release),
                };
                format!(
                    "{service} {} runs in {environment} since {since}, {how}",
                    runs.version
                )
            }
        }
    }

    /// What git asks for, in one sentence.
    #[must_use]
    pub fn asks_sentence(&self) -> String {
        match &self.asks {
            Asks::Nothing => "git asks for nothing: there is no descriptor".to_owned(),
            Asks::Unknown => "what git asks for is not known: the branch is not there".to_owned(),
            Asks::Broken { commit, .. } => format!(
                "git asks for something that cannot be read, at {}",
                commit.short()
            ),
            Asks::Valid { .. } if self.equal => "git asks for exactly that".to_owned(),
            Asks::Valid { commit, version, .. } => {
                let same = self.runs.as_ref().is_some_and(|runs| runs.version == *version);
                let what = if same { "with other settings, " } else { "" };
                format!("git asks for {version}, {what}at {}", commit.short())
            }
        }
    }
}

/// A moment as people read it.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
