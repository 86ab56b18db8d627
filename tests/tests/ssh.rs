//! An environment repository behind a real sshd: the monitor sees a push, a release is made of it, and what cannot be
//! believed or reached is told.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::net::TcpListener;
use std::path::PathBuf;

use pilotage_tests::command::{Command, Output, binary};
use pilotage_tests::gitserver::{BareRepository, NewCommit};
use pilotage_tests::sshserver::SshServer;
use tempfile::TempDir;

const SHOP: &str = "\
version: \"1.0.0\"
domain: shop.example.com
ports: [{name: http, port: 8080, publish: proxy}]
healthcheck: {endpoints: [{http: /health, version: {json: $.version}}]}
stop: {grace: 2s}
";

/// The repository, its server, and a target on this machine. Dropping it stops what was released.
struct World {
    folder: TempDir,
    repository: BareRepository,
    server: SshServer,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = BareRepository::init(&folder.path().join("envs.git"));
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let program = binary("sample-service");
        let program = program.to_string_lossy();
        let command = [&*program, "--artifact", "{artifact}", "--port", "{port}"];
        let config = format!(
            "apiVersion: pilotage/v1\nproject: acme\ntrigger: local\ntargets:\n  here:\n    process:\n      state: {0}/state\n      \
             command: {1}\n      artifact: \"{0}/artifacts/{{service}}/{{version}}\"\n      listen: \"{free}\"\n\
             environments:\n  qa: {{target: here, first: deploy}}\n",
            folder.path().display(),
            serde_json::to_string(&command).unwrap(),
        );
        let artifacts = folder.path().join("artifacts/shop");
        std::fs::create_dir_all(&artifacts).unwrap();
        std::fs::write(artifacts.join("1.0.0"), "version = 1.0.0\n").unwrap();
        std::fs::write(folder.path().join("pilotage.yaml"), &config).unwrap();
        repository.commit("main", NewCommit::new("Policy").file("pilotage.yaml", config));
        repository.commit("qa", NewCommit::new("Begin").file("services/shop.yaml", SHOP));
        Self {
            folder,
            repository,
            server: SshServer::start(),
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("pilotage.yaml")
    }

    fn ask(&self, binary: &str, args: &[&str]) -> Command {
        Command::step(binary)
            .args(args)
            .args(["--repo", &self.server.url(self.repository.path())])
    }

    fn known(&self, command: Command) -> Command {
        command
            .arg("--ssh-key")
            .arg(self.server.key())
            .arg("--known-hosts")
            .arg(self.server.known_hosts())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let down = Command::step("pilotage-deploy").args(["down", "--target", "here", "--config"]);
        let _ = down.arg(self.config()).run();
    }
}

#[track_caller]
fn expect(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output}");
    for words in words {
        assert!(output.everything().contains(words), "no `{words}` in {output}");
    }
}

#[test]
fn a_push_is_seen_and_released_over_ssh() {
    let world = World::new();
    let key = world
        .server
        .make_key("locked", &["-t", "ed25519", "-a", "1", "-N", "op3n-sesame"], true);
    // By flags here, and by their twins below; the release that the monitor starts is told both, and the passphrase.
    let seen = world
        .ask("pilotage-git-monitor", &["once"])
        .arg("--ssh-key")
        .arg(&key)
        .arg("--known-hosts")
        .arg(world.server.known_hosts())
        .env("PILOTAGE_SSH_PASSPHRASE", "op3n-sesame")
        .run_reported();
    expect(&seen, 0, &[]);
    assert!(!seen.everything().contains("op3n-sesame"), "{seen}");

    let status = world
        .ask("pilotage-release", &["status"])
        .env("PILOTAGE_SSH_KEY", world.server.key())
        .env("PILOTAGE_KNOWN_HOSTS", world.server.known_hosts())
        .run();
    expect(&status, 0, &["shop", "1.0.0"]);
    let chains = world
        .repository
        .git(&["for-each-ref", "--format=%(refname)", "refs/pilotage/"]);
    assert!(chains.contains("refs/pilotage/release/qa/shop"), "{chains}");
    let pushes = world.server.asked();
    assert!(
        pushes.iter().any(|asked| asked.contains("git-receive-pack")),
        "{pushes:?}"
    );
    let checked = world.known(world.ask("pilotage", &["check"])).run();
    expect(&checked, 0, &[]);
}

#[test]
fn a_host_or_key_that_cannot_be_used_is_told_with_what_helps() {
    let mut world = World::new();
    let monitor = |world: &World| {
        world
            .known(world.ask("pilotage-git-monitor", &["once"]))
            .run_reported()
    };
    world.server.know(&[]);
    let line = format!(
        "[127.0.0.1]:{} {}",
        world.server.port(),
        world.server.host_key("ed25519")
    );
    expect(&monitor(&world), 4, &["SHA256:", &line]);
    world.server.know(&["ed25519"]);
    world.server.renew_host_keys();
    expect(&monitor(&world), 6, &["HAS CHANGED"]);
    world.server.know(&["ed25519"]);
    let keyless = world.ask("pilotage-git-monitor", &["once"]).run_reported();
    expect(&keyless, 2, &["--ssh-key"]);
    let stranger = world
        .server
        .make_key("stranger", &["-t", "ed25519", "-N", ""], false);
    let denied = world
        .ask("pilotage-release", &["status"])
        .arg("--ssh-key")
        .arg(stranger)
        .arg("--known-hosts")
        .arg(world.server.known_hosts())
        .run_reported();
    expect(&denied, 4, &["not accepted"]);
    assert!(world.server.asked().is_empty(), "nothing was asked of anybody");
}
