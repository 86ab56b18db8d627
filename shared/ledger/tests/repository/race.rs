//! Eight writers on one chain: one winner a round, nothing lost.

use std::sync::{Barrier, Mutex};

use pilotage_gitrepo::Remote;
use pilotage_ledger::{Append, AppendTick, Begin, Lease, NewTick};
use pilotage_tests::gitserver::GitServer;

use crate::world::{World, older, qa, request, service, success};

const WRITERS: u32 = 8;
const ROUNDS: u32 = 25;

/// All writers begin at once; the winner finishes; the next round. Nobody panics before the end of the rounds, because
/// the others wait for everybody.
fn race(world: &World, remote: &(dyn Fn() -> Remote + Sync)) {
    let start = Barrier::new(WRITERS as usize);
    let judged = Barrier::new(WRITERS as usize);
    let winners: Mutex<Vec<(u32, Lease)>> = Mutex::new(Vec::new());
    let faults: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for writer in 1..=WRITERS {
            let (start, judged, winners, faults) = (&start, &judged, &winners, &faults);
            scope.spawn(move || {
                let fault = |round: u32, what: String| {
                    faults
                        .lock()
                        .unwrap()
                        .push(format!("round {round}, writer {writer}: {what}"));
                };
                let mut ledger = world.ledger_at(remote());
                let holder = world.process(writer);
                for round in 0..ROUNDS {
                    start.wait();
                    let asked = request("shop", u64::from(round) + 1, holder.clone());
                    let answer = ledger
                        .begin(&[asked], &mut older)
                        .map(|mut answers| answers.remove(0));
                    // Nobody ends a release before everybody has tried to begin it.
                    judged.wait();
                    match answer {
                        Ok(Begin::Begun(lease)) => {
                            match ledger.finish(&lease, success()) {
                                Ok(Append::Done(_)) => {}
                                other => fault(round, format!("finish: {other:?}")),
                            }
                            winners.lock().unwrap().push((round, lease));
                        }
                        Ok(Begin::HeldBy { .. }) => {}
                        other => fault(round, format!("{other:?}")),
                    }
                }
            });
        }
    });
    assert_eq!(faults.into_inner().unwrap(), Vec::<String>::new());
    let winners = winners.into_inner().unwrap();
    let rounds: Vec<u32> = winners.iter().map(|(round, _)| *round).collect();
    assert_eq!(
        rounds,
        (0..ROUNDS).collect::<Vec<_>>(),
        "exactly one winner a round"
    );

    let chain = world.ledger().release(&qa(), &service("shop")).unwrap();
    assert_eq!(
        chain.events().count() as u32,
        2 * ROUNDS,
        "nothing lost, nothing twice"
    );
    for (round, lease) in &winners {
        assert_eq!(lease.release.fence, u64::from(*round) + 1);
        assert!(
            chain.entries.iter().any(|entry| entry.commit == lease.tip),
            "the winner's begin stands in the chain"
        );
    }
    assert!(chain.state().misfits.is_empty());
}

#[test]
fn one_winner_a_round_on_a_path() {
    let world = World::new();
    race(&world, &|| world.remote());
}

#[test]
fn one_winner_a_round_over_http() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    race(&world, &|| crate::http::remote(&server));
}

#[test]
fn one_tick_a_round_and_the_others_read_again() {
    let world = World::new();
    let start = Barrier::new(WRITERS as usize);
    std::thread::scope(|scope| {
        for writer in 1..=WRITERS {
            let (start, world) = (&start, &world);
            scope.spawn(move || {
                let mut ledger = world.ledger();
                let tick = NewTick {
                    by: world.process(writer),
                    environment: None,
                    services: [].into(),
                    data: serde_json::json!(writer),
                    summary: "tick".into(),
                    over_unbelieved: false,
                };
                start.wait();
                // Every monitor gets its say in the end, because each failed swap means that another one succeeded.
                loop {
                    let tip = ledger.monitor(&qa()).unwrap().tip.clone();
                    if let AppendTick::Done(_) = ledger.append_tick(&qa(), tip.as_ref(), &tick).unwrap() {
                        break;
                    }
                }
            });
        }
    });
    assert_eq!(
        world.git(&["rev-list", "--count", "refs/pilotage/monitor/qa"]),
        WRITERS.to_string()
    );
}
