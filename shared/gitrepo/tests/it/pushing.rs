use pilotage_gitrepo::{Class, Error, RefUpdate, UpdateResult};
use pilotage_tests::gitserver::{Asked, Fault, NewCommit, git};

use crate::world::{World, id, remote, short, update, write};

const SHOP: &str = "refs/pilotage/release/qa/shop";
const CART: &str = "refs/pilotage/release/qa/cart";

fn filled() -> World {
    let world = World::new();
    world.bare.commit("qa", NewCommit::new("One").file("a", "1"));
    world
}

#[test]
fn refs_are_made_moved_and_compared_each_for_itself() {
    for way in 0..4 {
        let world = filled();
        let (way, remote) = world.ways().into_iter().nth(way).unwrap();
        let mut cache = world.cache(&remote);
        cache.fetch(&remote, &["refs/heads/"]).unwrap();
        let one = write(&cache, None, "event.json", "one");
        let two = write(&cache, Some(&one), "event.json", "two");
        let other = write(&cache, Some(&one), "event.json", "other");

        let done = remote
            .push(&cache, &[update(SHOP, None, &one), update(CART, None, &one)])
            .unwrap();
        assert_eq!(done, [UpdateResult::Done, UpdateResult::Done], "{way}");

        // One that is expected elsewhere does not hold up the other, in one push.
        let mixed = remote
            .push(
                &cache,
                &[update(SHOP, None, &other), update(CART, Some(&one), &two)],
            )
            .unwrap();
        let moved = |actual: &_| UpdateResult::Moved {
            actual: Some(Clone::clone(actual)),
        };
        assert_eq!(mixed, [moved(&one), UpdateResult::Done], "{way}");

        let late = remote.push(&cache, &[update(CART, Some(&one), &other)]).unwrap();
        assert_eq!(late, [moved(&two)], "{way}");

        // The same again has already happened.
        let again = remote.push(&cache, &[update(CART, Some(&one), &two)]).unwrap();
        assert_eq!(again, [UpdateResult::Done], "{way}");

        world.bare.git(&["update-ref", "-d", CART]);
        let three = write(&cache, Some(&two), "event.json", "three");
        let gone = remote.push(&cache, &[update(CART, Some(&two), &three)]).unwrap();
        assert_eq!(gone, [UpdateResult::Moved { actual: None }], "{way}");

        assert_eq!(world.id(SHOP), one, "{way}");
        world.bare.git(&["fsck", "--strict", "--full"]);
    }
}

#[test]
fn branches_go_forward_only() {
    for way in 0..3 {
        let world = filled();
        let (way, remote) = world.ways().into_iter().nth(way).unwrap();
        let mut cache = world.cache(&remote);
        cache.fetch(&remote, &["refs/heads/"]).unwrap();
        let tip = world.id("qa");
        let next = write(&cache, Some(&tip), "services/shop.yaml", "version: \"1.0.1\"");
        let done = remote
            .push(&cache, &[update("refs/heads/qa", Some(&tip), &next)])
            .unwrap();
        assert_eq!(done, [UpdateResult::Done], "{way}");
        assert_eq!(
            world.bare.git(&["show", "qa:services/shop.yaml"]),
            "version: \"1.0.1\""
        );

        let stray = write(&cache, None, "x", "y");
        let error = remote
            .push(&cache, &[update("refs/heads/qa", Some(&next), &stray)])
            .unwrap_err();
        assert!(matches!(error, Error::NotFastForward { .. }), "{way}: {error}");
        let back = remote
            .push(&cache, &[update("refs/heads/qa", Some(&next), &tip)])
            .unwrap_err();
        assert_eq!(back.class(), Class::Refused, "{way}");
        let twice = [update(SHOP, None, &tip), update(SHOP, None, &next)];
        assert!(
            matches!(remote.push(&cache, &twice), Err(Error::Twice { .. })),
            "{way}"
        );
        assert_eq!(world.id("qa"), next, "{way}");
    }
}

#[test]
fn a_whole_history_can_be_brought_to_an_empty_repository() {
    let source = World::new();
    for n in 0..10 {
        let directory = format!("d{}/f{n}", n % 3);
        source.bare.commit(
            "main",
            NewCommit::new("More")
                .file(&directory, n.to_string())
                .file("same", "same"),
        );
    }
    let remote = source.path();
    let mut cache = source.cache(&remote);
    cache.fetch(&remote, &["refs/heads/"]).unwrap();
    let tip = source.id("main");
    for way in 0..3 {
        let world = World::new();
        let (way, remote) = world.ways().into_iter().nth(way).unwrap();
        let updates = [
            update("refs/heads/main", None, &tip),
            update("refs/heads/qa", None, &tip),
        ];
        assert_eq!(
            remote.push(&cache, &updates).unwrap(),
            [UpdateResult::Done, UpdateResult::Done],
            "{way}"
        );
        assert_eq!(world.bare.git(&["rev-list", "--count", "qa"]), "10", "{way}");
        world.bare.git(&["fsck", "--strict", "--full"]);
    }
}

#[test]
fn a_hook_that_says_no_is_a_refusal_with_its_words() {
    let world = filled();
    let hook = world.bare.path().join("hooks/update");
    std::fs::write(
        &hook,
        "#!/bin/sh\ncase $1 in */shop) echo not today >&2; exit 1;; esac\n",
    )
    .unwrap();
    make_executable(&hook);
    let remote = world.http();
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    let results = remote
        .push(&cache, &[update(SHOP, None, &one), update(CART, None, &one)])
        .unwrap();
    assert!(
        matches!(&results[0], UpdateResult::Refused(text) if !text.is_empty()),
        "{results:?}"
    );
    assert_eq!(
        results[1],
        UpdateResult::Done,
        "the other one happened all the same"
    );
}

fn make_executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_branch_that_somebody_has_checked_out_is_left_alone() {
    let world = filled();
    git(
        world.directory.path(),
        &[
            "clone",
            "--quiet",
            "--branch",
            "qa",
            world.bare.path().to_str().unwrap(),
            "work",
        ],
    );
    let path = world.directory.path().join("work");
    let remote = remote(path.to_str().unwrap(), None, crate::world::limits());
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &["refs/heads/"]).unwrap();
    let tip = world.id("qa");
    let next = write(&cache, Some(&tip), "a", "2");
    let results = remote.push(
        &cache,
        &[
            update("refs/heads/qa", Some(&tip), &next),
            update("refs/heads/prod", None, &next),
        ],
    );
    assert!(matches!(
        results.unwrap()[..],
        [UpdateResult::Refused(_), UpdateResult::Done]
    ));
}

#[test]
fn a_name_in_the_way_is_a_refusal() {
    for way in 0..3 {
        let world = filled();
        let (way, remote) = world.ways().into_iter().nth(way).unwrap();
        let cache = world.cache(&remote);
        let one = write(&cache, None, "event.json", "one");
        let results = remote
            .push(&cache, &[update("refs/heads/qa/eu", None, &one)])
            .unwrap();
        assert!(
            matches!(results[..], [UpdateResult::Refused(_)]),
            "{way}: {results:?}"
        );
    }
}

/// Everything that can happen to the reply of a push that was applied.
#[test]
fn a_lost_reply_is_settled_by_reading_the_ref() {
    for fault in [
        Fault::DropReply,
        Fault::Die { after: 3 },
        Fault::StatusAfter(502),
        Fault::HangAfter,
    ] {
        let world = filled();
        let limits = if matches!(fault, Fault::HangAfter) {
            hanging()
        } else {
            crate::world::limits()
        };
        let remote = remote(&world.server.url("env.git"), None, limits);
        let cache = world.cache(&remote);
        let one = write(&cache, None, "event.json", "one");
        world.server.fault(Asked::Push, fault.clone(), 1);
        let results = remote
            .push(&cache, &[update(SHOP, None, &one), update(CART, None, &one)])
            .unwrap();
        assert_eq!(results, [UpdateResult::Done, UpdateResult::Done], "{fault:?}");
        assert_eq!(
            world.server.counts().by_kind[&Asked::Push],
            1,
            "{fault:?}: it is not pushed again"
        );
        assert_eq!(world.id(SHOP), one);
    }
}

/// The operation has time left after a silent server.
fn hanging() -> pilotage_gitrepo::Limits {
    pilotage_gitrepo::Limits {
        silence: std::time::Duration::from_millis(1500),
        ..crate::world::limits()
    }
}

#[test]
fn a_request_that_never_arrived_is_sent_again() {
    let world = filled();
    let remote = world.http();
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    world.server.fault(Asked::Push, Fault::Status(503), 2);
    let results = remote.push(&cache, &[update(SHOP, None, &one)]).unwrap();
    assert_eq!(results, [UpdateResult::Done]);
    assert_eq!(world.server.counts().by_kind[&Asked::Push], 3);
}

#[test]
fn after_a_lost_reply_somebody_elses_win_is_seen_as_such() {
    let world = filled();
    let remote = world.http();
    let cache = world.cache(&remote);
    let base = write(&cache, None, "event.json", "base");
    remote.push(&cache, &[update(SHOP, None, &base)]).unwrap();
    let mine = write(&cache, Some(&base), "event.json", "mine");
    // The request is lost, and before it can be repeated another writer is first.
    let theirs = id(&world.bare.commit(
        "refs/scratch",
        NewCommit::new("Theirs").from(base.as_str()).file("x", "y"),
    ));
    let hook = world.bare.path().join("hooks/pre-receive");
    std::fs::write(
        &hook,
        format!("#!/bin/sh\nenv -u GIT_QUARANTINE_PATH git update-ref {SHOP} {theirs}\nrm -f hooks/pre-receive\nexit 1\n"),
    )
    .unwrap();
    make_executable(&hook);
    world.server.fault(Asked::Push, Fault::DropReply, 1);
    let results = remote.push(&cache, &[update(SHOP, Some(&base), &mine)]).unwrap();
    assert_eq!(results, [UpdateResult::Moved { actual: Some(theirs) }]);
}

#[test]
fn after_a_lost_reply_a_win_that_was_built_upon_is_still_a_win() {
    let world = filled();
    let remote = world.http();
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    // Right after ours is applied, another writer appends to it.
    let hook = world.bare.path().join("hooks/post-receive");
    let script = format!(
        "#!/bin/sh\nnext=$(git commit-tree -p {SHOP} -m next $(git rev-parse '{SHOP}^{{tree}}'))\ngit update-ref {SHOP} $next\n"
    );
    std::fs::write(&hook, script).unwrap();
    make_executable(&hook);
    world.server.fault(Asked::Push, Fault::DropReply, 1);
    let results = remote.push(&cache, &[update(SHOP, None, &one)]).unwrap();
    assert_ne!(world.id(SHOP), one);
    assert_eq!(results, [UpdateResult::Done]);
}

#[test]
fn only_when_reading_fails_too_the_result_is_unknown() {
    let world = filled();
    let remote = remote(&world.server.url("env.git"), None, short());
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    world.server.fault(Asked::Push, Fault::DropReply, usize::MAX);
    world.server.fault(Asked::LsRefs, Fault::Hang, usize::MAX);
    let results = remote.push(&cache, &[update(SHOP, None, &one)]).unwrap();
    assert!(
        matches!(&results[..], [UpdateResult::Unknown(text)] if text.contains("reading the refs")),
        "{results:?}"
    );
}

#[test]
fn a_push_that_cannot_begin_is_an_error_and_changes_nothing() {
    let world = filled();
    world.server.require("ana", "right");
    let remote = remote(
        &world.server.url("env.git"),
        Some(("ana", "wrong")),
        crate::world::limits(),
    );
    let cache = world.cache(&remote);
    let one = write(&cache, None, "event.json", "one");
    let updates: [RefUpdate; 1] = [update(SHOP, None, &one)];
    assert_eq!(remote.push(&cache, &updates).unwrap_err().class(), Class::Auth);
    assert!(remote.push(&cache, &[]).unwrap().is_empty());
}
