//! What runs where, since when, by whose commit: one row a service, from its release chain. Pure.

use jiff::Timestamp;
use pilotage_decision::past::under_way;
use pilotage_diagnostic::{printable, printable_lines};
use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::{Ending, Liveness, ReleaseState};
use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};
use serde::Serialize;

/// One service of one environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// How it stands.
    pub state: State,
    /// What was last proved to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "timestamp")]
    pub since: Option<Timestamp>,
    /// The newest commit that brought something of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The first line of its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whose commit that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The tip that the branch had when it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<CommitId>,
    /// The release that proved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// What else there is to say, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How a service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// What git asks for was proved to run.
    Runs,
    /// A release of it goes on.
    Releasing,
    /// A release of it was cut off: whoever held it is gone.
    CutOff,
    /// It runs something else than git asks for, because that was rejected.
    Held,
    /// A release may have changed it and left no proof: look at the target.
    Unsettled,
    /// It runs, and its descriptor is gone from the branch.
    Orphaned,
    /// Nothing runs, as asked.
    Retired,
    /// It was never released with success.
    Never,
    /// Its record cannot be read.
    Unreadable,
}

impl State {
    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Releasing => "releasing",
            Self::CutOff => "cut off",
            Self::Held => "held",
            Self::Unsettled => "unsettled",
            Self::Orphaned => "orphaned",
            Self::Retired => "retired",
            Self::Never => "never released",
            Self::Unreadable => "unreadable",
        }
    }
}

fn timestamp<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

impl Row {
    /// A service that has a descriptor and no release yet.
    #[must_use]
    pub fn never(environment: EnvironmentName, service: ServiceName) -> Self {
        Self {
            environment,
            service,
            state: State::Never,
            version: None,
            since: None,
            commit: None,
            subject: None,
            by: None,
            decided_at: None,
            release: None,
            notes: Vec::new(),
        }
    }

    /// A service whose record cannot be read.
    #[must_use]
    pub fn unreadable(environment: EnvironmentName, service: ServiceName, why: String) -> Self {
        Self {
            state: State::Unreadable,
            notes: vec![why],
            ..Self::never(environment, service)
        }
    }

    /// What a chain says. `described` is whether the branch still has the service's descriptor, `holder` what is known of
    /// whoever holds the release that goes on.
    #[must_use]
    pub fn of(state: &ReleaseState, described: bool, holder: &Liveness) -> Self {
        let mut row = Self::never(state.environment.clone(), state.service.clone());
        if let Some(proved) = &state.proved {
            row.state = if proved.retired {
                State::Retired
            } else {
                State::Runs
            };
            row.version = (!proved.retired).then(|| proved.version.clone());
            row.since = Some(proved.since);
            let change = proved.change.as_ref();
            row.commit = Some(change.map_or(&proved.commit, |change| &change.commit).clone());
            row.subject = change.map(|change| change.subject.clone());
            row.decided_at = Some(proved.commit.clone());
            row.by = Some(proved.by.clone());
            row.release = Some(proved.release.clone());
            if proved.adopted {
                row.notes.push("adopted, not released".to_owned());
            }
            if !described && !proved.retired {
                row.state = State::Orphaned;
                row.notes
                    .push("its descriptor is gone; `state: retired` would stop it".to_owned());
            }
        }
        if let Some(unsettled) = &state.unsettled {
            row.state = State::Unsettled;
            row.notes
                .push(format!("{unsettled} may have changed it and left no proof"));
        }
        if let Some(held) = &state.held {
            row.state = State::Held;
            row.notes.push(format!(
                "git asks for {}, rejected by {}: {}",
                held.asked.version, held.release, held.why
            ));
        }
        if let Some(running) = &state.running {
            row.state = match holder {
                Liveness::Dead(_) => State::CutOff,
                Liveness::Alive | Liveness::Unknown => State::Releasing,
            };
            row.notes.push(under_way(running, holder));
        } else if let Some(last) = state.last()
            && row.release.as_ref() != Some(&last.id)
            && row.state != State::Held
        {
            row.notes.push(match last.end.as_ref().map(|end| &end.how) {
                Some(Ending::Finished(finished)) => {
                    let reason = finished
                        .reason
                        .first()
                        .map(|reason| format!(": {reason}"))
                        .unwrap_or_default();
                    format!("{} {}{reason}", last.id, finished.outcome)
                }
                Some(Ending::Abandoned(abandoned)) => {
                    format!("{} was given up: {}", last.id, abandoned.reason)
                }
                None => format!("{} has no end", last.id),
            });
        }
        row
    }

    /// What was decided about the service last, where that keeps something from being released. What was rejected is told
    /// with its release.
    pub fn asks(&mut self, decision: &Decision) {
        let kept = matches!(decision.verdict, Verdict::Skip | Verdict::Refuse | Verdict::Wait);
        if kept && self.state != State::Held {
            self.notes.push(format!("git asks for {}", decision.headline()));
        }
    }
}

/// What follows the table: the ledger knows what was proved when it was released, and not what somebody did at a target
/// since.
const BY_THE_RECORD: &str = "as last proved; `pilotage-deploy status` asks a target how it is now\n";

/// The table for people.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        [
            "ENVIRONMENT",
            "SERVICE",
            "VERSION",
            "STATE",
            "SINCE",
            "COMMIT",
            "BY",
        ]
        .map(str::to_owned),
    ];
    for row in rows {
        let dash = || "-".to_owned();
        lines.push([
            row.environment.to_string(),
            row.service.to_string(),
            row.version.as_deref().map_or_else(dash, printable),
            row.state.word().to_owned(),
            row.since.map_or_else(dash, shown),
            row.commit
                .as_ref()
                .map_or_else(dash, |commit| commit.short().to_owned()),
            row.by.as_deref().map_or_else(dash, printable),
        ]);
    }
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
        for note in index
            .checked_sub(1)
            .and_then(|row| rows.get(row))
            .into_iter()
            .flat_map(|row| &row.notes)
        {
            text.push_str(&format!("    {}\n", printable_lines(note, "      ")));
        }
    }
    if rows.iter().any(|row| row.version.is_some()) {
        text.push_str(BY_THE_RECORD);
    }
    text
}

/// A moment to the second, in UTC.
fn shown(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
