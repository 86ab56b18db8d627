//! What was read of a chain before is kept on disk, and git stands above it.

use std::path::PathBuf;

use pilotage_gitrepo::Cache;
use pilotage_ledger::{Ledger, ReleaseChain};

use crate::world::{World, begin_one, begun, qa, request, service, success};

/// More than it takes to be worth a file.
const RELEASES: u64 = 40;

fn world() -> World {
    let world = World::new();
    let mut ledger = world.ledger();
    for number in 1..=RELEASES {
        let lease = begun(begin_one(&mut ledger, request("shop", number, world.process(1))));
        ledger.finish(&lease, success()).unwrap();
    }
    world
}

fn cache(world: &World) -> Cache {
    Cache::open(&world.directory.path().join("cache-kept"), &world.remote()).unwrap()
}

/// What another process reads that has the same copy of the repository.
fn read(world: &World) -> ReleaseChain {
    let mut ledger = Ledger::open(
        world.remote(),
        cache(world),
        world.clock.clone(),
        world.machine.clone(),
    );
    let chain = ledger.release(&qa(), &service("shop")).unwrap();
    (*chain).clone()
}

fn file(world: &World) -> PathBuf {
    cache(world).directory().join("pilotage-events-1/qa/shop")
}

#[test]
fn a_chain_reads_the_same_with_and_without_what_was_kept() {
    let world = world();
    let from_git = read(&world);
    assert_eq!(from_git.entries.len(), 2 * RELEASES as usize);
    let file = file(&world);
    let kept = std::fs::read(&file).unwrap();
    assert_eq!(read(&world), from_git);
    // A damaged one, one of another form, and one that is gone are all none.
    let mut damaged = kept.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    for text in [
        damaged,
        kept[..kept.len() - 10].to_vec(),
        b"\n\n{}".to_vec(),
        Vec::new(),
    ] {
        std::fs::write(&file, text).unwrap();
        assert_eq!(read(&world), from_git);
        assert_eq!(std::fs::read(&file).unwrap(), kept, "it is written anew");
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(read(&world), from_git);
    // What is new since is read from git.
    let lease = begun(begin_one(
        &mut world.ledger(),
        request("shop", 99, world.process(1)),
    ));
    let longer = read(&world);
    assert_eq!(
        (longer.entries.len(), &longer.tip),
        (from_git.entries.len() + 1, &Some(lease.tip))
    );
    assert_eq!(longer.entries[..from_git.entries.len()], from_git.entries);
}

#[test]
fn a_chain_that_git_has_no_more_is_not_read_from_what_was_kept() {
    let world = world();
    let whole = read(&world);
    let earlier = whole.entries[9].commit.clone();
    world.git(&["update-ref", "refs/pilotage/release/qa/shop", earlier.as_str()]);
    let short = read(&world);
    assert_eq!((short.entries.len(), short.tip), (10, Some(earlier)));
    world.git(&["update-ref", "-d", "refs/pilotage/release/qa/shop"]);
    assert_eq!(read(&world).tip, None);
}
