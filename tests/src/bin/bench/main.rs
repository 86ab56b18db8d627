//! The figures: what each piece of work takes on this machine, beside a floor or a peer measured in the same run.
//!
//! ```text
//! bench [--only NAME]... [--output text|json]
//! ```
//!
//! Each figure runs in a process of its own, so that one neither warms nor weighs on another, and one that cannot be
//! measured says why and stops no other. Exit 0 when everything was measured, whatever the numbers; 1 when not.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures by the machine's own clock, and polls as users do"
)]

mod checks;
mod decide;
mod descriptors;
mod docker;
mod events;
mod help;
mod idle;
mod lag;
mod process;
mod push;
mod race;
mod release;
mod sample;
mod ssh;
mod table;
mod world;

use std::io::Write as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};

use tokio::signal::unix::{SignalKind, signal};

use crate::table::{Outcome, Row, Table};

/// What a figure came to. Why something could not be measured is a text for people.
type Measured = Result<Vec<Row>, Trouble>;
type Measure = fn(&Path) -> Measured;
type Trouble = Box<dyn std::error::Error + Send + Sync>;

/// The figures by name. Each gets a folder of its own that is removed afterwards.
const FIGURES: [(&str, Measure); 12] = [
    ("help", help::measure),
    ("descriptors", descriptors::measure),
    ("idle", idle::measure),
    ("decide", decide::measure),
    ("release", release::measure),
    ("docker", docker::measure),
    ("ssh", ssh::measure),
    ("push", push::measure),
    ("race", race::measure),
    ("events", events::measure),
    ("checks", checks::measure),
    ("lag", lag::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let inner = match words.as_slice() {
        ["figure", name, folder] => Some(figure(name, Path::new(folder))),
        ["launch", times, program, rest @ ..] => Some(process::launch(times, program, rest)),
        ["parse", folder] => Some(descriptors::parse(Path::new(folder))),
        ["parse-untyped", folder] => Some(descriptors::parse_untyped(Path::new(folder))),
        _ => None,
    };
    match inner {
        Some(Ok(json)) => print(&format!("{json}\n")),
        Some(Err(trouble)) => {
            complain(&trouble.to_string());
            ExitCode::FAILURE
        }
        None => match Asked::read(&words) {
            Ok(asked) => watched(asked),
            Err(message) => {
                complain(&message);
                ExitCode::from(2)
            }
        },
    }
}

struct Asked<'a> {
    only: Vec<&'a str>,
    json: bool,
}

impl<'a> Asked<'a> {
    fn read(words: &[&'a str]) -> Result<Self, String> {
        let names = || FIGURES.map(|(name, _)| name).join(", ");
        let mut asked = Self {
            only: Vec::new(),
            json: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (*word, words.next()) {
                ("--only", Some(name)) if FIGURES.iter().any(|(known, _)| known == name) => {
                    asked.only.push(name);
                }
                ("--only", _) => return Err(format!("--only takes one of {}", names())),
                ("--output", Some(&"json")) => asked.json = true,
                ("--output", Some(&"text")) => asked.json = false,
                ("--output", _) => return Err("--output takes `text` or `json`".to_owned()),
                _ => {
                    return Err(format!(
                        "usage: bench [--only {}]... [--output text|json]",
                        names()
                    ));
                }
            }
        }
        Ok(asked)
    }
}

/// Only what waits for signals needs a runtime; what is measured must not run in one.
fn watched(asked: Asked<'_>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(bench(asked)),
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn bench(asked: Asked<'_>) -> ExitCode {
    let mut table = Table::new();
    let everything = async {
        for (name, _) in FIGURES {
            if asked.only.is_empty() || asked.only.contains(&name) {
                let begin = std::time::Instant::now();
                let outcome = in_own_process(name).await;
                complain(&format!(
                    "{name}: measured in {:.1} s",
                    begin.elapsed().as_secs_f64()
                ));
                table.add(name, outcome);
            }
        }
    };
    let mut end = match signal(SignalKind::terminate()) {
        Ok(end) => end,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    tokio::select! {
        () = everything => {}
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
        _ = end.recv() => return ExitCode::from(143),
    }
    let code = if table.complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    match print(&if asked.json { table.json() } else { table.text() }) {
        ExitCode::SUCCESS => code,
        failed => failed,
    }
}

/// Measures one figure in a child. Whatever happens to the child, its folder and the services it started are gone after
/// this, also when it is dropped half-way.
async fn in_own_process(name: &str) -> Outcome {
    let not = |why: String| Outcome::NotMeasured { why };
    let folder = match world::Folder::new(name) {
        Ok(folder) => folder,
        Err(error) => return not(format!("no folder can be made: {error}")),
    };
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return not(format!("the program's own place is not known: {error}")),
    };
    let mut command = tokio::process::Command::new(own);
    command
        .args(["figure", name])
        .arg(folder.path())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    match command.output().await {
        Ok(output) if output.status.success() => match serde_json::from_slice(&output.stdout) {
            Ok(rows) => Outcome::Rows { rows },
            Err(error) => not(format!("it printed no rows: {error}")),
        },
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            not(match said.trim() {
                "" => output.status.to_string(),
                said => said.to_owned(),
            })
        }
        Err(error) => not(format!("it cannot be started: {error}")),
    }
}

fn figure(name: &str, folder: &Path) -> Result<String, Trouble> {
    let (_, measure) = FIGURES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or("there is no such figure")?;
    Ok(serde_json::to_string(&measure(folder)?)?)
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(line: &str) {
    // Nobody may be listening; there is nothing to be done about it.
    let _ = writeln!(std::io::stderr(), "{line}");
}
