//! A bare repository, ledgers on it, and a machine whose process table a test decides.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use pilotage_clock::Clock;
use pilotage_gitrepo::{Cache, Remote};
use pilotage_ledger::{
    Begin, BeginRequest, Effects, EndWord, Finished, Holder, Lease, Ledger, Machine, ProcessHolder, Proof,
    Trigger, TriggerKind,
};
use pilotage_name::{CommitId, EnvironmentName, ServiceKey, ServiceName};
use pilotage_tests::gitserver::{BareRepository, git, git_command};

pub(crate) struct World {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) clock: Clock,
    pub(crate) machine: Arc<Table>,
    ledgers: Mutex<u32>,
}

/// The process table of the machine `ci-1` in its boot `b1`.
#[derive(Default)]
pub(crate) struct Table(Mutex<HashMap<u32, u64>>);

impl Table {
    pub(crate) fn start(&self, pid: u32, started: u64) {
        self.0.lock().unwrap().insert(pid, started);
    }

    pub(crate) fn kill(&self, pid: u32) {
        self.0.lock().unwrap().remove(&pid);
    }
}

impl Machine for Table {
    fn host(&self) -> &str {
        "ci-1"
    }
    fn boot(&self) -> &str {
        "b1"
    }
    fn pid_namespace(&self) -> Option<&str> {
        None
    }
    fn started(&self, pid: u32) -> std::io::Result<Option<u64>> {
        Ok(self.0.lock().unwrap().get(&pid).copied())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        BareRepository::init(&directory.path().join("ledger.git"));
        Self {
            directory,
            clock: Clock::fixed(noon(0)),
            machine: Arc::default(),
            ledgers: Mutex::new(0),
        }
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.directory.path().join("ledger.git")
    }

    pub(crate) fn remote(&self) -> Remote {
        Remote::at_path(&self.repository())
    }

    /// A ledger with a cache of its own, as another process would have it.
    pub(crate) fn ledger(&self) -> Ledger {
        self.ledger_at(self.remote())
    }

    pub(crate) fn ledger_at(&self, remote: Remote) -> Ledger {
        let number = {
            let mut ledgers = self.ledgers.lock().unwrap();
            *ledgers += 1;
            *ledgers
        };
        let cache = Cache::open(&self.directory.path().join(format!("cache-{number}")), &remote).unwrap();
        Ledger::open(remote, cache, self.clock.clone(), self.machine.clone())
    }

    /// A living process as a holder.
    pub(crate) fn process(&self, pid: u32) -> Holder {
        self.machine.start(pid, 1000 + u64::from(pid));
        Holder::Process(ProcessHolder {
            host: "ci-1".into(),
            boot: "b1".into(),
            pid,
            started: 1000 + u64::from(pid),
            pid_namespace: None,
        })
    }

    /// Runs git in the bare repository; panics when it fails.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git(&self.repository(), arguments)
    }
}

/// Runs git in a directory with an input; panics when it fails.
pub(crate) fn git_with_input(directory: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = git_command(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?} must succeed");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Noon of a fixed day, and some seconds.
pub(crate) fn noon(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_268_800 + seconds).unwrap()
}

pub(crate) fn commit(number: u64) -> CommitId {
    format!("{number:040x}").parse().unwrap()
}

pub(crate) fn qa() -> EnvironmentName {
    "qa".parse().unwrap()
}

pub(crate) fn service(name: &str) -> ServiceName {
    name.parse().unwrap()
}

pub(crate) fn request(name: &str, asked: u64, holder: Holder) -> BeginRequest {
    BeginRequest {
        service: ServiceKey {
            project: "acme".parse().unwrap(),
            environment: qa(),
            service: service(name),
        },
        commit: commit(asked),
        config_commit: commit(999),
        policy: "p1".into(),
        descriptor: format!("sha256:{asked}"),
        config: format!("v1:{asked}"),
        version: format!("1.{asked}.0"),
        plan: None,
        trigger: Trigger {
            kind: TriggerKind::Monitor,
            by: "ana".into(),
            change: None,
        },
        decision: None,
        holder,
        lasts: Duration::from_secs(600),
        retires: false,
    }
}

/// In these tests commits are numbers, and a smaller one is an ancestor of a larger one.
pub(crate) fn older(one: &CommitId, other: &CommitId) -> Result<bool, pilotage_gitrepo::Error> {
    Ok(one <= other)
}

pub(crate) fn begin_one(ledger: &mut Ledger, request: BeginRequest) -> Begin {
    ledger.begin(&[request], &mut older).unwrap().pop().unwrap()
}

#[track_caller]
pub(crate) fn begun(answer: Begin) -> Lease {
    match answer {
        Begin::Begun(lease) => lease,
        other => panic!("not begun: {other:?}"),
    }
}

pub(crate) fn success() -> Finished {
    Finished {
        outcome: EndWord::Succeeded,
        effects: Effects::Complete,
        stages: vec![],
        plan: None,
        proof: Some(Proof {
            digest: "sha256:aa".into(),
            version: None,
            config: None,
        }),
        reason: vec![],
        undone: false,
    }
}

pub(crate) fn failure(reason: &str) -> Finished {
    Finished {
        outcome: EndWord::Failed,
        effects: Effects::Partial,
        proof: None,
        reason: vec![reason.into()],
        ..success()
    }
}
