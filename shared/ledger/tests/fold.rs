//! The fold of a release chain: a table of stories, then what must hold for every sequence of events.
#![cfg(test)]

use jiff::Timestamp;
use pilotage_ledger::{
    Abandoned, Adopted, Begun, Effects, EndWord, Event, Finished, Holder, Proof, Rejected, ReleaseState,
    Trigger, TriggerKind, Undone, What,
};
use pilotage_name::{CommitId, ReleaseId, ServiceKey};
use proptest::prelude::*;

fn commit(number: u8) -> CommitId {
    format!("{number:040x}").parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn id(fence: u64) -> ReleaseId {
    format!("qa.shop.{fence}").parse().unwrap()
}

fn key() -> ServiceKey {
    ServiceKey {
        project: "acme".parse().unwrap(),
        environment: "qa".parse().unwrap(),
        service: "shop".parse().unwrap(),
    }
}

fn begun_by(fence: u64, asked: u8, kind: TriggerKind) -> Event {
    Event {
        release: id(fence),
        at: at(fence as i64 * 10),
        what: What::Begun(Box::new(Begun {
            service: key(),
            fence,
            commit: commit(asked),
            config_commit: commit(200),
            policy: "p1".into(),
            descriptor: format!("d{}", asked % 100),
            config: format!("v1:{asked}"),
            version: format!("1.{asked}.0"),
            plan: None,
            trigger: Trigger {
                kind,
                by: "ana".into(),
                change: None,
            },
            decision: None,
            holder: Holder::build("https://ci.example.com/1"),
            expires: at(fence as i64 * 10 + 600),
            retires: false,
        })),
    }
}

fn begun(fence: u64, asked: u8) -> Event {
    begun_by(fence, asked, TriggerKind::Monitor)
}

fn proof() -> Proof {
    Proof {
        digest: "sha256:aa".into(),
        version: Some("1".into()),
        config: None,
    }
}

fn finished(fence: u64, outcome: EndWord, effects: Effects) -> Event {
    let proof = (outcome == EndWord::Succeeded).then(proof);
    let end = Finished {
        outcome,
        effects,
        stages: vec![],
        plan: None,
        proof,
        reason: vec![],
        undone: false,
    };
    Event {
        release: id(fence),
        at: at(fence as i64 * 10 + 5),
        what: What::Finished(Box::new(end)),
    }
}

fn good(fence: u64) -> Event {
    finished(fence, EndWord::Succeeded, Effects::Complete)
}

fn undone(fence: u64) -> Event {
    let what = Undone {
        to: Some("1.1.0".into()),
        reason: "smoke failed".into(),
        proof: Some(proof()),
    };
    Event {
        release: id(fence),
        at: at(fence as i64 * 10 + 4),
        what: What::Undone(what),
    }
}

fn abandoned(fence: u64) -> Event {
    let what = Abandoned {
        by: "bo".into(),
        reason: "holder gone".into(),
        takeover: true,
    };
    Event {
        release: id(fence),
        at: at(fence as i64 * 10 + 9),
        what: What::Abandoned(what),
    }
}

fn rejected(fence: u64, asked: u8) -> Event {
    let what = Rejected {
        commit: commit(asked),
        descriptor: format!("d{}", asked % 100),
        version: format!("1.{asked}.0"),
        reason: "leaks".into(),
        by: "bo".into(),
    };
    Event {
        release: id(fence),
        at: at(fence as i64 * 10 + 9),
        what: What::Rejected(what),
    }
}

fn adopted(asked: u8) -> Event {
    let what = Adopted {
        service: key(),
        commit: commit(asked),
        config_commit: commit(200),
        descriptor: format!("d{asked}"),
        config: "v1:x".into(),
        version: format!("1.{asked}.0"),
        proof: None,
        by: "ana".into(),
        reason: "was here before".into(),
    };
    Event {
        release: id(0),
        at: at(0),
        what: What::Adopted(Box::new(what)),
    }
}

fn fold(events: &[Event]) -> ReleaseState {
    let mut state = ReleaseState::new("qa".parse().unwrap(), "shop".parse().unwrap());
    for (number, event) in events.iter().enumerate() {
        state.apply(&commit(number as u8), event, true);
    }
    state
}

/// One line per state, so that a story reads as a table.
fn line(state: &ReleaseState) -> String {
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    format!(
        "fence {} · running {} · proved {} · held {} · rejected {} · unsettled {} · misfits {}",
        state.fence,
        or(state.running.as_ref().map(|r| r.id.fence.to_string())),
        or(state
            .proved
            .as_ref()
            .map(|p| format!("{} by {}", p.version, p.by))),
        or(state.held.as_ref().map(|h| format!(
            "{} ({}), runs {}",
            h.asked.version,
            h.why,
            or(h.runs.as_ref().map(|r| r.version.clone()))
        ))),
        state
            .rejections
            .iter()
            .map(|r| r.asked.version.as_str())
            .collect::<Vec<_>>()
            .join(","),
        or(state.unsettled.as_ref().map(ToString::to_string)),
        state.misfits.len(),
    )
}

#[test]
fn stories() {
    let failed = |fence| finished(fence, EndWord::Failed, Effects::Partial);
    let stories: Vec<(&str, Vec<Event>)> = vec![
        ("nothing", vec![]),
        ("begun", vec![begun(1, 1)]),
        ("proved", vec![begun(1, 1), good(1)]),
        ("first failed", vec![begun(1, 1), failed(1)]),
        (
            "second failed",
            vec![begun(1, 1), good(1), begun(2, 2), failed(2)],
        ),
        (
            "failed and undone",
            vec![begun(1, 1), good(1), begun(2, 2), undone(2), failed(2)],
        ),
        (
            "fixed after failed",
            vec![begun(1, 1), good(1), begun(2, 2), failed(2), begun(3, 3), good(3)],
        ),
        (
            "same descriptor again, proved",
            vec![
                begun(1, 1),
                good(1),
                begun(2, 2),
                failed(2),
                begun(3, 102),
                good(3),
            ],
        ),
        (
            "network away",
            vec![
                begun(1, 1),
                good(1),
                begun(2, 2),
                finished(2, EndWord::Unavailable, Effects::None),
            ],
        ),
        (
            "taken over",
            vec![begun(1, 1), good(1), begun(2, 2), abandoned(2), begun(3, 2)],
        ),
        (
            "taken over after undo",
            vec![begun(1, 1), good(1), begun(2, 2), undone(2), abandoned(2)],
        ),
        (
            "rolled back",
            vec![
                begun(1, 1),
                good(1),
                begun(2, 2),
                good(2),
                begun_by(3, 101, TriggerKind::Rollback),
                good(3),
            ],
        ),
        ("adopted, then rejected by hand", vec![adopted(1), rejected(0, 2)]),
        ("success without proof", {
            let mut end = good(1);
            if let What::Finished(finished) = &mut end.what {
                finished.proof = None;
            }
            vec![begun(1, 1), end]
        }),
        (
            "rejection of an older commit",
            vec![begun(1, 1), good(1), begun(2, 3), good(2), rejected(2, 2)],
        ),
        (
            "late end of an old release",
            vec![begun(1, 1), abandoned(1), begun(2, 2), good(1)],
        ),
        (
            "second begin while one runs",
            vec![begun(1, 1), begun(2, 2), good(2), good(1)],
        ),
        ("gap in the fence", vec![begun(1, 1), good(1), begun(9, 2)]),
    ];
    let table: Vec<String> = stories
        .iter()
        .map(|(name, events)| format!("{name}: {}", line(&fold(events))))
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

#[test]
fn a_rejection_is_found_by_commit_before_descriptor() {
    let failed = |fence| finished(fence, EndWord::Failed, Effects::Partial);
    let state = fold(&[begun(1, 2), failed(1), begun(2, 102), failed(2)]);
    assert_eq!(state.rejection(&commit(2), "d2").unwrap().release, id(1));
    assert_eq!(state.rejection(&commit(102), "d2").unwrap().release, id(2));
    assert_eq!(
        state.rejection(&commit(77), "d2").unwrap().release,
        id(2),
        "the newest of the same descriptor"
    );
    assert_eq!(state.rejection(&commit(77), "d7"), None);
}

#[test]
fn an_event_of_another_service_changes_nothing() {
    let mut foreign = begun(1, 1);
    foreign.release = "prod.shop.1".parse().unwrap();
    let state = fold(&[foreign]);
    assert_eq!(
        (state.fence, state.running.is_none(), state.misfits.len()),
        (0, true, 1)
    );
}

#[test]
fn what_is_not_believed_only_raises_the_fence() {
    let mut state = fold(&[begun(1, 1), good(1)]);
    let before = state.clone();
    state.apply(&commit(9), &begun(2, 2), false);
    assert_eq!(state.fence, 2);
    state.apply(&commit(10), &good(2), false);
    assert_eq!((state.running.is_none(), &state.proved), (true, &before.proved));
    state.apply(&commit(11), &begun(3, 3), true);
    assert_eq!(state.running.as_ref().unwrap().id, id(3));
}

fn any_event() -> impl Strategy<Value = Event> {
    (0u64..12, 0u8..6, 0u8..9).prop_map(|(fence, asked, kind)| match kind {
        0 => begun(fence, asked),
        1 => begun_by(fence, asked, TriggerKind::Rollback),
        2 => good(fence),
        3 => finished(fence, EndWord::Failed, Effects::Partial),
        4 => finished(fence, EndWord::Unavailable, Effects::None),
        5 => undone(fence),
        6 => abandoned(fence),
        7 => rejected(fence, asked),
        _ => adopted(asked),
    })
}

/// Sequences in which most events fit: fences follow each other, ends follow begins.
fn likely_events() -> impl Strategy<Value = Vec<Event>> {
    prop::collection::vec((0u8..6, 0u8..7, any_event(), 0u8..10), 0..30).prop_map(|draws| {
        let mut fence = 0;
        let mut events = Vec::new();
        for (asked, end, stray, chance) in draws {
            if chance == 0 {
                events.push(stray);
                continue;
            }
            fence += 1;
            events.push(begun(fence, asked));
            match end {
                0 | 1 => events.push(good(fence)),
                2 => events.push(finished(fence, EndWord::Failed, Effects::Partial)),
                3 => events.push(abandoned(fence)),
                4 => events.extend([undone(fence), finished(fence, EndWord::Failed, Effects::Partial)]),
                5 => events.extend([undone(fence), abandoned(fence)]),
                _ => {}
            }
        }
        events
    })
}

proptest! {
    #[test]
    fn every_sequence_folds_soundly(events in prop_oneof![prop::collection::vec(any_event(), 0..40), likely_events()]) {
        let mut state = ReleaseState::new("qa".parse().unwrap(), "shop".parse().unwrap());
        for (number, event) in events.iter().enumerate() {
            let before = state.clone();
            state.apply(&commit(number as u8), event, true);

            prop_assert!(state.fence >= before.fence && state.fence <= before.fence + 1, "the fence goes up by one at most");
            if let Some(running) = &state.running {
                prop_assert!(running.id.fence <= state.fence);
                prop_assert!(running.end.is_none());
                if let Some(earlier) = &before.running {
                    prop_assert_eq!(&earlier.id, &running.id, "one release never replaces a running one");
                }
            }
            if state.proved != before.proved {
                let fits = match &event.what {
                    What::Finished(end) => end.outcome == EndWord::Succeeded && before.running.is_some(),
                    What::Adopted(_) => before.running.is_none(),
                    _ => false,
                };
                prop_assert!(fits, "only a success or an adoption proves: {:?}", event.what.kind());
                prop_assert!(state.held.is_none(), "what is proved is not held");
            }
            if state.misfits.len() > before.misfits.len() {
                prop_assert_eq!((&state.running, &state.proved, &state.held), (&before.running, &before.proved, &before.held));
            }
            if state.held.is_some() && state.held != before.held {
                let held = state.held.clone().unwrap();
                prop_assert!(state.rejection(&held.asked.commit, &held.asked.descriptor).is_some());
                prop_assert_eq!(&held.runs, &state.proved);
            }
            prop_assert!(state.history.len() >= before.history.len());
        }
        let fences: Vec<u64> = state.history.iter().map(|r| r.id.fence).collect();
        prop_assert!(fences.windows(2).all(|pair| pair[0] < pair[1]), "{fences:?}");
    }
}
