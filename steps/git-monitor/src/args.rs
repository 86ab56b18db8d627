use clap::{Parser, Subcommand, ValueEnum};
use pilotage_config::First;
use pilotage_message::{Who, person, reason};
use pilotage_quantity::Duration;
use pilotage_step::{Common, RepoArgs, SecretName, StepCli};

/// Sees pushes to the environment branches, decides them by the gates, and triggers releases.
///
/// It keeps nothing of its own: what was decided stands in the repository's ledger, and any number of monitors may watch
/// the same repository.
#[derive(Parser, Clone, Debug)]
#[command(name = "pilotage-git-monitor", version)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The branch that holds pilotage.yaml.
    #[arg(long, global = true, value_name = "NAME", default_value = "main")]
    pub(crate) config_branch: String,
    /// What every step has.
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Looks once, decides, and triggers what is accepted.
    Once {
        #[command(flatten)]
        repo: RepoArgs,
        #[command(flatten)]
        decide: DecideArgs,
        /// Ends as soon as the releases are started instead of when they end.
        #[arg(long)]
        no_wait: bool,
    },
    /// Looks again and again until it is told to stop.
    Run {
        #[command(flatten)]
        repo: RepoArgs,
        #[command(flatten)]
        decide: DecideArgs,
        /// The time from one look to the next.
        #[arg(long, value_name = "DURATION", default_value = "10s")]
        interval: Duration,
    },
    /// Says how the services of an environment would be decided now, and why. Changes nothing.
    Explain {
        #[command(flatten)]
        repo: RepoArgs,
        #[command(flatten)]
        decide: DecideArgs,
    },
    /// Accepts the tip of a branch that was rewritten, or deleted and made again.
    Accept {
        #[command(flatten)]
        repo: RepoArgs,
        /// Why it is fine; stands in the ledger.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        /// Who accepts it; stands in the ledger.
        #[arg(long, value_name = "NAME <EMAIL>", value_parser = person)]
        by: Who,
    },
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct DecideArgs {
    /// What to do in an environment that is seen for the first time: take what the branch asks for as running, or
    /// release it. Over what pilotage.yaml says.
    #[arg(long, value_enum, value_name = "WORD")]
    pub(crate) first: Option<FirstWord>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
pub(crate) enum FirstWord {
    /// Takes what the branch asks for as running already.
    Adopt,
    /// Releases what the branch asks for.
    Deploy,
}

impl From<FirstWord> for First {
    fn from(word: FirstWord) -> Self {
        match word {
            FirstWord::Adopt => Self::Adopt,
            FirstWord::Deploy => Self::Deploy,
        }
    }
}

impl StepCli for Args {
    const SECRETS: &'static [SecretName] = &pilotage_decision::SECRETS;

    fn common(&self) -> &Common {
        &self.common
    }
}
