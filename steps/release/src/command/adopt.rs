use std::collections::BTreeMap;
use std::time::Duration;

use pilotage_decision::descriptors::{self, Resolved, Valid};
use pilotage_decision::fault::of_ledger;
use pilotage_ledger::{Adopted, Note, Noted, Proof};
use pilotage_message::Who;
use pilotage_name::{CommitId, ServiceKey};
use pilotage_outcome::{Effects, ExitCode, Fault, Outcome, StepReport, StepReportData};
use pilotage_step::{Context, RepoArgs};

use super::release::scratch;
use super::this_process;
use crate::adapter::process::Processes;
use crate::port::{Call, Exit, Launcher, Needs};
use crate::records::Records;

/// How long the target may take.
const DEADLINE: Duration = Duration::from_secs(120);
/// What stands for the descriptor of something that differs from it: the branch asks for something else, so the next
/// release is one.
const OTHER: &str = "adopted";

/// What somebody wants to be adopted.
pub(super) struct Wanted {
    /// What runs, by the name that the target knows it by.
    pub(super) instance: String,
    /// Why.
    pub(super) reason: String,
    /// Who says so.
    pub(super) by: Who,
}

/// What is known before the target is asked.
struct Known {
    key: ServiceKey,
    commit: CommitId,
    config_commit: CommitId,
    config: String,
    valid: Box<Valid>,
    fence: u64,
}

/// Takes what runs already for the instance of a service: on the target first, then in the ledger. Each can be repeated,
/// so whoever was interrupted asks again.
pub(super) async fn adopt(
    cx: &Context,
    records: &Records,
    launcher: &Processes,
    repo: &RepoArgs,
    wanted: Wanted,
) -> Result<StepReport, Fault> {
    let (environment, service) = (
        repo.required_environment()?.clone(),
        repo.required_service()?.clone(),
    );
    let known = records
        .with(move |desk| {
            let sight = desk.sight();
            let commit = sight.tip(&environment).map_err(Fault::from)?.clone();
            let environments = sight.environments();
            let (config_commit, config) =
                (sight.config_commit.clone(), sight.config_source.text().to_owned());
            let key = ServiceKey {
                project: sight.config.project.clone(),
                environment: environment.clone(),
                service: service.clone(),
            };
            let read = descriptors::read(desk.cache(), &commit, &environment, &service, &environments);
            let valid = match read.map_err(Fault::from)? {
                Resolved::Valid(valid) => valid,
                Resolved::Broken { diagnostics } => return Err(diagnostics.into()),
                Resolved::Absent => {
                    return Err(Fault::usage(format!(
                        "the branch of {environment} has no service `{service}`"
                    ))
                    .help(format!("describe it in services/{service}.yaml first")));
                }
            };
            let chain = desk.ledger().release(&environment, &service).map_err(of_ledger)?;
            let state = chain.state();
            if let Some(running) = &state.running {
                return Err(held(&running.id.to_string(), &running.begun.holder.to_string()));
            }
            if let Some(proved) = state
                .proved
                .as_ref()
                .filter(|proved| !proved.adopted && !proved.retired)
            {
                return Err(Fault::refused(format!(
                    "{key}: {} was released already, so nothing is adopted",
                    proved.version
                ))
                .help("a release replaces what runs; `pilotage-release status` says what does"));
            }
            Ok(Known {
                fence: state.newest().fence,
                key,
                commit,
                config_commit,
                config,
                valid,
            })
        })
        .await?;
    let told = ask(cx, launcher, &known, &wanted).await?;
    let outcome = ExitCode::from_code(told.exit_code).map_or(Outcome::Internal, Outcome::of_exit_code);
    if outcome != Outcome::Passed {
        let mut report = StepReport::new(outcome)
            .key(&known.key)
            .summary(told.summary.clone());
        report.effects = told.effects;
        report.text = std::iter::once(&told.summary)
            .chain(&told.causes)
            .chain(&told.help)
            .map(|line| format!("{line}\n"))
            .collect();
        return Ok(report);
    }
    let report = StepReport::passed()
        .key(&known.key)
        .commit(known.commit.clone())
        .summary(told.summary.clone())
        .result(told.result.clone());
    if cx.dry_run {
        return Ok(report);
    }
    let note = Note::Adopted(adopted(&known, &wanted, &told));
    let (environment, service) = (known.key.environment.clone(), known.key.service.clone());
    let noted = records
        .with(move |desk| {
            desk.ledger()
                .note(&environment, &service, &note)
                .map_err(of_ledger)
        })
        .await
        .map_err(|fault| fault.effects(Effects::Partial))?;
    match noted {
        Noted::Done => Ok(report.effects(Effects::Complete)),
        Noted::HeldBy { release, holder } => {
            Err(held(&release.to_string(), &holder.to_string()).effects(Effects::Partial))
        }
    }
}

fn held(release: &str, holder: &str) -> Fault {
    Fault::refused(format!("{release} goes on, held by {holder}"))
        .help("wait for its end, or give it up with `pilotage-release abandon`")
}

/// What the ledger is told.
fn adopted(known: &Known, wanted: &Wanted, told: &StepReportData) -> Adopted {
    let differs = told
        .result
        .get("differences")
        .and_then(|differences| differences.as_array())
        .is_some_and(|differences| !differences.is_empty());
    let output = |name: &str| told.outputs.get(name).cloned();
    let asked = (known.valid.digest.clone(), known.valid.descriptor.config_hash());
    let (descriptor, config) = match differs {
        true => (OTHER.to_owned(), OTHER.to_owned()),
        false => asked,
    };
    let version = output("version").unwrap_or_else(|| known.valid.descriptor.version.to_string());
    Adopted {
        service: known.key.clone(),
        commit: known.commit.clone(),
        config_commit: known.config_commit.clone(),
        proof: output("digest").map(|digest| Proof {
            digest,
            version: Some(version.clone()),
            config: Some(config.clone()),
        }),
        descriptor,
        config,
        version,
        by: wanted.by.to_string(),
        reason: wanted.reason.clone(),
    }
}

/// Has the deploy step do it.
async fn ask(
    cx: &Context,
    launcher: &Processes,
    known: &Known,
    wanted: &Wanted,
) -> Result<StepReportData, Fault> {
    let folder = scratch(&this_process()?)?;
    let path = |name: &str| folder.path().join(name);
    for (name, text) in [
        ("descriptor.yaml", known.valid.descriptor.to_yaml()),
        ("config.yaml", known.config.clone()),
    ] {
        std::fs::write(path(name), text).map_err(|error| {
            Fault::unavailable(format!("{} cannot be written", path(name).display())).caused_by(error)
        })?;
    }
    let shown = |name: &str| path(name).display().to_string();
    let environment = BTreeMap::from(
        [
            ("DESCRIPTOR", shown("descriptor.yaml")),
            ("CONFIG", shown("config.yaml")),
            ("ENV", known.key.environment.to_string()),
            ("SERVICE", known.key.service.to_string()),
            ("COMMIT", known.commit.to_string()),
            ("FENCE", known.fence.to_string()),
            ("REPORT", shown("adopt.json")),
        ]
        .map(|(name, value)| (format!("PILOTAGE_{name}"), value)),
    );
    let mut arguments = vec!["adopt".to_owned(), format!("--instance={}", wanted.instance)];
    if cx.dry_run {
        arguments.push("--dry-run".to_owned());
    }
    let call = Call {
        program: "pilotage-deploy".to_owned(),
        arguments,
        environment,
        needs: Needs::Secrets(pilotage_descriptor::SecretSource::env_prefix(&known.key.service)),
        label: format!("{} adopt", known.key.service),
        log: path("adopt.log"),
        deadline: DEADLINE,
    };
    let ended = launcher.run(&call, &cx.cancel).await;
    if let Exit::NotStarted(why) = ended.exit {
        return Err(Fault::unavailable(why));
    }
    let text = std::fs::read_to_string(path("adopt.json")).unwrap_or_default();
    StepReportData::read(&text).map_err(|error| {
        Fault::unavailable("the deploy step left no report, so what it did is not known")
            .caused_by(error)
            .help("ask again: what was done already is found, and nothing is done twice")
            .effects(Effects::Partial)
    })
}
