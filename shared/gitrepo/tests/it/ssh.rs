//! What only an SSH server has: hosts that are believed or not, keys, a connection that is kept, and words on standard
//! error. What holds for every way to a repository stands with the other tests, which run over SSH too.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use pilotage_gitrepo::{Class, Error, Limits, Remote, SshSettings, UpdateResult};
use pilotage_secret::Secret;
use pilotage_tests::gitserver::{BareRepository, NewCommit};
use pilotage_tests::sshserver::{SshFault, SshServer, Wants};
use tokio::time::Instant;

use crate::world::{World, id, limits, name, remote, short, ssh_settings, update, write};

const ALL: [&str; 1] = ["refs/heads/"];
const SHOP: &str = "refs/pilotage/release/qa/shop";

fn filled() -> World {
    let world = World::new();
    let noise: Vec<u8> = (0..60_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    world
        .bare
        .commit("qa", NewCommit::new("One").file("noise", noise));
    world
}

fn with(world: &World, change: impl FnOnce(&mut SshSettings)) -> Remote {
    let mut settings = ssh_settings(world.sshd());
    change(&mut settings);
    remote(&world.sshd().url(world.bare.path()), None, limits()).with_ssh(&settings)
}

fn lists(remote: &Remote) {
    assert_eq!(remote.list(&ALL).unwrap().refs.len(), 1);
}

#[test]
fn an_unknown_host_is_told_with_the_line_that_makes_it_known() {
    let world = filled();
    let server = world.sshd();
    std::fs::remove_file(server.known_hosts()).unwrap();
    let other =
        "example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ\n";
    for before in [None, Some(other)] {
        if let Some(text) = before {
            std::fs::write(server.known_hosts(), text).unwrap();
        }
        let error = world.ssh().list(&ALL).unwrap_err();
        assert_eq!((error.class(), error.is_transient()), (Class::Unavailable, false));
        let Error::HostUnknown(host) = &error else {
            panic!("{error:?}")
        };
        let (line, fingerprint) = (&host.line, &host.fingerprint);
        assert_eq!(
            *line,
            format!("[127.0.0.1]:{} {}", server.port(), server.host_key("ed25519"))
        );
        assert!(fingerprint.starts_with("SHA256:"), "{fingerprint}");
        assert!(error.to_string().contains(fingerprint.as_str()), "{error}");
        let help = error.help().unwrap();
        assert!(
            help.contains(line.as_str()) && help.contains("known_hosts"),
            "{help}"
        );
        assert!(server.asked().is_empty(), "nothing is sent to a stranger");
        // The user does what the message says.
        let known = std::fs::read_to_string(server.known_hosts()).unwrap_or_default();
        std::fs::write(server.known_hosts(), format!("{known}{line}")).unwrap();
        lists(&world.ssh());
        std::fs::remove_file(server.known_hosts()).unwrap();
        std::fs::remove_file(server.directory().join("asked")).unwrap();
    }
    let nowhere = with(&world, |settings| settings.known_hosts = None)
        .list(&ALL)
        .unwrap_err();
    assert!(
        nowhere.help().unwrap().contains("--known-hosts"),
        "{:?}",
        nowhere.help()
    );
}

/// The fingerprint is the one that ssh-keygen prints for the same key.
#[test]
fn the_fingerprint_is_the_one_people_compare() {
    let world = filled();
    let server = world.sshd();
    server.know(&[]);
    let public = server.directory().join("host_ed25519.pub");
    let printed = std::process::Command::new("ssh-keygen")
        .arg("-lf")
        .arg(public)
        .output()
        .unwrap();
    let error = world.ssh().list(&ALL).unwrap_err();
    let Error::HostUnknown(host) = &error else {
        panic!("{error:?}")
    };
    assert!(
        String::from_utf8(printed.stdout)
            .unwrap()
            .contains(host.fingerprint.as_str())
    );
}

#[test]
fn a_changed_host_key_is_refused_and_nothing_is_sent() {
    let world = filled();
    let mut server = SshServer::start();
    let settings = ssh_settings(&server);
    let remote = remote(&server.url(world.bare.path()), None, limits()).with_ssh(&settings);
    lists(&remote);
    let asked = server.asked().len();
    server.cut();
    server.renew_host_keys();
    let error = remote.list(&ALL).unwrap_err();
    assert!(matches!(error, Error::HostRefused { .. }), "{error:?}");
    assert_eq!((error.class(), error.is_transient()), (Class::Refused, false));
    let text = error.to_string();
    assert!(
        text.contains("HAS CHANGED") && text.contains("known_hosts:1"),
        "{text}"
    );
    assert_eq!(server.asked().len(), asked);
    // Nor does it help that the host was known by a key of another type only.
    server.know(&["ecdsa"]);
    lists(&remote);
    let stale = std::fs::read_to_string(server.known_hosts()).unwrap();
    let damaged = stale
        .replace("ecdsa-sha2-nistp256 ", "ssh-rsa ")
        .replace("AAAAE2", "AAAAE3");
    std::fs::write(server.known_hosts(), damaged).unwrap();
    server.cut();
    let error = remote.list(&ALL).unwrap_err();
    assert!(matches!(error, Error::HostRefused { .. }), "{error:?}");
}

#[test]
fn every_form_of_the_file_is_understood() {
    let world = filled();
    let server = world.sshd();
    let file = server.known_hosts();
    for kind in ["ed25519", "ecdsa"] {
        // Of all its keys, the server shows the one that is known.
        server.know(&[kind]);
        lists(&world.ssh());
    }
    let hashed = std::process::Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("|1|"));
    lists(&world.ssh());
    let key = server.host_key("ed25519");
    std::fs::write(&file, format!("# ours\r\n\r\n[127.0.0.*]:* {key} comment\r\n")).unwrap();
    lists(&world.ssh());

    let place = format!("[127.0.0.1]:{}", server.port());
    std::fs::write(&file, format!("{place} {key}\n@revoked * {key}\n")).unwrap();
    let error = world.ssh().list(&ALL).unwrap_err();
    assert!(
        matches!(&error, Error::HostRefused { detail, .. } if detail.contains("@revoked") && detail.contains(":2")),
        "{error:?}"
    );
    std::fs::write(&file, format!("@cert-authority {place} {key}\n")).unwrap();
    let error = world.ssh().list(&ALL).unwrap_err();
    assert!(
        matches!(&error, Error::HostRefused { detail, .. } if detail.contains("@cert-authority only")),
        "{error:?}"
    );
}

#[test]
fn keys_of_all_types_and_files_of_all_makes() {
    let world = filled();
    let server = world.sshd();
    let ed25519 = std::fs::read_to_string(server.key()).unwrap();
    let named = |name: &str, text: &str| {
        let path = server.directory().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let mut keys = vec![
        named("crlf", &ed25519.replace('\n', "\r\n")),
        named("no-newline", ed25519.trim_end()),
        named(
            "indented",
            &format!("\u{feff}  {}", ed25519.replace('\n', "\n  ")),
        ),
        server.make_key("ecdsa", &["-t", "ecdsa", "-N", ""], true),
        server.make_key("rsa", &["-t", "rsa", "-b", "2048", "-N", ""], true),
        server.make_key("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""], true),
        server.make_key(
            "pkcs8",
            &["-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", ""],
            true,
        ),
    ];
    keys.push(server.key());
    for key in keys {
        let listed = with(&world, |settings| settings.key = Some(key.clone())).list(&ALL);
        assert!(listed.is_ok(), "{}: {listed:?}", key.display());
    }
    let bad = [
        (server.key().with_extension("pub"), "public half"),
        (named("rubbish", "rubbish"), "no private key"),
        (named("damaged", &ed25519.replace("b3Bl", "b3Bm")), "damaged"),
        (server.directory().to_owned(), "no file"),
        (server.directory().join("none"), "No such file"),
    ];
    for (key, words) in bad {
        let error = with(&world, |settings| settings.key = Some(key))
            .list(&ALL)
            .unwrap_err();
        assert_eq!(error.class(), Class::Usage);
        assert!(error.to_string().contains(words), "{error}");
    }
    let none = with(&world, |settings| settings.key = None)
        .list(&ALL)
        .unwrap_err();
    assert!(matches!(none, Error::NoSshKey { .. }), "{none:?}");
    assert!(none.help().unwrap().contains("--ssh-key"));
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_only() {
    let world = filled();
    let key = world
        .sshd()
        .make_key("locked", &["-t", "ed25519", "-a", "1", "-N", "open s3same"], true);
    let settings = |passphrase: Option<&str>| {
        with(&world, |settings| {
            settings.key = Some(key.clone());
            settings.passphrase = passphrase.map(Secret::new);
        })
    };
    lists(&settings(Some("open s3same")));
    let none = settings(None).list(&ALL).unwrap_err();
    assert!(none.to_string().contains("PILOTAGE_SSH_PASSPHRASE"), "{none}");
    let wrong = settings(Some("0pen sesame")).list(&ALL).unwrap_err();
    assert!(wrong.to_string().contains("does not open it"), "{wrong}");
    assert!(!format!("{wrong} {wrong:?}").contains("0pen"));
    assert!(!format!("{:?}", settings(Some("open s3same"))).contains("s3same"));
}

#[test]
fn a_key_or_user_that_is_not_admitted_is_denied() {
    let world = filled();
    let stranger = world
        .sshd()
        .make_key("stranger", &["-t", "ed25519", "-N", ""], false);
    let denied = with(&world, |settings| settings.key = Some(stranger.clone()));
    let one = write(&world.cache(&denied), None, "event.json", "one");
    let errors = [
        denied.list(&ALL).unwrap_err(),
        world.cache(&denied).fetch(&denied, &ALL).unwrap_err(),
        denied
            .push(&world.cache(&denied), &[update(SHOP, None, &one)])
            .unwrap_err(),
    ];
    for error in errors {
        assert!(
            matches!(&error, Error::Denied { detail, .. } if detail.contains("SHA256:")),
            "{error:?}"
        );
        assert_eq!((error.class(), error.is_transient()), (Class::Auth, false));
    }
    let url = world.sshd().url(world.bare.path());
    let nobody = url.replacen(&format!("{}@", world.sshd().user()), "nobody-here@", 1);
    let nobody = remote(&nobody, None, limits()).with_ssh(&ssh_settings(world.sshd()));
    let error = nobody.list(&ALL).unwrap_err();
    assert!(
        matches!(&error, Error::Denied { detail, .. } if detail.contains("nobody-here")),
        "{error:?}"
    );
    // The user may also stand beside the address.
    let bare = url.replacen(&format!("{}@", world.sshd().user()), "", 1);
    let settings = SshSettings {
        user: world.sshd().user().to_owned(),
        ..ssh_settings(world.sshd())
    };
    lists(&remote(&bare, None, limits()).with_ssh(&settings));
}

#[test]
fn one_connection_serves_all_operations_until_it_breaks() {
    let world = filled();
    let remote = world.ssh();
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    let one = write(&cache, None, "event.json", "one");
    assert_eq!(
        remote.push(&cache, &[update(SHOP, None, &one)]).unwrap(),
        [UpdateResult::Done]
    );
    lists(&remote);
    let connections = world.sshd().connections();
    assert_eq!(connections.len(), 4, "list, fetch, push, list");
    assert!(
        connections.iter().all(|one| *one == connections[0]),
        "{connections:?}"
    );
    assert_eq!(remote.traffic().requests, 4);

    world.sshd().cut();
    lists(&remote);
    assert_ne!(world.sshd().connections().last(), connections.last());

    // Clones share it, also at the same time.
    let before = world.sshd().connections().last().cloned();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            let remote = remote.clone();
            scope.spawn(move || lists(&remote));
        }
    });
    assert_eq!(world.sshd().connections().last().cloned(), before);
}

#[test]
fn a_listing_is_small_where_the_server_speaks_version_2_and_right_where_it_does_not() {
    let world = filled();
    let tip = world.bare.id("qa");
    for n in 0..50 {
        world.bare.git(&["update-ref", &format!("refs/noise/{n}"), &tip]);
    }
    let remote = world.ssh();
    for round in 0..2 {
        let before = remote.traffic();
        lists(&remote);
        let received = remote.traffic().received - before.received;
        assert!(received < 500, "round {round}: {received} bytes");
    }
    assert!(
        world
            .sshd()
            .asked()
            .iter()
            .all(|line| line.starts_with("version=2 git-upload-pack '/"))
    );
    world.sshd().without_v2();
    for _ in 0..2 {
        let before = remote.traffic();
        lists(&remote);
        assert!(remote.traffic().received - before.received > 50 * 40);
    }
    lists(&world.ssh());
}

#[test]
fn a_path_with_shell_characters_is_only_a_path() {
    let world = World::new();
    let trap = world.directory.path().join("trap");
    let place = world.directory.path().join(format!(
        "it's $(touch {0}) `touch {0}`;&|<>!\\ \"x\" %41.git",
        trap.file_name().unwrap().display()
    ));
    let bare = BareRepository::init(&place);
    bare.commit("qa", NewCommit::new("One").file("a", "1"));
    let remote = remote(&world.sshd().url(&place), None, limits()).with_ssh(&ssh_settings(world.sshd()));
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    let tip = id(&bare.id("qa"));
    let next = write(&cache, Some(&tip), "a", "2");
    let results = remote
        .push(&cache, &[update("refs/heads/qa", Some(&tip), &next)])
        .unwrap();
    assert_eq!(results, [UpdateResult::Done]);
    assert_eq!(bare.id("qa"), next.to_string());
    assert!(!trap.exists());
    // The short form names the same repository, below the home when it has no slash at its start.
    let missing = format!("{}@127.0.0.1:no/such.git", world.sshd().user());
    assert!(
        missing
            .parse::<pilotage_gitrepo::RemoteUrl>()
            .unwrap()
            .ssh()
            .is_some()
    );
}

#[test]
fn what_the_server_says_is_told_bounded_and_printable() {
    let world = filled();
    let say = |words: &str, status| SshFault::Say {
        words: words.to_owned(),
        status,
    };
    let cases = [
        (
            say("ERROR: Repository not found.", 1),
            Class::NotFound,
            "no git repository",
        ),
        (
            say("ERROR: Permission to x denied to y", 1),
            Class::Auth,
            "denied to y",
        ),
        (
            say("sh: 1: git-upload-pack: not found", 127),
            Class::Unavailable,
            "has no git-upload-pack",
        ),
        (
            say("\u{1b}[31mout of cheese", 3),
            Class::Unavailable,
            "\\u{1b}[31mout of cheese",
        ),
        (
            SshFault::Greet("Welcome to our server!\n".to_owned()),
            Class::Unavailable,
            "login script",
        ),
        (SshFault::Drop, Class::Unavailable, "ended before"),
    ];
    for (fault, class, words) in cases {
        world.sshd().fault(Wants::List, &fault, 1);
        let error = world.ssh().list(&ALL).unwrap_err();
        assert_eq!(error.class(), class, "{fault:?}: {error:?}");
        assert!(error.to_string().contains(words), "{fault:?}: {error}");
    }
    lists(&world.ssh());
}

#[test]
fn nobody_there_is_unavailable() {
    let world = filled();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let at = |place: &str| {
        remote(&format!("ssh://git@{place}/env.git"), None, limits())
            .with_ssh(&ssh_settings(world.sshd()))
            .list(&ALL)
            .unwrap_err()
    };
    let refused = at(&format!("127.0.0.1:{port}"));
    assert!(refused.to_string().contains("refused"), "{refused}");
    let unknown = at("host.invalid");
    assert!(unknown.to_string().contains("no address"), "{unknown}");
    let web = world.server.base();
    let web = at(web.strip_prefix("http://").unwrap().split('/').next().unwrap());
    for error in [refused, unknown, web] {
        assert_eq!(error.class(), Class::Unavailable, "{error:?}");
    }
}

/// A server that hangs costs no more than the limits, wherever it hangs.
#[test]
fn a_hanging_server_meets_the_hard_end() {
    let faults = [
        (Wants::List, SshFault::Hang),
        (Wants::List, SshFault::Stall { after: 10 }),
        (Wants::Fetch, SshFault::Hang),
        (Wants::Fetch, SshFault::Stall { after: 5000 }),
    ];
    for (wants, fault) in faults {
        let world = filled();
        let healthy = world.ssh();
        let listing = healthy.list(&ALL).unwrap();
        let patient = Limits {
            operation: Duration::from_secs(2),
            ..limits()
        };
        let remote = world.ssh_within(patient);
        let mut cache = world.cache(&remote);
        world.sshd().fault(wants, &fault, usize::MAX >> 1);
        let begun = Instant::now();
        let error = match wants {
            Wants::List => remote.list(&ALL).unwrap_err(),
            _ => cache.fetch_listed(&remote, &listing).unwrap_err(),
        };
        assert!(
            matches!(error, Error::Deadline { .. }),
            "{wants:?} {fault:?}: {error:?}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{wants:?} {fault:?}: far beyond the limit"
        );
        assert_eq!(cache.tip(&name("refs/heads/qa")).unwrap(), None);
        world.sshd().heal();
        cache.fetch(&healthy, &ALL).unwrap();
    }
}

#[test]
fn a_silent_server_is_given_up_before_the_end_of_the_operation() {
    let world = filled();
    let impatient = Limits {
        silence: Duration::from_millis(700),
        ..limits()
    };
    let remote = world.ssh_within(impatient);
    world.sshd().fault(Wants::List, &SshFault::Hang, 1);
    let error = remote.list(&ALL).unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { detail, .. } if detail.contains("silent")),
        "{error:?}"
    );
    // One that takes the connection and never says who it is.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mute = remote_at(port, world.sshd(), impatient);
    let error = mute.list(&ALL).unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { detail, .. } if detail.contains("silent")),
        "{error:?}"
    );
    // One that talks for ever and never gets to the point.
    let talker = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        while socket.write_all(b"please hold the line\r\n").is_ok() {}
    });
    let error = remote_at(port, world.sshd(), short()).list(&ALL).unwrap_err();
    assert!(
        matches!(error.class(), Class::Unavailable | Class::Deadline),
        "{error:?}"
    );
    talker.join().unwrap();
}

fn remote_at(port: u16, server: &SshServer, limits: Limits) -> Remote {
    remote(&format!("ssh://git@127.0.0.1:{port}/env.git"), None, limits).with_ssh(&ssh_settings(server))
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_the_cache_as_it_was() {
    for (wants, after) in [
        (Wants::List, 20),
        (Wants::Fetch, 0),
        (Wants::Fetch, 9),
        (Wants::Fetch, 50_000),
    ] {
        let world = filled();
        let remote = world.ssh();
        let mut cache = world.cache(&remote);
        world.sshd().fault(wants, &SshFault::Die { after }, 1);
        let error = cache.fetch(&remote, &ALL).unwrap_err();
        assert_eq!(
            error.class(),
            Class::Unavailable,
            "{wants:?} after {after}: {error:?}"
        );
        assert_eq!(cache.tip(&name("refs/heads/qa")).unwrap(), None);
        cache.fetch(&remote, &ALL).unwrap();
        assert_eq!(cache.tip(&name("refs/heads/qa")).unwrap(), Some(world.id("qa")));
    }
}

#[test]
fn an_answer_beyond_the_limit_is_not_read_on() {
    let world = filled();
    let small = Limits {
        bytes: 10_000,
        ..limits()
    };
    let remote = world.ssh_within(small);
    let error = world.cache(&remote).fetch(&remote, &ALL).unwrap_err();
    assert!(matches!(error, Error::TooLarge { most: 10_000, .. }), "{error:?}");
}

#[test]
fn a_lost_reply_to_a_push_is_settled_by_reading_the_ref() {
    for fault in [SshFault::DieAfter, SshFault::HangAfter] {
        let world = filled();
        let silence = match fault {
            SshFault::HangAfter => Duration::from_secs(3),
            _ => limits().silence,
        };
        let remote = world.ssh_within(Limits { silence, ..limits() });
        let cache = world.cache(&remote);
        let one = write(&cache, None, "event.json", "one");
        world.sshd().fault(Wants::Push, &fault, 1);
        let results = remote.push(&cache, &[update(SHOP, None, &one)]).unwrap();
        assert_eq!(results, [UpdateResult::Done], "{fault:?}");
        assert_eq!(pushes(world.sshd()), 1, "{fault:?}: it is not pushed again");
        assert_eq!(world.id(SHOP), one);
    }
}

fn pushes(server: &SshServer) -> usize {
    let asked = server.asked();
    asked
        .iter()
        .filter(|line| line.contains("git-receive-pack"))
        .count()
}

#[test]
fn a_push_that_never_began_is_an_error_and_changes_nothing() {
    let world = filled();
    let remote = world.ssh();
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    world.sshd().fault(Wants::Push, &SshFault::Drop, 1);
    let error = remote.push(&cache, &[update(SHOP, None, &one)]).unwrap_err();
    assert_eq!(error.class(), Class::Unavailable, "{error:?}");
    assert!(world.bare.git(&["for-each-ref", SHOP]).is_empty());
    assert_eq!(
        remote.push(&cache, &[update(SHOP, None, &one)]).unwrap(),
        [UpdateResult::Done]
    );
}

#[test]
fn only_when_reading_fails_too_the_result_is_unknown() {
    let world = filled();
    let remote = world.ssh();
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    world.sshd().fault(Wants::Push, &SshFault::DieAfter, 1);
    world.sshd().fault(Wants::List, &SshFault::Drop, usize::MAX >> 1);
    let results = remote.push(&cache, &[update(SHOP, None, &one)]).unwrap();
    assert!(
        matches!(&results[..], [UpdateResult::Unknown(text)] if text.contains("reading the refs")),
        "{results:?}"
    );
}

/// The server talks without end while a large pack is sent to it: neither side may wait for the other.
#[test]
fn a_server_that_talks_while_we_send_is_heard() {
    let world = filled();
    let source = world.path();
    let mut cache = world.cache(&source);
    cache.fetch(&source, &ALL).unwrap();
    let tip = world.id("qa");
    let empty = BareRepository::init(&world.directory.path().join("empty.git"));
    let words = "x".repeat(70);
    let hook = Path::new(empty.path()).join("hooks/pre-receive");
    std::fs::write(
        &hook,
        format!("#!/bin/sh\ni=0\nwhile [ $i -lt 20000 ]; do echo {words}; i=$((i+1)); done\n"),
    )
    .unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let remote =
        remote(&world.sshd().url(empty.path()), None, limits()).with_ssh(&ssh_settings(world.sshd()));
    let results = remote
        .push(&cache, &[update("refs/heads/qa", None, &tip)])
        .unwrap();
    assert_eq!(results, [UpdateResult::Done]);
}
