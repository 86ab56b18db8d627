//! The dialects of reports: what the elements mean, whoever wrote them.

use std::io::{self, Read};

use crate::xml::{Kept, Scanner, Tag, Token, XmlError};
use crate::{Case, Outcome, Problem};

/// What is kept of a name.
const NAME: usize = 1024;
/// What is kept of a stack trace.
const TRACE: usize = 32 * 1024;
/// What is kept of an output of one case.
const OUTPUT: usize = 8 * 1024;
/// Tries of one case that are kept.
const TRIES: usize = 10;

/// Why a report cannot be read, or its cases not be taken.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read at all, or whoever takes its cases cannot.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no report; the cases before the place were told.
    #[error("{0}")]
    Malformed(String),
}

impl From<XmlError> for ReadError {
    fn from(error: XmlError) -> Self {
        match error {
            XmlError::Io(error) => Self::Io(error),
            malformed @ XmlError::Malformed { .. } => Self::Malformed(malformed.to_string()),
        }
    }
}

/// Reads a report and tells each of its cases. `file` names suites that have no name.
///
/// # Errors
/// It is no report, or `tell` has failed.
pub fn read(
    report: impl Read,
    file: &str,
    tell: &mut dyn FnMut(Case) -> io::Result<()>,
) -> Result<(), ReadError> {
    let mut reader = Reader {
        scanner: Scanner::new(report),
        file,
        tell,
    };
    let mut nothing = Kept::upto(0);
    let root = loop {
        match reader.scanner.next(&mut nothing)? {
            Token::Open(tag) => break tag,
            Token::Close | Token::End => {}
        }
    };
    if !matches!(root.name.as_str(), "testsuites" | "testsuite" | "testrun") {
        return Err(ReadError::Malformed(format!(
            "its root is `{}`, no test report",
            root.name
        )));
    }
    reader.suite(root, None)?;
    // What stands behind the root.
    match reader.scanner.next(&mut nothing)? {
        Token::End => Ok(()),
        Token::Open(_) | Token::Close => Err(ReadError::Malformed("it goes on behind its end".to_owned())),
    }
}

struct Reader<'a, R> {
    scanner: Scanner<R>,
    file: &'a str,
    tell: &'a mut dyn FnMut(Case) -> io::Result<()>,
}

impl<R: Read> Reader<'_, R> {
    /// Everything up to the end of a suite, or of an element around suites. Says whether any case was in it.
    fn suite(&mut self, mut tag: Tag, outer: Option<&str>) -> Result<bool, ReadError> {
        let package = tag.attribute("package").filter(|package| !package.is_empty());
        let own = tag.attribute("name").filter(|name| !name.is_empty());
        let name = match (package, own, outer) {
            (Some(package), Some(name), _) if !name.starts_with(&package) => format!("{package}.{name}"),
            (_, Some(name), _) => name,
            (_, None, Some(outer)) => outer.to_owned(),
            (_, None, None) => self.file.to_owned(),
        };
        let name = shortened(name);
        let mut count = |key| {
            let number = tag
                .attribute(key)
                .and_then(|number| number.trim().parse::<u64>().ok());
            number.unwrap_or_default()
        };
        let said_to_fail = count("failures").saturating_add(count("errors"));
        let mut any = false;
        let mut nothing = Kept::upto(0);
        loop {
            match self.scanner.next(&mut nothing)? {
                Token::Open(tag) if tag.name == "testcase" => {
                    let case = self.case(tag, &name)?;
                    (self.tell)(case)?;
                    any = true;
                }
                Token::Open(tag) if tag.name == "testsuite" || tag.name == "testsuites" => {
                    any |= self.suite(tag, Some(&name))?;
                }
                // A suite that could not even begin.
                Token::Open(tag) if tag.name == "error" || tag.name == "failure" => {
                    let problem = self.problem(tag)?;
                    (self.tell)(invented(&name, "<init>", problem))?;
                    any = true;
                }
                Token::Open(_) => self.pass_over()?,
                Token::Close | Token::End => break,
            }
        }
        if !any && said_to_fail > 0 {
            let problem = Problem {
                message: format!("the report counts {said_to_fail} failures here and shows none of them"),
                kind: "uncounted".to_owned(),
                is_error: true,
                ..Problem::default()
            };
            (self.tell)(invented(&name, "<counters>", problem))?;
            any = true;
        }
        Ok(any)
    }

    fn case(&mut self, mut tag: Tag, suite: &str) -> Result<Case, ReadError> {
        let name = shortened(tag.attribute("name").unwrap_or_default());
        let class = tag.attribute("classname").or_else(|| tag.attribute("class"));
        let class = class.filter(|class| !class.is_empty());
        let mut case = Case {
            suite: suite.to_owned(),
            class: class.map_or_else(|| suite.to_owned(), shortened),
            seconds: tag.attribute("time").as_deref().and_then(seconds),
            name,
            ..Case::default()
        };
        // GoogleTest tells a disabled test so.
        let mut skipped = (tag.attribute("status").as_deref() == Some("notrun")).then(Problem::default);
        let mut failure: Option<Problem> = None;
        let mut nothing = Kept::upto(0);
        while let Token::Open(tag) = self.scanner.next(&mut nothing)? {
            match tag.name.as_str() {
                "skipped" => {
                    let problem = self.problem(tag)?;
                    skipped.get_or_insert(problem);
                }
                "failure" | "error" => {
                    let problem = self.problem(tag)?;
                    // The first of each is read, and an error is preferred.
                    let better = failure
                        .as_ref()
                        .is_none_or(|known| problem.is_error && !known.is_error);
                    if better {
                        failure = Some(problem);
                    }
                }
                "flakyFailure" | "flakyError" => {
                    let problem = self.problem(tag)?;
                    keep(&mut case.flaky, problem);
                }
                "rerunFailure" | "rerunError" => {
                    let problem = self.problem(tag)?;
                    keep(&mut case.reruns, problem);
                }
                "system-out" => self.text(&mut case.out, OUTPUT)?,
                "system-err" => self.text(&mut case.err, OUTPUT)?,
                _ => self.pass_over()?,
            }
        }
        (case.outcome, case.problem) = match (skipped, failure) {
            (Some(reason), _) => (Outcome::Skipped, Some(reason)),
            (None, Some(problem)) => (Outcome::Failed, Some(problem)),
            (None, None) => (Outcome::Passed, None),
        };
        Ok(case)
    }

    /// A failure of whatever kind, with the text in it or in its `stackTrace`.
    fn problem(&mut self, mut tag: Tag) -> Result<Problem, ReadError> {
        let is_error = matches!(tag.name.as_str(), "error" | "flakyError" | "rerunError");
        let mut problem = Problem {
            message: tag.attribute("message").unwrap_or_default(),
            kind: shortened(tag.attribute("type").unwrap_or_default()),
            text: String::new(),
            is_error,
        };
        let mut text = Kept::upto(TRACE);
        loop {
            match self.scanner.next(&mut text)? {
                Token::Open(tag) if tag.name == "stackTrace" => {
                    let mut trace = String::new();
                    self.text(&mut trace, TRACE)?;
                    problem.text = trace;
                }
                Token::Open(_) => self.pass_over()?,
                Token::Close | Token::End => break,
            }
        }
        if problem.text.is_empty() {
            text.take().trim().clone_into(&mut problem.text);
        }
        Ok(problem)
    }

    /// The text of an element without others; the first of several is kept.
    fn text(&mut self, into: &mut String, limit: usize) -> Result<(), ReadError> {
        let mut text = Kept::upto(if into.is_empty() { limit } else { 0 });
        while let Token::Open(_) = self.scanner.next(&mut text)? {
            self.pass_over()?;
        }
        if into.is_empty() {
            *into = text.take();
        }
        Ok(())
    }

    fn pass_over(&mut self) -> Result<(), ReadError> {
        let mut depth = 1_usize;
        let mut nothing = Kept::upto(0);
        while depth > 0 {
            match self.scanner.next(&mut nothing)? {
                Token::Open(_) => depth += 1,
                Token::Close => depth -= 1,
                Token::End => break,
            }
        }
        Ok(())
    }
}

/// A case for a failure that belongs to none.
fn invented(suite: &str, name: &str, problem: Problem) -> Case {
    Case {
        suite: suite.to_owned(),
        class: suite.to_owned(),
        name: name.to_owned(),
        outcome: Outcome::Failed,
        problem: Some(problem),
        ..Case::default()
    }
}

fn keep(tries: &mut Vec<Problem>, problem: Problem) {
    if tries.len() < TRIES {
        tries.push(problem);
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > NAME {
        let end = (0..=NAME)
            .rev()
            .find(|end| text.is_char_boundary(*end))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Seconds as reports write them, with commas between thousands (`TimeToFloat` of the Jenkins plugin).
fn seconds(text: &str) -> Option<f64> {
    let number: f64 = text.trim().replace(',', "").parse().ok()?;
    (number.is_finite() && number >= 0.0).then(|| number.min(365.0 * 86_400.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(report: &str) -> Vec<Case> {
        let mut cases = Vec::new();
        read(report.as_bytes(), "out/x.xml", &mut |case| {
            cases.push(case);
            Ok(())
        })
        .unwrap();
        cases
    }

    fn told(report: &str) -> Vec<String> {
        let line = |case: &Case| format!("{}|{}|{}|{:?}", case.suite, case.class, case.name, case.outcome);
        cases(report).iter().map(line).collect()
    }

    #[test]
    fn suites_nest_and_name_what_has_no_name() {
        let report = "<testsuites name='all'>
            <testsuite name='a'><testcase name='1' classname='p.A'/><testcase name='2'/></testsuite>
            <testsuite package='p' name='b'><testsuite><testcase name='3'/></testsuite></testsuite>
            <testsuite package='p' name='p.c'><properties><property name='x'/></properties><testcase name='4'/></testsuite>
        </testsuites>";
        assert_eq!(
            told(report),
            [
                "a|p.A|1|Passed",
                "a|a|2|Passed",
                "p.b|p.b|3|Passed",
                "p.c|p.c|4|Passed"
            ]
        );
        assert_eq!(
            told("<testsuite><testcase name='1'/></testsuite>"),
            ["out/x.xml|out/x.xml|1|Passed"]
        );
    }

    #[test]
    fn every_way_to_fail_is_a_failure_and_skipped_wins() {
        let report = "<testsuite name='s'>
            <testcase name='failure'><failure message='m' type='T'>trace</failure></testcase>
            <testcase name='error'><failure message='f'/><error message='e'/></testcase>
            <testcase name='empty'><failure/></testcase>
            <testcase name='both'><failure message='m'/><skipped message='known'/></testcase>
            <testcase name='off' status='notrun'/>
            <testcase name='flaky' time='1,234.5'><flakyFailure message='f'><stackTrace>t</stackTrace></flakyFailure></testcase>
        </testsuite>";
        let cases = cases(report);
        let outcomes: Vec<Outcome> = cases.iter().map(|case| case.outcome).collect();
        use Outcome::{Failed, Passed, Skipped};
        assert_eq!(outcomes, [Failed, Failed, Failed, Skipped, Skipped, Passed]);
        let problem = cases[0].problem.as_ref().unwrap();
        assert_eq!(
            (
                problem.message.as_str(),
                problem.kind.as_str(),
                problem.text.as_str()
            ),
            ("m", "T", "trace")
        );
        assert_eq!(cases[1].problem.as_ref().unwrap().message, "e");
        assert_eq!(
            (cases[5].seconds, cases[5].flaky[0].text.as_str()),
            (Some(1234.5), "t")
        );
    }

    #[test]
    fn failures_that_are_only_counted_or_belong_to_no_case_do_not_vanish() {
        assert_eq!(
            told("<testsuite name='s' failures='2' errors='1'/>"),
            ["s|s|<counters>|Failed"]
        );
        assert_eq!(
            told("<testsuites failures='1'></testsuites>"),
            ["out/x.xml|out/x.xml|<counters>|Failed"]
        );
        assert_eq!(
            told("<testsuite name='s'><error message='no database'/></testsuite>"),
            ["s|s|<init>|Failed"]
        );
        assert_eq!(
            told("<testsuite name='s' failures='1'><testcase name='a'/></testsuite>"),
            ["s|s|a|Passed"]
        );
        assert!(told("<testsuite name='s' tests='0' failures='0'/>").is_empty());
    }

    #[test]
    fn what_is_no_report_is_told() {
        let mut ignored = |_: Case| Ok(());
        for (report, reason) in [
            ("<html><body/></html>", "its root is `html`, no test report"),
            ("", "it is empty, at byte 0"),
            (
                "<testsuite><testcase name='a'/>",
                "it ends within `testsuite`, at byte 31",
            ),
        ] {
            let error = read(report.as_bytes(), "x", &mut ignored).unwrap_err();
            assert_eq!(error.to_string(), reason);
        }
    }
}
