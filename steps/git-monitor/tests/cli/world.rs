//! A repository, a monitor, and stand-ins for `pilotage-release` and `pilotage-notify` that write down what they are
//! asked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilotage_clock::Clock;
use pilotage_decision::{Access, Desk};
use pilotage_gitrepo::{Limits, RemoteUrl};
use pilotage_http::HttpSettings;
use pilotage_ledger::{
    Begin, BeginRequest, Effects, EndWord, Finished, LinuxMachine, Proof, Trigger, TriggerKind,
};
use pilotage_name::{EnvironmentName, ServiceKey, ServiceName};
use pilotage_tests::command::{Command, Output, PATIENCE, Running};
use pilotage_tests::gitserver::{BareRepository, NewCommit, Person};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const POLICY: &str = "\
apiVersion: pilotage/v1
project: acme
targets:
  box: {docker: {}}
environments:
  qa: {target: box, first: deploy}
  prod: {target: box, from: qa, first: deploy, policy: strict}
policies:
  strict: {people: {who: [managers], proof: claimed}}
people:
  rita: {emails: [rita@example.com]}
groups:
  managers: [rita]
trigger: local
";

pub(crate) struct World {
    folder: TempDir,
    pub(crate) repository: BareRepository,
}

pub(crate) fn person(name: &str) -> Person {
    Person::new(name, &format!("{name}@example.com"))
}

pub(crate) fn service(version: &str) -> String {
    format!("version: \"{version}\"\nimage: registry.example.com/s\n")
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(POLICY)
    }

    /// Three branches, with shop 1.0.0 by rita.
    pub(crate) fn with(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = BareRepository::init(&folder.path().join("served/envs.git"));
        repository.commit("main", NewCommit::new("Policy").file("pilotage.yaml", policy));
        let first = NewCommit::new("Begin").file("services/shop.yaml", service("1.0.0"));
        let first = repository.commit("qa", first.by(&person("rita")));
        repository.git(&["update-ref", "refs/heads/prod", &first]);
        let world = Self { folder, repository };
        std::fs::create_dir(world.bin()).unwrap();
        let own = Path::new(env!("CARGO_BIN_EXE_pilotage-git-monitor"));
        let here = world.bin().join("pilotage-git-monitor");
        if std::fs::hard_link(own, &here).is_err() {
            std::fs::copy(own, &here).unwrap();
        }
        world.stand_in("pilotage-release", "exit 0");
        world.stand_in("pilotage-notify", "exit 0");
        world
    }

    fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    pub(crate) fn served(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program beside the monitor that writes down its arguments, a line a call, and then does this.
    pub(crate) fn stand_in(&self, name: &str, then: &str) {
        let path = self.bin().join(name);
        let text = format!("#!/bin/sh\necho \"$*\" >> \"$0.asked\"\n{then}\n");
        // Renamed into its place: one that just runs is not disturbed.
        let new = self.bin().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &path).unwrap();
    }

    /// What a stand-in was asked so far.
    pub(crate) fn asked(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.bin().join(format!("{name}.asked"))).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until a stand-in was asked this often.
    #[track_caller]
    pub(crate) fn wait_asked(&self, name: &str, times: usize) -> Vec<String> {
        self.wait_until(&format!("{name} is asked {times} times"), || {
            self.asked(name).len() >= times
        });
        self.asked(name)
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let end = now() + PATIENCE;
        while !done() {
            assert!(now() < end, "{what}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The monitor, with this command, on the repository by its path.
    pub(crate) fn monitor(&self, command: &str) -> Command {
        let repository = self.repository.path().to_str().unwrap().to_owned();
        self.monitor_of(command, &repository)
    }

    pub(crate) fn monitor_of(&self, command: &str, repository: &str) -> Command {
        Command::program(self.bin().join("pilotage-git-monitor"))
            .args([command, "--color", "never", "--repo", repository, "--cache-dir"])
            .arg(self.path("cache"))
    }

    /// `once`, and what it reports.
    #[track_caller]
    pub(crate) fn once(&self) -> Value {
        self.once_ending(0)
    }

    /// `once` that ends with this code, and what it reports.
    #[track_caller]
    pub(crate) fn once_ending(&self, code: i32) -> Value {
        let output = self.monitor("once").run_reported();
        assert_eq!(output.code, Some(code), "{output}");
        output.report()
    }

    /// `run`, when it has begun to watch.
    #[track_caller]
    pub(crate) fn run(&self) -> Running {
        let running = self.monitor("run").args(["--interval", "50ms"]).spawn();
        running.wait_for_stdout("watching");
        running
    }

    pub(crate) fn push(&self, branch: &str, who: &str, name: &str, text: &str) -> String {
        let commit = NewCommit::new(&format!("Change {name}")).file(&format!("services/{name}.yaml"), text);
        self.repository.commit(branch, commit.by(&person(who)))
    }

    pub(crate) fn desk(&self) -> Desk {
        Desk::open(Access {
            url: self
                .repository
                .path()
                .to_str()
                .unwrap()
                .parse::<RemoteUrl>()
                .unwrap(),
            config_branch: "main".to_owned(),
            cache_dir: self.path("our-cache"),
            http: HttpSettings::default(),
            credentials: None,
            limits: Limits::default(),
            ssh: pilotage_gitrepo::SshSettings::default(),
            ledger_key: None,
            clock: Clock::system(),
        })
        .unwrap()
    }

    /// The record of a service as it is now.
    pub(crate) fn record(&self, environment: &str, service: &str) -> Option<pilotage_ledger::ServiceRecord> {
        let monitor = self
            .desk()
            .ledger()
            .monitor(&environment.parse().unwrap())
            .unwrap();
        monitor
            .services
            .get(&service.parse::<ServiceName>().unwrap())
            .map(|record| record.as_ref().clone())
    }

    pub(crate) fn verdict(&self, environment: &str, service: &str) -> String {
        let record = self.record(environment, service).unwrap();
        record.decision["verdict"].as_str().unwrap().to_owned()
    }

    /// Releases what was accepted last, as `pilotage-release` would: begun, and finished well.
    pub(crate) fn release(&self, environment: &str, service: &str) {
        self.release_ending(environment, service, EndWord::Succeeded);
    }

    /// The same for a release that ends so; only a success leaves a proof.
    pub(crate) fn release_ending(&self, environment: &str, service: &str, outcome: EndWord) {
        let accepted = self.record(environment, service).unwrap().accepted.unwrap();
        let mut desk = self.desk();
        let cache = desk.cache().reopen().unwrap();
        let config_commit = desk.sight().config_commit.clone();
        let environment: EnvironmentName = environment.parse().unwrap();
        let request = BeginRequest {
            service: ServiceKey {
                project: "acme".parse().unwrap(),
                environment,
                service: service.parse().unwrap(),
            },
            commit: accepted.commit,
            config_commit,
            policy: "p".to_owned(),
            descriptor: accepted.descriptor,
            config: "v1:0".to_owned(),
            version: accepted.version,
            plan: None,
            trigger: Trigger {
                kind: TriggerKind::Monitor,
                by: "rita".to_owned(),
                change: None,
            },
            decision: None,
            holder: LinuxMachine::read().unwrap().this_process().unwrap(),
            lasts: Duration::from_secs(600),
            retires: false,
        };
        let begun = desk
            .ledger()
            .begin(&[request], &mut |one, other| cache.is_ancestor(one, other))
            .unwrap()
            .remove(0);
        let Begin::Begun(lease) = begun else {
            panic!("{begun:?}")
        };
        let proved = outcome == EndWord::Succeeded;
        let finished = Finished {
            outcome,
            effects: if proved { Effects::Complete } else { Effects::None },
            stages: vec![],
            plan: None,
            proof: proved.then(|| Proof {
                digest: "sha256:aa".to_owned(),
                version: None,
                config: None,
            }),
            reason: vec![],
            undone: false,
        };
        desk.ledger().finish(&lease, finished).unwrap();
    }

    /// Everything that stands in the ledger, to see whether it changed.
    pub(crate) fn refs(&self) -> String {
        self.repository.git(&["for-each-ref", "refs/pilotage"])
    }
}

/// The remarks of a report.
pub(crate) fn remarks(report: &Value) -> Vec<String> {
    let remarks = report["result"]["remarks"].as_array().unwrap();
    remarks
        .iter()
        .map(|remark| remark.as_str().unwrap().to_owned())
        .collect()
}

/// The decisions of a report, as `service verdict`.
pub(crate) fn decisions(report: &Value) -> Vec<String> {
    let decisions = report["result"]["decisions"].as_array().unwrap();
    let short = |decision: &Value| {
        let part = |name: &str| decision[name].as_str().unwrap().to_owned();
        format!("{} {} {}", part("environment"), part("service"), part("verdict"))
    };
    decisions.iter().map(short).collect()
}

#[track_caller]
pub(crate) fn stopped(running: Running) -> Output {
    running.terminate();
    let output = running.wait();
    assert_eq!(output.code, Some(143), "{output}");
    output
}

fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
