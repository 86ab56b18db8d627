//! Stages as processes: what they may know, what is shown of what they say, and how they are ended.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use pilotage_clock::Clock;
use pilotage_outcome::Signal;
use pilotage_release::adapter::process::{Patience, Processes};
use pilotage_release::port::{Call, Ended, Exit, Launcher as _, Needs};
use pilotage_secret::Secret;
use pilotage_step::{Cancel, CancelReason, Context, Env};

const SHORT: Patience = Patience {
    overdue: Duration::from_millis(100),
    stop: Duration::from_millis(100),
    pipes: Duration::from_secs(5),
};

/// Runs a shell script in the place of a step. Gives back its end and its log.
async fn run(script: &str, needs: Needs, cancel: &Cancel, deadline: Duration) -> (Ended, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pilotage-scripted");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let cx = Context::detached(
        Clock::system(),
        Env::of([
            ("PATH", path.as_str()),
            ("PILOTAGE_SECRET_SHOP_DB", "sesame-open"),
            ("PILOTAGE_SECRET_CART_DB", "not-yours"),
            ("PILOTAGE_GIT_PASSWORD", "never"),
            ("PILOTAGE_SLACK_TOKEN", "xoxb-1"),
            ("PILOTAGE_DRY_RUN", "1"),
        ]),
    );
    cx.redactor.register(&Secret::new("sesame-open"));
    let log = folder.path().join("log");
    let call = Call {
        program: "pilotage-scripted".to_owned(),
        arguments: vec!["undo".to_owned()],
        environment: BTreeMap::from([("PILOTAGE_ENV".to_owned(), "qa".to_owned())]),
        needs,
        label: "shop deploy".to_owned(),
        log: log.clone(),
        deadline,
    };
    let ended = Processes::new(&cx, false)
        .with_patience(SHORT)
        .run(&call, cancel)
        .await;
    (ended, std::fs::read_to_string(log).unwrap_or_default())
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_stage_knows_its_flags_and_its_secrets_and_nothing_else_of_ours() {
    let names = "echo \"$1\"; env | grep ^PILOTAGE_ | sed 's/=.*//' | sort";
    for (needs, expected) in [
        (Needs::Nothing, "undo\nPILOTAGE_ENV\n"),
        (
            Needs::Secrets("PILOTAGE_SECRET_SHOP_".to_owned()),
            "undo\nPILOTAGE_ENV\nPILOTAGE_SECRET_SHOP_DB\n",
        ),
        (Needs::Channels, "undo\nPILOTAGE_ENV\nPILOTAGE_SLACK_TOKEN\n"),
    ] {
        let (ended, log) = run(names, needs, &Cancel::never(), LONG).await;
        assert_eq!((ended.exit, log.as_str()), (Exit::Code(0), expected));
    }
}

#[tokio::test]
async fn what_a_stage_says_is_shown_without_secrets() {
    let script = "echo \"the word is $PILOTAGE_SECRET_SHOP_DB\"; printf '\\033[31mred' >&2; exit 7";
    let needs = Needs::Secrets("PILOTAGE_SECRET_SHOP_".to_owned());
    let (ended, log) = run(script, needs, &Cancel::never(), LONG).await;
    assert_eq!(ended.exit, Exit::Code(7));
    assert!(log.contains("the word is ") && !log.contains("sesame"), "{log}");
    assert!(log.contains("red") && !log.contains('\u{1b}'), "{log:?}");
}

#[tokio::test]
async fn a_stage_that_outlives_its_deadline_is_ended_with_all_it_started() {
    let (ended, _) = run(
        "trap '' TERM; sleep 600 & wait; wait",
        Needs::Nothing,
        &Cancel::never(),
        Duration::ZERO,
    )
    .await;
    assert_eq!(ended.exit, Exit::Overdue);
    assert!(
        ended.took < Duration::from_secs(30),
        "the sleeping child held no pipe open"
    );
}

#[tokio::test]
async fn a_stage_that_is_asked_to_stop_may_do_so_in_its_own_way() {
    for (way, expected) in [
        ("", Exit::Signal(15)),
        ("trap 'exit 143' TERM;", Exit::Code(143)),
        ("trap '' TERM;", Exit::Stopped),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script = format!("{way} echo > '{}'; sleep 600 & wait; wait", ready.display());
        let (handle, cancel) = Cancel::pair();
        let stop = async {
            while !ready.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            handle.cancel(CancelReason::Signal(Signal::Terminate));
        };
        let ((ended, _), ()) = tokio::join!(run(&script, Needs::Nothing, &cancel, LONG), stop);
        assert_eq!(ended.exit, expected, "{way}");
    }
}

#[tokio::test]
async fn a_step_that_is_not_there_is_named() {
    let cx = Context::detached(Clock::system(), Env::of([("PATH", "/nowhere")]));
    let call = Call {
        program: "pilotage-nothing".to_owned(),
        arguments: Vec::new(),
        environment: BTreeMap::new(),
        needs: Needs::Nothing,
        label: "shop nothing".to_owned(),
        log: "/nowhere/log".into(),
        deadline: LONG,
    };
    let ended = Processes::new(&cx, false).run(&call, &Cancel::never()).await;
    let expected = "pilotage-nothing is neither beside this program nor on PATH";
    assert_eq!(ended.exit, Exit::NotStarted(expected.to_owned()));
}
