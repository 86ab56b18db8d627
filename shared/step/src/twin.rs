//! Every long flag has a twin in the environment: `--cache-dir` and `PILOTAGE_CACHE_DIR`. So has a value that stands
//! without a flag: `URLS` and `PILOTAGE_URLS`.
//!
//! The twins are read from the [`Env`] that was read once and put into the command line in front of what was typed, so
//! that the parser treats both alike. What was typed wins: a twin is left out when its flag was typed, and also when it
//! contradicts something that was.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::Env;

/// Why a command line was not accepted.
#[derive(Debug)]
pub(crate) enum ParseError {
    /// What the parser says, and the variable it is about when it is about one. Also help and version.
    Clap(clap::Error, Vec<String>),
    /// A variable whose value cannot be the value of its flag.
    Variable(String),
}

/// The variable of a long flag.
pub(crate) fn variable(long: &str) -> String {
    format!("PILOTAGE_{}", long.to_uppercase().replace('-', "_"))
}

/// Adds the name of its twin to the help of every flag.
pub(crate) fn document(command: Command) -> Command {
    let command = command.mut_args(|arg| match of(&arg) {
        None => arg,
        Some(name) => {
            let note = format!("[env: {name}]");
            let with = |text: &clap::builder::StyledStr| match text.to_string() {
                empty if empty.is_empty() => note.clone(),
                text => format!("{text} {note}"),
            };
            let short = arg.get_help().map_or_else(|| note.clone(), with);
            match arg.get_long_help().map(with) {
                Some(long) => arg.help(short).long_help(long),
                None => arg.help(short),
            }
        }
    });
    command.mut_subcommands(document)
}

/// Parses `argv` (the program's name first) with the twins found in `env`.
pub(crate) fn parse(command: &Command, argv: &[OsString], env: &Env) -> Result<ArgMatches, ParseError> {
    let mut built = command.clone();
    built.build();
    let typed = Typed::read(&built, argv);
    let mut twins = if typed.asks_for_help {
        Vec::new()
    } else {
        typed.twins(env)?
    };
    loop {
        let line = typed.with(argv, &twins);
        let error = match command.clone().try_get_matches_from(line) {
            Ok(matches) => return Ok(matches),
            Err(error) => error,
        };
        let parties = parties(&error);
        let (from_env, typed_ones): (Vec<&String>, Vec<&String>) = parties
            .iter()
            .partition(|flag| twins.iter().any(|twin| twin.is(flag)));
        if error.kind() == ErrorKind::ArgumentConflict && !from_env.is_empty() && !typed_ones.is_empty() {
            // Each round takes at least one twin away, so this ends.
            twins.retain(|twin| !from_env.iter().any(|flag| twin.is(flag)));
            continue;
        }
        let variables = twins
            .iter()
            .filter(|twin| from_env.iter().any(|flag| twin.is(flag)))
            .map(|twin| twin.variable.clone())
            .collect();
        return Err(ParseError::Clap(error, variables));
    }
}

/// The variable of an argument, when it has one. What prints something and ends has none.
pub(crate) fn of(arg: &Arg) -> Option<String> {
    match arg.get_action() {
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version => None,
        _ if arg.get_env().is_some() || arg.is_exclusive_set() => None,
        _ if arg.is_positional() || arg.get_long().is_some() => Some(variable(&name(arg))),
        _ => None,
    }
}

/// An argument's name: its long flag, or what it is called where it has none.
pub(crate) fn name(arg: &Arg) -> String {
    match arg.get_long() {
        Some(long) => long.to_owned(),
        None => arg.get_id().as_str().replace('_', "-"),
    }
}

/// A flag, or a value without one, that comes from the environment.
struct Twin {
    /// Which of the commands on the line it belongs to: 0 is the program itself.
    level: usize,
    /// How the parser calls it: the long flag, or what stands for the value in the help.
    called: String,
    variable: String,
    tokens: Vec<OsString>,
}

impl Twin {
    /// Whether the parser's `--flag <VALUE>`, `[VALUE]...` or `<VALUE>` speaks of this one.
    fn is(&self, argument: &str) -> bool {
        let called = match argument.strip_prefix("--") {
            Some(flag) => flag.split([' ', '=', '[']).next().unwrap_or_default(),
            None => argument.trim_start_matches(['[', '<']),
        };
        called.trim_end_matches("...").trim_end_matches([']', '>']) == self.called
    }
}

/// The arguments that an error of the parser speaks of.
fn parties(error: &clap::Error) -> Vec<String> {
    [ContextKind::InvalidArg, ContextKind::PriorArg]
        .into_iter()
        .filter_map(|kind| error.get(kind))
        .flat_map(|value| match value {
            ContextValue::String(one) => vec![one.clone()],
            ContextValue::Strings(many) => many.clone(),
            _ => Vec::new(),
        })
        .collect()
}

/// What stands on the command line, as far as it matters here: which commands, and which flags were typed.
struct Typed<'a> {
    /// The commands with the index of the token after each.
    levels: Vec<(&'a Command, usize)>,
    flags: BTreeSet<String>,
    /// The commands, by their level, after which values without a flag were typed.
    with_values: BTreeSet<usize>,
    asks_for_help: bool,
}

impl<'a> Typed<'a> {
    fn read(command: &'a Command, argv: &[OsString]) -> Self {
        let mut typed = Self {
            levels: vec![(command, argv.len().min(1))],
            flags: BTreeSet::new(),
            with_values: BTreeSet::new(),
            asks_for_help: false,
        };
        let mut current = command;
        let mut index = 1;
        while let Some(token) = argv.get(index) {
            index += 1;
            let level = typed.levels.len() - 1;
            let Some(token) = token.to_str() else {
                typed.with_values.insert(level);
                continue;
            };
            if token == "--" {
                if index < argv.len() {
                    typed.with_values.insert(level);
                }
                break;
            } else if let Some(flag) = token.strip_prefix("--") {
                let (name, attached) = match flag.split_once('=') {
                    Some((name, _)) => (name, true),
                    None => (flag, false),
                };
                let found = current.get_arguments().find(|arg| has_long(arg, name));
                index += found.map_or(0, |arg| typed.saw(arg, attached));
            } else if let Some(cluster) = token.strip_prefix('-').filter(|rest| !rest.is_empty()) {
                for (at, short) in cluster.char_indices() {
                    let Some(arg) = current.get_arguments().find(|arg| has_short(arg, short)) else {
                        break;
                    };
                    let attached = at + short.len_utf8() < cluster.len();
                    index += typed.saw(arg, attached);
                    if arg.get_action().takes_values() {
                        break;
                    }
                }
            } else if let Some(next) = current.find_subcommand(token) {
                typed.asks_for_help |= next.get_name() == "help";
                current = next;
                typed.levels.push((next, index));
            } else if current.is_allow_external_subcommands_set() {
                break;
            } else {
                typed.with_values.insert(level);
            }
        }
        typed
    }

    /// Notes a flag and says how many of the next tokens are its values.
    fn saw(&mut self, arg: &Arg, attached: bool) -> usize {
        match arg.get_action() {
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version => {
                self.asks_for_help = true;
            }
            _ => {}
        }
        self.flags.insert(arg.get_id().to_string());
        match arg.get_action().takes_values() && !attached {
            true => arg.get_num_args().map_or(1, |range| range.min_values()),
            false => 0,
        }
    }

    fn twins(&self, env: &Env) -> Result<Vec<Twin>, ParseError> {
        let mut done = self.flags.clone();
        let mut twins = Vec::new();
        for (level, (command, _)) in self.levels.iter().enumerate() {
            let below = &self.levels[level + 1..];
            // Values without a flag are known by their order alone: the first that is not there ends them.
            let mut in_order = below.is_empty() && !self.with_values.contains(&level);
            for arg in command.get_arguments() {
                let Some(variable) = of(arg) else { continue };
                let Some(value) = env.get_os(&variable) else {
                    in_order &= !arg.is_positional();
                    continue;
                };
                if arg.is_positional() && !in_order {
                    continue;
                }
                let id = arg.get_id();
                if done.contains(id.as_str()) {
                    continue;
                }
                if arg.is_global_set() {
                    // It is known to every command below its own; it is said once.
                    done.insert(id.to_string());
                } else if !below.is_empty()
                    && (command.is_args_conflicts_with_subcommands_set()
                        || below.iter().any(|(command, _)| knows(command, id)))
                {
                    // The command that was typed last is the one that is meant.
                    continue;
                }
                let tokens = match arg.get_long() {
                    Some(long) => tokens(arg, long, &variable, value)?,
                    None => values(arg, &variable, value)?,
                };
                let called = match (arg.get_long(), arg.get_value_names()) {
                    (None, Some([value, ..])) => value.to_string(),
                    _ => name(arg),
                };
                twins.push(Twin {
                    level,
                    called,
                    variable,
                    tokens,
                });
            }
        }
        Ok(twins)
    }

    /// The command line with the twins right behind the commands they belong to.
    fn with(&self, argv: &[OsString], twins: &[Twin]) -> Vec<OsString> {
        let mut line = Vec::with_capacity(argv.len() + twins.len());
        let mut from = 0;
        for (level, (_, to)) in self.levels.iter().enumerate() {
            line.extend_from_slice(&argv[from..*to]);
            from = *to;
            let own = twins.iter().filter(|twin| twin.level == level);
            line.extend(own.flat_map(|twin| twin.tokens.iter().cloned()));
        }
        line.extend_from_slice(&argv[from..]);
        line
    }
}

fn knows(command: &Command, id: &clap::Id) -> bool {
    command.get_arguments().any(|arg| arg.get_id() == id)
}

fn has_long(arg: &Arg, name: &str) -> bool {
    arg.get_long() == Some(name) || arg.get_all_aliases().unwrap_or_default().contains(&name)
}

fn has_short(arg: &Arg, short: char) -> bool {
    arg.get_short() == Some(short) || arg.get_all_short_aliases().unwrap_or_default().contains(&short)
}

/// A value without a flag as it would be typed: where there may be several, one a line.
fn values(arg: &Arg, variable: &str, value: &OsStr) -> Result<Vec<OsString>, ParseError> {
    let text = utf8(variable, value)?;
    let values: Vec<&str> = match arg.get_action() {
        ArgAction::Append => text.lines().filter(|line| !line.is_empty()).collect(),
        _ => vec![text],
    };
    if values.iter().any(|value| value.starts_with('-')) {
        return Err(ParseError::Variable(format!(
            "{variable} has a value that begins with `-`, like a flag"
        )));
    }
    Ok(values.into_iter().map(OsString::from).collect())
}

fn utf8<'v>(variable: &str, value: &'v OsStr) -> Result<&'v str, ParseError> {
    value
        .to_str()
        .ok_or_else(|| ParseError::Variable(format!("{variable} is not UTF-8")))
}

/// The flag as it would be typed.
fn tokens(arg: &Arg, long: &str, variable: &str, value: &OsStr) -> Result<Vec<OsString>, ParseError> {
    let text = utf8(variable, value)?;
    let flag = OsString::from(format!("--{long}"));
    let tokens = match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => match truth(text) {
            Some(true) => vec![flag],
            Some(false) => Vec::new(),
            None => {
                return Err(ParseError::Variable(format!(
                    "{variable} is neither `true` nor `false` (nor `1`, `0`, `yes`, `no`, `on`, `off`)"
                )));
            }
        },
        ArgAction::Count => match (text.parse::<u8>(), truth(text)) {
            (Ok(count), _) => vec![flag; usize::from(count)],
            (Err(_), Some(true)) => vec![flag],
            (Err(_), Some(false)) => Vec::new(),
            (Err(_), None) => return Err(ParseError::Variable(format!("{variable} is no number"))),
        },
        ArgAction::Append => text
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| OsString::from(format!("--{long}={line}")))
            .collect(),
        _ => vec![OsString::from(format!("--{long}={text}"))],
    };
    Ok(tokens)
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        Command::new("demo")
            .arg(Arg::new("deadline").long("deadline").short('d').global(true))
            .arg(
                Arg::new("dry-run")
                    .long("dry-run")
                    .action(ArgAction::SetTrue)
                    .global(true),
            )
            .arg(
                Arg::new("verbose")
                    .long("verbose")
                    .short('v')
                    .action(ArgAction::Count)
                    .global(true),
            )
            .arg(Arg::new("url").long("url").conflicts_with("file"))
            .arg(Arg::new("file").long("file"))
            .arg(Arg::new("ca").long("ca-file").action(ArgAction::Append))
            .subcommand(Command::new("plan").arg(Arg::new("out").long("out").required(true)))
    }

    fn run(argv: &[&str], env: &[(&str, &str)]) -> Result<ArgMatches, ParseError> {
        let argv: Vec<OsString> = std::iter::once("demo")
            .chain(argv.iter().copied())
            .map(OsString::from)
            .collect();
        parse(&command(), &argv, &Env::of(env.iter().copied()))
    }

    fn text(matches: &ArgMatches, id: &str) -> Option<String> {
        matches.get_one::<String>(id).cloned()
    }

    #[test]
    fn a_twin_speaks_where_nothing_was_typed() {
        let env = [
            ("PILOTAGE_DEADLINE", "5m"),
            ("PILOTAGE_DRY_RUN", "1"),
            ("PILOTAGE_VERBOSE", "2"),
        ];
        let matches = run(&[], &env).unwrap();
        assert_eq!(text(&matches, "deadline").as_deref(), Some("5m"));
        assert!(matches.get_flag("dry-run"));
        assert_eq!(matches.get_count("verbose"), 2);
    }

    #[test]
    fn what_was_typed_wins_wherever_it_stands() {
        let env = [("PILOTAGE_DEADLINE", "5m"), ("PILOTAGE_OUT", "there")];
        for argv in [
            &["--deadline", "1s", "plan"][..],
            &["--deadline=1s", "plan"],
            &["-d1s", "plan"],
            &["-vd", "1s", "plan"],
            &["plan", "--deadline", "1s"],
            &["plan", "-d", "1s"],
        ] {
            let matches = run(argv, &env).unwrap();
            assert_eq!(text(&matches, "deadline").as_deref(), Some("1s"), "{argv:?}");
            let (_, plan) = matches.subcommand().unwrap();
            assert_eq!(text(plan, "out").as_deref(), Some("there"), "{argv:?}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_command_is_a_value() {
        let matches = run(&["--deadline", "plan", "plan"], &[("PILOTAGE_OUT", "x")]).unwrap();
        assert_eq!(text(&matches, "deadline").as_deref(), Some("plan"));
        assert_eq!(matches.subcommand_name(), Some("plan"));
    }

    #[test]
    fn of_two_commands_that_know_a_flag_the_last_one_is_meant() {
        let what = || Arg::new("env").long("env");
        let command = Command::new("demo")
            .args_conflicts_with_subcommands(true)
            .arg(what())
            .arg(Arg::new("other").long("other"))
            .subcommand(Command::new("plan").arg(what()));
        let argv = ["demo", "plan"].map(OsString::from);
        let env = Env::of([("PILOTAGE_ENV", "qa"), ("PILOTAGE_OTHER", "x")]);
        let matches = parse(&command, &argv, &env).unwrap();
        assert_eq!(text(&matches, "env"), None);
        assert_eq!(
            text(matches.subcommand().unwrap().1, "env").as_deref(),
            Some("qa")
        );
        let matches = parse(&command, &argv[..1], &env).unwrap();
        assert_eq!(text(&matches, "env").as_deref(), Some("qa"));
    }

    #[test]
    fn an_empty_twin_is_none_and_false_is_not_given() {
        let matches = run(&[], &[("PILOTAGE_DEADLINE", ""), ("PILOTAGE_DRY_RUN", "false")]).unwrap();
        assert_eq!(text(&matches, "deadline"), None);
        assert!(!matches.get_flag("dry-run"));
    }

    #[test]
    fn a_list_has_one_value_a_line() {
        let matches = run(&[], &[("PILOTAGE_CA_FILE", "a.pem\nb.pem\n")]).unwrap();
        let files: Vec<&String> = matches.get_many("ca").unwrap().collect();
        assert_eq!(files, ["a.pem", "b.pem"]);
    }

    fn asker() -> Command {
        Command::new("demo")
            .arg(
                Arg::new("urls")
                    .value_name("URL")
                    .num_args(1..)
                    .action(ArgAction::Append)
                    .conflicts_with("file"),
            )
            .arg(Arg::new("file").long("file"))
    }

    fn ask(argv: &[&str], env: &[(&str, &str)]) -> Result<Vec<String>, ParseError> {
        let argv: Vec<OsString> = ["demo"].iter().chain(argv).map(OsString::from).collect();
        let matches = parse(&asker(), &argv, &Env::of(env.iter().copied()))?;
        let urls = matches.get_many::<String>("urls");
        Ok(urls.unwrap_or_default().cloned().collect())
    }

    #[test]
    fn a_value_without_a_flag_has_a_twin_of_its_name() {
        let env = [("PILOTAGE_URLS", "http://a\nhttp://b\n")];
        assert_eq!(ask(&[], &env).unwrap(), ["http://a", "http://b"]);
        for argv in [&["http://c"][..], &["--", "http://c"]] {
            assert_eq!(ask(argv, &env).unwrap(), ["http://c"], "{argv:?}");
        }
        assert!(ask(&["--file", "f"], &env).unwrap().is_empty());
        let Err(ParseError::Variable(message)) = ask(&[], &[("PILOTAGE_URLS", "--file=f")]) else {
            panic!("a variable is no way to give another flag");
        };
        assert!(message.contains("PILOTAGE_URLS"), "{message}");
        let both = ask(&[], &[("PILOTAGE_URLS", "http://a"), ("PILOTAGE_FILE", "f")]);
        let Err(ParseError::Clap(_, mut variables)) = both else {
            panic!("two twins that contradict each other are an error");
        };
        variables.sort();
        assert_eq!(variables, ["PILOTAGE_FILE", "PILOTAGE_URLS"]);
    }

    #[test]
    fn values_without_flags_are_taken_in_their_order() {
        let command = Command::new("demo")
            .arg(Arg::new("service"))
            .arg(Arg::new("environment"));
        let taken = |env: &[(&str, &str)]| {
            let matches = parse(&command, &["demo".into()], &Env::of(env.iter().copied())).unwrap();
            (text(&matches, "service"), text(&matches, "environment"))
        };
        let both = [("PILOTAGE_ENVIRONMENT", "qa"), ("PILOTAGE_SERVICE", "shop")];
        assert_eq!(taken(&both), (Some("shop".to_owned()), Some("qa".to_owned())));
        assert_eq!(taken(&both[..1]), (None, None));
    }

    #[test]
    fn a_twin_that_contradicts_what_was_typed_is_left_out() {
        let matches = run(&["--url", "u"], &[("PILOTAGE_FILE", "f")]).unwrap();
        assert_eq!(text(&matches, "url").as_deref(), Some("u"));
        assert_eq!(text(&matches, "file"), None);
        let both = run(&[], &[("PILOTAGE_FILE", "f"), ("PILOTAGE_URL", "u")]);
        let Err(ParseError::Clap(error, variables)) = both else {
            panic!("two twins that contradict each other are an error");
        };
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
        assert_eq!(variables, ["PILOTAGE_URL", "PILOTAGE_FILE"]);
    }

    #[test]
    fn a_bad_twin_names_the_variable_and_help_does_not_mind() {
        let Err(ParseError::Variable(message)) = run(&[], &[("PILOTAGE_DRY_RUN", "maybe")]) else {
            panic!("`maybe` is refused");
        };
        assert!(message.contains("PILOTAGE_DRY_RUN"), "{message}");
        let Err(ParseError::Clap(error, _)) = run(&["plan", "--help"], &[("PILOTAGE_DRY_RUN", "maybe")])
        else {
            panic!("help is an error to the parser");
        };
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
    }

    #[test]
    fn help_shows_the_twins() {
        let help = document(command()).render_help().to_string();
        for name in ["PILOTAGE_DEADLINE", "PILOTAGE_CA_FILE", "PILOTAGE_DRY_RUN"] {
            assert!(help.contains(&format!("[env: {name}]")), "{help}");
        }
        assert!(!help.contains("PILOTAGE_HELP"), "{help}");
    }
}
