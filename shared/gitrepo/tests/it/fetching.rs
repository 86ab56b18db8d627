use pilotage_gitrepo::{Cache, Class, Error, File};
use pilotage_tests::gitserver::{Asked, BareRepository, NewCommit, git};

use crate::world::{World, id, limits, name, remote};

const ALL: [&str; 2] = ["refs/heads/", "refs/pilotage/"];

fn filled() -> World {
    let world = World::new();
    world.bare.commit(
        "qa",
        NewCommit::new("One").file("services/shop.yaml", "version: \"1\"\n"),
    );
    let tip = world.bare.commit(
        "qa",
        NewCommit::new("Two").file("services/shop.yaml", "version: \"2\"\n"),
    );
    world
        .bare
        .git(&["update-ref", "refs/pilotage/release/qa/shop", &tip]);
    world
}

#[test]
fn a_first_fetch_brings_everything_and_the_next_asks_only_the_listing() {
    let world = filled();
    for (way, remote) in world.ways() {
        let mut cache = world.cache(&remote);
        let fetched = cache.fetch(&remote, &ALL).unwrap();
        assert_eq!(fetched.listing.refs.len(), 2, "{way}");
        let again = cache.fetch(&remote, &ALL).unwrap();
        assert!(again.moved.is_empty() && again.vanished.is_empty(), "{way}");
        assert_eq!(
            cache.tip(&name("refs/heads/qa")).unwrap(),
            Some(world.id("qa")),
            "{way}"
        );
        let File::Blob(blob) = cache.blob(&world.id("qa~1"), "services/shop.yaml", 100).unwrap() else {
            panic!("{way}: a file")
        };
        assert_eq!(blob.bytes, b"version: \"1\"\n", "{way}");
    }
    let counts = world.server.counts();
    assert_eq!(counts.by_kind[&Asked::LsRefs], 2);
    assert_eq!(counts.by_kind[&Asked::Fetch], 1);
}

/// Each fetch brings a pack; a monitor fetches for years.
#[test]
fn many_fetches_leave_few_packs_and_nobody_misses_an_object() {
    let world = filled();
    let remote = world.http();
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    // Open all the time, as another process would be.
    let reader = cache.reopen().unwrap();
    let packs = |cache: &Cache| {
        let entries = std::fs::read_dir(cache.directory().join("objects/pack")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".idx")).count()
    };
    let mut commits = Vec::new();
    let mut most = 0;
    for number in 0..60 {
        let version = format!("version: \"{number}\"\n");
        let commit = NewCommit::new("Next").file("services/shop.yaml", &version);
        commits.push((id(&world.bare.commit("qa", commit)), version));
        cache.fetch(&remote, &ALL).unwrap();
        most = most.max(packs(&cache));
        for (commit, version) in [&commits[0], &commits[commits.len() / 2]] {
            let File::Blob(blob) = reader.blob(commit, "services/shop.yaml", 100).unwrap() else {
                panic!("a file")
            };
            assert_eq!(blob.bytes, version.as_bytes());
        }
    }
    assert!((10..=30).contains(&most), "{most} packs at most");
    for (commit, version) in &commits {
        for cache in [&cache, &reader] {
            let File::Blob(blob) = cache.blob(commit, "services/shop.yaml", 100).unwrap() else {
                panic!("a file")
            };
            assert_eq!(blob.bytes, version.as_bytes());
        }
    }
    let whole = git(cache.directory(), &["fsck", "--full", "--strict"]);
    assert!(!whole.contains("missing"), "{whole}");
}

#[test]
fn moves_deletions_and_rewrites_are_told_and_old_commits_stay_readable() {
    let world = filled();
    for (way, remote) in [
        ("http", world.http()),
        ("path", world.path()),
        ("ssh", world.ssh()),
    ] {
        world.bare.git(&["branch", "--force", "stage", "qa"]);
        let mut cache = world.cache(&remote);
        cache.fetch(&remote, &ALL).unwrap();
        let old = world.id("qa");
        let forced = id(&world.bare.commit(
            "qa",
            NewCommit::new("Rewritten")
                .from(&world.bare.id("qa~1"))
                .file("x", way),
        ));
        world.bare.git(&["update-ref", "-d", "refs/heads/stage"]);
        // `stage` makes room for a branch below its name.
        world
            .bare
            .git(&["update-ref", "refs/heads/stage/eu", forced.as_str()]);
        let fetched = cache.fetch(&remote, &ALL).unwrap();
        let moved: Vec<_> = fetched
            .moved
            .iter()
            .map(|moved| (moved.name.as_str(), moved.old.is_some()))
            .collect();
        assert_eq!(
            moved,
            [("refs/heads/qa", true), ("refs/heads/stage/eu", false)],
            "{way}"
        );
        assert_eq!(fetched.vanished.len(), 1, "{way}");
        assert_eq!(fetched.vanished[0].name.as_str(), "refs/heads/stage", "{way}");
        assert!(!cache.is_ancestor(&old, &forced).unwrap(), "{way}");
        assert_eq!(
            cache.commit(&old).unwrap().subject,
            if way == "http" { "Two" } else { "Rewritten" }
        );
        world.bare.git(&["update-ref", "-d", "refs/heads/stage/eu"]);
    }
}

#[test]
fn only_the_refs_asked_for_are_pruned() {
    let world = filled();
    let remote = world.http();
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    cache.fetch(&remote, &["refs/heads/qa"]).unwrap();
    assert!(
        cache
            .tip(&name("refs/pilotage/release/qa/shop"))
            .unwrap()
            .is_some()
    );
    let empty = remote.list_or_empty(&["refs/heads/none"]).unwrap();
    cache.fetch_listed(&remote, &empty).unwrap();
    assert!(cache.tip(&name("refs/heads/qa")).unwrap().is_some());
}

#[test]
fn a_damaged_cache_is_made_anew() {
    let world = filled();
    let remote = world.http();
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    let directory = cache.directory().to_owned();

    // Its objects vanish while it is open.
    std::fs::remove_dir_all(directory.join("objects/pack")).unwrap();
    cache.fetch(&remote, &ALL).unwrap();
    assert!(cache.commit(&world.id("qa")).is_ok());

    // A pack is cut short while nobody has it open.
    drop(cache);
    for entry in std::fs::read_dir(directory.join("objects/pack")).unwrap() {
        let path = entry.unwrap().path();
        let mut permissions = std::fs::metadata(&path).unwrap().permissions();
        #[expect(
            clippy::permissions_set_readonly_false,
            reason = "a pack is read-only, and this test damages it"
        )]
        permissions.set_readonly(false);
        std::fs::set_permissions(&path, permissions).unwrap();
        std::fs::write(&path, b"").unwrap();
    }
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    assert!(cache.commit(&world.id("qa")).is_ok());

    // It is no repository at all.
    drop(cache);
    std::fs::write(directory.join("HEAD"), "rubbish").unwrap();
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    assert!(cache.commit(&world.id("qa~1")).is_ok());
}

#[test]
fn a_foreign_directory_in_the_place_of_a_cache_is_replaced() {
    let world = filled();
    let other = BareRepository::init(&world.directory.path().join("served/other.git"));
    other.commit("qa", NewCommit::new("Other").file("x", "y"));
    let mine = world.http();
    let directory = world.cache(&mine).directory().to_owned();
    let theirs = remote(&world.server.url("other.git"), None, limits());
    let mut cache = world.cache(&theirs);
    cache.fetch(&theirs, &ALL).unwrap();
    let place = cache.directory().to_owned();
    assert_ne!(place, directory);
    drop(cache);
    std::fs::remove_dir_all(&directory).unwrap();
    std::fs::rename(&place, &directory).unwrap();
    let cache = world.cache(&mine);
    assert_eq!(cache.tip(&name("refs/heads/qa")).unwrap(), None);
}

#[test]
fn what_a_killed_fetch_left_is_removed() {
    let world = filled();
    let remote = world.http();
    let directory = world.cache(&remote).directory().to_owned();
    let orphans = [
        directory.join("objects/pack/tmp_pack_abc"),
        directory.join("objects/pack/pack_git2_abc"),
    ];
    for orphan in &orphans {
        std::fs::write(orphan, "half").unwrap();
    }
    let _cache = world.cache(&remote);
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
}

#[test]
fn caches_are_shared_by_threads() {
    let world = filled();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let remote = world.http();
                for _ in 0..5 {
                    let mut cache = world.cache(&remote);
                    cache.fetch(&remote, &ALL).unwrap();
                    assert!(cache.commit(&world.id("qa")).is_ok());
                }
            });
        }
    });
}

#[test]
fn a_shallow_source_is_refused_by_path_and_told_by_range_questions() {
    let world = filled();
    let url = format!("file://{}", world.bare.path().display());
    git(
        world.directory.path(),
        &[
            "clone",
            "--quiet",
            "--bare",
            "--depth",
            "1",
            "--branch",
            "qa",
            &url,
            "served/shallow.git",
        ],
    );
    let path = world.directory.path().join("served/shallow.git");
    let by_path = remote(path.to_str().unwrap(), None, limits());
    let error = world.cache(&by_path).fetch(&by_path, &ALL).unwrap_err();
    assert!(matches!(error, Error::Shallow { .. }), "{error}");
    assert_eq!(error.class(), Class::Shallow);

    let repository = pilotage_gitrepo::Repository::open(&path).unwrap();
    let tip = world.id("qa");
    assert!(repository.is_shallow());
    assert!(repository.commit(&tip).is_ok(), "one commit can be read");
    let errors = [
        repository.range(None, &tip).unwrap_err(),
        repository.first_parent_range(None, &tip).unwrap_err(),
        repository
            .accountable(None, &tip, &["services/shop.yaml"])
            .unwrap_err(),
        repository.is_ancestor(&tip, &tip).unwrap_err(),
        repository.merge_base(&tip, &tip).unwrap_err(),
    ];
    assert!(
        errors.iter().all(|error| error.class() == Class::Shallow),
        "{errors:?}"
    );

    let over_http = remote(&world.server.url("shallow.git"), None, limits());
    let mut cache = world.cache(&over_http);
    let sound = match cache.fetch(&over_http, &ALL) {
        Ok(_) => cache.range(None, &tip).map(drop),
        Err(error) => Err(error),
    };
    assert!(sound.is_err(), "a shallow server never gives a range");
}

#[test]
fn a_handle_can_be_reopened_for_another_thread() {
    let world = filled();
    let remote = world.path();
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    let other: Cache = cache.reopen().unwrap();
    let tip = world.id("qa");
    std::thread::spawn(move || other.commit(&tip).unwrap())
        .join()
        .unwrap();
}

/// A repository on this machine that has packs and loose objects.
fn packed() -> World {
    let world = filled();
    world.bare.git(&["repack", "-adq"]);
    world.bare.git(&["prune-packed"]);
    world.bare.commit(
        "qa",
        NewCommit::new("Three").file("services/shop.yaml", "version: \"3\"\n"),
    );
    world
}

fn whole(cache: &Cache) -> bool {
    let checked = pilotage_tests::gitserver::git_command(cache.directory())
        .args(["fsck", "--connectivity-only", "--no-dangling"])
        .output()
        .unwrap();
    checked.status.success()
}

#[test]
fn a_first_fetch_from_this_machine_takes_the_files_and_needs_the_other_side_no_more() {
    let world = packed();
    let remote = world.path();
    let mut cache = world.cache(&remote);
    let tip = world.id("qa");
    cache.fetch(&remote, &ALL).unwrap();
    std::fs::remove_dir_all(world.bare.path()).unwrap();
    assert!(whole(&cache));
    let File::Blob(blob) = cache.blob(&tip, "services/shop.yaml", 100).unwrap() else {
        panic!("a file")
    };
    assert_eq!(blob.bytes, b"version: \"3\"\n");
}

#[test]
fn a_first_fetch_that_was_cut_off_is_finished() {
    let world = packed();
    let remote = world.path();
    let mut cache = world.cache(&remote);
    // All that the other one got was the commit at the tip.
    let tip = world.id("qa").to_string();
    let object = format!("objects/{}/{}", &tip[..2], &tip[2..]);
    let goal = cache.directory().join(&object);
    std::fs::create_dir_all(goal.parent().unwrap()).unwrap();
    std::fs::copy(world.bare.path().join(&object), goal).unwrap();
    cache.fetch(&remote, &ALL).unwrap();
    assert!(whole(&cache));
}

#[test]
fn objects_that_stand_in_a_third_place_are_fetched() {
    let world = packed();
    let from = world.bare.path().to_str().unwrap().to_owned();
    let here = world.directory.path();
    git(
        here,
        &["clone", "--quiet", "--mirror", "--shared", &from, "shared.git"],
    );
    let remote = remote(here.join("shared.git").to_str().unwrap(), None, limits());
    let mut cache = world.cache(&remote);
    cache.fetch(&remote, &ALL).unwrap();
    assert!(whole(&cache));
    assert_eq!(cache.tip(&name("refs/heads/qa")).unwrap(), Some(world.id("qa")));
}

#[test]
fn a_repository_that_is_packed_anew_all_the_time_is_still_fetched_whole() {
    let world = packed();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                turn += 1;
                let text = format!("version: \"9.{turn}\"\n");
                world
                    .bare
                    .commit("stage", NewCommit::new("More").file("services/shop.yaml", text));
                world.bare.git(&["repack", "-adq"]);
                world.bare.git(&["prune-packed"]);
            }
        });
        for round in 0..10 {
            let remote = world.path();
            let caches = world.directory.path().join(format!("caches-{round}"));
            let mut cache = Cache::open(&caches, &remote).unwrap();
            let fetched = cache.fetch(&remote, &ALL);
            let good = fetched.is_ok() && whole(&cache);
            if !good || round == 9 {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            assert!(good, "round {round}: {fetched:?}");
        }
    });
}
