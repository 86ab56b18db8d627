//! Reads JUnit reports of any dialect and merges them, in bounded memory whatever their size.
//!
//! Reports come from test suites, so their text is hostile: no document type is taken (and no entity but XML's own five),
//! everything that is kept of a name, message or output has a limit, and what is no XML is told with its place. What a
//! report means follows the reader that most reports are written for, the junit plugin of Jenkins (`CaseResult`,
//! `SuiteResult`): suites nest, a case without a class takes its suite's name, skipped wins over failure.
//!
//! [`Merger`] takes cases as they are read and keeps little more than a fingerprint of each; the texts lie in a file
//! until the merged report is written. One case of several attempts is told once, by its last attempt, with what
//! failed before.
//!
//! ```
//! use pilotage_junit::{Merger, read};
//!
//! let mut merger = Merger::new(|text| text.into(), |_| None)?;
//! for (attempt, outcome) in [(1, "<failure message='refused'/>"), (2, "")] {
//!     let report = format!("<testsuite name='shop'><testcase name='pays'>{outcome}</testcase></testsuite>");
//!     merger.begin_file();
//!     read(report.as_bytes(), "out/shop.xml", &mut |case| merger.add(attempt, &case))?;
//! }
//! let mut merged = Vec::new();
//! let totals = merger.finish("shop", &mut merged)?;
//! assert_eq!((totals.cases, totals.failed, totals.flaky), (1, 0, 1));
//! assert!(String::from_utf8(merged)?.contains("<flakyFailure message=\"refused\""));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod case;
mod merge;
mod read;
mod record;
mod write;
mod xml;

pub use case::{Case, Outcome, Problem};
pub use merge::{Failing, Merger, Totals};
pub use read::{ReadError, read};
