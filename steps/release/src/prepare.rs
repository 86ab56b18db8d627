//! From an accepted decision to a plan and the texts of its directory: reads what the commits say.
use pilotage_decision::Desk;
use pilotage_decision::fault::{of_git, of_ledger};
use pilotage_gate::Identity;
use pilotage_gitrepo::{File, Person};
use pilotage_ledger::{Trigger, TriggerKind};
use pilotage_message::Who;
use pilotage_name::{EnvironmentName, ReleaseId, ServiceKey, ServiceName};
use pilotage_outcome::Fault;

use crate::approve::Approved;
use crate::directory::Texts;
use crate::plan::{PlanInputs, ReleasePlan};
use crate::rollback::TRAILER;

/// The plan of one service, with the texts of its directory.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The plan.
    pub plan: ReleasePlan,
    /// The texts.
    pub texts: Texts,
    /// The id its release would get now.
    pub next: ReleaseId,
}

/// Makes the plan of a service that may be released.
///
/// # Errors
/// The repository or the ledger cannot be read.
pub fn prepare(
    desk: &mut Desk,
    environment: &EnvironmentName,
    service: &ServiceName,
    approved: &Approved,
) -> Result<Prepared, Fault> {
    let chain = desk
        .ledger()
        .known_release(environment, service)
        .map_err(of_ledger)?;
    let from_version = chain
        .state()
        .proved
        .as_ref()
        .filter(|proved| !proved.retired)
        .map(|proved| proved.version.clone());
    let change = change(desk, approved)?;
    let by = change
        .as_ref()
        .map_or_else(|| "unknown".to_owned(), |(_, _, committer)| shown(committer));
    let quarantine = quarantine(desk, service, approved)?;
    let sight = desk.sight();
    let plan = ReleasePlan::make(PlanInputs {
        config: &sight.config,
        config_commit: &sight.config_commit,
        service: ServiceKey {
            project: sight.config.project.clone(),
            environment: environment.clone(),
            service: service.clone(),
        },
        commit: &approved.commit,
        resolved: &approved.valid.descriptor,
        digest: &approved.valid.digest,
        decision: approved.decision.clone(),
        notes: approved.notes.clone(),
        trigger: Trigger {
            kind: kind(approved),
            by,
            change: approved.change.as_ref().map(|change| pilotage_ledger::Brought {
                commit: change.commit.clone(),
                subject: change.subject.clone(),
            }),
        },
        from_version,
        change,
        pilotage: env!("CARGO_PKG_VERSION"),
    });
    let texts = Texts {
        descriptor: approved.valid.descriptor.to_yaml(),
        config: sight.config_source.text().to_owned(),
        templates: pilotage_decision::templates(desk.cache(), desk.sight())?,
        quarantine,
    };
    Ok(Prepared {
        plan,
        texts,
        next: chain.state().next(),
    })
}

/// The tests that are known to fail: `quarantine/<service>.yaml` of the released commit, for a service that has a suite.
fn quarantine(desk: &Desk, service: &ServiceName, approved: &Approved) -> Result<Option<String>, Fault> {
    if approved.valid.descriptor.regression.is_none() {
        return Ok(None);
    }
    let path = pilotage_quarantine::path_of(service);
    let unreadable = || Fault::invalid(format!("`{path}` is no readable text"));
    match desk
        .cache()
        .blob(&approved.commit, &path, pilotage_quarantine::LARGEST)
        .map_err(of_git)?
    {
        File::Missing => Ok(None),
        File::Blob(blob) => String::from_utf8(blob.bytes).map(Some).map_err(|_| unreadable()),
        File::NotRegular(_) | File::TooLarge { .. } => Err(unreadable()),
    }
}

/// Who brought what: as the decision saw it, else as the accepted commit says.
fn change(desk: &Desk, approved: &Approved) -> Result<Option<(String, Who, Who)>, Fault> {
    if let Some(change) = &approved.change {
        let who = |identity: &Identity| Who {
            name: identity.name.clone(),
            email: Some(identity.email.clone()),
        };
        return Ok(Some((
            change.subject.clone(),
            who(&change.author),
            who(&change.committer),
        )));
    }
    let info = desk.cache().commit(&approved.commit).map_err(of_git)?;
    let who = |person: &Person| Who {
        name: person.name.clone(),
        email: Some(person.email.clone()),
    };
    Ok(Some((
        info.subject.clone(),
        who(&info.author),
        who(&info.committer),
    )))
}

/// Whoever is faster to release a commit that rolls back, it is a rollback: what ran before is rejected by it.
fn kind(approved: &Approved) -> TriggerKind {
    match &approved.change {
        Some(change) if change.trailer(TRAILER).is_some() => TriggerKind::Rollback,
        _ => approved.kind.clone(),
    }
}

fn shown(who: &Who) -> String {
    match &who.email {
        Some(email) => format!("{} <{email}>", who.name),
        None => who.name.clone(),
    }
}
