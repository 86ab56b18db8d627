use std::time::Duration;

use pilotage_gitrepo::{Class, Error, Limits};
use pilotage_tests::gitserver::{Asked, Fault, NewCommit};
use tokio::time::Instant;

use crate::world::{World, limits, name, remote, short};

const ALL: [&str; 1] = ["refs/heads/"];

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

#[test]
fn wrong_credentials_are_told_apart_from_none() {
    let world = filled();
    world.server.require("ana", "s3cret-token");
    let url = world.server.url("env.git");
    assert_eq!(
        remote(&url, Some(("ana", "s3cret-token")), limits())
            .list(&ALL)
            .unwrap()
            .refs
            .len(),
        1
    );
    let wrong = remote(&url, Some(("ana", "wr0ng-token")), limits());
    let none = remote(&url, None, limits());
    for (remote, given) in [(wrong, true), (none, false)] {
        let listed = remote.list(&ALL).unwrap_err();
        let fetched = world.cache(&remote).fetch(&remote, &ALL).unwrap_err();
        for error in [listed, fetched] {
            assert!(
                matches!(error, Error::Auth { status: 401, credentials, .. } if credentials == given),
                "{error:?}"
            );
            assert_eq!(error.class(), Class::Auth);
            assert!(!format!("{error} {error:?} {:?}", error.help()).contains("wr0ng"));
        }
    }
    let good = remote(&url, Some(("ana", "s3cret-token")), limits());
    assert!(!format!("{good:?}").contains("s3cret"));
    world.cache(&good).fetch(&good, &ALL).unwrap();
}

#[test]
fn failing_servers_are_unavailable_and_never_empty() {
    let world = filled();
    for status in [500, 502, 503, 429] {
        world.server.heal();
        world.server.fault(Asked::Any, Fault::Status(status), usize::MAX);
        let error = world.http().list(&ALL).unwrap_err();
        assert!(
            matches!(error, Error::Status { status: seen, .. } if seen == status),
            "{error:?}"
        );
        assert_eq!((error.class(), error.is_transient()), (Class::Unavailable, true));
    }
    world.server.heal();
    world.server.fault(Asked::Any, Fault::LoginPage, usize::MAX);
    let error = world.http().list(&ALL).unwrap_err();
    assert!(matches!(error, Error::NotGit { .. }), "{error:?}");
    world.server.heal();
    let login = format!("{}/login", world.server.base());
    world
        .server
        .fault(Asked::Any, Fault::RedirectTo(login), usize::MAX);
    let error = world.http().list(&ALL).unwrap_err();
    assert!(matches!(error, Error::NotGit { .. }), "{error:?}");
    world.server.heal();
    let base = world.server.base();
    world
        .server
        .fault(Asked::Any, Fault::Redirect { base }, usize::MAX);
    let error = world.http().list(&ALL).unwrap_err();
    assert!(
        matches!(&error, Error::NotGit { detail, .. } if detail.contains("without end")),
        "{error:?}"
    );
}

#[test]
fn nobody_there_is_unavailable() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let gone = remote(&format!("http://127.0.0.1:{port}/env.git"), None, limits());
    let error = gone.list(&ALL).unwrap_err();
    assert_eq!(error.class(), Class::Unavailable);
    assert!(error.to_string().contains("refused"), "{error}");
    let unknown = remote("http://host.invalid/env.git", None, limits());
    assert_eq!(unknown.list(&ALL).unwrap_err().class(), Class::Unavailable);
}

/// A server that hangs costs no more than the limits, wherever it hangs.
#[test]
fn a_hanging_server_meets_the_hard_end() {
    let faults = [
        (Asked::LsRefs, Fault::Hang),
        (Asked::LsRefs, Fault::Stall { after: 10 }),
        (Asked::Advertisement, Fault::Hang),
        (Asked::Fetch, Fault::Hang),
        (Asked::Fetch, Fault::Stall { after: 5000 }),
    ];
    for (asked, fault) in faults {
        let world = filled();
        let healthy = world.http();
        let listing = healthy.list(&ALL).unwrap();
        world.server.fault(asked, fault.clone(), usize::MAX);
        let limits = Limits {
            silence: Duration::from_secs(30),
            ..short()
        };
        let remote = remote(&world.server.url("env.git"), None, limits);
        let mut cache = world.cache(&remote);
        let begun = Instant::now();
        let error = match asked {
            Asked::LsRefs => remote.list(&ALL).unwrap_err(),
            _ => cache.fetch_listed(&remote, &listing).unwrap_err(),
        };
        assert!(
            matches!(error, Error::Deadline { .. }),
            "{asked:?} {fault:?}: {error:?}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{asked:?} {fault:?}: far beyond the limit"
        );
        assert_eq!(cache.tip(&name("refs/heads/qa")).unwrap(), None);
        // Once the server is well, the same cache goes on, and has the time for it.
        world.server.heal();
        world.cache(&healthy).fetch(&healthy, &ALL).unwrap();
    }
}

#[test]
fn a_silent_server_is_given_up_before_the_end_of_the_operation() {
    let world = filled();
    world.server.fault(Asked::LsRefs, Fault::Hang, 1);
    let limits = Limits {
        silence: Duration::from_millis(200),
        ..limits()
    };
    let error = remote(&world.server.url("env.git"), None, limits)
        .list(&ALL)
        .unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { detail, .. } if detail.contains("silent")),
        "{error:?}"
    );
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_the_cache_as_it_was() {
    for (asked, after) in [
        (Asked::LsRefs, 20),
        (Asked::Fetch, 0),
        (Asked::Fetch, 9),
        (Asked::Fetch, 50_000),
    ] {
        let world = filled();
        let remote = world.http();
        let mut cache = world.cache(&remote);
        world.server.fault(asked, Fault::Die { after }, 1);
        let error = cache.fetch(&remote, &ALL).unwrap_err();
        assert_eq!(
            error.class(),
            Class::Unavailable,
            "{asked:?} after {after}: {error:?}"
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
    let remote = remote(&world.server.url("env.git"), None, small);
    let error = world.cache(&remote).fetch(&remote, &ALL).unwrap_err();
    assert!(matches!(error, Error::TooLarge { most: 10_000, .. }), "{error:?}");
}

#[test]
fn a_lock_held_by_somebody_else_is_waited_for_only_so_long() {
    let world = filled();
    let remote = remote(&world.server.url("env.git"), None, short());
    let mut cache = world.cache(&remote);
    let mut lock = cache.directory().as_os_str().to_owned();
    lock.push(".lock");
    let holder = std::fs::File::open(&lock).unwrap();
    rustix::fs::flock(&holder, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = cache.fetch(&remote, &ALL).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    drop(holder);
    cache.fetch(&remote, &ALL).unwrap();
}

#[test]
fn a_stale_lock_of_a_ref_is_named() {
    let world = filled();
    let remote = remote(world.bare.path().to_str().unwrap(), None, short());
    let cache = world.cache(&remote);
    let one = crate::world::write(&cache, None, "event.json", "one");
    let lock = world.bare.path().join("refs/pilotage/release/qa");
    std::fs::create_dir_all(&lock).unwrap();
    std::fs::write(lock.join("shop.lock"), "").unwrap();
    let error = remote
        .push(
            &cache,
            &[crate::world::update("refs/pilotage/release/qa/shop", None, &one)],
        )
        .unwrap_err();
    assert!(
        matches!(&error, Error::Locked { path } if path.ends_with("shop.lock")),
        "{error:?}"
    );
}

#[test]
fn work_inside_an_async_program_belongs_on_a_blocking_thread_and_goes_well_there() {
    let world = filled();
    let remote = world.http();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listing = runtime.block_on(async move {
        tokio::task::spawn_blocking(move || remote.list(&ALL))
            .await
            .unwrap()
    });
    assert_eq!(listing.unwrap().refs.len(), 1);
}
