//! What an outsider with the right to push can put into a chain: typed errors, and the others go on.

use crate::world::{World, begin_one, begun, git_with_input, qa, request, service, success};
use pilotage_ledger::{Begin, ChainProblem, LedgerError, schema};

/// Puts a commit with these files on top of a ref, as an outsider would.
fn intrude(world: &World, name: &str, files: &[(&str, &str, &[u8])], parents: &[&str]) -> String {
    let mut tree = String::new();
    for (mode, path, bytes) in files {
        let id = git_with_input(&world.repository(), &["hash-object", "-w", "--stdin"], bytes);
        tree.push_str(&format!("{mode} blob {id}\t{path}\n"));
    }
    let tree = git_with_input(&world.repository(), &["mktree"], tree.as_bytes());
    let mut arguments = vec!["commit-tree", &tree, "-m", "intruder"];
    for parent in parents {
        arguments.extend(["-p", parent]);
    }
    let commit = world.git(&arguments);
    world.git(&["update-ref", name, &commit]);
    commit
}

/// Mode, path and content of the only file, the parents, and what the reader has to say.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a [u8],
    Vec<&'a str>,
    fn(&ChainProblem) -> bool,
);

#[test]
fn a_broken_chain_is_a_typed_error_and_the_others_go_on() {
    let world = World::new();
    let mut ledger = world.ledger();
    for name in ["good", "shop"] {
        let lease = begun(begin_one(&mut ledger, request(name, 1, world.process(1))));
        ledger.finish(&lease, success()).unwrap();
    }
    let name = "refs/pilotage/release/qa/shop";
    let tip = world.git(&["rev-parse", name]);
    let root = world.git(&["rev-parse", &format!("{tip}^")]);
    let event = world.git(&["show", &format!("{tip}:event.json")]).into_bytes();
    let huge = vec![b' '; schema::LARGEST + 1];
    let deep = b"[".repeat(100_000);
    let cases: Vec<Case<'_>> = vec![
        ("100644", "event.json", &huge, vec![&tip], |p| {
            matches!(p, ChainProblem::TooLarge { .. })
        }),
        ("100644", "event.json", &deep, vec![&tip], |p| {
            matches!(p, ChainProblem::Event(_))
        }),
        (
            "100644",
            "event.json",
            b"{\"schema\":\"release-event/v2\"}",
            vec![&tip],
            |p| matches!(p, ChainProblem::Event(_)),
        ),
        ("100644", "README", b"hello", vec![&tip], |p| {
            matches!(p, ChainProblem::Missing { .. })
        }),
        ("120000", "event.json", b"/etc/passwd", vec![&tip], |p| {
            matches!(p, ChainProblem::NotRegular { .. })
        }),
        ("100644", "event.json", &event, vec![&tip, &root], |p| {
            matches!(p, ChainProblem::Merge)
        }),
    ];
    for (mode, path, bytes, parents, expected) in cases {
        intrude(&world, name, &[(mode, path, bytes)], &parents);
        let mut ledger = world.ledger();
        match ledger.release(&qa(), &service("shop")) {
            Err(LedgerError::Chain(error)) => assert!(expected(&error.problem), "{:?}", error.problem),
            other => panic!("{path}: {other:?}"),
        }
        let requests = [
            request("shop", 2, world.process(1)),
            request("good", 1, world.process(1)),
        ];
        let answers = ledger.begin(&requests, &mut crate::world::older).unwrap();
        assert!(
            matches!(&answers[0], Begin::Failed(LedgerError::Chain(_))),
            "{path}: {answers:?}"
        );
        let lease = begun(answers.into_iter().nth(1).unwrap());
        ledger.finish(&lease, success()).unwrap();
        let chains = ledger.releases(&qa()).unwrap();
        assert!(chains[&service("shop")].is_err() && chains[&service("good")].is_ok());
    }
}

#[test]
fn a_ref_that_no_service_could_have_is_passed_over() {
    let world = World::new();
    begun(begin_one(
        &mut world.ledger(),
        request("shop", 1, world.process(1)),
    ));
    let tip = world.git(&["rev-parse", "refs/pilotage/release/qa/shop"]);
    for odd in [
        "refs/pilotage/release/qa/Shop",
        "refs/pilotage/release/qa/$(id)",
        "refs/pilotage/release/qa/a/b",
    ] {
        world.git(&["update-ref", odd, &tip]);
    }
    let chains = world.ledger().releases(&qa()).unwrap();
    assert_eq!(
        chains.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["shop"]
    );
}

#[test]
fn a_chain_copied_from_another_service_says_nothing() {
    let world = World::new();
    let mut ledger = world.ledger();
    let lease = begun(begin_one(&mut ledger, request("shop", 1, world.process(1))));
    ledger.finish(&lease, success()).unwrap();
    let tip = world.git(&["rev-parse", "refs/pilotage/release/qa/shop"]);
    world.git(&["update-ref", "refs/pilotage/release/qa/cart", &tip]);
    let chain = world.ledger().release(&qa(), &service("cart")).unwrap();
    assert_eq!(
        (
            chain.state().fence,
            chain.state().proved.is_none(),
            chain.state().misfits.len()
        ),
        (0, true, 2)
    );
}

#[test]
fn a_record_of_the_monitor_that_cannot_be_read_stops_only_its_service() {
    let world = World::new();
    let name = "refs/pilotage/monitor/qa";
    let put =
        |content: &[u8]| git_with_input(&world.repository(), &["hash-object", "-w", "--stdin"], content);
    let good = put(br#"{"schema":"monitor-service/v1","decision":{"verdict":"accept"}}"#);
    let bad = put(b"{");
    let services = git_with_input(
        &world.repository(),
        &["mktree"],
        format!("100644 blob {bad}\tcart.json\n100644 blob {good}\tshop.json\n100644 blob {good}\tUP.json\n")
            .as_bytes(),
    );
    let environment = put(br#"{"schema":"monitor-environment/v1"}"#);
    let tick =
        put(br#"{"schema":"monitor-tick/v1","at":"2026-01-01T12:00:00Z","by":{"url":"https://ci/1"}}"#);
    let tree = git_with_input(
        &world.repository(),
        &["mktree"],
        format!("100644 blob {environment}\tenvironment.json\n040000 tree {services}\tservices\n100644 blob {tick}\ttick.json\n")
            .as_bytes(),
    );
    let commit = world.git(&["commit-tree", &tree, "-m", "tick"]);
    world.git(&["update-ref", name, &commit]);
    let monitor = world.ledger().monitor(&qa()).unwrap();
    assert_eq!(
        monitor
            .services
            .keys()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["shop"]
    );
    assert_eq!(
        monitor
            .unreadable
            .keys()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["cart"]
    );
}
