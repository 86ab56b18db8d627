use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;

use sha2::{Digest, Sha256};

use crate::record::{Record, retry};
use crate::write::{attribute, seconds};
use crate::{Case, Outcome};

/// Failing cases that are told by name.
const FAILING: usize = 100;
/// Written to the spool at once.
const CHUNK: usize = 256 * 1024;

type Fingerprint = [u8; 16];
type Redact = Box<dyn Fn(&str) -> Cow<'_, str>>;
type Excuse = Box<dyn Fn(&Case) -> Option<String>>;

/// Where a record lies in the spool.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u64,
    length: u32,
}

/// What is kept of a case.
#[derive(Debug)]
struct Known {
    /// The number of its suite.
    suite: u32,
    /// The number of the attempt that decided so far.
    attempt: u32,
    outcome: Outcome,
    quarantined: bool,
    /// Whether its runner tells failures that a later try of its own got over.
    flaky: bool,
    seconds: f32,
    place: Place,
    /// Earlier attempts that failed.
    failed: Vec<Place>,
}

/// Merges the cases of many reports.
///
/// Within one attempt the same case in two files is one case, and the worse end counts, so that shards that overlap hide
/// nothing; the same case twice in one file is two. Of several attempts the last one that tells a case decides; a case
/// that failed once and is skipped later has failed.
pub struct Merger {
    redact: Redact,
    excuse: Excuse,
    spool: File,
    /// Bytes in the spool, those that wait to be written included.
    written: u64,
    waiting: Vec<u8>,
    known: HashMap<Fingerprint, Known>,
    suites: HashMap<String, u32>,
    /// How often a case was met in the file that is read.
    met: HashMap<Fingerprint, u32>,
}

/// What a merged report holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// All cases.
    pub cases: usize,
    /// Those that passed, flaky ones included.
    pub passed: usize,
    /// Those that failed and are not in quarantine.
    pub failed: usize,
    /// Those that did not run.
    pub skipped: usize,
    /// Those that failed and are in quarantine.
    pub quarantined: usize,
    /// Those that passed after they had failed.
    pub flaky: usize,
    /// The sum of their times.
    pub seconds: f64,
    /// The first of those that failed.
    pub failing: Vec<Failing>,
}

/// A case that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Its class.
    pub class: String,
    /// Its name.
    pub name: String,
    /// What is wrong, on one line.
    pub message: String,
}

impl std::fmt::Debug for Merger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merger")
            .field("cases", &self.known.len())
            .finish_non_exhaustive()
    }
}

impl Merger {
    /// A merger that knows no case yet. `redact` takes secrets out of every text; `excuse` says of a failed case why its
    /// failure does not count, where it does not: it is in quarantine, and told as skipped with its failure beside.
    ///
    /// # Errors
    /// There is no room for temporary files.
    pub fn new(
        redact: impl Fn(&str) -> Cow<'_, str> + 'static,
        excuse: impl Fn(&Case) -> Option<String> + 'static,
    ) -> io::Result<Self> {
        Ok(Self {
            redact: Box::new(redact),
            excuse: Box::new(excuse),
            spool: tempfile::tempfile()?,
            written: 0,
            waiting: Vec::with_capacity(CHUNK),
            known: HashMap::new(),
            suites: HashMap::new(),
            met: HashMap::new(),
        })
    }

    /// Says that the next cases come from another file.
    pub fn begin_file(&mut self) {
        self.met.clear();
    }

    /// Takes a case of an attempt; attempts count from 1, and none comes after a later one.
    ///
    /// # Errors
    /// The spool cannot be written.
    pub fn add(&mut self, attempt: u32, case: &Case) -> io::Result<()> {
        let met = self.met.entry(fingerprint(case, 0)).or_default();
        *met += 1;
        let key = fingerprint(case, *met);
        let suite = match self.suites.get(&case.suite) {
            Some(suite) => *suite,
            None => {
                let number = u32::try_from(self.suites.len()).unwrap_or(u32::MAX);
                self.suites.insert(case.suite.clone(), number);
                number
            }
        };
        let decides = match self.known.get(&key) {
            None => true,
            // The worse end of one attempt; of two attempts the later one, unless it only skips what has failed.
            Some(known) if known.attempt == attempt => case.outcome > known.outcome,
            Some(known) => !(known.outcome == Outcome::Failed && case.outcome == Outcome::Skipped),
        };
        if !decides {
            return Ok(());
        }
        let excuse = match case.outcome {
            Outcome::Failed => (self.excuse)(case),
            Outcome::Passed | Outcome::Skipped => None,
        };
        let place = self.keep(case, excuse.as_deref())?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "milliseconds of a test survive in an f32"
        )]
        let seconds = case.seconds.unwrap_or_default() as f32;
        let fresh = Known {
            suite,
            attempt,
            outcome: case.outcome,
            quarantined: excuse.is_some(),
            flaky: !case.flaky.is_empty(),
            seconds,
            place,
            failed: Vec::new(),
        };
        match self.known.entry(key) {
            Slot::Vacant(slot) => {
                slot.insert(fresh);
            }
            Slot::Occupied(mut slot) => {
                let known = slot.get_mut();
                let mut failed = std::mem::take(&mut known.failed);
                if known.attempt != attempt && known.outcome == Outcome::Failed {
                    failed.push(known.place);
                }
                *known = Known { failed, ..fresh };
            }
        }
        Ok(())
    }

    /// How the cases stand that were taken so far; failing ones are not named yet.
    #[must_use]
    pub fn totals(&self) -> Totals {
        count(self.known.values())
    }

    fn keep(&mut self, case: &Case, excuse: Option<&str>) -> io::Result<Place> {
        let before = self.waiting.len();
        Record::of(case, excuse, &*self.redact).write(&mut self.waiting);
        let length = self.waiting.len() - before;
        let place = Place {
            at: self.written,
            length: u32::try_from(length).map_err(io::Error::other)?,
        };
        self.written += length as u64;
        if self.waiting.len() >= CHUNK {
            self.spool.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        Ok(place)
    }

    fn record(&self, place: Place, bytes: &mut Vec<u8>) -> io::Result<Record> {
        bytes.resize(usize::try_from(place.length).map_err(io::Error::other)?, 0);
        self.spool.read_exact_at(bytes, place.at)?;
        Record::read(bytes)
    }

    /// Writes the merged report.
    ///
    /// # Errors
    /// The spool cannot be read, or the report not be written.
    pub fn finish(mut self, name: &str, mut out: impl Write) -> io::Result<Totals> {
        self.spool.write_all(&self.waiting)?;
        self.waiting = Vec::new();
        self.met = HashMap::new();
        let mut cases: Vec<Known> = std::mem::take(&mut self.known).into_values().collect();
        cases.sort_unstable_by_key(|case| (case.suite, case.place.at));
        let mut bytes = Vec::new();
        let mut failing = Vec::new();
        let red = cases
            .iter()
            .filter(|case| case.outcome == Outcome::Failed && !case.quarantined);
        for case in red.take(FAILING) {
            let record = self.record(case.place, &mut bytes)?;
            failing.push(Failing {
                class: record.class,
                name: record.name,
                message: record.message,
            });
        }
        let totals = Totals {
            failing,
            ..count(&cases)
        };
        let mut names: Vec<(u32, Cow<'_, str>)> = self
            .suites
            .iter()
            .map(|(suite, number)| (*number, (self.redact)(suite)))
            .collect();
        names.sort_unstable_by_key(|(number, _)| *number);

        let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites");
        attribute(&mut text, "name", name);
        counters(&mut text, &totals);
        let mut rest = cases.as_slice();
        for (number, suite) in &names {
            let end = rest.partition_point(|case| case.suite <= *number);
            let (own, others) = rest.split_at(end);
            rest = others;
            if own.is_empty() {
                continue;
            }
            text.push_str("  <testsuite");
            attribute(&mut text, "name", suite);
            counters(&mut text, &count(own));
            for case in own {
                self.write_case(case, &mut bytes, &mut text)?;
                if text.len() >= CHUNK {
                    out.write_all(text.as_bytes())?;
                    text.clear();
                }
            }
            text.push_str("  </testsuite>\n");
        }
        text.push_str("</testsuites>\n");
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(totals)
    }

    fn write_case(&self, case: &Known, bytes: &mut Vec<u8>, text: &mut String) -> io::Result<()> {
        let record = self.record(case.place, bytes)?;
        let mut inner = String::new();
        match case.outcome {
            Outcome::Skipped => inner.push_str(&format!("      <skipped{}/>\n", record.problem)),
            Outcome::Passed => {}
            Outcome::Failed => {
                if case.quarantined {
                    // Skipped wins over failure, and the failure is still there to be read.
                    inner.push_str(&format!("      <skipped{}/>\n", record.excuse));
                }
                let (element, problem, trace) = (&record.element, &record.problem, &record.trace);
                inner.push_str(&format!("      <{element}{problem}>{trace}</{element}>\n"));
            }
        }
        let element = match case.outcome {
            Outcome::Failed => "rerunFailure",
            Outcome::Passed | Outcome::Skipped => "flakyFailure",
        };
        for place in &case.failed {
            let earlier = self.record(*place, bytes)?;
            retry(&mut inner, element, &earlier.problem, &earlier.trace);
        }
        inner.push_str(&record.rest);
        let head = &record.head;
        match inner.is_empty() {
            true => text.push_str(&format!("    <testcase{head}/>\n")),
            false => text.push_str(&format!("    <testcase{head}>\n{inner}    </testcase>\n")),
        }
        Ok(())
    }
}

fn count<'a>(cases: impl IntoIterator<Item = &'a Known>) -> Totals {
    let mut totals = Totals::default();
    for case in cases {
        totals.cases += 1;
        totals.seconds += f64::from(case.seconds);
        match case.outcome {
            Outcome::Skipped => totals.skipped += 1,
            Outcome::Failed if case.quarantined => totals.quarantined += 1,
            Outcome::Failed => totals.failed += 1,
            Outcome::Passed => {
                totals.passed += 1;
                totals.flaky += usize::from(case.flaky || !case.failed.is_empty());
            }
        }
    }
    totals
}

fn counters(text: &mut String, totals: &Totals) {
    attribute(text, "tests", &totals.cases.to_string());
    attribute(text, "failures", &totals.failed.to_string());
    attribute(text, "errors", "0");
    attribute(
        text,
        "skipped",
        &(totals.skipped + totals.quarantined).to_string(),
    );
    attribute(text, "time", &seconds(totals.seconds));
    text.push_str(">\n");
}

/// The identity of a case: suite, class, name, and how often the same was met before in its file.
fn fingerprint(case: &Case, met: u32) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in [&case.suite, &case.class, &case.name] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(met.to_le_bytes());
    let digest = hash.finalize();
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}
