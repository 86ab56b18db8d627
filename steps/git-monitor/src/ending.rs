//! What a release that was started and waited for means for the report of `once`: pure.

use pilotage_outcome::{CheckOutcome, CheckResult, Class, ExitCode, Outcome};

use crate::trigger::{Ended, Order};

/// The check that asks whether an order's release went well.
fn check(order: &Order, outcome: CheckOutcome) -> CheckResult {
    let Order {
        environment, commit, ..
    } = order;
    CheckResult::new(
        format!("release {} in {environment} at {}", order.names(), commit.short()),
        outcome,
    )
}

/// How a release ended. `local` says that its exit code is one of the step contract's; of another program only 0 is known
/// to be good.
pub(crate) fn ended(ended: &Ended, local: bool) -> CheckResult {
    let Some(code) = ended.code else {
        return check(&ended.order, CheckOutcome::Unavailable)
            .reason("it was killed; how far it came is not known");
    };
    let known = u8::try_from(code).ok().and_then(ExitCode::from_code);
    let (outcome, reason) = match known.filter(|_| local) {
        Some(known) => (of_code(known), known.meaning().to_owned()),
        None if code == 0 => (CheckOutcome::Passed, String::new()),
        None => (CheckOutcome::Failed, format!("it ended with {code}")),
    };
    match outcome {
        CheckOutcome::Passed => check(&ended.order, outcome),
        _ => check(&ended.order, outcome).reason(reason),
    }
}

/// How what was started ended, in one line. Of a command that pilotage.yaml names only its code is known, not whether it
/// released anything.
pub(crate) fn line(order: &Order, code: Option<i32>, local: bool) -> String {
    let what = if local { "release of" } else { "command for" };
    let what = format!("the {what} {} in {}", order.names(), order.environment);
    let known = code
        .and_then(|code| u8::try_from(code).ok())
        .and_then(ExitCode::from_code)
        .filter(|_| local);
    match (code, known) {
        (None, _) => format!("{what} was killed"),
        (Some(0), Some(_)) => format!("{what} ended well"),
        (Some(code), Some(known)) => format!("{what} ended with {code}: {}", known.meaning()),
        (Some(code), None) => format!("{what} ended with {code}"),
    }
}

/// A release that could not even be started.
pub(crate) fn not_started(order: &Order, why: &str) -> CheckResult {
    check(order, CheckOutcome::Unavailable).reason(why)
}

fn of_code(code: ExitCode) -> CheckOutcome {
    match Outcome::of_exit_code(code) {
        Outcome::Passed => CheckOutcome::Passed,
        Outcome::Failed => CheckOutcome::Failed,
        Outcome::Invalid => CheckOutcome::Invalid,
        Outcome::Deadline => CheckOutcome::Deadline,
        Outcome::Refused { .. } => CheckOutcome::Refused,
        // A newer decision was accepted meanwhile; what that one comes to is told by its own release.
        Outcome::Superseded => CheckOutcome::Skipped,
        Outcome::Unavailable | Outcome::Usage | Outcome::Internal | Outcome::Cancelled(_) => {
            CheckOutcome::Unavailable
        }
    }
}

/// The outcome of releases and of an environment that could not be decided, together.
pub(crate) fn worst(undecided: Class, releases: Vec<CheckOutcome>) -> Outcome {
    let undecided = match undecided.outcome() {
        Outcome::Invalid => CheckOutcome::Invalid,
        Outcome::Unavailable => CheckOutcome::Unavailable,
        Outcome::Deadline => CheckOutcome::Deadline,
        Outcome::Refused { waiting: false } => CheckOutcome::Refused,
        Outcome::Refused { waiting: true } => CheckOutcome::Waiting,
        other => return other,
    };
    Outcome::worst(releases.into_iter().chain([undecided]))
}

#[cfg(test)]
mod tests {
    use super::{worst as worst_beside, *};

    #[test]
    fn of_another_program_only_its_code_is_told() {
        let order = Order {
            environment: "qa".parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
            services: vec!["cart".parse().unwrap(), "shop".parse().unwrap()],
        };
        assert_eq!(
            line(&order, Some(0), true),
            "the release of cart, shop in qa ended well"
        );
        assert!(line(&order, Some(4), true).starts_with("the release of cart, shop in qa ended with 4: "));
        assert_eq!(
            line(&order, Some(0), false),
            "the command for cart, shop in qa ended with 0"
        );
        assert_eq!(
            line(&order, Some(4), false),
            "the command for cart, shop in qa ended with 4"
        );
        assert_eq!(
            line(&order, None, false),
            "the command for cart, shop in qa was killed"
        );
    }

    #[test]
    fn a_release_is_good_only_when_it_says_so_and_the_worst_one_counts() {
        let order = |name: &str| Order {
            environment: "qa".parse().unwrap(),
            commit: "a".repeat(40).parse().unwrap(),
            services: vec![name.parse().unwrap()],
        };
        let told = |code| {
            let order = order("shop");
            ended(&Ended { order, code }, true)
        };
        let worst = |codes: &[i32]| {
            let checks = codes.iter().map(|code| told(Some(*code)).outcome);
            Outcome::worst(checks).exit_code().code()
        };
        let table: [(&[i32], u8); 9] = [
            (&[0], 0),
            (&[0, 7], 0),
            (&[4, 0], 4),
            (&[4, 5], 5),
            (&[4, 5, 1], 1),
            (&[3, 1], 3),
            (&[6], 6),
            (&[70], 4),
            (&[143], 4),
        ];
        for (codes, expected) in table {
            assert_eq!(worst(codes), expected, "{codes:?}");
        }
        assert_eq!(told(None).outcome, CheckOutcome::Unavailable);
        let beside = |code| {
            let ends = vec![told(Some(code)).outcome];
            worst_beside(Class::Unavailable, ends).exit_code().code()
        };
        assert_eq!([0, 5, 1].map(beside), [4, 5, 1], "an environment was not decided");
        let failed = told(Some(1));
        assert_eq!(failed.name, "release shop in qa at aaaaaaaaaa");
        assert!(!failed.reason.is_empty());
        let foreign = |code| {
            let order = order("shop");
            ended(
                &Ended {
                    order,
                    code: Some(code),
                },
                false,
            )
            .outcome
        };
        assert_eq!(
            (foreign(0), foreign(7)),
            (CheckOutcome::Passed, CheckOutcome::Failed),
            "another program's codes mean something else"
        );
    }
}
