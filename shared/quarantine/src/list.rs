use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::civil::Date;
use pilotage_yaml::{Decode, Decoder, Diagnostic, Diagnostics, FromText, Limits, Source, record};
use schemars::JsonSchema;
use serde::Serialize;

use crate::wild;

/// A quarantine list has no more than this.
const LIMITS: Limits = Limits {
    bytes: 256 * 1024,
    depth: 8,
    nodes: 20_000,
};

record! {
    /// A quarantine list: tests that are known to fail.
    struct QuarantineFile {
        /// The tests.
        tests: Vec<Entry>,
    }
}

record! {
    /// An entry of the quarantine: a test that is known to fail.
    struct Entry: Eq {
        /// The test, as `class.name`, with `*` for any run of characters.
        test: TestPattern,
        /// Where its mending is followed.
        issue: Word,
        /// Who mends it.
        owner: Word,
        /// The last day on which its failure does not count, in UTC.
        until: Day,
    }
}

/// A test, as `class.name`, with `*` for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TestPattern(String);

impl TestPattern {
    /// Whether it means this test.
    #[must_use]
    pub fn fits(&self, class: &str, name: &str) -> bool {
        wild(&self.0, &format!("{class}.{name}"))
    }
}

/// Something that was written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Word(String);

/// A day, as `2026-09-30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Day(Date);

macro_rules! written {
    ($($type:ident = $noun:literal),*) => {
        $(impl FromStr for $type {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                if text.trim().is_empty() { Err("it is empty") } else { Ok(Self(text.to_owned())) }
            }
        }

        impl FromText for $type {
            const NOUN: &'static str = $noun;
        })*
    };
}
written!(TestPattern = "test", Word = "word");

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let date = text.parse().ok().filter(|_| plain);
        date.map(Self).ok_or("write a day as `2026-09-30`")
    }
}

impl FromText for Day {
    const NOUN: &'static str = "day";
    /// Some readers take it for a date, which it is.
    const PLAIN: bool = true;
}

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date", "description": "A day, such as `2026-09-30`."})
    }
}

impl fmt::Display for TestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Everything that is wrong with a list on `today`, with its place: what cannot be read, and entries whose end has come.
#[must_use]
pub fn check(source: &Source, today: Date) -> Diagnostics {
    let (root, mut problems) = pilotage_yaml::parse(source, &LIMITS);
    let mut cx = Decoder::new(source);
    let file = root
        .as_ref()
        .and_then(|root| QuarantineFile::decode(root, &mut cx));
    problems.extend(cx.finish());
    let (Some(root), Some(file)) = (root, file) else {
        return problems;
    };
    for (index, entry) in file.tests.iter().enumerate() {
        let Some(place) = root.at(&format!("tests[{index}].until")) else {
            continue;
        };
        if entry.until.0 < today {
            let message = format!(
                "the quarantine of `{}` is over since {}, so its failure counts again and the suite fails",
                entry.test, entry.until.0
            );
            let problem = Diagnostic::error("quarantine-over", message)
                .at(source, place.span, "its last day")
                .help(format!(
                    "see {} with {}: remove the entry, or write a later day",
                    entry.issue.0, entry.owner.0
                ));
            problems.push(problem);
        }
    }
    problems
}

/// The quarantine on a day.
#[derive(Debug, Default)]
pub struct Quarantine {
    active: Vec<(Entry, AtomicBool)>,
    expired: Vec<Entry>,
}

impl Quarantine {
    /// Reads a list as it is on `today`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(source: &Source, today: Date) -> Result<Self, Diagnostics> {
        let (root, mut problems) = pilotage_yaml::parse(source, &LIMITS);
        let mut cx = Decoder::new(source);
        let file = root
            .as_ref()
            .and_then(|root| QuarantineFile::decode(root, &mut cx));
        problems.extend(cx.finish());
        let Some(file) = file.filter(|_| !problems.has_errors()) else {
            return Err(problems);
        };
        let (active, expired): (Vec<Entry>, Vec<Entry>) =
            file.tests.into_iter().partition(|entry| entry.until.0 >= today);
        Ok(Self {
            active: active
                .into_iter()
                .map(|entry| (entry, AtomicBool::new(false)))
                .collect(),
            expired,
        })
    }

    /// Notes that there is such a test.
    pub fn saw(&self, class: &str, name: &str) {
        for (entry, seen) in &self.active {
            if !seen.load(Ordering::Relaxed) && entry.test.fits(class, name) {
                seen.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Why a failure of this test does not count, where it does not.
    #[must_use]
    pub fn excuse(&self, class: &str, name: &str) -> Option<String> {
        let (entry, _) = self
            .active
            .iter()
            .find(|(entry, _)| entry.test.fits(class, name))?;
        Some(format!(
            "in quarantine until {}: {}, {}",
            entry.until.0, entry.issue.0, entry.owner.0
        ))
    }

    /// What is wrong with the list today: entries whose end has come. They fail a suite, or nobody would mend the test.
    #[must_use]
    pub fn expired(&self) -> Vec<String> {
        let told = |entry: &Entry| {
            let Entry {
                test,
                issue,
                owner,
                until,
            } = entry;
            format!(
                "the quarantine of `{test}` ended on {}: {}, {}",
                until.0, issue.0, owner.0
            )
        };
        self.expired.iter().map(told).collect()
    }

    /// Entries that no test was met for.
    #[must_use]
    pub fn unused(&self) -> Vec<String> {
        let unused = self
            .active
            .iter()
            .filter(|(_, seen)| !seen.load(Ordering::Relaxed));
        unused
            .map(|(entry, _)| format!("the quarantine of `{}` fits no test", entry.test))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Quarantine, Vec<String>> {
        let today = "2026-09-30".parse().unwrap();
        Quarantine::parse(&Source::new("quarantine/shop.yaml", text), today)
            .map_err(|problems| problems.iter().map(|problem| problem.message.clone()).collect())
    }

    #[test]
    fn an_entry_excuses_until_the_end_of_its_day() {
        let quarantine = read(
            "tests:
  - {test: com.acme.CartTest.*, issue: SHOP-12, owner: ana, until: 2026-09-30}
  - {test: com.acme.OldTest.pays, issue: SHOP-9, owner: bo, until: \"2026-09-29\"}
",
        )
        .unwrap();
        assert_eq!(
            quarantine.excuse("com.acme.CartTest", "adds [1]").as_deref(),
            Some("in quarantine until 2026-09-30: SHOP-12, ana")
        );
        assert_eq!(
            quarantine.excuse("com.acme.OldTest", "pays"),
            None,
            "its end has come"
        );
        assert_eq!(quarantine.excuse("xcom.acme.CartTest", "adds"), None);
        assert_eq!(
            quarantine.expired(),
            ["the quarantine of `com.acme.OldTest.pays` ended on 2026-09-29: SHOP-9, bo"]
        );
        assert_eq!(
            quarantine.unused(),
            ["the quarantine of `com.acme.CartTest.*` fits no test"]
        );
        quarantine.saw("com.acme.CartTest", "removes");
        assert!(quarantine.unused().is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_list_is_told_with_its_place() {
        let text = "tests:\n  - {test: a.b, issue: SHOP-1, owner: ana, until: 2026-09-29}\n  - {test: c.d, issue: S, owner: o, until: 2026-09-30}\n";
        let source = Source::new("quarantine/shop.yaml", text);
        let lines: Vec<String> = check(&source, "2026-09-30".parse().unwrap())
            .iter()
            .map(Diagnostic::line)
            .collect();
        assert_eq!(
            lines,
            [
                "quarantine/shop.yaml:2:51: error[quarantine-over]: the quarantine of `a.b` is over since 2026-09-29, so its failure counts again and the suite fails"
            ]
        );
        assert!(check(&source, "2026-09-29".parse().unwrap()).is_empty());
    }

    #[test]
    fn an_entry_without_issue_owner_or_end_is_none() {
        assert_eq!(
            read("tests:\n  - {test: a.b, until: tomorrow, owner: \"\"}\n  - {tset: a}\n").unwrap_err(),
            [
                "an entry of the quarantine needs the key `issue`",
                "`` is no word: it is empty",
                "`tomorrow` is no day: write a day as `2026-09-30`",
                "an entry of the quarantine needs the key `test`",
                "an entry of the quarantine needs the key `issue`",
                "an entry of the quarantine needs the key `owner`",
                "an entry of the quarantine needs the key `until`",
                "unknown key `tset`",
            ]
        );
        assert_eq!(read("").unwrap_err(), ["the file is empty"]);
        assert!(read("tests: []").unwrap().expired().is_empty());
        for bad in ["2026-02-30", "2026-9-3", "20260930", "2026-09-30T00:00"] {
            assert!(bad.parse::<Day>().is_err(), "{bad}");
        }
    }
}
