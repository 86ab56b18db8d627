//! A repository with policy and services, and stages that do what a test says.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilotage_clock::Clock;
use pilotage_decision::{Access, Desk};
use pilotage_gitrepo::{Limits, RemoteUrl};
use pilotage_http::HttpSettings;
use pilotage_ledger::{Holder, LinuxMachine, ReleaseState};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::{Effects, Invocation, Outcome, StepReport, StepReportData};
use pilotage_release::approve::{Approval, Asking, approve};
use pilotage_release::port::{Call, Ended, Exit, Launcher};
use pilotage_release::prepare::{Prepared, prepare};
use pilotage_release::records::Records;
use pilotage_release::run::Run;
use pilotage_release::service_end::ServiceEnd;
use pilotage_step::Cancel;
use pilotage_tests::gitserver::{BareRepository, NewCommit};
use tempfile::TempDir;

pub(crate) const CONFIG: &str = r#"apiVersion: pilotage/v1
project: acme
targets:
  here: {process: {state: /nowhere/state, command: ["{artifact}"], artifact: "/nowhere/{service}/{version}", listen: "127.0.0.1:18090"}}
environments:
  qa: {target: here, first: deploy}
  prod: {target: here, from: qa, first: deploy}
"#;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) repository: BareRepository,
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn descriptor(version: &str, more: &str) -> String {
    format!("version: \"{version}\"\nports: [{{name: http, port: 8080}}]\n{more}")
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(CONFIG)
    }

    pub(crate) fn with(config: &str) -> Self {
        Self::with_folder(tempfile::tempdir().unwrap(), config)
    }

    pub(crate) fn with_folder(folder: TempDir, config: &str) -> Self {
        let repository = BareRepository::init(&folder.path().join("env.git"));
        repository.commit("main", NewCommit::new("policy").file("pilotage.yaml", config));
        Self { folder, repository }
    }

    /// Pushes a version of a service.
    pub(crate) fn push(&self, branch: &str, service: &str, version: &str) -> CommitId {
        self.push_with(branch, service, version, "")
    }

    pub(crate) fn push_with(&self, branch: &str, service: &str, version: &str, more: &str) -> CommitId {
        let path = format!("services/{service}.yaml");
        let message = format!("{service} {version}");
        name(&self.repository.commit(
            branch,
            NewCommit::new(&message).file(&path, descriptor(version, more)),
        ))
    }

    /// A desk with a cache of its own, as another machine would have.
    pub(crate) fn desk(&self) -> Desk {
        let cache = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        Desk::open(Access {
            url: RemoteUrl::from_path(self.repository.path()),
            config_branch: "main".to_owned(),
            cache_dir: cache,
            http: HttpSettings::default(),
            credentials: None,
            limits: Limits::default(),
            ssh: pilotage_gitrepo::SshSettings::default(),
            ledger_key: None,
            clock: Clock::system(),
        })
        .unwrap()
    }

    pub(crate) fn state(&self, environment: &str, service: &str) -> ReleaseState {
        let mut desk = self.desk();
        let chain = desk.ledger().release(&name(environment), &name(service)).unwrap();
        assert_eq!(chain.state().misfits, [], "every event fits");
        chain.state().clone()
    }

    /// What the gates say by hand, and the plans.
    pub(crate) fn answers(
        &self,
        desk: &mut Desk,
        environment: &str,
        services: &[&str],
        holder: &Holder,
    ) -> BTreeMap<ServiceName, Result<Prepared, Approval>> {
        let asking = Asking {
            environment: name(environment),
            services: services.iter().map(|service| name(service)).collect(),
            commit: None,
            holder: holder.clone(),
            dry_run: false,
        };
        let approvals = approve(desk, &asking).unwrap();
        let mut answers = BTreeMap::new();
        for (service, approval) in asking.services.iter().zip(approvals) {
            let answer = match approval {
                Approval::Go(approved) => Ok(prepare(desk, &asking.environment, service, &approved).unwrap()),
                other => Err(other),
            };
            answers.insert(service.clone(), answer);
        }
        answers
    }

    /// Releases by hand, with stages that do what `script` says.
    pub(crate) async fn release(
        &self,
        environment: &str,
        services: &[&str],
        script: impl Fn(&Call) -> Play,
    ) -> (BTreeMap<ServiceName, ServiceEnd>, Vec<String>) {
        self.release_as(environment, services, this_process(), &Cancel::never(), script)
            .await
    }

    pub(crate) async fn release_as(
        &self,
        environment: &str,
        services: &[&str],
        holder: Holder,
        cancel: &Cancel,
        script: impl Fn(&Call) -> Play,
    ) -> (BTreeMap<ServiceName, ServiceEnd>, Vec<String>) {
        let mut desk = self.desk();
        let answers = self.answers(&mut desk, environment, services, &holder);
        let run = Run {
            launcher: Scripted {
                script,
                calls: RefCell::default(),
            },
            records: Records::new(desk),
            cancel: cancel.clone(),
            holder,
            folder: tempfile::tempdir_in(self.folder.path()).unwrap().keep(),
        };
        let ends = run.all(answers).await.unwrap();
        (ends, run.launcher.calls.into_inner())
    }
}

pub(crate) fn this_process() -> Holder {
    LinuxMachine::read().unwrap().this_process().unwrap()
}

/// What a scripted stage does.
pub(crate) enum Play {
    /// It ends so; a deploy says what it was told to run.
    Ends(Outcome, &'static str),
    /// As a deploy that serves something else than it was told to.
    ServesOther,
    /// Its report says one thing and its exit code another, or there is none.
    Leaves(u8, Option<&'static str>),
    /// A signal ends it.
    Crashes,
    /// It never ends.
    Hangs,
}

pub(crate) const GOOD: Play = Play::Ends(Outcome::Passed, "");

pub(crate) struct Scripted<F> {
    pub(crate) script: F,
    pub(crate) calls: RefCell<Vec<String>>,
}

impl<F: Fn(&Call) -> Play> Launcher for Scripted<F> {
    async fn run(&self, call: &Call, _: &Cancel) -> Ended {
        let event = call
            .environment
            .get("PILOTAGE_EVENT")
            .map(|event| format!(" {event}"))
            .unwrap_or_default();
        self.calls.borrow_mut().push(format!("{}{event}", call.label));
        let report = PathBuf::from(&call.environment["PILOTAGE_REPORT"]);
        let exit = match (self.script)(call) {
            Play::Ends(outcome, summary) => {
                write(&report, &told(call, outcome, summary));
                Exit::Code(outcome.exit_code().code())
            }
            Play::ServesOther => {
                write(
                    &report,
                    &told(call, Outcome::Passed, "").output("config_hash", "v1:other"),
                );
                Exit::Code(0)
            }
            Play::Leaves(code, text) => {
                if let Some(text) = text {
                    std::fs::write(&report, text).unwrap();
                }
                Exit::Code(code)
            }
            Play::Crashes => Exit::Signal(9),
            Play::Hangs => std::future::pending().await,
        };
        Ended {
            exit,
            took: Duration::from_millis(5),
        }
    }
}

/// What a step would report. A deploy reads the descriptor it was given, as the real one does.
fn told(call: &Call, outcome: Outcome, summary: &str) -> StepReport {
    let mut report = StepReport::new(outcome).summary(summary);
    if call.program == "pilotage-deploy" && outcome.is_passed() && call.arguments.is_empty() {
        let text = std::fs::read_to_string(&call.environment["PILOTAGE_DESCRIPTOR"]).unwrap();
        let source = pilotage_diagnostic::Source::new("descriptor.yaml", text);
        let environment: EnvironmentName = name(&call.environment["PILOTAGE_ENV"]);
        let descriptor = pilotage_descriptor::parse(&source).resolve(&environment).unwrap();
        report = report
            .effects(Effects::Complete)
            .output("digest", format!("sha256:{}", descriptor.version))
            .output("version", descriptor.version.to_string())
            .output("config_hash", descriptor.config_hash());
    }
    report
}

fn write(path: &Path, report: &StepReport) {
    let invocation = Invocation {
        step: "scripted".to_owned(),
        command: None,
        version: "0".to_owned(),
        started: "2026-01-01T00:00:00Z".parse().unwrap(),
        elapsed: Duration::from_millis(5),
        dry_run: false,
    };
    std::fs::write(path, StepReportData::new(report, &invocation).to_json()).unwrap();
}

/// The outcome of one service.
pub(crate) fn outcome(ends: &BTreeMap<ServiceName, ServiceEnd>, service: &str) -> Outcome {
    ends[&name::<ServiceName>(service)].outcome()
}

/// Everything one service's end says to people.
pub(crate) fn text(ends: &BTreeMap<ServiceName, ServiceEnd>, environment: &str, service: &str) -> String {
    let service: ServiceName = name(service);
    pilotage_release::report::text(&name(environment), &service, &ends[&service])
}
