//! How the gates would decide, were an environment's branch at a commit: what a pull request would bring.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pilotage_command_line::CommandLines;
use pilotage_config::{Config, Environment};
use pilotage_decision::descriptors::{self, Resolved};
use pilotage_decision::{Desk, EnvironmentPast, Error, Question, ServicePast, Sight, sight};
use pilotage_descriptor::service_of;
use pilotage_diagnostic::{Diagnostic, nearest, printable};
use pilotage_gate::{FirstSight, History, Seen};
use pilotage_gitrepo::{Listing, Repository};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

use super::findings::Findings;

/// What holds for every answer given here.
const MERGE: &str = "the gates were asked as if the branch were moved to this commit; a merge is answered for by whoever makes it";

/// The environment whose branch, or whose name, this is.
pub(super) fn environment_of<'a>(config: &'a Config, branch: &str) -> Result<&'a Environment, Fault> {
    let found = config
        .environments
        .iter()
        .find(|known| known.branch == branch)
        .or_else(|| {
            config
                .environments
                .iter()
                .find(|known| known.name.as_str() == branch)
        });
    found.ok_or_else(|| {
        let shown = printable(branch);
        let fault = Fault::usage(format!("--against: no environment has the branch `{shown}`"));
        let branches = || config.environments.iter().map(|known| known.branch.as_str());
        match nearest(branch, branches()) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!(
                "the branches are {}",
                branches().collect::<Vec<_>>().join(", ")
            )),
        }
    })
}

/// Asks the gates with all that the ledger knows.
pub(super) fn with_ledger(
    desk: &mut Desk,
    branch: &str,
    commit: &CommitId,
    now: Timestamp,
    findings: &mut Findings,
) -> Result<(), Fault> {
    let environment = environment_of(&desk.sight().config, branch)?.name.clone();
    let tip = desk.sight().tip(&environment)?.clone();
    let services = touched(desk.cache(), desk.sight(), &environment, &tip, commit)?;
    // The branch is where it is; what is asked about is the commit that would come on top.
    let (past, _) = match desk.past(&environment, &services, &tip, None) {
        Ok(past) => past,
        Err(error) => {
            findings.add(None, [not_asked(&error)]);
            return Ok(());
        }
    };
    let question = Question {
        repository: desk.cache(),
        sight: desk.sight(),
        environment: &environment,
        commit,
        past: &past,
        commands: &desk.command_lines(),
        now,
    };
    answer(question.decide(&services), &environment, findings);
    Ok(())
}

/// A copy of the repository that has no ledger.
pub(super) struct Clone<'a> {
    pub(super) repository: &'a Repository,
    pub(super) listing: &'a Listing,
    pub(super) config: &'a Config,
    pub(super) config_branch: &'a str,
}

/// Asks those gates that need no ledger. What stands on the branch is taken for what was accepted.
pub(super) fn without_ledger(
    clone: &Clone<'_>,
    branch: &str,
    commit: &CommitId,
    now: Timestamp,
    findings: &mut Findings,
) -> Result<(), Fault> {
    let Clone {
        repository,
        listing,
        config,
        config_branch,
    } = *clone;
    let environment = environment_of(config, branch)?.name.clone();
    let mut sight = sight::read(repository, listing, config_branch)?;
    // `--config` may have named another one.
    sight.config = config.clone();
    let tip = sight.tip(&environment)?.clone();
    let services = match touched(repository, &sight, &environment, &tip, commit) {
        Ok(services) => services,
        Err(error) => {
            findings.add(None, [not_asked(&error)]);
            return Ok(());
        }
    };
    let mut past = EnvironmentPast {
        first_sight: FirstSight::Known,
        history: History::Linear,
        base: Some(tip.clone()),
        services: BTreeMap::new(),
    };
    for service in &services {
        let accepted =
            match descriptors::read(repository, &tip, &environment, service, &sight.environments())? {
                Resolved::Valid(valid) => Some(Seen {
                    commit: tip.clone(),
                    version: valid.descriptor.version.to_string(),
                    digest: valid.digest,
                }),
                Resolved::Broken { .. } | Resolved::Absent => None,
            };
        let known = ServicePast {
            // What the branch asks for is taken to run: without it every change would look like a first release.
            running: accepted.clone(),
            accepted,
            ..ServicePast::default()
        };
        past.services.insert(service.clone(), known);
    }
    let question = Question {
        repository,
        sight: &sight,
        environment: &environment,
        commit,
        past: &past,
        commands: &CommandLines::without_address(config_branch),
        now,
    };
    answer(question.decide(&services), &environment, findings);
    findings.notes.push(format!(
        "the ledger was not asked, so first-sight, history, holds and proofs of other environments were not looked at; \
         what stands on {} was taken to run",
        printable(branch)
    ));
    Ok(())
}

fn answer(
    decided: Result<Vec<pilotage_decision::Decided>, Error>,
    environment: &EnvironmentName,
    findings: &mut Findings,
) {
    match decided {
        Ok(decided) if decided.is_empty() => findings
            .notes
            .push(format!("the commit changes no service of {environment}")),
        Ok(decided) => {
            findings
                .decisions
                .extend(decided.into_iter().map(|one| one.decision));
            findings.notes.push(MERGE.to_owned());
        }
        Err(error) => findings.add(None, [not_asked(&error)]),
    }
}

fn not_asked(error: &Error) -> Diagnostic {
    let problem = Diagnostic::warning("gates-not-asked", format!("the gates were not asked: {error}"));
    match error {
        Error::Repository(error) => match error.help() {
            Some(help) => problem.help(help),
            None => problem,
        },
        _ => problem,
    }
}

/// The services that a commit changes, seen from where it left the branch.
fn touched(
    repository: &Repository,
    sight: &Sight,
    environment: &EnvironmentName,
    tip: &CommitId,
    commit: &CommitId,
) -> Result<Vec<ServiceName>, Error> {
    let base = repository.merge_base(tip, commit)?;
    let changed = repository.changed_paths(base.as_ref(), commit)?;
    let mut touched = BTreeSet::new();
    let mut others = BTreeSet::new();
    for change in &changed {
        match service_of(&change.path) {
            Some(Ok(service)) => {
                touched.insert(service);
            }
            Some(Err(_)) => {}
            None => {
                others.insert(change.path.as_str());
            }
        }
    }
    if !others.is_empty() {
        let environments = sight.environments();
        for service in descriptors::list(repository, commit)?.found.into_keys() {
            let read = descriptors::read(repository, commit, environment, &service, &environments)?;
            if let Resolved::Valid(valid) = read
                && valid.files.iter().any(|file| others.contains(file.as_str()))
            {
                touched.insert(service);
            }
        }
    }
    Ok(touched.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_found_by_its_branch() {
        let source = pilotage_config::Source::new(
            "pilotage.yaml",
            "apiVersion: pilotage/v1\nproject: acme\ntargets: {k: {kubernetes: {}}}\n\
             environments: {qa: {target: k, branch: env/qa}, prod: {target: k}}\n",
        );
        let (config, problems) = pilotage_config::parse(&source);
        let config = config.unwrap_or_else(|| panic!("{problems:?}"));
        let name = |branch: &str| environment_of(&config, branch).map(|known| known.name.to_string());
        assert_eq!(name("env/qa").unwrap(), "qa");
        assert_eq!(name("qa").unwrap(), "qa");
        assert_eq!(name("prdo").unwrap_err().help, ["did you mean `prod`?"]);
    }
}
