//! A hundred thousand events of the ledger, read by a process that begins anew: from git, and from what an earlier process
//! kept of them.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pilotage_clock::Clock;
use pilotage_gitrepo::{Cache, Remote};
use pilotage_ledger::{Event, Ledger, LinuxMachine};
use pilotage_tests::gitserver::BareRepository;
use serde_json::{Value, json};

use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::{Measured, Trouble};

const SERVICES: usize = 500;
const RELEASES: usize = 100;
const RUNS: usize = 3;

pub(crate) fn measure(folder: &Path) -> Measured {
    let repository = BareRepository::init(&folder.join("env.git"));
    repository.import(&history()?);
    let remote = Remote::at_path(repository.path());
    let copy = folder.join("cache");
    // Fetches everything, and leaves what it read.
    let (_, all) = read(&remote, &copy)?;
    let mut kept = Vec::new();
    for _ in 0..RUNS {
        kept.push(read(&remote, &copy)?.0);
    }
    let mut from_git = Vec::new();
    for _ in 0..RUNS {
        std::fs::remove_dir_all(Cache::open(&copy, &remote)?.directory().join("pilotage-events-1"))?;
        from_git.push(read(&remote, &copy)?.0);
    }
    Ok(vec![
        Row::new(
            "read 100,000 ledger events of 500 services",
            Unit::Ms,
            Sample::milliseconds(kept),
        )
        .against("from git, and kept", Sample::milliseconds(from_git))
        .at_most(2_000.0),
        #[expect(clippy::cast_precision_loss, reason = "a hundred thousand")]
        Row::new("of 100,000 events read", Unit::Count, Sample::of([all as f64]))
            .holds(all == 2 * SERVICES * RELEASES, "all of them"),
    ])
}

/// How long a ledger takes that knows nothing yet, and how many events it reads.
fn read(remote: &Remote, copy: &Path) -> Result<(Duration, usize), Trouble> {
    let cache = Cache::open(copy, remote)?;
    let machine = Arc::new(LinuxMachine::read()?);
    let mut ledger = Ledger::open(remote.clone(), cache, Clock::system(), machine);
    let environment = "qa".parse()?;
    ledger.refresh(std::slice::from_ref(&environment))?;
    let begin = Instant::now();
    let mut events = 0;
    for chain in ledger.known_releases(&environment)?.into_values() {
        events += chain?.events().count();
    }
    Ok((begin.elapsed(), events))
}

/// A chain of releases for each service, as a stream for `git fast-import`.
fn history() -> Result<Vec<u8>, Trouble> {
    let mut stream = String::new();
    for service in 0..SERVICES {
        let service = format!("s{service}");
        for fence in 1..=RELEASES {
            for event in [begun(&service, fence), finished(&service, fence)] {
                let text = serde_json::to_string(&event)?;
                Event::from_json(text.as_bytes())?;
                writeln!(stream, "commit refs/pilotage/release/qa/{service}")?;
                writeln!(
                    stream,
                    "committer Pilotage <pilotage@localhost> 1767225600 +0000\ndata 5\nevent"
                )?;
                writeln!(
                    stream,
                    "M 100644 inline event.json\ndata {}\n{text}\n",
                    text.len()
                )?;
            }
        }
    }
    Ok(stream.into_bytes())
}

fn begun(service: &str, fence: usize) -> Value {
    let commit = format!("{fence:040x}");
    json!({
        "schema": "release-event/v1",
        "kind": "begun",
        "release": format!("qa.{service}.{fence}"),
        "at": "2026-01-02T03:04:05Z",
        "data": {
            "service": {"project": "bench", "environment": "qa", "service": service},
            "fence": fence,
            "commit": commit,
            "config_commit": commit,
            "policy": "v1:bench",
            "descriptor": format!("sha256:{fence}"),
            "config": "v1:bench",
            "version": format!("1.{fence}.0"),
            "trigger": {"kind": "monitor", "by": "ana"},
            "holder": {"host": "ci-1", "boot": "b1", "pid": 7, "started": 700},
            "expires": "2026-01-02T03:24:05Z"
        }
    })
}

fn finished(service: &str, fence: usize) -> Value {
    json!({
        "schema": "release-event/v1",
        "kind": "finished",
        "release": format!("qa.{service}.{fence}"),
        "at": "2026-01-02T03:05:05Z",
        "data": {
            "outcome": "succeeded",
            "effects": "complete",
            "stages": [
                {"step": "notify", "outcome": "succeeded", "exit": 0, "milliseconds": 20},
                {"step": "deploy", "outcome": "succeeded", "exit": 0, "milliseconds": 2000},
                {"step": "healthcheck", "outcome": "succeeded", "exit": 0, "milliseconds": 300}
            ],
            "proof": {"digest": format!("sha256:{fence:064x}"), "version": format!("1.{fence}.0")},
            "reason": [],
            "undone": false
        }
    })
}
