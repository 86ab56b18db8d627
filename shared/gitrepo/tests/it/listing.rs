use pilotage_gitrepo::{Class, Error};
use pilotage_tests::gitserver::{Asked, Fault, NewCommit};

use crate::world::{World, limits, name, remote, ssh_settings};

const ENVIRONMENTS: [&str; 3] = ["refs/heads/qa", "refs/heads/stage", "refs/heads/prod"];

fn filled() -> World {
    let world = World::new();
    let first = world.bare.commit("main", NewCommit::new("First").file("a", "1"));
    for branch in ["qa", "stage", "prod", "qa2"] {
        world.bare.git(&["branch", branch, &first]);
    }
    world
        .bare
        .git(&["update-ref", "refs/pilotage/release/qa/shop", &first]);
    world
}

#[test]
fn every_way_lists_exactly_what_was_asked_for() {
    let world = filled();
    for (way, remote) in world.ways() {
        let listing = remote
            .list(&["refs/heads/qa", "refs/heads/prod", "refs/pilotage/"])
            .unwrap();
        let names: Vec<_> = listing.refs.keys().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "refs/heads/prod",
                "refs/heads/qa",
                "refs/pilotage/release/qa/shop"
            ],
            "{way}"
        );
        assert_eq!(listing.branch("qa"), Some(&world.id("qa")), "{way}");
    }
}

#[test]
fn over_http_one_small_request_is_enough_among_thousands_of_refs() {
    let world = filled();
    let tip = world.bare.id("main");
    let refs: String = (0..3000)
        .map(|n| format!("create refs/pilotage/release/qa/s{n} {tip}\n"))
        .collect();
    let file = world.directory.path().join("refs");
    std::fs::write(&file, refs).unwrap();
    let mut feed = pilotage_tests::gitserver::git_command(world.bare.path());
    feed.args(["update-ref", "--stdin"])
        .stdin(std::fs::File::open(&file).unwrap());
    assert!(feed.status().unwrap().success());

    let remote = world.http();
    remote.list(&ENVIRONMENTS).unwrap();
    world.server.reset_counts();
    let before = remote.traffic();
    assert_eq!(remote.list(&ENVIRONMENTS).unwrap().refs.len(), 3);
    let (after, counts) = (remote.traffic(), world.server.counts());
    assert_eq!((after.requests - before.requests, counts.requests), (1, 1));
    assert!(after.received - before.received < 300, "{after:?}");
    assert!(counts.bytes_out < 1024, "{counts:?}");

    // A connection goes back to its pool on a thread of its own, which may be later than the next question.
    for _ in 1..10 {
        remote.list(&ENVIRONMENTS).unwrap();
    }
    let counts = world.server.counts();
    assert!(
        counts.connections < counts.requests,
        "the connection is kept: {counts:?}"
    );
}

#[test]
fn a_server_without_protocol_2_is_asked_the_old_way_and_remembered() {
    let world = filled();
    world.server.without_v2();
    let remote = world.http();
    for _ in 0..2 {
        let listing = remote.list(&["refs/heads/qa", "refs/pilotage/"]).unwrap();
        assert_eq!(listing.refs.len(), 2);
        assert_eq!(listing.get(&name("refs/heads/qa")), Some(&world.id("qa")));
    }
    assert_eq!(world.server.counts().by_kind[&Asked::LsRefs], 1);
    assert_eq!(world.server.counts().by_kind[&Asked::Advertisement], 2);
}

#[test]
fn a_deleted_branch_is_missing_from_the_listing() {
    let world = filled();
    world.bare.git(&["update-ref", "-d", "refs/heads/stage"]);
    for (way, remote) in world.ways() {
        let listing = remote.list(&ENVIRONMENTS).unwrap();
        assert_eq!((listing.refs.len(), listing.branch("stage")), (2, None), "{way}");
    }
}

#[test]
fn an_empty_answer_is_an_error_unless_expected() {
    let world = filled();
    for (way, remote) in world.ways() {
        let error = remote.list(&["refs/heads/nothing"]).unwrap_err();
        assert!(matches!(error, Error::EmptyListing { .. }), "{way}: {error}");
        assert_eq!(error.class(), Class::NotFound);
        assert!(
            remote
                .list_or_empty(&["refs/heads/nothing"])
                .unwrap()
                .refs
                .is_empty(),
            "{way}"
        );
    }
    let empty = World::new();
    for (way, remote) in empty.ways() {
        assert!(
            remote.list_or_empty(&["refs/heads/"]).unwrap().refs.is_empty(),
            "{way}"
        );
    }
    empty.server.without_v2();
    assert!(
        empty
            .http()
            .list_or_empty(&["refs/heads/"])
            .unwrap()
            .refs
            .is_empty()
    );
}

#[test]
fn there_must_be_a_repository() {
    let world = filled();
    let places = [
        world.server.url("other.git"),
        world.directory.path().join("other").display().to_string(),
    ];
    let ssh = world.sshd().url(&world.directory.path().join("other.git"));
    for place in places.into_iter().chain([ssh]) {
        let remote = remote(&place, None, limits()).with_ssh(&ssh_settings(world.sshd()));
        let error = remote.list(&ENVIRONMENTS).unwrap_err();
        assert!(matches!(error, Error::NoRepository { .. }), "{place}: {error}");
        assert!(error.help().is_some());
    }
}

#[test]
fn patterns_are_checked() {
    let world = filled();
    for bad in ["qa", "HEAD", "refs/heads/*", "refs/heads/a..b", "--upload-pack=x"] {
        let error = world.http().list(&[bad]).unwrap_err();
        assert_eq!(error.class(), Class::Usage, "{bad}: {error}");
    }
    assert_eq!(world.server.counts().requests, 0);
}

#[test]
fn branches_with_shell_characters_are_only_names() {
    let world = filled();
    let branch = "a;touch$IFS`x`&b'\"|c#$(id)";
    world.bare.git(&["branch", branch, "main"]);
    for (way, remote) in world.ways() {
        let listing = remote.list(&[&format!("refs/heads/{branch}")]).unwrap();
        assert_eq!(listing.branch(branch), Some(&world.id("main")), "{way}");
    }
}

#[test]
fn a_redirect_is_followed_once_and_then_remembered() {
    let world = filled();
    let old = pilotage_tests::gitserver::GitServer::start(world.directory.path());
    let base = world.server.base();
    old.fault(Asked::Any, Fault::Redirect { base }, usize::MAX);
    let remote = remote(&old.url("env.git"), None, limits());
    assert_eq!(remote.list(&ENVIRONMENTS).unwrap().refs.len(), 3);
    let asked = old.counts().requests;
    assert_eq!(remote.list(&ENVIRONMENTS).unwrap().refs.len(), 3);
    assert_eq!(old.counts().requests, asked, "the old address is not asked again");
    assert_eq!(world.server.counts().by_kind[&Asked::LsRefs], 1);
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_server() {
    let world = filled();
    let old = pilotage_tests::gitserver::GitServer::start(world.directory.path());
    let base = world.server.base();
    old.fault(Asked::Any, Fault::Redirect { base }, usize::MAX);
    let remote = remote(&old.url("env.git"), Some(("ana", "s3cret")), limits());
    remote.list(&ENVIRONMENTS).unwrap();
    assert!(old.authorizations().iter().all(|sent| *sent));
    assert!(world.server.authorizations().iter().all(|sent| !*sent));
}
