//! Telling people, of decisions that object and of environments that freeze: the port, and what is said through it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilotage_gate::{Decision, Verdict};
use pilotage_message::{Event, Message, VersionChange, Who};
use pilotage_name::{EnvironmentName, ProjectName, ServiceName};

/// Something recorded that people are told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Telling {
    /// Where.
    pub(crate) environment: EnvironmentName,
    /// About which service; none where it is about the environment as a whole.
    pub(crate) service: Option<ServiceName>,
    /// When it was recorded.
    pub(crate) at: Timestamp,
}

impl Telling {
    /// Of this decision.
    pub(crate) fn of(decision: &Decision) -> Self {
        Self {
            environment: decision.environment.clone(),
            service: Some(decision.service.clone()),
            at: decision.at,
        }
    }
}

/// What there is to tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Saying {
    /// Of what.
    pub(crate) telling: Telling,
    /// The same in one line, for logs.
    pub(crate) headline: String,
    /// The same for people.
    pub(crate) message: Message,
}

impl Saying {
    /// Of a decision; none where nobody has to hear of it.
    pub(crate) fn of(project: &ProjectName, decision: &Decision) -> Option<Self> {
        Some(Self {
            telling: Telling::of(decision),
            headline: decision.headline(),
            message: message(project, event(decision)?, decision),
        })
    }
}

/// What the config branch says about messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// pilotage.yaml.
    pub(crate) config: String,
    /// Message templates by file name.
    pub(crate) templates: BTreeMap<String, String>,
}

/// Tells people.
pub(crate) trait Voice {
    /// Starts to say it, unless that is under way or has come to nothing too often.
    fn tell(&mut self, saying: Saying, texts: &Texts, now: Timestamp);

    /// What people were told of since this was asked last.
    fn told(&mut self) -> Vec<Telling>;

    /// Gives back what could not be written down yet.
    fn keep_told(&mut self, told: Vec<Telling>);

    /// Whether it is given up to tell of this.
    fn gave_up(&self, telling: &Telling) -> bool;
}

/// What people are told that happened; none where nobody has to hear of it.
#[must_use]
pub(crate) fn event(decision: &Decision) -> Option<Event> {
    match decision.verdict {
        Verdict::Refuse => Some(Event::Refused),
        Verdict::Wait => Some(Event::Waiting),
        // An orphan that still runs waits for somebody who says what is to become of it.
        Verdict::Nothing
            if decision
                .objections()
                .any(|gate| !gate.satisfy.is_empty() && gate.gate == "orphan") =>
        {
            Some(Event::Waiting)
        }
        Verdict::Accept | Verdict::Adopt | Verdict::Skip | Verdict::Nothing => None,
    }
}

/// What there is to tell of a decision.
#[must_use]
fn message(project: &ProjectName, event: Event, decision: &Decision) -> Message {
    let evidence = &decision.evidence;
    let newest = evidence.newest();
    let who = |identity: &pilotage_gate::Identity| Who {
        name: identity.name.clone(),
        email: Some(identity.email.clone()),
    };
    Message {
        service: Some(decision.service.clone()),
        version: VersionChange {
            from: evidence.running.as_ref().map(|running| running.version.clone()),
            to: decision.version.clone(),
        },
        commit: Some(newest.map_or(&decision.commit, |newest| &newest.commit).clone()),
        subject: newest.map(|newest| newest.subject.clone()),
        author: newest.map(|newest| who(&newest.author)),
        committer: newest.map(|newest| who(&newest.committer)),
        reasons: decision
            .objections()
            .flat_map(|gate| gate.evidence.iter().map(|why| format!("{}: {why}", gate.gate)))
            .collect(),
        satisfy: decision
            .objections()
            .flat_map(|gate| gate.satisfy.iter().cloned())
            .collect(),
        ..Message::new(event, project.clone(), decision.environment.clone())
    }
}
