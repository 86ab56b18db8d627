//! A ledger that believes only what its keys have signed.

use pilotage_gitrepo::{SigningKey, TrustedKeys};
use pilotage_ledger::{Append, AppendTick, Begin, Ledger, LedgerError, NewTick, Standing};
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{LineEnding, PrivateKey};

use crate::world::{World, begin_one, begun, commit, qa, request, service, success};

fn key(seed: u8) -> SigningKey {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
    let text = PrivateKey::new(pair, "ledger")
        .unwrap()
        .to_openssh(LineEnding::LF)
        .unwrap();
    SigningKey::from_openssh(&text).unwrap()
}

fn trusted(seeds: &[u8]) -> TrustedKeys {
    TrustedKeys::parse(
        &seeds
            .iter()
            .map(|seed| key(*seed).public_line())
            .collect::<Vec<_>>(),
    )
    .unwrap()
}

/// A ledger that signs with key 1 and believes keys 1 and 2.
fn signed(world: &World) -> Ledger {
    world.ledger().signing_with(key(1)).believing(trusted(&[1, 2]))
}

fn release(ledger: &mut Ledger, world: &World, asked: u64) {
    let lease = begun(begin_one(ledger, request("shop", asked, world.process(1))));
    assert!(matches!(
        ledger.finish(&lease, success()).unwrap(),
        Append::Done(_)
    ));
}

#[test]
fn signed_events_are_believed_and_git_agrees() {
    let world = World::new();
    release(&mut signed(&world), &world, 1);
    release(
        &mut world.ledger().signing_with(key(2)).believing(trusted(&[1, 2])),
        &world,
        2,
    );
    let chain = signed(&world).release(&qa(), &service("shop")).unwrap();
    assert_eq!((chain.events().count(), chain.unbelieved().count()), (4, 0));
    assert_eq!(chain.state().proved.as_ref().unwrap().commit, commit(2));
    let raw = world.git(&["cat-file", "commit", "refs/pilotage/release/qa/shop"]);
    assert!(raw.contains("gpgsig -----BEGIN SSH SIGNATURE-----"), "{raw}");
}

#[test]
fn unsigned_and_foreign_events_do_not_count_and_nothing_is_built_on_them() {
    for outsider in [None, Some(9)] {
        let world = World::new();
        release(&mut signed(&world), &world, 1);
        let mut outside = world.ledger();
        if let Some(seed) = outsider {
            outside = outside.signing_with(key(seed));
        }
        // To one who asks for no signatures it is an ordinary release.
        release(&mut outside, &world, 2);

        let mut ledger = signed(&world);
        let chain = ledger.release(&qa(), &service("shop")).unwrap();
        assert_eq!(
            chain.state().proved.as_ref().unwrap().commit,
            commit(1),
            "folded without them"
        );
        assert_eq!((chain.events().count(), chain.unbelieved().count()), (2, 2));
        assert_eq!(chain.state().fence, 2, "a number is never given out twice");
        let why = chain.unbelieved().next().unwrap().1;
        let expected = if outsider.is_some() {
            "which is no key of the ledger"
        } else {
            "it is not signed"
        };
        assert!(why.contains(expected), "{why}");
        match begin_one(&mut ledger, request("shop", 3, world.process(1))) {
            Begin::Failed(error @ LedgerError::Unbelieved { .. }) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert!(error.help().is_some());
            }
            other => panic!("{other:?}"),
        }

        // A person with a key lets the chain go on, and it does, without what the outsider wrote.
        assert!(
            ledger
                .affirm(&qa(), &service("shop"), "ana", "it was a mistake")
                .unwrap()
        );
        assert!(!ledger.affirm(&qa(), &service("shop"), "ana", "again").unwrap());
        let lease = begun(begin_one(&mut ledger, request("shop", 3, world.process(1))));
        assert_eq!(lease.release.fence, 3);
        let chain = ledger.release(&qa(), &service("shop")).unwrap();
        assert_eq!(chain.state().proved.as_ref().unwrap().commit, commit(1));
    }
}

#[test]
fn an_outsider_can_stop_a_release_but_not_speak_for_it() {
    let world = World::new();
    let mut ledger = signed(&world);
    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    let mut outside = world.ledger();
    outside
        .abandon(&qa(), &service("shop"), None, "mallory", "because")
        .unwrap();
    assert!(matches!(
        ledger.verify(&lease),
        Err(LedgerError::Unbelieved { .. })
    ));
    assert!(matches!(
        ledger.finish(&lease, success()),
        Err(LedgerError::Unbelieved { .. })
    ));
    let chain = ledger.release(&qa(), &service("shop")).unwrap();
    assert_eq!(
        chain.state().running.as_ref().unwrap().id,
        lease.release,
        "still held by its holder"
    );
    ledger
        .affirm(&qa(), &service("shop"), "ana", "it was mallory")
        .unwrap();
    assert_eq!(ledger.verify(&lease).unwrap(), Standing::Holds);
    assert!(matches!(
        ledger.finish(&lease, success()).unwrap(),
        Append::Done(_)
    ));
}

#[test]
fn affirming_without_a_key_helps_nobody() {
    let world = World::new();
    release(&mut world.ledger(), &world, 1);
    let mut ledger = world.ledger().believing(trusted(&[1]));
    assert!(matches!(
        ledger.affirm(&qa(), &service("shop"), "bo", "please"),
        Err(LedgerError::Unbelieved { .. })
    ));
}

#[test]
fn the_monitor_goes_back_to_the_newest_believed_tick() {
    let world = World::new();
    let tick = |by| NewTick {
        by: world.process(by),
        environment: None,
        services: [(service("shop"), Some(Default::default()))].into(),
        data: serde_json::json!(by),
        summary: "tick".into(),
        over_unbelieved: false,
    };
    let mut ledger = signed(&world);
    let AppendTick::Done(good) = ledger.append_tick(&qa(), None, &tick(1)).unwrap() else {
        panic!()
    };
    let removal = NewTick {
        services: [(service("shop"), None)].into(),
        ..tick(2)
    };
    let AppendTick::Done(bad) = world.ledger().append_tick(&qa(), Some(&good), &removal).unwrap() else {
        panic!()
    };

    let read = ledger.monitor(&qa()).unwrap();
    assert_eq!(
        (read.tip.as_ref(), read.read.as_ref(), read.services.len()),
        (Some(&bad), Some(&good), 1)
    );
    assert_eq!(read.unbelieved, [(bad.clone(), "it is not signed".to_owned())]);
    assert!(matches!(
        ledger.append_tick(&qa(), Some(&bad), &tick(1)),
        Err(LedgerError::Unbelieved { .. })
    ));
    let over = NewTick {
        over_unbelieved: true,
        services: [].into(),
        ..tick(1)
    };
    assert!(matches!(
        ledger.append_tick(&qa(), Some(&bad), &over).unwrap(),
        AppendTick::Done(_)
    ));
    let read = signed(&world).monitor(&qa()).unwrap();
    assert_eq!(
        (read.unbelieved.len(), read.services.len()),
        (0, 1),
        "what the outsider removed is back"
    );
}
