//! How things are now. Pure.

use jiff::Timestamp;
use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::ReleaseState;
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
    /// The commit that asked for it.
    pub commit: CommitId,
    /// By whose change.
    pub by: String,
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
}

impl Present {
    /// The present from what git asks for, what the record says, and what the gates say now.
    #[must_use]
    pub fn of(
        environment: &EnvironmentName,
        service: &ServiceName,
        asks: Asks,
        state: &ReleaseState,
        decision: Option<Decision>,
    ) -> Self {
        let runs = state.proved.as_ref().map(|proved| Runs {
            version: proved.version.clone(),
            since: proved.since,
            commit: proved.commit.clone(),
            by: proved.by.clone(),
            release: proved.release.clone(),
            retired: proved.retired,
            adopted: proved.adopted,
            digest: proved.descriptor.clone(),
        });
        let equal = match (&runs, &asks) {
            (Some(runs), Asks::Valid { digest, .. }) => runs.digest == *digest && state.unsettled.is_none(),
            _ => false,
        };
        let mut present = Self {
            service: service.clone(),
            environment: environment.clone(),
            runs,
            asks,
            equal,
            why: Vec::new(),
            satisfy: Vec::new(),
        };
        present.explain(state, decision);
        present
    }

    fn explain(&mut self, state: &ReleaseState, decision: Option<Decision>) {
        if let Some(running) = &state.running {
            self.why.push(format!(
                "{} releases {} since {}, held by {}",
                running.id,
                running.begun.version,
                moment(running.begun_at),
                running.begun.holder
            ));
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
            Asks::Nothing => {}
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
                .filter(|release| release.begun.commit == decision.commit)
                .and_then(pilotage_decision::past::loose_end);
            let (why, satisfy) = match broken_off {
                Some(end) => (
                    format!("the gates let it through, and {end}"),
                    "another try: a monitor that runs makes it, or `pilotage release run`",
                ),
                None => (
                    "the gates let it through, and no release has begun yet".to_owned(),
                    "a monitor that runs (`pilotage git-monitor run`), or `pilotage release run`",
                ),
            };
            self.why.push(why);
            self.satisfy.push(satisfy.to_owned());
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
            Some(runs) => format!(
                "{service} {} runs in {environment} since {}, by {}'s commit {} ({})",
                runs.version,
                moment(runs.since),
                runs.by,
                runs.commit.short(),
                match runs.adopted {
                    true => "taken over as it was".to_owned(),
                    false => runs.release.to_string(),
                }
            ),
        }
    }

    /// What git asks for, in one sentence.
    #[must_use]
    pub fn asks_sentence(&self) -> String {
        match &self.asks {
            Asks::Nothing => "git asks for nothing: there is no descriptor".to_owned(),
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
