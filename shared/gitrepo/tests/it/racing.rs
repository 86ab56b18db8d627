use std::sync::Barrier;

use pilotage_gitrepo::UpdateResult;
use pilotage_name::CommitId;
use pilotage_tests::gitserver::NewCommit;

use crate::world::{World, name, update, write};

const WRITERS: usize = 8;
const ROUNDS: usize = 25;
const REF: &str = "refs/pilotage/release/qa/shop";

/// Eight writers append to one ref, all from the same tip, again and again: one of them wins each round, and in the end
/// the chain holds exactly the winners.
fn race(way: usize) {
    let world = World::new();
    world.bare.commit("qa", NewCommit::new("One").file("a", "1"));
    let start = Barrier::new(WRITERS);
    let end = Barrier::new(WRITERS);
    let wins: Vec<Vec<(usize, CommitId)>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (world, start, end) = (&world, &start, &end);
                scope.spawn(move || {
                    let (_, remote) = world.ways().into_iter().nth(way).unwrap();
                    let root = world.directory.path().join(format!("writer-{writer}"));
                    let mut cache = pilotage_gitrepo::Cache::open(&root, &remote).unwrap();
                    let mut won = Vec::new();
                    for round in 0..ROUNDS {
                        let listing = remote.list_or_empty(&["refs/pilotage/"]).unwrap();
                        let fetched = cache.fetch_listed(&remote, &listing).unwrap();
                        let tip = fetched.listing.get(&name(REF)).cloned();
                        let new = write(
                            &cache,
                            tip.as_ref(),
                            "event.json",
                            &format!("{writer} in round {round}"),
                        );
                        start.wait();
                        let results = remote.push(&cache, &[update(REF, tip.as_ref(), &new)]).unwrap();
                        match &results[..] {
                            [UpdateResult::Done] => won.push((round, new)),
                            [UpdateResult::Moved { actual }] => assert_ne!(*actual, tip),
                            other => panic!("writer {writer} in round {round}: {other:?}"),
                        }
                        end.wait();
                    }
                    won
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let mut winners: Vec<_> = wins.into_iter().flatten().collect();
    winners.sort();
    let rounds: Vec<_> = winners.iter().map(|(round, _)| *round).collect();
    assert_eq!(rounds, (0..ROUNDS).collect::<Vec<_>>(), "one winner a round");
    let chain = world.bare.git(&["rev-list", "--reverse", REF]);
    let chain: Vec<_> = chain.lines().map(str::to_owned).collect();
    let winners: Vec<_> = winners.iter().map(|(_, id)| id.to_string()).collect();
    assert_eq!(chain, winners, "nothing is lost");
    world.bare.git(&["fsck", "--strict", "--full"]);
}

#[test]
fn one_writer_wins_each_round_over_http() {
    race(0);
}

#[test]
fn one_writer_wins_each_round_on_a_path() {
    race(1);
}

#[test]
fn one_writer_wins_each_round_over_ssh() {
    race(2);
}
