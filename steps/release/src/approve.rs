//! Whether a service may be released now: the accepted decision that stands in the ledger, or, by hand, the gates themselves.

use std::sync::Arc;

use pilotage_decision::descriptors::{self, Resolved, Valid};
use pilotage_decision::fault::{of_git, of_ledger};
use pilotage_decision::past::is_outdated;
use pilotage_decision::{Decided, Desk, Recorded};
use pilotage_diagnostic::{nearest, printable, printable_lines};
use pilotage_gate::{Answer, Change, Decision, Verdict};
use pilotage_ledger::{Accepted, Holder, Monitor, TriggerKind};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;
use serde_json::json;

/// How often decisions are made anew because a monitor was faster.
const TRIES: u32 = 8;

/// A service that may be released.
#[derive(Clone, Debug)]
pub struct Approved {
    /// The commit that was accepted.
    pub commit: CommitId,
    /// Its descriptor.
    pub valid: Box<Valid>,
    /// Where the decision stands.
    pub decision: Option<String>,
    /// What the gates noted.
    pub notes: Vec<String>,
    /// The newest change that was really brought, which people will be told of; none where nobody knows any more.
    pub change: Option<Change>,
    /// Who set it off, as far as that can be told from the decision.
    pub kind: TriggerKind,
}

/// The answer about one service.
#[derive(Clone, Debug)]
pub enum Approval {
    /// It may be released.
    Go(Box<Approved>),
    /// There is nothing to release; it says why.
    Nothing(String),
    /// There is nothing to release either, unless the target is not any more what was released: asked by hand, somebody
    /// looks.
    Stands(Box<Approved>, String),
    /// A gate stands in the way.
    Refused(Box<Refusal>),
    /// A newer commit was accepted since.
    Superseded {
        /// That commit.
        by: CommitId,
    },
    /// Its descriptor has errors.
    Broken(pilotage_diagnostic::Diagnostics),
}

/// Why a service may not be released now.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// In one line, with the first reason.
    pub headline: String,
    /// In one line, without reasons.
    pub title: String,
    /// Every objection.
    pub reasons: Vec<String>,
    /// What would satisfy the gates.
    pub satisfy: Vec<String>,
    /// Whether the answer may still change by itself.
    pub waiting: bool,
}

impl Refusal {
    /// The objections of a decision.
    #[must_use]
    pub fn of(decision: &Decision) -> Self {
        let objections: Vec<_> = decision.objections().collect();
        let reasons = objections
            .iter()
            .flat_map(|gate| gate.evidence.iter().map(|why| format!("{}: {why}", gate.gate)));
        Self {
            headline: decision.headline(),
            title: decision.title(),
            reasons: reasons.collect(),
            satisfy: objections
                .iter()
                .flat_map(|gate| gate.satisfy.iter().cloned())
                .collect(),
            waiting: decision.verdict == Verdict::Wait,
        }
    }

    /// Every objection and what would satisfy it, for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", printable(&self.title));
        for reason in &self.reasons {
            text.push_str(&format!("  {}\n", printable_lines(reason, "    ")));
        }
        for satisfy in &self.satisfy {
            text.push_str(&format!("  to go on: {}\n", printable(satisfy)));
        }
        text
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The environment.
    pub environment: EnvironmentName,
    /// The services.
    pub services: Vec<ServiceName>,
    /// The commit that was accepted; without it the branch's newest is asked about by hand.
    pub commit: Option<CommitId>,
    /// Who asks.
    pub holder: Holder,
    /// Nothing is recorded.
    pub dry_run: bool,
}

impl Asking {
    /// Who set it off, as far as that can be told: whoever names the commit that was accepted last does what a monitor does.
    fn kind(&self, service: &ServiceName, monitor: &Monitor) -> TriggerKind {
        let record = monitor.services.get(service);
        let accepted = record.and_then(|record| record.accepted.as_ref());
        match accepted.map(|accepted| &accepted.commit) {
            Some(commit) if Some(commit) == self.commit.as_ref() => TriggerKind::Monitor,
            _ => TriggerKind::Hand,
        }
    }
}

/// Asks about every service. One answer each, in their order.
///
/// # Errors
/// The repository or the ledger cannot be read, or the commit is not of the environment's branch.
pub fn approve(desk: &mut Desk, asking: &Asking) -> Result<Vec<Approval>, Fault> {
    let tip = desk
        .sight()
        .tip(&asking.environment)
        .map_err(Fault::from)?
        .clone();
    let commit = asking.commit.clone().unwrap_or_else(|| tip.clone());
    if commit != tip {
        let known = desk.cache().has_commit(&commit);
        if !known || !desk.cache().is_ancestor(&commit, &tip).map_err(of_git)? {
            return Err(Fault::refused(format!(
                "commit {} is neither the tip of {} nor in its history",
                commit.short(),
                asking.environment
            ))
            .help("only what the environment's branch asks for, or asked for, is released"));
        }
    }
    for _ in 0..TRIES {
        let monitor = desk.ledger().monitor(&asking.environment).map_err(of_ledger)?;
        let mut answers: Vec<Option<Approval>> = Vec::new();
        for service in &asking.services {
            answers.push(recorded(desk, asking, service, &commit, &monitor)?);
        }
        let open: Vec<ServiceName> = asking
            .services
            .iter()
            .zip(&answers)
            .filter(|(_, answer)| answer.is_none())
            .map(|(service, _)| service.clone())
            .collect();
        if open.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let Some(mut decided) = by_hand(desk, asking, &open, &commit)? else {
            continue;
        };
        return Ok(asking
            .services
            .iter()
            .zip(answers)
            .filter_map(|(service, answer)| answer.or_else(|| decided.remove(service)))
            .collect());
    }
    Err(Fault::unavailable(format!(
        "a monitor of {} was faster {TRIES} times",
        asking.environment
    ))
    .help("run the same command again"))
}

/// The answer that stands in the ledger already; none where the gates have to be asked.
fn recorded(
    desk: &mut Desk,
    asking: &Asking,
    service: &ServiceName,
    commit: &CommitId,
    monitor: &Monitor,
) -> Result<Option<Approval>, Fault> {
    let Some(accepted) = monitor
        .services
        .get(service)
        .and_then(|record| record.accepted.as_ref())
    else {
        return Ok(None);
    };
    if asking.commit.is_none() {
        return Ok(None);
    }
    if accepted.commit == *commit {
        let chain = desk
            .ledger()
            .release(&asking.environment, service)
            .map_err(of_ledger)?;
        let state = chain.state();
        let rejected = state
            .rejections
            .iter()
            .any(|rejection| rejection.asked.commit == *commit);
        let policy = desk.sight().config.policy_hash();
        // It was accepted and did not hold, or it was accepted under another policy: the gates say what is to be said of
        // that, and what would let it go on.
        if rejected || is_outdated(accepted, Some(state), &policy) {
            return Ok(None);
        }
        return go(desk, asking, service, accepted, monitor, TriggerKind::Monitor).map(Some);
    }
    let newer = desk.cache().has_commit(&accepted.commit)
        && desk
            .cache()
            .is_ancestor(commit, &accepted.commit)
            .map_err(of_git)?;
    Ok(newer.then(|| Approval::Superseded {
        by: accepted.commit.clone(),
    }))
}

/// What was accepted at a commit, read there again.
fn go(
    desk: &Desk,
    asking: &Asking,
    service: &ServiceName,
    accepted: &Accepted,
    monitor: &Monitor,
    kind: TriggerKind,
) -> Result<Approval, Fault> {
    let environments = desk.sight().environments();
    let decision = decision_at(monitor, service, &accepted.commit);
    let newest = decision
        .as_ref()
        .and_then(|decision| decision.evidence.newest().cloned());
    let change = match newest {
        Some(newest) => Some(newest),
        None => brought_before(desk, accepted)?,
    };
    let resolved = descriptors::read(
        desk.cache(),
        &accepted.commit,
        &asking.environment,
        service,
        &environments,
    )
    .map_err(Fault::from)?;
    Ok(match resolved {
        Resolved::Valid(valid) if valid.digest == accepted.descriptor => Approval::Go(Box::new(Approved {
            commit: accepted.commit.clone(),
            valid,
            decision: monitor.read.as_ref().map(ToString::to_string),
            notes: decision
                .as_ref()
                .map(|decision| decision.notes.clone())
                .unwrap_or_default(),
            change,
            kind,
        })),
        Resolved::Valid(valid) => {
            return Err(Fault::internal(format!(
                "the descriptor of {service} at {} reads as {}, accepted was {}",
                accepted.commit.short(),
                valid.digest,
                accepted.descriptor
            ))
            .help("it was accepted by another version of Pilotage; a new commit is decided anew"));
        }
        Resolved::Broken { diagnostics } => Approval::Broken(diagnostics),
        Resolved::Absent => {
            return Err(Fault::internal(format!(
                "{service} was accepted at a commit that does not have it"
            )));
        }
    })
}

/// The change that was brought when a descriptor was accepted first.
fn brought_before(desk: &Desk, accepted: &Accepted) -> Result<Option<Change>, Fault> {
    let known = |id: &&CommitId| desk.cache().has_commit(id);
    let brought = accepted.brought.as_ref().filter(known);
    let change = brought.map(|id| pilotage_decision::change(desk.cache(), id));
    change.transpose().map_err(Fault::from)
}

/// The recorded decision, when it is the one that accepted this commit: a later one may have refused another.
fn decision_at(monitor: &Monitor, service: &ServiceName, commit: &CommitId) -> Option<Decision> {
    let record = monitor.services.get(service)?;
    let decision: Decision = serde_json::from_value(record.decision.clone()).ok()?;
    (decision.commit == *commit).then_some(decision)
}

/// Asks the gates and records what they say. `None`: a monitor was faster.
fn by_hand(
    desk: &mut Desk,
    asking: &Asking,
    services: &[ServiceName],
    commit: &CommitId,
) -> Result<Option<std::collections::BTreeMap<ServiceName, Approval>>, Fault> {
    let (decided, monitor) = desk
        .decide(&asking.environment, services, commit, None)
        .map_err(Fault::from)?;
    for one in &decided {
        unknown(desk, asking, one, commit)?;
    }
    // Only what changes something is worth a record: that there is nothing to do stands there already.
    let worth: Vec<Decided> = decided
        .iter()
        .filter(|one| one.decision.verdict != Verdict::Nothing)
        .cloned()
        .collect();
    let mut stands = monitor.read.as_ref().map(ToString::to_string);
    if !worth.is_empty() && !asking.dry_run {
        let data = json!({"by": "pilotage-release"});
        match desk
            .record(
                &asking.environment,
                &monitor,
                &worth,
                None,
                asking.holder.clone(),
                data,
            )
            .map_err(Fault::from)?
        {
            Recorded::Done(written) => stands = Some(written.to_string()),
            Recorded::Moved => return Ok(None),
        }
    }
    let mut answers = std::collections::BTreeMap::new();
    for one in decided {
        let service = one.decision.service.clone();
        let answer = answer(desk, asking, one, &monitor, stands.clone())?;
        answers.insert(service, answer);
    }
    Ok(Some(answers))
}

fn answer(
    desk: &mut Desk,
    asking: &Asking,
    one: Decided,
    monitor: &Arc<Monitor>,
    stands: Option<String>,
) -> Result<Approval, Fault> {
    let Decided { decision, resolved } = one;
    Ok(match (decision.verdict, resolved) {
        (_, Resolved::Broken { diagnostics }) => Approval::Broken(diagnostics),
        (Verdict::Accept, Resolved::Valid(valid)) => {
            let kind = asking.kind(&decision.service, monitor);
            let record = monitor.services.get(&decision.service);
            let accepted = record.and_then(|record| record.accepted.as_ref());
            let change = match (decision.evidence.newest(), accepted) {
                (Some(newest), _) => Some(newest.clone()),
                (None, Some(accepted)) if accepted.descriptor == valid.digest => {
                    brought_before(desk, accepted)?
                }
                (None, _) => None,
            };
            Approval::Go(Box::new(Approved {
                commit: decision.commit,
                valid,
                decision: stands,
                change,
                notes: decision.notes,
                kind,
            }))
        }
        (Verdict::Nothing, Resolved::Valid(valid)) => {
            return nothing(desk, asking, &decision, &valid, monitor);
        }
        (Verdict::Nothing, Resolved::Absent) => Approval::Nothing(decision.headline()),
        (Verdict::Adopt, _) => Approval::Refused(Box::new(Refusal {
            satisfy: vec![format!(
                "`{}` records what runs as adopted",
                desk.command_lines().once(&asking.environment)
            )],
            ..Refusal::of(&decision)
        })),
        (Verdict::Refuse | Verdict::Wait | Verdict::Skip | Verdict::Accept, _) => {
            Approval::Refused(Box::new(Refusal::of(&decision)))
        }
    })
}

/// Nothing new is asked for. That is well where it runs; where it never came to run, the accepted commit is released now.
fn nothing(
    desk: &mut Desk,
    asking: &Asking,
    decision: &Decision,
    valid: &Valid,
    monitor: &Monitor,
) -> Result<Approval, Fault> {
    if decision.evidence.held.is_some() || decision.evidence.rejected_again().is_some() {
        let version = decision.version.as_deref().unwrap_or_default();
        return Ok(Approval::Refused(Box::new(Refusal {
            headline: format!("{} {version} in {}: held", decision.service, decision.environment),
            title: format!("{} {version} in {}: held", decision.service, decision.environment),
            ..Refusal::of(decision)
        })));
    }
    let service = &decision.service;
    let chain = desk
        .ledger()
        .release(&asking.environment, service)
        .map_err(of_ledger)?;
    let state = chain.state();
    let runs = state
        .proved
        .as_ref()
        .is_some_and(|proved| proved.descriptor == valid.digest);
    let settled = runs && state.unsettled.is_none() && state.running.is_none();
    let record = monitor.services.get(service);
    let accepted = record.and_then(|record| record.accepted.as_ref());
    let Some(accepted) = accepted.filter(|accepted| accepted.descriptor == valid.digest) else {
        return Ok(Approval::Nothing(decision.headline()));
    };
    // Nobody repairs past a freeze, or past a branch that was rewritten.
    let objects = decision
        .objections()
        .any(|gate| matches!(gate.answer, Answer::Refuse | Answer::Wait));
    if settled && (asking.commit.is_some() || objects) {
        return Ok(Approval::Nothing(decision.headline()));
    }
    Ok(
        match go(desk, asking, service, accepted, monitor, TriggerKind::Hand)? {
            Approval::Go(approved) if settled => Approval::Stands(approved, decision.headline()),
            answer => answer,
        },
    )
}

/// A service that neither the branch nor the ledger knows is a slip of the pen.
fn unknown(desk: &Desk, asking: &Asking, one: &Decided, commit: &CommitId) -> Result<(), Fault> {
    let absent = matches!(one.resolved, Resolved::Absent);
    let orphan = one.decision.evidence.running.is_some() || one.decision.evidence.accepted.is_some();
    if !absent || orphan {
        return Ok(());
    }
    let service = &one.decision.service;
    let there = descriptors::list(desk.cache(), commit).map_err(Fault::from)?;
    let names: Vec<&str> = there.found.keys().map(ServiceName::as_str).collect();
    let mut fault = Fault::invalid(format!(
        "{} has no service `{service}`: there is no {}",
        asking.environment,
        pilotage_descriptor::path_of(service)
    ));
    if let Some(near) = nearest(service.as_str(), names) {
        fault = fault.help(format!("did you mean `{near}`?"));
    }
    Err(fault)
}
