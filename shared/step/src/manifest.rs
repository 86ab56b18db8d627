//! What a binary takes and gives, read off the definition of its command line.

use std::any::TypeId;
use std::path::PathBuf;

use clap::{Arg, ArgAction};
use pilotage_manifest::{
    Choice, Command, ExitMeaning, Kind, Manifest, Output, Parameter, SCHEMA, SecretVariable,
};
use pilotage_outcome::ExitCode;
use pilotage_quantity::Duration;

use crate::twin;

/// A secret that a step may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretName {
    /// Its variable, with the `PILOTAGE_` that [`crate::Context::secret`] leaves out; a `*` stands for a name of the user's.
    pub env: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// A key of `--outputs` that a step may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputName {
    /// The key; a `*` stands for a name of the user's.
    pub key: &'static str,
    /// What its value is.
    pub help: &'static str,
}

impl OutputName {
    /// Whether `key` is this one, or one of those it stands for.
    pub(crate) fn covers(&self, key: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(prefix) => key.starts_with(prefix),
            None => key == self.key,
        }
    }
}

/// The long flag that prints it.
pub(crate) const FLAG: &str = "manifest";

/// What the flag is in the help.
pub(crate) fn flag() -> Arg {
    Arg::new(FLAG)
        .long(FLAG)
        .action(ArgAction::SetTrue)
        .exclusive(true)
        .help("Print as JSON what this binary takes and gives (step-manifest/v1), and end")
        .help_heading("Options of every step")
}

/// The manifest of a binary whose command line is `root`, without what the frame adds to the help.
pub(crate) fn manifest(
    root: &clap::Command,
    version: &str,
    secrets: &[SecretName],
    outputs: &[OutputName],
) -> Manifest {
    let binary = root.get_name();
    let mut commands = Vec::new();
    collect(root, &[], &mut commands);
    Manifest {
        schema: SCHEMA.to_owned(),
        step: short_name(binary).to_owned(),
        binary: binary.to_owned(),
        version: version.to_owned(),
        commands,
        common: parameters(root, true),
        secrets: secrets.iter().map(secret).collect(),
        outputs: outputs.iter().map(output).collect(),
        exit_codes: ExitCode::ALL.into_iter().map(exit).collect(),
    }
}

/// A binary's name without the name of the house.
pub(crate) fn short_name(binary: &str) -> &str {
    binary.strip_prefix("pilotage-").unwrap_or(binary)
}

/// The command and those below it, as far as the help shows them.
fn collect(command: &clap::Command, path: &[&str], into: &mut Vec<Command>) {
    if !command.is_subcommand_required_set() && !command.is_arg_required_else_help_set() {
        let (about, description) = texts(command.get_about(), command.get_long_about());
        into.push(Command {
            path: path.iter().map(|&word| word.to_owned()).collect(),
            about,
            description,
            parameters: parameters(command, false),
        });
    }
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, &[path, &[below.get_name()]].concat(), into);
    }
}

fn parameters(command: &clap::Command, common: bool) -> Vec<Parameter> {
    command
        .get_arguments()
        .filter(|arg| arg.is_global_set() == common && !arg.is_hide_set())
        .filter_map(parameter)
        .collect()
}

/// Nothing for what only prints something and ends.
fn parameter(arg: &Arg) -> Option<Parameter> {
    let env = twin::of(arg)?;
    let (short_text, long_text) = texts(arg.get_help(), arg.get_long_help());
    let takes_value = arg.get_action().takes_values();
    let value = arg
        .get_value_names()
        .and_then(<[_]>::first)
        .map(ToString::to_string);
    let default = arg
        .get_default_values()
        .first()
        .map(|value| value.to_string_lossy().into_owned());
    let many = arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    Some(Parameter {
        name: twin::name(arg),
        positional: arg.is_positional(),
        short: arg.get_short(),
        env,
        kind: kind(arg, value.as_deref()),
        value: value.filter(|_| takes_value),
        default: default.filter(|_| takes_value),
        required: arg.is_required_set(),
        repeated: matches!(arg.get_action(), ArgAction::Append) || many,
        help: long_text.unwrap_or(short_text),
        heading: arg.get_help_heading().map(str::to_owned),
    })
}

fn kind(arg: &Arg, value: Option<&str>) -> Kind {
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => return Kind::Switch,
        ArgAction::Count => return Kind::Count,
        _ => {}
    }
    let choices: Vec<Choice> = arg
        .get_possible_values()
        .iter()
        .filter(|choice| !choice.is_hide_set())
        .map(|choice| Choice {
            value: choice.get_name().to_owned(),
            help: choice.get_help().map(sentence),
        })
        .collect();
    if !choices.is_empty() {
        return Kind::Choice { choices };
    }
    let parsed = arg.get_value_parser().type_id();
    let is = |types: &[TypeId]| types.iter().any(|id| parsed == *id);
    if is(&[TypeId::of::<Duration>()]) {
        Kind::Duration
    } else if is(&[
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
    ]) {
        Kind::Number
    } else if value == Some("DIR") {
        Kind::Directory
    } else if is(&[TypeId::of::<PathBuf>()]) || value == Some("FILE") {
        Kind::File
    } else {
        Kind::Text
    }
}

/// The short text, and the long one where it says more.
fn texts(
    short: Option<&clap::builder::StyledStr>,
    long: Option<&clap::builder::StyledStr>,
) -> (String, Option<String>) {
    let short = short.map(sentence).unwrap_or_default();
    let long = long.map(sentence).filter(|long| *long != short);
    (short, long)
}

fn sentence(text: &clap::builder::StyledStr) -> String {
    text.to_string().trim().to_owned()
}

fn secret(secret: &SecretName) -> SecretVariable {
    SecretVariable {
        env: secret.env.to_owned(),
        help: secret.help.to_owned(),
    }
}

fn output(output: &OutputName) -> Output {
    Output {
        key: output.key.to_owned(),
        help: output.help.to_owned(),
    }
}

fn exit(code: ExitCode) -> ExitMeaning {
    ExitMeaning {
        code: code.code(),
        outcome: code.word().to_owned(),
        meaning: code.meaning().to_owned(),
    }
}
