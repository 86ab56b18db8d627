//! Eight writers that want to begin the same release at once, round after round.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pilotage_clock::Clock;
use pilotage_gitrepo::{Cache, Limits, Remote, RemoteUrl};
use pilotage_http::HttpSettings;
use pilotage_ledger::{
    Append, Begin, BeginRequest, Effects, EndWord, Finished, Holder, Lease, Ledger, LinuxMachine, Trigger,
    TriggerKind, What,
};
use pilotage_name::{CommitId, ServiceKey};
use pilotage_tests::gitserver::{BareRepository, GitServer, NewCommit, git, git_command};

use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::{Measured, Trouble};

const WRITERS: usize = 8;
const ROUNDS: usize = 25;
const PEER_ROUNDS: usize = 5;

pub(crate) fn measure(folder: &Path) -> Measured {
    let repository = BareRepository::init(&folder.join("env.git"));
    let commit: CommitId = repository
        .commit("qa", NewCommit::new("Begin").file("README", "qa\n"))
        .parse()?;
    let server = GitServer::start(folder);
    let places = [
        (
            "local path",
            "local",
            repository.path().to_string_lossy().into_owned(),
        ),
        ("http", "http", server.url("env.git")),
    ];
    let mut rows = Vec::new();
    for (what, service, url) in places {
        let ours = race(&url, &folder.join(service), service, &commit)?;
        let peer = peer(&repository, &url, &folder.join(format!("{service}-peer")))?;
        let work = format!("8 writers race on one ledger ref, 25 rounds, {what}");
        rows.push(
            Row::new(work, Unit::PerSecond, per_second(&ours.rounds))
                .against("git push --force-with-lease", per_second(&peer))
                .holds(ours.faults.is_empty(), "one winner a round, nothing lost"),
        );
        if !ours.faults.is_empty() {
            crate::complain(&ours.faults.join("\n"));
        }
    }
    Ok(rows)
}

fn per_second(rounds: &[Duration]) -> Sample {
    Sample::of(rounds.iter().map(|round| 1.0 / round.as_secs_f64()))
}

struct Race {
    rounds: Vec<Duration>,
    /// What was not as it has to be.
    faults: Vec<String>,
}

/// Each round: all begin, one wins, the winner finishes.
fn race(url: &str, folder: &Path, service: &str, commit: &CommitId) -> Result<Race, Trouble> {
    let key = ServiceKey {
        project: "bench".parse()?,
        environment: "qa".parse()?,
        service: service.parse()?,
    };
    let barrier = Barrier::new(WRITERS + 1);
    let won: Mutex<Vec<Lease>> = Mutex::default();
    let faults: Mutex<Vec<String>> = Mutex::default();
    let mut ledgers = (0..=WRITERS)
        .map(|writer| ledger(url, &folder.join(writer.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let mut reader = ledgers.remove(0);
    let mut rounds = Vec::new();
    let mut winners = Vec::new();
    std::thread::scope(|scope| -> Result<(), Trouble> {
        for (writer, mut ledger) in ledgers.into_iter().enumerate() {
            let request = request(&key, commit, writer);
            let (barrier, won, faults) = (&barrier, &won, &faults);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    barrier.wait();
                    let lease = match begin(&mut ledger, &request) {
                        Ok(lease) => lease,
                        Err(fault) => {
                            push(faults, fault);
                            None
                        }
                    };
                    // Nobody may finish while another one still tries: that one could rightly begin after it.
                    barrier.wait();
                    if let Some(lease) = lease {
                        push(won, lease.clone());
                        if let Err(fault) = finish(&mut ledger, &lease) {
                            push(faults, fault);
                        }
                    }
                    barrier.wait();
                }
            });
        }
        for round in 1..=ROUNDS {
            barrier.wait();
            let begin = Instant::now();
            barrier.wait();
            barrier.wait();
            rounds.push(begin.elapsed());
            let leases = std::mem::take(&mut *won.lock().unwrap_or_else(PoisonError::into_inner));
            if leases.len() != 1 {
                push(&faults, format!("round {round} had {} winners", leases.len()));
            }
            winners.extend(leases);
        }
        Ok(())
    })?;
    let mut faults = faults.into_inner().unwrap_or_else(PoisonError::into_inner);
    faults.extend(missing(&mut reader, &key, &winners)?);
    Ok(Race { rounds, faults })
}

fn push<T>(list: &Mutex<Vec<T>>, one: T) {
    list.lock().unwrap_or_else(PoisonError::into_inner).push(one);
}

/// The lease of the winner; nothing for whoever finds another one there.
fn begin(ledger: &mut Ledger, request: &BeginRequest) -> Result<Option<Lease>, String> {
    let answers = ledger
        .begin(std::slice::from_ref(request), &mut |a, b| Ok(a == b))
        .map_err(|error| error.to_string())?;
    match answers.into_iter().next() {
        Some(Begin::Begun(lease)) => Ok(Some(lease)),
        Some(Begin::HeldBy { .. }) => Ok(None),
        Some(Begin::Superseded { by, .. }) => Err(format!("superseded by {by}")),
        Some(Begin::Rejected(rejection)) => Err(format!("rejected by {}", rejection.release)),
        Some(Begin::Failed(error)) => Err(error.to_string()),
        None => Err("no answer".to_owned()),
    }
}

fn finish(ledger: &mut Ledger, lease: &Lease) -> Result<(), String> {
    let finished = Finished {
        outcome: EndWord::Succeeded,
        effects: Effects::Complete,
        stages: Vec::new(),
        plan: None,
        proof: None,
        reason: Vec::new(),
        undone: false,
    };
    match ledger.finish(lease, finished) {
        Ok(Append::Done(_)) => Ok(()),
        Ok(Append::Already(_)) => Err("it was finished already".to_owned()),
        Ok(Append::Lost { by }) => Err(format!("the winner lost to {by}")),
        Err(error) => Err(error.to_string()),
    }
}

/// What the chain lacks, read by somebody who took no part.
fn missing(reader: &mut Ledger, key: &ServiceKey, winners: &[Lease]) -> Result<Vec<String>, Trouble> {
    let chain = reader.release(&key.environment, &key.service)?;
    let mut faults = Vec::new();
    for lease in winners {
        let of = |wanted: fn(&What) -> bool| {
            chain
                .events()
                .filter(|(_, event)| event.release == lease.release && wanted(&event.what))
                .count()
        };
        if of(|what| matches!(what, What::Begun(_))) != 1 || of(|what| matches!(what, What::Finished(_))) != 1
        {
            faults.push(format!("{} is not in the chain once", lease.release));
        }
    }
    if chain.events().count() != 2 * ROUNDS {
        faults.push(format!(
            "{} events instead of {}",
            chain.events().count(),
            2 * ROUNDS
        ));
    }
    Ok(faults)
}

fn ledger(url: &str, folder: &Path) -> Result<Ledger, Trouble> {
    let url: RemoteUrl = url.parse()?;
    let remote = Remote::open(url, &HttpSettings::default(), None, Limits::default())?;
    let cache = Cache::open(folder, &remote)?;
    let machine = Arc::new(LinuxMachine::read()?);
    Ok(Ledger::open(remote, cache, Clock::system(), machine))
}

fn request(key: &ServiceKey, commit: &CommitId, writer: usize) -> BeginRequest {
    BeginRequest {
        service: key.clone(),
        commit: commit.clone(),
        config_commit: commit.clone(),
        policy: "v1:bench".to_owned(),
        descriptor: "sha256:bench".to_owned(),
        config: "v1:bench".to_owned(),
        version: "1.0.0".to_owned(),
        plan: None,
        trigger: Trigger {
            kind: TriggerKind::Hand,
            by: "bench".to_owned(),
            change: None,
        },
        decision: None,
        holder: Holder::build(format!("https://ci.example.com/{writer}")),
        lasts: Duration::from_secs(600),
        retires: false,
    }
}

/// The same with the program `git`: eight compare-and-swap pushes of which one wins, then one more of the winner.
fn peer(repository: &BareRepository, url: &str, folder: &Path) -> Result<Vec<Duration>, Trouble> {
    std::fs::create_dir_all(folder)?;
    let name = format!(
        "refs/peer/{}",
        folder.file_name().unwrap_or_default().to_string_lossy()
    );
    let clones: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let clone = format!("{writer}.git");
            git(folder, &["clone", "--quiet", "--bare", url, &clone]);
            folder.join(clone)
        })
        .collect();
    let tree = repository.git(&["rev-parse", "qa^{tree}"]);
    let swap = |clone: &Path, old: &str, new: &str| -> Result<bool, Trouble> {
        let status = git_command(clone)
            .args([
                "push",
                "--quiet",
                &format!("--force-with-lease={name}:{old}"),
                url,
            ])
            .arg(format!("{new}:{name}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        Ok(status.success())
    };
    let make = |clone: &Path, message: &str| git(clone, &["commit-tree", &tree, "-m", message]);
    let mut old = String::new();
    let mut rounds = Vec::new();
    for round in 0..PEER_ROUNDS {
        let commits: Vec<String> = clones
            .iter()
            .enumerate()
            .map(|(writer, clone)| make(clone, &format!("begin {round} of {writer}")))
            .collect();
        let ends: Vec<String> = clones
            .iter()
            .enumerate()
            .map(|(writer, clone)| make(clone, &format!("finish {round} of {writer}")))
            .collect();
        let begin = Instant::now();
        let won = std::thread::scope(|scope| {
            let tries: Vec<_> = clones
                .iter()
                .zip(&commits)
                .map(|(clone, commit)| scope.spawn(|| swap(clone, &old, commit)))
                .collect();
            tries
                .into_iter()
                .map(|one| one.join().unwrap_or_else(|_| Err("a thread broke off".into())))
                .collect::<Result<Vec<bool>, Trouble>>()
        })?;
        let winners: Vec<usize> = (0..WRITERS).filter(|writer| won[*writer]).collect();
        let [winner] = winners.as_slice() else {
            return Err(format!("git has {} winners", winners.len()).into());
        };
        if !swap(&clones[*winner], &commits[*winner], &ends[*winner])? {
            return Err("git's winner cannot finish".into());
        }
        rounds.push(begin.elapsed());
        old.clone_from(&ends[*winner]);
    }
    Ok(rounds)
}
