//! `pilotage <step> …`: this process becomes the step's own binary, so that arguments, streams, signals and exit code are
//! the step's.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use pilotage_diagnostic::{nearest, printable};
use pilotage_outcome::Fault;

/// The steps of this version, with what each one does.
const STEPS: [(&str, &str); 7] = [
    ("deploy", "Make one service equal to its descriptor"),
    (
        "git-monitor",
        "See pushes, decide them by the gates, trigger releases",
    ),
    ("healthcheck", "Ask endpoints until they answer well"),
    ("notify", "Tell people, on the console and in Slack"),
    ("regression", "Run a test suite against a release"),
    ("release", "One release from begin to finish"),
    ("smoke", "Send the requests of users after a release"),
];

/// Steps that a later version has.
const LATER: [&str; 3] = ["promote", "report", "seal"];

/// Our own commands, for suggestions.
const OWN: [&str; 5] = ["init", "check", "why", "schema", "help"];

/// A step, as the command line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    name: &'static str,
    arguments: Vec<OsString>,
}

/// The step that a command line (the program's name first) names, if it names one.
#[must_use]
pub fn of(line: &[OsString]) -> Option<Step> {
    let known = |word: &OsStr| {
        let mut names = STEPS.iter().map(|(name, _)| *name).chain(LATER);
        names.find(|name| OsStr::new(name) == word)
    };
    let word = line.get(1)?;
    if word == "help"
        && let [_, _, step] = line
    {
        let help = vec![OsString::from("--help")];
        return known(step).map(|name| Step {
            name,
            arguments: help,
        });
    }
    known(word).map(|name| Step {
        name,
        arguments: line[2..].to_vec(),
    })
}

impl Step {
    /// Becomes the step. Returns only when that is not possible.
    #[must_use]
    pub fn become_it(self) -> ExitCode {
        let (message, code) = if LATER.contains(&self.name) {
            let message = format!("`pilotage {}` is not in this version", self.name);
            (message, pilotage_outcome::ExitCode::Usage)
        } else {
            let binary = format!("pilotage-{}", self.name);
            let program = pilotage_step::sibling(&binary);
            let error = Command::new(program).args(self.arguments).exec();
            let message = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    format!("{binary} is neither beside this program nor on the PATH")
                }
                _ => format!("{binary} cannot be started: {error}"),
            };
            (message, pilotage_outcome::ExitCode::Unavailable)
        };
        // Where even stderr is gone there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "error: {message}");
        code.into()
    }
}

/// The list of steps, for the help.
pub(crate) fn help() -> String {
    let width = STEPS.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines: Vec<String> = STEPS
        .iter()
        .map(|(name, what)| format!("  {name:<width$}  {what}"))
        .collect();
    format!(
        "Steps (`pilotage <step> …` is `pilotage-<step> …`):\n{}",
        lines.join("\n")
    )
}

/// The fault of a word that is no command.
pub(crate) fn unknown(words: &[OsString]) -> Fault {
    let word = words
        .first()
        .map(|word| word.to_string_lossy())
        .unwrap_or_default();
    let shown = printable(&word);
    let steps = || STEPS.iter().map(|(name, _)| *name);
    if steps().any(|step| step == word) {
        return Fault::usage(format!("the flags of `{shown}` go behind its name")).help(format!(
            "write `pilotage {shown} …` with all flags behind `{shown}`"
        ));
    }
    let fault = Fault::usage(format!("there is no command `{shown}`"));
    match nearest(&word, steps().chain(OWN)) {
        Some(near) => fault.help(format!("did you mean `pilotage {near}`?")),
        None => fault.help("`pilotage --help` lists the commands"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_step_takes_its_arguments_as_they_are() {
        let step = of(&line("pilotage deploy --env qa -- x")).unwrap();
        assert_eq!(step.name, "deploy");
        assert_eq!(step.arguments, line("--env qa -- x"));
        assert_eq!(of(&line("pilotage help release")).unwrap().arguments, ["--help"]);
        for own in [
            "pilotage",
            "pilotage check deploy",
            "pilotage -v deploy",
            "pilotage help",
        ] {
            assert_eq!(of(&line(own)), None, "{own}");
        }
    }

    #[test]
    fn a_slip_is_recognised() {
        let help = |word: &str| unknown(&line(word)).help.join(" ");
        assert_eq!(help("chekc"), "did you mean `pilotage check`?");
        assert_eq!(help("git_monitor"), "did you mean `pilotage git-monitor`?");
        assert_eq!(help("xyzzy"), "`pilotage --help` lists the commands");
    }
}
