//! Listing the refs of a repository over SSH, over what git takes for the same.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use pilotage_gitrepo::{Limits, Remote, SshSettings};
use pilotage_http::HttpSettings;
use pilotage_tests::gitserver::{BareRepository, NewCommit, git_command};
use pilotage_tests::sshserver::SshServer;

use crate::sample::time;
use crate::table::{Row, Unit};
use crate::world::run;
use crate::{Measured, Trouble};

const RUNS: usize = 15;
const BRANCHES: [&str; 1] = ["refs/heads/"];

pub(crate) fn measure(folder: &Path) -> Measured {
    let repository = BareRepository::init(&folder.join("env.git"));
    let tip = repository.commit(
        "qa",
        NewCommit::new("Begin").file("services/shop.yaml", "version: \"1\"\n"),
    );
    for number in 0..50 {
        repository.git(&["update-ref", &format!("refs/pilotage/release/qa/s{number}"), &tip]);
    }
    repository.git(&["pack-refs", "--all"]);
    let server = SshServer::start();
    let url = server.url(repository.path());
    let remote = || -> Result<Remote, Trouble> {
        let limits = Limits {
            operation: Duration::from_secs(60),
            silence: Duration::from_secs(30),
            bytes: 1 << 30,
        };
        let settings = SshSettings {
            key: Some(server.key()),
            known_hosts: Some(server.known_hosts()),
            ..SshSettings::default()
        };
        let http = HttpSettings {
            system_roots: false,
            ..HttpSettings::default()
        };
        Ok(Remote::open(url.parse()?, &http, None, limits)?.with_ssh(&settings))
    };
    let git = time(RUNS, || {
        let ssh = format!(
            "ssh -F none -i {} -o IdentitiesOnly=yes -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes",
            server.key().display(),
            server.known_hosts().display()
        );
        let mut command = git_command(folder);
        command
            .args(["ls-remote", &url, "refs/heads/*"])
            .env("GIT_SSH_COMMAND", ssh)
            .stdin(Stdio::null());
        run(&mut command).map(drop)
    })?;
    let first = time(RUNS, || {
        remote()?.list(&BRANCHES)?;
        Ok::<(), Trouble>(())
    })?;
    let kept = remote()?;
    let again = time(RUNS, || kept.list(&BRANCHES).map(drop))?;
    let row = |work: &str, sample| Row::new(work, Unit::Ms, sample).against("git ls-remote", git.clone());
    Ok(vec![
        row("listing over ssh, a new connection", first).ratio_at_most(1.0),
        row("listing over ssh, the kept connection", again),
    ])
}
