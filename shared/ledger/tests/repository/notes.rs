//! Many notes at once: one push, an answer for each, and nothing twice.

use std::os::unix::fs::PermissionsExt as _;

use pilotage_gitrepo::Remote;
use pilotage_ledger::{Adopted, Ledger, LedgerError, Note, Noted};
use pilotage_name::{ServiceKey, ServiceName};
use pilotage_tests::gitserver::{Asked, Fault, GitServer};

use crate::world::{World, begin_one, begun, commit, qa, request, service};

fn adopted(name: &str) -> (ServiceName, Note) {
    let note = Note::Adopted(Adopted {
        service: ServiceKey {
            project: "acme".parse().unwrap(),
            environment: qa(),
            service: service(name),
        },
        commit: commit(1),
        config_commit: commit(999),
        descriptor: "sha256:1".into(),
        config: "v1:1".into(),
        version: "1.1.0".into(),
        proof: None,
        by: "first sight".into(),
        reason: "the environment's owner said that it runs already".into(),
    });
    (service(name), note)
}

fn many(count: usize) -> Vec<(ServiceName, Note)> {
    (0..count).map(|number| adopted(&format!("s{number}"))).collect()
}

/// How many events the chain of each service has.
fn lengths(world: &World) -> Vec<usize> {
    let chains = world.ledger().releases(&qa()).unwrap();
    chains
        .into_values()
        .map(|chain| chain.unwrap().entries.len())
        .collect()
}

#[track_caller]
fn all_done(ledger: &mut Ledger, notes: &[(ServiceName, Note)]) {
    for (answer, (service, _)) in ledger.note_all(&qa(), notes).unwrap().iter().zip(notes) {
        assert!(matches!(answer, Ok(Noted::Done)), "{service}: {answer:?}");
    }
}

#[test]
fn more_than_fit_into_one_push_are_two_and_asking_again_is_none() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let mut ledger = world.ledger_at(crate::http::remote(&server));
    let notes = many(510);
    all_done(&mut ledger, &notes);
    let counts = server.counts();
    let asked = |kind| counts.by_kind.get(&kind).copied().unwrap_or_default();
    assert_eq!((asked(Asked::LsRefs), asked(Asked::Push)), (1, 2), "{counts:?}");
    assert_eq!(lengths(&world), vec![1; 510]);

    server.reset_counts();
    all_done(&mut world.ledger_at(crate::http::remote(&server)), &notes);
    assert_eq!(server.counts().by_kind.get(&Asked::Push), None);
    assert_eq!(lengths(&world), vec![1; 510], "nothing twice");
}

#[test]
fn each_has_its_own_answer() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let mut ledger = world.ledger_at(crate::http::remote(&server));
    let lease = begun(begin_one(&mut ledger, request("s3", 1, world.process(1))));
    let hook = world.repository().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(
        &hook,
        "#!/bin/sh\ncase $1 in */s5) echo not here >&2; exit 1;; esac\n",
    )
    .unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut notes = many(8);
    notes.push(adopted("s7"));
    let answers = ledger.note_all(&qa(), &notes).unwrap();
    for (index, answer) in answers.iter().enumerate() {
        match (index, answer) {
            (3, Ok(Noted::HeldBy { release, .. })) => assert_eq!(*release, lease.release),
            (5, Err(LedgerError::Refused { name, .. })) => assert!(name.as_str().ends_with("/s5")),
            (8, Err(LedgerError::Twice { .. })) => {}
            (_, Ok(Noted::Done)) if ![3, 5, 8].contains(&index) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(world.ledger().releases(&qa()).unwrap().len(), 7, "all but s5");
}

#[test]
fn two_who_note_the_same_at_once_write_it_once() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let notes = many(60);
    let race = |remote: &(dyn Fn() -> Remote + Sync), notes: &[(ServiceName, Note)]| {
        let start = std::sync::Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let (start, world) = (&start, &world);
                scope.spawn(move || {
                    let mut ledger = world.ledger_at(remote());
                    start.wait();
                    all_done(&mut ledger, notes);
                });
            }
        });
    };
    race(&|| crate::http::remote(&server), &notes[..30]);
    race(&|| world.remote(), &notes[30..]);
    assert_eq!(lengths(&world), vec![1; 60]);
}

#[test]
fn a_lost_reply_is_settled_for_all() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    for (round, lost) in [Fault::DropReply, Fault::StatusAfter(504), Fault::DropRequest]
        .into_iter()
        .enumerate()
    {
        server.fault(Asked::Push, lost, 1);
        let notes: Vec<_> = (0..10).map(|n| adopted(&format!("r{round}-s{n}"))).collect();
        all_done(&mut world.ledger_at(crate::http::remote(&server)), &notes);
    }
    assert_eq!(lengths(&world), vec![1; 30]);
}

#[test]
fn what_arrived_before_the_network_went_is_told() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let notes = many(510);
    // The listing, and the question and the answer of the first push.
    server.fault(Asked::Any, Fault::Delay(std::time::Duration::ZERO), 3);
    server.fault(Asked::Any, Fault::Status(503), usize::MAX);
    let mut ledger = world.ledger_at(crate::http::remote(&server));
    let answers = ledger.note_all(&qa(), &notes).unwrap();
    let done = answers.iter().filter(|answer| matches!(answer, Ok(Noted::Done)));
    let unsettled = |answer: &&_| matches!(answer, Err(LedgerError::Unsettled { .. }));
    assert_eq!(
        (done.count(), answers.iter().filter(unsettled).count()),
        (500, 10),
        "{:?}",
        answers.last()
    );
    server.heal();
    all_done(&mut ledger, &notes);
    assert_eq!(lengths(&world), vec![1; 510]);
}
