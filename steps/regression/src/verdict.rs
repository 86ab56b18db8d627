//! What a suite's ends and reports are worth.

use pilotage_junit::Totals;
use pilotage_outcome::CheckOutcome;

use crate::Exit;

/// Everything that is known of a suite at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// How the last run ended; nothing where reports alone are judged.
    pub exit: Option<Exit>,
    /// The cases of all runs together.
    pub totals: Totals,
    /// Whether anybody said where reports are found.
    pub counted: bool,
    /// Reports of the last run that cannot be read, and why.
    pub broken: Vec<String>,
    /// Entries of the quarantine whose end has come.
    pub expired: Vec<String>,
}

/// What they are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How the suite ended.
    pub outcome: CheckOutcome,
    /// Why, in one sentence.
    pub reason: String,
}

/// Judges a suite. A clear no wins over an end that came from outside; green is only what ran, ended well and can be
/// read.
#[must_use]
pub fn judge(evidence: &Evidence) -> Judgement {
    let Evidence {
        exit,
        totals,
        counted,
        broken,
        expired,
    } = evidence;
    let judgement = |outcome, reason: String| Judgement { outcome, reason };
    let failed = |reason| judgement(CheckOutcome::Failed, reason);
    if totals.failed > 0 {
        return failed(format!(
            "{} of {} failed{}{}",
            totals.failed,
            tests(totals.cases),
            first(totals),
            beside(exit.as_ref())
        ));
    }
    match exit {
        Some(Exit::NotStarted(why)) => return judgement(CheckOutcome::Unavailable, why.clone()),
        Some(Exit::Stopped(reason)) => {
            return judgement(
                CheckOutcome::Deadline,
                format!("stopped by {reason} before its end"),
            );
        }
        Some(Exit::TimedOut) => {
            return judgement(
                CheckOutcome::Deadline,
                "its time was over before its end".to_owned(),
            );
        }
        Some(Exit::Idle) => {
            return judgement(
                CheckOutcome::Deadline,
                "it said nothing for too long and was ended".to_owned(),
            );
        }
        Some(Exit::Signal(signal)) => return failed(format!("it was ended by signal {signal}")),
        Some(Exit::Code(_)) | None => {}
    }
    if let Some(first) = broken.first() {
        return failed(match broken.len() {
            1 => format!("a report cannot be read: {first}"),
            n => format!("{n} reports cannot be read: {first}"),
        });
    }
    if let Some(first) = expired.first() {
        return failed(first.clone());
    }
    if let Some(Exit::Code(code @ 1..)) = exit
        && totals.quarantined == 0
    {
        return failed(match counted {
            true => format!(
                "it ended with {code}, and none of {} has failed",
                tests(totals.cases)
            ),
            false => format!("it ended with {code}"),
        });
    }
    if *counted && totals.passed + totals.quarantined == 0 {
        return failed(match totals.skipped {
            0 => "no test ran".to_owned(),
            skipped => format!("no test ran: all {skipped} were skipped"),
        });
    }
    judgement(CheckOutcome::Passed, passed(totals, *counted))
}

fn tests(count: usize) -> String {
    match count {
        1 => "1 test".to_owned(),
        count => format!("{count} tests"),
    }
}

fn first(totals: &Totals) -> String {
    match totals.failing.first() {
        None => String::new(),
        Some(failing) => {
            let message = match failing.message.as_str() {
                "" => String::new(),
                message => format!(": {message}"),
            };
            format!("; {}.{}{message}", failing.class, failing.name)
        }
    }
}

/// What else is to be known of a suite whose tests failed.
fn beside(exit: Option<&Exit>) -> String {
    match exit {
        Some(Exit::TimedOut) => "; its time was over before its end".to_owned(),
        Some(Exit::Idle) => "; it said nothing for too long and was ended".to_owned(),
        Some(Exit::Stopped(reason)) => format!("; stopped by {reason} before its end"),
        Some(Exit::Signal(signal)) => format!("; it was ended by signal {signal}"),
        Some(Exit::NotStarted(why)) => format!("; {why}"),
        Some(Exit::Code(_)) | None => String::new(),
    }
}

fn passed(totals: &Totals, counted: bool) -> String {
    if !counted {
        return "it ended well; its tests are not counted, as nobody says where its reports are".to_owned();
    }
    let mut reason = format!("{} of {} passed", totals.passed, tests(totals.cases));
    for (count, word) in [
        (totals.flaky, "flaky"),
        (totals.skipped, "skipped"),
        (totals.quarantined, "in quarantine"),
    ] {
        if count > 0 {
            reason.push_str(&format!(", {count} {word}"));
        }
    }
    reason
}

#[cfg(test)]
mod tests {
    use pilotage_junit::Failing;
    use pilotage_step::CancelReason;

    use super::*;

    fn totals(passed: usize, failed: usize, skipped: usize, quarantined: usize) -> Totals {
        Totals {
            cases: passed + failed + skipped + quarantined,
            passed,
            failed,
            skipped,
            quarantined,
            failing: (0..failed)
                .map(|number| Failing {
                    class: "C".into(),
                    name: format!("t{number}"),
                    message: "no".into(),
                })
                .collect(),
            ..Totals::default()
        }
    }

    fn told(exit: Option<Exit>, totals: Totals) -> (CheckOutcome, String) {
        let judgement = judge(&Evidence {
            exit,
            totals,
            counted: true,
            ..Evidence::default()
        });
        (judgement.outcome, judgement.reason)
    }

    #[test]
    fn green_is_what_ran_and_ended_well() {
        use CheckOutcome::{Deadline, Failed, Passed, Unavailable};
        let code = |code| Some(Exit::Code(code));
        for (exit, totals, outcome, reason) in [
            (
                code(0),
                totals(3, 0, 1, 0),
                Passed,
                "3 of 4 tests passed, 1 skipped",
            ),
            (None, totals(1, 0, 0, 0), Passed, "1 of 1 test passed"),
            (
                code(0),
                totals(2, 1, 0, 0),
                Failed,
                "1 of 3 tests failed; C.t0: no",
            ),
            (code(0), totals(0, 0, 0, 0), Failed, "no test ran"),
            (
                code(0),
                totals(0, 0, 2, 0),
                Failed,
                "no test ran: all 2 were skipped",
            ),
            (
                code(3),
                totals(2, 0, 0, 0),
                Failed,
                "it ended with 3, and none of 2 tests has failed",
            ),
            (
                code(1),
                totals(2, 0, 0, 1),
                Passed,
                "2 of 3 tests passed, 1 in quarantine",
            ),
            (
                Some(Exit::Signal(11)),
                totals(2, 0, 0, 1),
                Failed,
                "it was ended by signal 11",
            ),
            (
                Some(Exit::TimedOut),
                totals(2, 0, 0, 0),
                Deadline,
                "its time was over before its end",
            ),
            (
                Some(Exit::Idle),
                totals(0, 1, 0, 0),
                Failed,
                "1 of 1 test failed; C.t0: no; it said nothing for too long and was ended",
            ),
            (
                Some(Exit::Stopped(CancelReason::Deadline)),
                totals(2, 0, 0, 0),
                Deadline,
                "stopped by the deadline before its end",
            ),
            (
                Some(Exit::NotStarted("no such file".into())),
                totals(0, 0, 0, 0),
                Unavailable,
                "no such file",
            ),
        ] {
            assert_eq!(
                told(exit.clone(), totals),
                (outcome, reason.to_owned()),
                "{exit:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_and_what_has_expired_is_red() {
        let evidence = Evidence {
            exit: Some(Exit::Code(0)),
            totals: totals(3, 0, 0, 0),
            counted: true,
            broken: vec!["out/a.xml: it is empty, at byte 0".into()],
            expired: vec!["the quarantine of `a` ended".into()],
        };
        assert_eq!(
            judge(&evidence).reason,
            "a report cannot be read: out/a.xml: it is empty, at byte 0"
        );
        let evidence = Evidence {
            broken: Vec::new(),
            ..evidence
        };
        assert_eq!(judge(&evidence).outcome, CheckOutcome::Failed);
        assert_eq!(judge(&evidence).reason, "the quarantine of `a` ended");
    }

    #[test]
    fn without_reports_the_exit_alone_decides_and_that_is_said() {
        let of = |code| {
            judge(&Evidence {
                exit: Some(Exit::Code(code)),
                ..Evidence::default()
            })
        };
        assert_eq!(of(0).outcome, CheckOutcome::Passed);
        assert!(of(0).reason.contains("not counted"));
        assert_eq!(
            (of(2).outcome, of(2).reason.as_str()),
            (CheckOutcome::Failed, "it ended with 2")
        );
    }
}
