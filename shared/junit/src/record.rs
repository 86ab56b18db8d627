//! A case as it lies in the spool: its parts as XML, each behind its length.

use std::borrow::Cow;
use std::io;

use crate::write::{attribute, seconds, text};
use crate::{Case, Outcome, Problem};

/// The parts of a case that a merged report is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) class: String,
    pub(crate) name: String,
    /// The message of what is wrong, as text.
    pub(crate) message: String,
    /// The attributes of `testcase`.
    pub(crate) head: String,
    /// `failure` or `error`, empty where it did not fail.
    pub(crate) element: String,
    /// The attributes of what is wrong.
    pub(crate) problem: String,
    /// Its text.
    pub(crate) trace: String,
    /// The attributes of `skipped`, where its failure does not count.
    pub(crate) excuse: String,
    /// What stands within `testcase` besides: tries of the runner's own and outputs.
    pub(crate) rest: String,
}

impl Record {
    pub(crate) fn of(case: &Case, excused: Option<&str>, redact: &dyn Fn(&str) -> Cow<'_, str>) -> Self {
        let name = redact(&case.name).into_owned();
        let class = redact(&case.class).into_owned();
        let mut head = String::new();
        attribute(&mut head, "name", &name);
        attribute(&mut head, "classname", &class);
        attribute(&mut head, "time", &seconds(case.seconds.unwrap_or_default()));
        let mut rest = String::new();
        for (element, tries) in [("flakyFailure", &case.flaky), ("rerunFailure", &case.reruns)] {
            for problem in tries {
                let (attributes, trace) = (attributes(problem, redact), escaped(&problem.text, redact));
                retry(&mut rest, element, &attributes, &trace);
            }
        }
        for (element, output) in [("system-out", &case.out), ("system-err", &case.err)] {
            if !output.is_empty() {
                rest.push_str(&format!("      <{element}>"));
                text(&mut rest, &redact(output));
                rest.push_str(&format!("</{element}>\n"));
            }
        }
        let mut excuse = String::new();
        if let Some(why) = excused {
            attribute(&mut excuse, "message", &redact(why));
        }
        let problem = case.problem.as_ref();
        let element = match (case.outcome, problem) {
            (Outcome::Failed, Some(problem)) if problem.is_error => "error",
            (Outcome::Failed, _) => "failure",
            (Outcome::Passed | Outcome::Skipped, _) => "",
        };
        Self {
            name,
            class,
            message: problem.map_or_else(String::new, |problem| {
                let message = redact(&problem.message);
                let line = message.lines().next().unwrap_or_default();
                line.chars().take(300).collect()
            }),
            head,
            element: element.to_owned(),
            problem: problem.map_or_else(String::new, |problem| attributes(problem, redact)),
            trace: problem.map_or_else(String::new, |problem| escaped(&problem.text, redact)),
            excuse,
            rest,
        }
    }

    fn parts(&self) -> [&String; 9] {
        let Self {
            class,
            name,
            message,
            head,
            element,
            problem,
            trace,
            excuse,
            rest,
        } = self;
        [class, name, message, head, element, problem, trace, excuse, rest]
    }

    pub(crate) fn write(&self, into: &mut Vec<u8>) {
        for part in self.parts() {
            // Every part is far below the limit: what was read was cut.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            into.extend_from_slice(&length.to_le_bytes());
            into.extend_from_slice(part.as_bytes());
        }
    }

    pub(crate) fn read(mut bytes: &[u8]) -> io::Result<Self> {
        let mut part = || -> Option<String> {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (part, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            String::from_utf8(part.to_vec()).ok()
        };
        let mut next = || part().ok_or_else(|| io::Error::other("the spool of the merge is not what it was"));
        Ok(Self {
            class: next()?,
            name: next()?,
            message: next()?,
            head: next()?,
            element: next()?,
            problem: next()?,
            trace: next()?,
            excuse: next()?,
            rest: next()?,
        })
    }
}

fn attributes(problem: &Problem, redact: &dyn Fn(&str) -> Cow<'_, str>) -> String {
    let mut attributes = String::new();
    attribute(&mut attributes, "message", &redact(&problem.message));
    if !problem.kind.is_empty() {
        attribute(&mut attributes, "type", &redact(&problem.kind));
    }
    attributes
}

fn escaped(trace: &str, redact: &dyn Fn(&str) -> Cow<'_, str>) -> String {
    let mut escaped = String::new();
    text(&mut escaped, &redact(trace));
    escaped
}

/// A try before the last one, as the Jenkins plugin reads it: with its trace in an element of its own.
pub(crate) fn retry(into: &mut String, element: &str, attributes: &str, trace: &str) {
    into.push_str(&format!(
        "      <{element}{attributes}><stackTrace>{trace}</stackTrace></{element}>\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let case = Case {
            class: "p.A".into(),
            name: "a<b".into(),
            outcome: Outcome::Failed,
            problem: Some(Problem {
                message: "hush & more\nsecond line".into(),
                kind: "T".into(),
                text: "at \u{1} hush".into(),
                is_error: true,
            }),
            out: "hush".into(),
            ..Case::default()
        };
        let record = Record::of(&case, Some("known"), &|text| {
            text.replace("hush", "[secret]").into()
        });
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::read(&bytes).unwrap(), record);
        assert!(Record::read(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(record.message, "[secret] & more");
        assert_eq!(
            record.problem,
            " message=\"[secret] &amp; more&#10;second line\" type=\"T\""
        );
        assert_eq!(
            (record.trace.as_str(), record.element.as_str()),
            ("at  [secret]", "error")
        );
        assert!(!String::from_utf8(bytes).unwrap().contains("hush"));
    }
}
