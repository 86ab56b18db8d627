//! The commit message of an event: what a person reads in `git log`.

use std::fmt::Write as _;

use super::event::{Event, What};
use crate::text::one_line;

/// Subject, a line or two of body, and a trailer that names the release.
pub(crate) fn message(event: &Event) -> String {
    let Event { release, what, .. } = event;
    let mut text = String::new();
    let mut body = Vec::new();
    let _ = match what {
        What::Begun(begun) => {
            body.push(format!(
                "Commit {}, held by {} until {}.",
                begun.commit.short(),
                begun.holder,
                begun.expires
            ));
            write!(
                text,
                "{release} begun: {} {} by {} ({})",
                release.service,
                one_line(&begun.version),
                one_line(&begun.trigger.by),
                begun.trigger.kind
            )
        }
        What::Finished(finished) => {
            body.extend(finished.stages.iter().map(|stage| {
                format!(
                    "{}: {} in {} ms",
                    one_line(&stage.step),
                    stage.outcome,
                    stage.milliseconds
                )
            }));
            body.extend(finished.reason.iter().map(|line| one_line(line)));
            let undone = if finished.undone { ", undone" } else { "" };
            write!(text, "{release} finished: {}{undone}", finished.outcome)
        }
        What::Undone(undone) => {
            body.push(one_line(&undone.reason));
            match &undone.to {
                Some(version) => write!(
                    text,
                    "{release} undone: {} {} again",
                    release.service,
                    one_line(version)
                ),
                None => write!(text, "{release} undone"),
            }
        }
        What::Rejected(rejected) => {
            body.push(one_line(&rejected.reason));
            let (version, by) = (one_line(&rejected.version), one_line(&rejected.by));
            write!(text, "{release} rejected: {} {version} by {by}", release.service)
        }
        What::Adopted(adopted) => {
            body.push(one_line(&adopted.reason));
            let (version, by) = (one_line(&adopted.version), one_line(&adopted.by));
            write!(text, "{release} adopted: {} {version} by {by}", release.service)
        }
        What::Abandoned(abandoned) => {
            body.push(one_line(&abandoned.reason));
            let how = if abandoned.takeover {
                "taken over"
            } else {
                "abandoned"
            };
            write!(text, "{release} {how} by {}", one_line(&abandoned.by))
        }
        What::Affirmed(affirmed) => {
            body.push(one_line(&affirmed.reason));
            write!(
                text,
                "{release} affirmed by {}: the events before it that nobody signed do not count",
                one_line(&affirmed.by)
            )
        }
        What::Unknown { kind, .. } => write!(text, "{release} {}", one_line(kind)),
    };
    text.push_str("\n\n");
    for line in body.iter().filter(|line| !line.is_empty()) {
        let _ = writeln!(text, "{line}");
    }
    if !body.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "Pilotage-Release: {release}");
    text
}
