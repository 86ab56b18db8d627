//! The life of releases on a real repository: begin, finish, takeover, and a stale lease that can change nothing.

use pilotage_gitrepo::Repository;
use pilotage_ledger::{
    Abandon, Adopted, Append, Begin, Brought, Ending, Holder, LedgerError, Liveness, Note, Noted, Rejected,
    Standing, TriggerKind, Undone, ancestry,
};
use pilotage_tests::gitserver::{BareRepository, NewCommit};

use crate::world::{World, begin_one, begun, commit, failure, noon, older, qa, request, service, success};

#[test]
fn a_release_begins_and_ends_and_anybody_can_read_it() {
    let world = World::new();
    let mut ledger = world.ledger();
    assert_eq!(ledger.release(&qa(), &service("shop")).unwrap().tip, None);

    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    assert_eq!(lease.release.to_string(), "qa.shop.1");
    assert_eq!(ledger.verify(&lease).unwrap(), Standing::Holds);
    let Append::Done(_) = ledger.finish(&lease, success()).unwrap() else {
        panic!()
    };

    let chain = world.ledger().release(&qa(), &service("shop")).unwrap();
    let state = chain.state();
    assert_eq!((state.fence, state.running.is_none()), (1, true));
    let proved = state.proved.as_ref().unwrap();
    assert_eq!(
        (proved.version.as_str(), proved.by.as_str(), &proved.commit),
        ("1.1.0", "ana", &commit(1))
    );
    assert_eq!(chain.events().count(), 2);

    let log = world.git(&["log", "--format=%s", "refs/pilotage/release/qa/shop"]);
    assert_eq!(
        log,
        "qa.shop.1 finished: succeeded\nqa.shop.1 begun: shop 1.1.0 by ana (monitor)"
    );
}

#[test]
fn a_living_holder_is_named_and_keeps_its_release() {
    let world = World::new();
    begun(begin_one(
        &mut world.ledger(),
        request("shop", 1, world.process(1)),
    ));
    match begin_one(&mut world.ledger(), request("shop", 2, world.process(2))) {
        Begin::HeldBy {
            release,
            holder,
            liveness,
            since,
            expires,
        } => {
            assert_eq!(release.to_string(), "qa.shop.1");
            assert_eq!(holder.to_string(), "process 1 on ci-1");
            assert_eq!(liveness, Liveness::Alive);
            assert_eq!((since, expires), (noon(0), noon(600)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dead_holder_is_followed_at_once_and_the_chain_says_so() {
    let world = World::new();
    let mut first = world.ledger();
    let old = begun(begin_one(&mut first, request("shop", 1, world.process(1))));
    world.machine.kill(1);

    let mut second = world.ledger();
    let lease = begun(begin_one(&mut second, request("shop", 1, world.process(2))));
    assert_eq!(lease.release.fence, 2);
    let chain = second.release(&qa(), &service("shop")).unwrap();
    let Some(Ending::Abandoned(abandoned)) = chain
        .state()
        .last()
        .and_then(|last| last.end.as_ref())
        .map(|e| &e.how)
    else {
        panic!("the first release must be abandoned")
    };
    assert!(abandoned.takeover);
    assert_eq!(abandoned.reason, "process 1 on ci-1 has ended");
    assert_eq!(chain.state().unsettled.as_ref(), Some(&old.release));

    // The old holder was only stopped for a while and comes back: it can change nothing.
    let lost = |answer: Append| match answer {
        Append::Lost { by } => by,
        other => panic!("{other:?}"),
    };
    let by = "qa.shop.2, begun by process 2 on ci-1 at 2026-01-01T12:00:00Z";
    assert_eq!(first.verify(&old).unwrap(), Standing::Lost { by: by.into() });
    let undone = Undone {
        to: None,
        reason: "late".into(),
        proof: None,
    };
    assert_eq!(lost(first.undone(&old, undone).unwrap()), by);
    assert_eq!(lost(first.finish(&old, success()).unwrap()), by);
    assert_eq!(
        second.release(&qa(), &service("shop")).unwrap().tip,
        Some(lease.tip.clone())
    );
    assert!(matches!(
        second.finish(&lease, success()).unwrap(),
        Append::Done(_)
    ));
}

#[test]
fn a_holder_of_unknown_fate_is_followed_when_its_time_is_over() {
    let world = World::new();
    let build = |number: u32| Holder::build(format!("https://ci.example.com/job/shop/{number}/"));
    begun(begin_one(&mut world.ledger(), request("shop", 1, build(1))));
    world.clock.set(noon(599));
    match begin_one(&mut world.ledger(), request("shop", 2, build(2))) {
        Begin::HeldBy { liveness, .. } => assert_eq!(liveness, Liveness::Unknown),
        other => panic!("{other:?}"),
    }
    world.clock.set(noon(600));
    assert_eq!(
        begun(begin_one(&mut world.ledger(), request("shop", 2, build(2))))
            .release
            .fence,
        2
    );
}

#[test]
fn the_same_holder_asking_again_gets_its_lease_back() {
    let world = World::new();
    let ask = || {
        begun(begin_one(
            &mut world.ledger(),
            request("shop", 1, Holder::build("https://ci/1")),
        ))
    };
    let lease = ask();
    assert_eq!(ask(), lease);
}

#[test]
fn an_older_commit_is_superseded_whatever_became_of_the_newer_one() {
    let world = World::new();
    let mut ledger = world.ledger();
    let lease = begun(begin_one(&mut ledger, request("shop", 5, world.process(1))));
    let superseded = |answer: Begin| match answer {
        Begin::Superseded { by, commit: newer } => {
            assert_eq!(newer, commit(5));
            by.to_string()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        superseded(begin_one(
            &mut world.ledger(),
            request("shop", 4, world.process(2))
        )),
        "qa.shop.1"
    );
    ledger.finish(&lease, failure("never healthy")).unwrap();
    assert_eq!(
        superseded(begin_one(
            &mut world.ledger(),
            request("shop", 4, world.process(2))
        )),
        "qa.shop.1"
    );
    // The same commit may be tried again by a person, and a newer one of course.
    let mut again = request("shop", 5, world.process(1));
    again.trigger.kind = TriggerKind::Hand;
    let lease = begun(begin_one(&mut ledger, again));
    ledger.finish(&lease, failure("never healthy")).unwrap();
    begun(begin_one(&mut ledger, request("shop", 6, world.process(1))));
}

#[test]
fn several_begin_in_one_push_and_one_conflict_stops_only_itself() {
    let world = World::new();
    begun(begin_one(
        &mut world.ledger(),
        request("cart", 1, world.process(1)),
    ));
    let requests: Vec<_> = ["shop", "cart", "mail", "mail"]
        .map(|name| request(name, 2, world.process(2)))
        .into();
    let answers = world.ledger().begin(&requests, &mut older).unwrap();
    assert!(matches!(&answers[0], Begin::Begun(lease) if lease.release.to_string() == "qa.shop.1"));
    assert!(matches!(&answers[1], Begin::HeldBy { .. }));
    assert!(matches!(&answers[2], Begin::Begun(_)));
    assert!(matches!(&answers[3], Begin::Failed(LedgerError::Twice { .. })));

    let chains = world.ledger().releases(&qa()).unwrap();
    let running: Vec<String> = chains
        .iter()
        .map(|(name, chain)| {
            let holder = &chain
                .as_ref()
                .unwrap()
                .state()
                .running
                .as_ref()
                .unwrap()
                .begun
                .holder;
            format!("{name}: {holder}")
        })
        .collect();
    assert_eq!(
        running,
        [
            "cart: process 1 on ci-1",
            "mail: process 2 on ci-1",
            "shop: process 2 on ci-1"
        ]
    );
}

#[test]
fn a_failure_is_held_until_something_is_proved() {
    let world = World::new();
    let mut ledger = world.ledger();
    for (asked, end) in [(1, success()), (2, failure("503 after 14 tries"))] {
        let lease = begun(begin_one(&mut ledger, request("shop", asked, world.process(1))));
        ledger.finish(&lease, end).unwrap();
    }
    let chain = ledger.release(&qa(), &service("shop")).unwrap();
    let held = chain.state().held.clone().unwrap();
    assert_eq!(
        (
            held.asked.version.as_str(),
            held.why.as_str(),
            held.runs.unwrap().version.as_str()
        ),
        ("1.2.0", "failed: 503 after 14 tries", "1.1.0")
    );
    assert!(chain.state().rejection(&commit(2), "sha256:2").is_some());
    let lease = begun(begin_one(&mut ledger, request("shop", 3, world.process(1))));
    ledger.finish(&lease, success()).unwrap();
    assert!(
        ledger
            .release(&qa(), &service("shop"))
            .unwrap()
            .state()
            .held
            .is_none()
    );
}

#[test]
fn nothing_automatic_releases_what_was_rejected_and_a_new_commit_of_the_same_does() {
    let world = World::new();
    let mut ledger = world.ledger();
    let brought = |asked: u64| {
        Some(Brought {
            commit: commit(asked),
            subject: "shop".into(),
        })
    };
    // What asks for `sha256:5`, at a commit, for a change, by a kind of trigger.
    let asks = |at: u64, change: Option<Brought>, kind: TriggerKind| {
        let mut request = request("shop", 5, world.process(1));
        request.commit = commit(at);
        request.trigger.change = change;
        request.trigger.kind = kind;
        request
    };
    let lease = begun(begin_one(&mut ledger, asks(5, brought(5), TriggerKind::Monitor)));
    assert!(matches!(
        ledger.finish(&lease, failure("503")).unwrap(),
        Append::Done(_)
    ));
    let before = world.git(&["rev-parse", "refs/pilotage/release/qa/shop"]);

    // The same commit, a later one that brought something else, and one that cannot say what it brought.
    for request in [
        asks(5, brought(5), TriggerKind::Monitor),
        asks(6, brought(5), TriggerKind::Monitor),
        asks(6, brought(4), TriggerKind::Jenkins),
        asks(6, None, TriggerKind::Monitor),
        asks(6, None, TriggerKind::Other("nightly".into())),
    ] {
        match begin_one(&mut ledger, request) {
            Begin::Rejected(rejection) => {
                assert_eq!(rejection.release, lease.release);
                assert!(rejection.why.contains("503"), "{}", rejection.why);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        world.git(&["rev-parse", "refs/pilotage/release/qa/shop"]),
        before,
        "nothing was written"
    );

    let again = begun(begin_one(&mut ledger, asks(7, brought(7), TriggerKind::Monitor)));
    assert!(matches!(
        ledger.finish(&again, failure("503")).unwrap(),
        Append::Done(_)
    ));
    assert!(matches!(
        begin_one(&mut ledger, asks(7, brought(7), TriggerKind::Monitor)),
        Begin::Rejected(_)
    ));
    // A person asks on purpose, and the gates have let it through.
    begun(begin_one(&mut ledger, asks(7, None, TriggerKind::Hand)));
}

#[test]
fn finishing_twice_is_told_and_changes_nothing() {
    let world = World::new();
    let mut ledger = world.ledger();
    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    let Append::Done(done) = ledger.finish(&lease, success()).unwrap() else {
        panic!()
    };
    // The process was killed between the write and its own note of it, and does the same again.
    assert_eq!(
        world.ledger().finish(&lease, success()).unwrap(),
        Append::Already(Box::new(success()))
    );
    assert_eq!(
        ledger.release(&qa(), &service("shop")).unwrap().tip,
        Some(done.tip)
    );
}

#[test]
fn a_person_gives_up_a_release_and_its_holder_loses_it() {
    let world = World::new();
    let mut ledger = world.ledger();
    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    let mut other = world.ledger();
    let wrong = "qa.shop.7".parse().unwrap();
    assert_eq!(
        other
            .abandon(&qa(), &service("shop"), Some(&wrong), "bo", "x")
            .unwrap(),
        Abandon::NotRunning {
            running: Some(lease.release.clone())
        }
    );
    assert_eq!(
        other
            .abandon(&qa(), &service("shop"), None, "bo", "the agent is gone")
            .unwrap(),
        Abandon::Done(lease.release.clone())
    );
    assert_eq!(
        ledger.finish(&lease, success()).unwrap(),
        Append::Lost {
            by: "bo, who gave it up at 2026-01-01T12:00:00Z: the agent is gone".into()
        }
    );
    assert_eq!(
        other
            .abandon(&qa(), &service("shop"), None, "bo", "again")
            .unwrap(),
        Abandon::NotRunning { running: None }
    );
}

#[test]
fn adoptions_and_rejections_wait_for_a_running_release() {
    let world = World::new();
    let mut ledger = world.ledger();
    let key = request("shop", 1, world.process(1)).service;
    let adopted = Note::Adopted(Adopted {
        service: key,
        commit: commit(1),
        config_commit: commit(999),
        descriptor: "sha256:1".into(),
        config: "v1:1".into(),
        version: "1.1.0".into(),
        proof: None,
        by: "ana".into(),
        reason: "was here before".into(),
    });
    assert_eq!(
        ledger.note(&qa(), &service("shop"), &adopted).unwrap(),
        Noted::Done
    );
    let lease = begun(begin_one(&mut ledger, request("shop", 2, world.process(1))));
    let rejected = Note::Rejected(Rejected {
        commit: commit(2),
        descriptor: "sha256:2".into(),
        version: "1.2.0".into(),
        reason: "leaks".into(),
        by: "bo".into(),
    });
    let mut other = world.ledger();
    assert_eq!(
        other.note(&qa(), &service("shop"), &rejected).unwrap(),
        Noted::HeldBy {
            release: lease.release.clone(),
            holder: world.process(1)
        }
    );
    ledger.finish(&lease, failure("x")).unwrap();
    assert_eq!(
        other.note(&qa(), &service("shop"), &rejected).unwrap(),
        Noted::Done
    );
    let chain = ledger.release(&qa(), &service("shop")).unwrap();
    assert_eq!(chain.state().held.as_ref().unwrap().why, "rejected by bo: leaks");
    assert!(chain.state().proved.as_ref().unwrap().adopted);
}

#[test]
fn two_projects_cannot_share_a_chain() {
    let world = World::new();
    begun(begin_one(
        &mut world.ledger(),
        request("shop", 1, world.process(1)),
    ));
    world.machine.kill(1);
    let mut foreign = request("shop", 2, world.process(2));
    foreign.service.project = "other".parse().unwrap();
    assert!(matches!(
        begin_one(&mut world.ledger(), foreign),
        Begin::Failed(LedgerError::OtherProject { .. })
    ));
}

#[test]
fn a_state_of_the_past_is_the_fold_up_to_then() {
    let world = World::new();
    let mut ledger = world.ledger();
    for (second, asked) in [(0, 1), (100, 2)] {
        world.clock.set(noon(second));
        let lease = begun(begin_one(&mut ledger, request("shop", asked, world.process(1))));
        world.clock.set(noon(second + 10));
        ledger.finish(&lease, success()).unwrap();
    }
    let chain = ledger.release(&qa(), &service("shop")).unwrap();
    let version = |second| chain.state_at(noon(second)).proved.map(|proved| proved.version);
    assert_eq!(
        (version(9), version(10), version(109), version(110)),
        (
            None,
            Some("1.1.0".into()),
            Some("1.1.0".into()),
            Some("1.2.0".into())
        )
    );
    assert_eq!(&chain.state_at(noon(1000)), chain.state());
}

#[test]
fn ancestry_of_a_commit_that_is_gone_is_no_and_no_error() {
    let world = World::new();
    let repository = BareRepository::at(&world.repository());
    let old = repository.commit("qa", NewCommit::new("one").file("services/shop.yaml", "a"));
    let new = repository.commit("qa", NewCommit::new("two").file("services/shop.yaml", "b"));
    let (old, new) = (old.parse().unwrap(), new.parse().unwrap());
    let repository = Repository::open(&world.repository()).unwrap();
    let mut is_ancestor = ancestry(&repository);
    assert!(is_ancestor(&old, &new).unwrap());
    assert!(!is_ancestor(&new, &old).unwrap());
    assert!(!is_ancestor(&new, &commit(7)).unwrap());
    assert!(!is_ancestor(&commit(7), &new).unwrap());
}

#[test]
fn a_ledger_can_be_handed_to_a_blocking_thread() {
    let world = World::new();
    let mut ledger = world.ledger();
    let read = std::thread::spawn(move || ledger.release(&qa(), &service("shop")).unwrap().tip.clone());
    assert_eq!(read.join().unwrap(), None);
}
