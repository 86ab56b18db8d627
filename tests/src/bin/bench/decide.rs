//! Deciding a push on a large repository: what changed, who brought it, what the gates say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use pilotage_clock::Clock;
use pilotage_decision::{Access, Desk};
use pilotage_descriptor::service_of;
use pilotage_gate::Verdict;
use pilotage_gitrepo::{Limits, RemoteUrl};
use pilotage_http::HttpSettings;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_tests::gitserver::{BareRepository, NewCommit, git, git_command};

use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::world::{self, History, descriptor, run};
use crate::{Measured, Trouble};

const FILES: usize = 10_000;
const COMMITS: usize = 20_000;
/// Services were accepted so many commits ago, so that each decision has a range to answer for.
const SINCE: usize = 1_000;
const PUSHES: usize = 7;

pub(crate) fn measure(folder: &Path) -> Measured {
    let repository = BareRepository::init(&folder.join("env.git"));
    repository.commit(
        "main",
        NewCommit::new("Begin").file("pilotage.yaml", world::ADOPTING),
    );
    grow(&repository, 0..COMMITS - SINCE);
    let adopted = repository.id("qa");
    let mut monitor = world::step("pilotage-git-monitor", folder)?;
    monitor
        .args(["once", "--repo"])
        .arg(repository.path())
        .arg("--cache-dir")
        .arg(folder.join("first-cache"));
    run(&mut monitor)?;
    grow(&repository, COMMITS - SINCE..COMMITS);
    repository.git(&["gc", "--quiet"]);

    let mut desk = Desk::open(Access {
        url: repository.path().to_string_lossy().parse::<RemoteUrl>()?,
        config_branch: "main".to_owned(),
        cache_dir: folder.join("cache"),
        http: HttpSettings::default(),
        credentials: None,
        limits: Limits::default(),
        ssh: pilotage_gitrepo::SshSettings::default(),
        ledger_key: None,
        clock: Clock::system(),
    })?;
    let peer = folder.join("peer.git");
    let from = repository.path().to_string_lossy();
    git(
        folder,
        &["clone", "--quiet", "--mirror", "--no-local", &from, "peer.git"],
    );

    let mut rows = Vec::new();
    let mut place = Place {
        repository: &repository,
        desk: &mut desk,
        peer: &peer,
        adopted: adopted.parse()?,
        pushed: 0,
    };
    for count in [1, 20] {
        rows.extend(place.measure(count)?);
    }
    rows.push(new_process(&repository, folder)?);
    Ok(rows)
}

/// The repository's past: the first commit brings all files, each of the others changes one.
fn grow(repository: &BareRepository, commits: std::ops::Range<usize>) {
    let mut history = History::of("qa");
    let begins = commits.start == 0;
    for commit in commits {
        if commit == 0 {
            let files: Vec<_> = (0..FILES)
                .map(|file| (world::path(file), content(file, 0)))
                .collect();
            history.commit("Begin", false, &files);
            continue;
        }
        // A stride that has no factor in common with the count visits every file.
        let file = commit * 7919 % FILES;
        let files = [(world::path(file), content(file, commit))];
        history.commit(&format!("Release {}", files[0].0), !begins, &files);
    }
    history.write(repository);
}

fn content(file: usize, commit: usize) -> String {
    if file < world::SERVICES {
        descriptor(&format!("s{file}"), &format!("1.0.{commit}"))
    } else {
        format!("file {file} of commit {commit}\n")
    }
}

struct Place<'a> {
    repository: &'a BareRepository,
    desk: &'a mut Desk,
    peer: &'a Path,
    adopted: CommitId,
    pushed: usize,
}

impl Place<'_> {
    /// Pushes of so many commits, each of another service: ours and git's, with the fetch and without.
    fn measure(&mut self, commits: usize) -> Measured {
        let (mut ours, mut ours_fetching) = (Vec::new(), Vec::new());
        let (mut theirs, mut theirs_fetching) = (Vec::new(), Vec::new());
        // The first push warms what can be warm.
        for push in 0..=PUSHES {
            let before: CommitId = self.repository.id("qa").parse()?;
            let services = self.push(commits);
            let tip: CommitId = self.repository.id("qa").parse()?;

            let begin = Instant::now();
            self.desk.look()?;
            self.decide(&before, &tip, &services)?;
            let with_fetch = begin.elapsed();
            let begin = Instant::now();
            self.decide(&before, &tip, &services)?;
            let without = begin.elapsed();

            let fetching = self.git(&["fetch", "--quiet", "origin", "+refs/heads/*:refs/heads/*"])?;
            let reading = self.read_by_git(&before, &tip, &services)?;
            if push > 0 {
                ours.push(without);
                ours_fetching.push(with_fetch);
                theirs.push(reading);
                theirs_fetching.push(fetching + reading);
            }
        }
        let what = match commits {
            1 => "decide a push of 1 commit on 10,000 files, 20,000 commits".to_owned(),
            n => format!("decide a push of {n} commits to {n} services there"),
        };
        Ok(vec![
            Row::new(what.clone(), Unit::Ms, Sample::milliseconds(ours))
                .against("git log + git diff", Sample::milliseconds(theirs))
                .ratio_at_most(2.0),
            Row::new(
                format!("{what}, with the fetch"),
                Unit::Ms,
                Sample::milliseconds(ours_fetching),
            )
            .against("git fetch + log + diff", Sample::milliseconds(theirs_fetching))
            .ratio_at_most(2.0),
        ])
    }

    fn push(&mut self, commits: usize) -> BTreeSet<ServiceName> {
        let mut history = History::of("qa");
        let mut services = BTreeSet::new();
        for _ in 0..commits {
            self.pushed += 1;
            let name = format!("s{}", self.pushed * 37 % world::SERVICES);
            let file = (
                format!("services/{name}.yaml"),
                descriptor(&name, &format!("2.0.{}", self.pushed)),
            );
            history.commit(&format!("Release {name}"), true, &[file]);
            services.extend(name.parse::<ServiceName>());
        }
        history.write(self.repository);
        services
    }

    /// What the monitor does with a branch that moved: which services changed, and what the gates say of each.
    fn decide(
        &mut self,
        before: &CommitId,
        tip: &CommitId,
        pushed: &BTreeSet<ServiceName>,
    ) -> Result<(), Trouble> {
        let changes = self.desk.cache().changed_paths(Some(before), tip)?;
        let services: BTreeSet<ServiceName> = changes
            .iter()
            .filter_map(|change| service_of(&change.path)?.ok())
            .collect();
        if services != *pushed {
            return Err("other services were found than were pushed".into());
        }
        let services: Vec<ServiceName> = services.into_iter().collect();
        let environment: EnvironmentName = "qa".parse()?;
        let (decided, _) = self.desk.decide(&environment, &services, tip, None)?;
        match decided.iter().find(|one| one.decision.verdict != Verdict::Accept) {
            None => Ok(()),
            Some(other) => Err(other.decision.explain().into()),
        }
    }

    fn read_by_git(
        &self,
        before: &CommitId,
        tip: &CommitId,
        services: &BTreeSet<ServiceName>,
    ) -> Result<Duration, Trouble> {
        let range = format!("{}..{tip}", self.adopted);
        let mut log = vec![
            "log",
            "--format=%H%n%P%n%an <%ae>%n%cn <%ce>%n%ct%n%B",
            "--raw",
            &range,
            "--",
        ];
        let paths: Vec<String> = services
            .iter()
            .map(|service| format!("services/{service}.yaml"))
            .collect();
        log.extend(paths.iter().map(String::as_str));
        Ok(self.git(&log)? + self.git(&["diff", "--raw", before.as_str(), tip.as_str()])?)
    }

    fn git(&self, arguments: &[&str]) -> Result<Duration, Trouble> {
        let begin = Instant::now();
        let status = git_command(self.peer)
            .args(arguments)
            .stdout(Stdio::null())
            .status()?;
        if status.success() {
            Ok(begin.elapsed())
        } else {
            Err(format!("git {} failed", arguments.join(" ")).into())
        }
    }
}

/// The same question to a process that knows nothing yet but its cache.
fn new_process(repository: &BareRepository, folder: &Path) -> Result<Row, Trouble> {
    let cache: PathBuf = folder.join("cache");
    let sample = crate::sample::time(5, || {
        let mut command = world::step("pilotage-git-monitor", folder)?;
        command
            .args(["explain", "--env", "qa", "--service", "s37", "--repo"])
            .arg(repository.path())
            .arg("--cache-dir")
            .arg(&cache);
        run(&mut command).map(drop)
    })?;
    Ok(Row::new(
        "explain one service there, in a new process",
        Unit::Ms,
        sample,
    ))
}
