//! Reports of several files and attempts become one: what counts, what is told, and how much it takes.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::io::Read;

use pilotage_junit::{Case, Merger, Outcome, Totals, read};
use proptest::prelude::*;

struct Merging(Merger);

impl Merging {
    fn new() -> Self {
        Self(Merger::new(|text| text.replace("hush", "[secret]").into(), |_| None).unwrap())
    }

    fn file(mut self, attempt: u32, report: &str) -> Self {
        self.0.begin_file();
        read(report.as_bytes(), "x.xml", &mut |case| self.0.add(attempt, &case)).unwrap();
        self
    }

    fn done(self) -> (Totals, String) {
        let mut merged = Vec::new();
        let totals = self.0.finish("regression", &mut merged).unwrap();
        (totals, String::from_utf8(merged).unwrap())
    }
}

/// A suite of cases `name=outcome`, where `-` fails, `~` is skipped and everything else passes.
fn suite(name: &str, cases: &str) -> String {
    let case = |text: &str| {
        let (name, end) = text.split_once('=').unwrap();
        let inner = match end {
            "-" => "<failure message='no'>trace</failure>",
            "~" => "<skipped/>",
            _ => "",
        };
        format!("<testcase name='{name}' classname='C' time='1'>{inner}</testcase>")
    };
    let cases: String = cases.split_whitespace().map(case).collect();
    format!("<testsuite name='{name}'>{cases}</testsuite>")
}

fn counts(totals: &Totals) -> [usize; 6] {
    let Totals {
        cases,
        passed,
        failed,
        skipped,
        quarantined,
        flaky,
        ..
    } = totals;
    [*cases, *passed, *failed, *skipped, *quarantined, *flaky]
}

/// What the Jenkins plugin counts in a report: skipped wins over failure.
fn as_read(report: &str) -> [usize; 3] {
    let mut counts = [0; 3];
    read(report.as_bytes(), "merged.xml", &mut |case| {
        counts[case.outcome as usize] += 1;
        Ok(())
    })
    .unwrap();
    counts
}

#[test]
fn shards_that_overlap_count_once_and_the_worse_end_counts() {
    let (totals, merged) = Merging::new()
        .file(1, &suite("s", "a=+ b=- c=~ d=+"))
        .file(1, &suite("s", "a=- b=+ c=+ e=+"))
        .file(1, &suite("t", "a=+"))
        .done();
    assert_eq!(counts(&totals), [6, 4, 2, 0, 0, 0]);
    assert_eq!(as_read(&merged), [0, 4, 2], "{merged}");
    assert!(
        merged.contains(
            "<testsuite name=\"s\" tests=\"5\" failures=\"2\" errors=\"0\" skipped=\"0\" time=\"5.000\">"
        ),
        "{merged}"
    );
    let names: Vec<&str> = totals
        .failing
        .iter()
        .map(|failing| failing.name.as_str())
        .collect();
    assert_eq!(
        (names, totals.failing[0].message.as_str()),
        (vec!["b", "a"], "no")
    );
}

#[test]
fn the_same_name_twice_in_one_file_is_two_cases() {
    let (totals, _) = Merging::new().file(1, &suite("s", "a=+ a=- a=+")).done();
    assert_eq!(counts(&totals), [3, 2, 1, 0, 0, 0]);
    // And the second attempt meets them in their order.
    let (totals, _) = Merging::new()
        .file(1, &suite("s", "a=+ a=- a=+"))
        .file(2, &suite("s", "a=+ a=+ a=+"))
        .done();
    assert_eq!(counts(&totals), [3, 3, 0, 0, 0, 1]);
}

#[test]
fn the_last_attempt_decides_and_the_others_are_told() {
    let (totals, merged) = Merging::new()
        .file(1, &suite("s", "flaky=- red=- left=- hidden=- fine=+ late=+"))
        .file(2, &suite("s", "flaky=- red=- hidden=~ late=-"))
        .file(3, &suite("s", "flaky=+ red=-"))
        .done();
    // Not told again is not mended, nor is what is skipped after it failed.
    assert_eq!(counts(&totals), [6, 2, 4, 0, 0, 1]);
    let told = |name: &str| {
        let (_, rest) = merged.split_once(&format!("<testcase name=\"{name}\"")).unwrap();
        rest.split("<testcase").next().unwrap().to_owned()
    };
    assert_eq!(
        told("flaky")
            .matches("<flakyFailure message=\"no\"><stackTrace>trace</stackTrace>")
            .count(),
        2
    );
    assert!(!told("flaky").contains("<failure"));
    assert_eq!(told("red").matches("<rerunFailure").count(), 2);
    assert_eq!(told("red").matches("<failure").count(), 1);
    assert!(told("left").contains("<failure") && !told("left").contains("<rerunFailure"));
    assert!(told("hidden").contains("<failure"));
    assert!(!told("fine").contains("</testcase>"));
}

#[test]
fn a_quarantined_failure_is_skipped_with_its_failure_beside() {
    let excuse = |case: &Case| (case.name == "known").then(|| "SHOP-12 \"until\" hush".to_owned());
    let mut merger = Merger::new(|text| text.replace("hush", "[secret]").into(), excuse).unwrap();
    let report = suite("s", "known=- other=- fine=+");
    read(report.as_bytes(), "x", &mut |case| merger.add(1, &case)).unwrap();
    assert_eq!(counts(&merger.totals()), [3, 1, 1, 0, 1, 0]);
    let mut merged = Vec::new();
    merger.finish("r", &mut merged).unwrap();
    let merged = String::from_utf8(merged).unwrap();
    assert!(
        merged.contains(
            "<skipped message=\"SHOP-12 &quot;until&quot; [secret]\"/>\n      <failure message=\"no\">trace"
        ),
        "{merged}"
    );
    assert_eq!(as_read(&merged), [1, 1, 1]);
}

#[test]
fn hostile_texts_come_out_as_xml_and_without_secrets() {
    let report = "<testsuite name='&lt;s&gt; hush'><testcase name='a&quot;&amp;&#1;&#xFFFE; hush' classname='hush'>\
        <failure message='hush&#10;two' type='hush'><![CDATA[<hush> ]]]]><![CDATA[> \u{1b}[31m]]></failure>\
        <system-out>hush</system-out></testcase></testsuite>";
    let (_, merged) = Merging::new().file(1, report).done();
    assert!(
        !merged.contains("hush") && !merged.contains('\u{1b}') && !merged.contains('\u{1}'),
        "{merged}"
    );
    let mut cases = Vec::new();
    read(merged.as_bytes(), "m", &mut |case| {
        cases.push(case);
        Ok(())
    })
    .unwrap();
    assert_eq!(
        (cases[0].suite.as_str(), cases[0].name.as_str()),
        ("<s> [secret]", "a\"& [secret]")
    );
    assert_eq!(cases[0].problem.as_ref().unwrap().text, "<[secret]> ]]> [31m");
}

/// A report that is larger than everything that is kept of it, without ever being in memory.
struct Huge {
    left: u64,
    head: &'static [u8],
    tail: &'static [u8],
}

impl Read for Huge {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if !self.head.is_empty() {
            let length = self.head.len().min(into.len());
            into[..length].copy_from_slice(&self.head[..length]);
            self.head = &self.head[length..];
            return Ok(length);
        }
        if self.left > 0 {
            let length = into.len().min(usize::try_from(self.left).unwrap());
            into[..length].fill(b'x');
            self.left -= length as u64;
            return Ok(length);
        }
        let length = self.tail.len().min(into.len());
        into[..length].copy_from_slice(&self.tail[..length]);
        self.tail = &self.tail[length..];
        Ok(length)
    }
}

#[test]
fn a_text_far_larger_than_what_is_kept_is_cut_and_read_to_its_end() {
    for (head, tail) in [
        (
            "<testsuite><testcase name='a'><failure>",
            "</failure></testcase><testcase name='b'/></testsuite>",
        ),
        (
            "<testsuite><testcase name='a'><failure message='",
            "'/></testcase><testcase name='b'/></testsuite>",
        ),
        (
            "<testsuite><testcase name='a'><failure/><system-out><![CDATA[",
            "]]></system-out></testcase><testcase name='b'/></testsuite>",
        ),
    ] {
        let report = Huge {
            left: 10_000_000,
            head: head.as_bytes(),
            tail: tail.as_bytes(),
        };
        let mut cases = Vec::new();
        read(report, "x", &mut |case| {
            cases.push(case);
            Ok(())
        })
        .unwrap();
        assert_eq!((cases.len(), cases[0].outcome), (2, Outcome::Failed));
        let problem = cases[0].problem.as_ref().unwrap();
        let kept = problem.text.len() + problem.message.len() + cases[0].out.len();
        assert!(kept < 40_000, "{kept}");
    }
}

proptest! {
    #[test]
    fn whatever_bytes_come_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(bytes.as_slice(), "x", &mut |_| Ok(()));
    }

    #[test]
    fn broken_reports_tell_what_stood_before_the_break(cut in 0usize..400) {
        let report = suite("s", "a=- b=+ c=~ d=- e=+");
        let mut count = 0;
        let end = read(&report.as_bytes()[..cut.min(report.len())], "x", &mut |_| { count += 1; Ok(()) });
        prop_assert_eq!(end.is_ok(), cut >= report.len());
        prop_assert!(count <= 5);
    }

    /// However cases are spread over files and attempts: what is counted is what a reader of the merged report counts.
    #[test]
    fn the_totals_are_what_a_reader_counts(
        files in proptest::collection::vec((1u32..4, proptest::collection::vec((0u8..4, 0u8..3), 0..8)), 1..6)
    ) {
        let mut files = files;
        files.sort_by_key(|(attempt, _)| *attempt);
        let mut merging = Merging::new();
        for (attempt, cases) in &files {
            let line: Vec<String> = cases.iter().map(|(name, end)| format!("n{name}={}", ["+", "-", "~"][*end as usize])).collect();
            merging = merging.file(*attempt, &suite("s", &line.join(" ")));
        }
        let (totals, merged) = merging.done();
        prop_assert_eq!(as_read(&merged), [totals.skipped, totals.passed, totals.failed]);
        prop_assert_eq!(totals.cases, totals.skipped + totals.passed + totals.failed);
    }
}
