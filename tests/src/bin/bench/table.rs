//! The table that is printed: one row per number, with its goal and what it is held against.

use std::fmt::Write as _;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sample::Sample;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// Milliseconds.
    Ms,
    /// Millions of bytes.
    Mb,
    /// Bytes.
    Bytes,
    /// A plain count.
    Count,
    /// Times per second.
    PerSecond,
}

impl Unit {
    fn word(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Mb => "MB",
            Self::Bytes => "B",
            Self::Count => "",
            Self::PerSecond => "/s",
        }
    }
}

/// What is to be reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Goal {
    /// The median is at most so much.
    AtMost(f64),
    /// The median is at most so many times that of what it is held against.
    Ratio(f64),
    /// Something holds in every run.
    Holds(bool, String),
}

/// One number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    work: String,
    unit: Unit,
    measured: Sample,
    against: Option<(String, Sample)>,
    goal: Option<Goal>,
}

impl Row {
    pub(crate) fn new(work: impl Into<String>, unit: Unit, measured: Sample) -> Self {
        Self {
            work: work.into(),
            unit,
            measured,
            against: None,
            goal: None,
        }
    }

    /// The floor or peer of the same run, in the same unit.
    pub(crate) fn against(mut self, what: impl Into<String>, measured: Sample) -> Self {
        self.against = Some((what.into(), measured));
        self
    }

    pub(crate) fn at_most(mut self, most: f64) -> Self {
        self.goal = Some(Goal::AtMost(most));
        self
    }

    pub(crate) fn ratio_at_most(mut self, most: f64) -> Self {
        self.goal = Some(Goal::Ratio(most));
        self
    }

    pub(crate) fn holds(mut self, holds: bool, what: impl Into<String>) -> Self {
        self.goal = Some(Goal::Holds(holds, what.into()));
        self
    }

    fn ratio(&self) -> Option<f64> {
        let (_, against) = self.against.as_ref()?;
        Some(self.measured.median() / against.median()).filter(|ratio| ratio.is_finite())
    }

    fn met(&self) -> Option<bool> {
        Some(match self.goal.as_ref()? {
            Goal::AtMost(most) => self.measured.median() <= *most,
            Goal::Ratio(most) => self.ratio()? <= *most,
            Goal::Holds(holds, _) => *holds,
        })
    }

    fn goal(&self) -> String {
        match &self.goal {
            None => String::new(),
            Some(Goal::AtMost(most)) => format!("≤ {}", shown(*most, self.unit)),
            Some(Goal::Ratio(most)) => format!("≤ {most}×"),
            Some(Goal::Holds(_, what)) => what.clone(),
        }
    }

    fn cells(&self) -> [String; 6] {
        let against = self
            .against
            .as_ref()
            .map(|(what, sample)| format!("{what}: {}", spread(sample, self.unit)));
        let met = self.met().map(|met| if met { "yes" } else { "NO" });
        [
            self.work.clone(),
            spread(&self.measured, self.unit),
            against.unwrap_or_default(),
            self.ratio()
                .map(|ratio| format!("{ratio:.2}×"))
                .unwrap_or_default(),
            self.goal(),
            met.unwrap_or_default().to_owned(),
        ]
    }

    fn json(&self, figure: &str) -> Value {
        let sample = |sample: &Sample| {
            json!({
                "median": sample.median(), "min": sample.least(), "max": sample.most(), "runs": sample.count(),
            })
        };
        json!({
            "figure": figure,
            "work": self.work,
            "unit": self.unit.word(),
            "measured": sample(&self.measured),
            "against": self.against.as_ref().map(|(what, known)| json!({"what": what, "measured": sample(known)})),
            "ratio": self.ratio(),
            "goal": self.goal(),
            "met": self.met(),
        })
    }
}

/// What a figure came to.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Its numbers.
    Rows { rows: Vec<Row> },
    /// It could not be measured.
    NotMeasured { why: String },
}

/// All figures.
pub(crate) struct Table {
    machine: Vec<(&'static str, String)>,
    figures: Vec<(&'static str, Outcome)>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            machine: machine(),
            figures: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, figure: &'static str, outcome: Outcome) {
        self.figures.push((figure, outcome));
    }

    /// Whether everything was measured.
    pub(crate) fn complete(&self) -> bool {
        self.figures
            .iter()
            .all(|(_, outcome)| matches!(outcome, Outcome::Rows { .. }))
    }

    pub(crate) fn text(&self) -> String {
        let mut text = self
            .machine
            .iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect::<Vec<_>>()
            .join(" · ");
        text.push_str("\nmedian (min–max) of several runs; the floor or peer ran in the same run\n\n");
        let mut lines =
            vec![["work", "measured", "floor or peer", "ratio", "goal", "met"].map(str::to_owned)];
        let mut not = Vec::new();
        for (figure, outcome) in &self.figures {
            match outcome {
                Outcome::Rows { rows } => lines.extend(rows.iter().map(Row::cells)),
                Outcome::NotMeasured { why } => not.push(format!("{figure}: not measured: {why}")),
            }
        }
        let width = |column: usize| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths = [0, 1, 2, 3, 4, 5].map(width);
        for line in &lines {
            let cells: Vec<String> = line
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        for line in not {
            let _ = writeln!(text, "\n{line}");
        }
        text
    }

    pub(crate) fn json(&self) -> String {
        let mut rows = Vec::new();
        let mut not = Vec::new();
        for (figure, outcome) in &self.figures {
            match outcome {
                Outcome::Rows { rows: known } => rows.extend(known.iter().map(|row| row.json(figure))),
                Outcome::NotMeasured { why } => not.push(json!({"figure": figure, "why": why})),
            }
        }
        let machine: serde_json::Map<String, Value> = self
            .machine
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        format!(
            "{:#}\n",
            json!({"schema": "bench/v1", "machine": machine, "rows": rows, "not_measured": not})
        )
    }
}

/// What the numbers depend on, without names and places.
fn machine() -> Vec<(&'static str, String)> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let git = Command::new("git").arg("--version").output();
    let git = git.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let build = if cfg!(debug_assertions) {
        "unoptimised, of no use as a figure"
    } else {
        "release"
    };
    vec![
        ("cores", cores.to_string()),
        ("kernel", kernel.trim().to_owned()),
        (
            "git",
            git.unwrap_or_default()
                .trim()
                .trim_start_matches("git version ")
                .to_owned(),
        ),
        ("build", build.to_owned()),
    ]
}

fn spread(sample: &Sample, unit: Unit) -> String {
    let median = shown(sample.median(), unit);
    if sample.count() < 2 {
        return median;
    }
    format!("{median} ({}–{})", number(sample.least()), number(sample.most()))
}

fn shown(value: f64, unit: Unit) -> String {
    format!("{} {}", number(value), unit.word()).trim_end().to_owned()
}

/// Three digits are as much as such numbers mean.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_held_against_its_goal() {
        let row =
            Row::new("work", Unit::Ms, Sample::of([10.0, 12.0, 14.0])).against("floor", Sample::of([10.0]));
        assert_eq!(row.met(), None);
        assert_eq!(row.clone().at_most(12.0).met(), Some(true));
        assert_eq!(row.clone().ratio_at_most(1.1).met(), Some(false));
        assert_eq!(
            row.ratio_at_most(1.3).cells(),
            ["work", "12 ms (10–14)", "floor: 10 ms", "1.20×", "≤ 1.3×", "yes"]
        );
    }

    #[test]
    fn what_is_not_measured_is_said() {
        let mut table = Table::new();
        table.add(
            "help",
            Outcome::Rows {
                rows: vec![Row::new("a", Unit::Count, Sample::of([1.0]))],
            },
        );
        assert!(table.complete());
        table.add(
            "race",
            Outcome::NotMeasured {
                why: "no git".to_owned(),
            },
        );
        assert!(!table.complete());
        assert!(table.text().contains("race: not measured: no git"));
        let json: Value = serde_json::from_str(&table.json()).expect("it is JSON");
        assert_eq!(json["rows"][0]["figure"], "help");
        assert_eq!(json["not_measured"][0]["why"], "no git");
    }
}
