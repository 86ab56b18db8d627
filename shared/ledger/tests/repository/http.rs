//! The ledger behind a git server: what it asks, and what it makes of lost replies.

use std::time::Duration;

use pilotage_gitrepo::{Limits, Remote};
use pilotage_http::HttpSettings;
use pilotage_ledger::{Append, AppendTick, Begin, LedgerError, NewTick, Standing};
use pilotage_tests::gitserver::{Asked, Fault, GitServer};

use crate::world::{World, begin_one, begun, older, qa, request, service, success};

pub(crate) fn remote(server: &GitServer) -> Remote {
    let settings = HttpSettings {
        system_roots: false,
        ..HttpSettings::default()
    };
    let limits = Limits {
        operation: Duration::from_secs(20),
        silence: Duration::from_secs(10),
        ..Limits::default()
    };
    Remote::open(server.url("ledger.git").parse().unwrap(), &settings, None, limits).unwrap()
}

#[test]
fn a_release_begins_and_ends_over_http() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let mut ledger = world.ledger_at(remote(&server));
    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    assert_eq!(ledger.verify(&lease).unwrap(), Standing::Holds);
    assert!(matches!(
        ledger.finish(&lease, success()).unwrap(),
        Append::Done(_)
    ));
    let chain = world.ledger().release(&qa(), &service("shop")).unwrap();
    assert_eq!(chain.state().proved.as_ref().unwrap().release, lease.release);
}

#[test]
fn a_lost_reply_is_settled_by_reading() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let mut ledger = world.ledger_at(remote(&server));
    for lost in [Fault::DropReply, Fault::StatusAfter(504)] {
        server.fault(Asked::Push, lost.clone(), 1);
        let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
        server.fault(Asked::Push, lost, 1);
        assert!(matches!(
            ledger.finish(&lease, success()).unwrap(),
            Append::Done(_)
        ));
        server.fault(Asked::Push, Fault::DropReply, 1);
        let tick = NewTick {
            by: world.process(1),
            environment: None,
            services: [].into(),
            data: serde_json::Value::Null,
            summary: "tick".into(),
            over_unbelieved: false,
        };
        let tip = ledger.monitor(&qa()).unwrap().tip.clone();
        assert!(matches!(
            ledger.append_tick(&qa(), tip.as_ref(), &tick).unwrap(),
            AppendTick::Done(_)
        ));
    }
    let chain = world.ledger().release(&qa(), &service("shop")).unwrap();
    assert_eq!(
        (chain.state().fence, chain.entries.len()),
        (2, 4),
        "nothing twice"
    );
}

#[test]
fn a_begin_whose_writer_was_killed_before_the_reply_is_found_again() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    server.fault(Asked::Push, Fault::DropReply, 1);
    let lease = begun(begin_one(
        &mut world.ledger_at(remote(&server)),
        request("shop", 1, world.process(1)),
    ));
    // The holder never learnt of its lease, and asks again.
    let mut again = world.ledger_at(remote(&server));
    assert_eq!(
        begun(begin_one(&mut again, request("shop", 1, world.process(1)))),
        lease
    );
    assert_eq!(again.release(&qa(), &service("shop")).unwrap().entries.len(), 1);
}

#[test]
fn no_answer_is_an_error_and_never_an_empty_chain() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let mut ledger = world.ledger_at(remote(&server));
    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    server.fault(Asked::Any, Fault::Status(503), usize::MAX);
    assert!(matches!(
        ledger.release(&qa(), &service("shop")),
        Err(LedgerError::Git(_))
    ));
    assert!(matches!(ledger.verify(&lease), Err(LedgerError::Git(_))));
    assert!(
        ledger
            .begin(&[request("shop", 2, world.process(2))], &mut older)
            .is_err()
    );
    server.heal();
    assert_eq!(ledger.verify(&lease).unwrap(), Standing::Holds);
}

#[test]
fn an_idle_look_is_one_request_and_a_thousand_services_are_one_fetch() {
    let world = World::new();
    let server = GitServer::start(world.directory.path());
    let requests: Vec<_> = (0..50)
        .map(|number| request(&format!("s{number}"), 1, world.process(1)))
        .collect();
    let answers = world.ledger().begin(&requests, &mut older).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Begin::Begun(_))));

    let mut reader = world.ledger_at(remote(&server));
    server.reset_counts();
    assert_eq!(reader.releases(&qa()).unwrap().len(), 50);
    let counts = server.counts();
    let asked = |kind| counts.by_kind.get(&kind).copied().unwrap_or_default();
    assert_eq!((asked(Asked::LsRefs), asked(Asked::Fetch)), (1, 1), "{counts:?}");

    server.reset_counts();
    assert_eq!(reader.releases(&qa()).unwrap().len(), 50);
    assert_eq!(server.counts().requests, 1);
    server.reset_counts();
    assert_eq!(reader.known_releases(&qa()).unwrap().len(), 50);
    assert_eq!(server.counts().requests, 0);

    server.reset_counts();
    let requests: Vec<_> = (50..80)
        .map(|number| request(&format!("s{number}"), 1, world.process(1)))
        .collect();
    let answers = reader.begin(&requests, &mut older).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Begin::Begun(_))));
    let counts = server.counts();
    assert_eq!(
        counts.by_kind.get(&Asked::Push).copied(),
        Some(1),
        "one push: {counts:?}"
    );
}
