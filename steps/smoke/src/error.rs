use pilotage_diagnostic::printable;
use pilotage_outcome::{Class, Classify};
use pilotage_place::NoPlace;
use pilotage_probe::{HttpError, RequestError};

/// Why a command line asks for nothing that can be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// Neither URLs nor a descriptor.
    #[error("there is nothing to ask")]
    Nothing,
    /// A flag of direct use beside a descriptor.
    #[error("--{flag} is for URLs; with --descriptor the descriptor says it")]
    OnlyWithUrls {
        /// Without the leading hyphens.
        flag: &'static str,
    },
    /// A limit that leaves no time.
    #[error("--{flag} cannot be zero")]
    Zero {
        /// Without the leading hyphens.
        flag: &'static str,
    },
}

impl Classify for RequestFault {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Nothing => vec![
                "give URLs: pilotage-smoke http://shop:8080/ --status 200 --contains Shop".to_owned(),
                "or a descriptor: pilotage-smoke --descriptor services/shop.yaml --env qa".to_owned(),
            ],
            Self::OnlyWithUrls { .. } | Self::Zero { .. } => Vec::new(),
        }
    }
}

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A URL that cannot be asked.
    #[error("`{}` cannot be asked: {source}", printable(url))]
    Url {
        /// As it was given; without it when it holds a password.
        url: String,
        /// What is wrong with it.
        source: RequestError,
    },
    /// A request of the descriptor that cannot be sent.
    #[error("smoke request {} of the descriptor cannot be sent: {source}", index + 1)]
    Request {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        source: RequestError,
    },
    /// A URL that the environment does not grant.
    #[error("smoke request {} goes to `{}`, which the environment does not allow", index + 1, printable(url))]
    NotGranted {
        /// Counted from 0.
        index: usize,
        /// Where it would go.
        url: String,
    },
    /// A name that no port has.
    #[error("the descriptor has no port `{}`", printable(port))]
    NoPort {
        /// The name.
        port: String,
    },
    /// A port published on an address we cannot know.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// A version to expect, and nobody to say it.
    #[error("no request of the descriptor says its version, so --expect-version cannot be proved")]
    NoVersion,
    /// A CA file of no use.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Classify for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::Request { .. } => Class::Invalid,
            Self::NotGranted { .. } => Class::Refused,
            Self::Url { .. } | Self::NoPort { .. } | Self::NoPlace(_) | Self::NoVersion | Self::Http(_) => {
                Class::Usage
            }
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::NoPlace(NoPlace { port }) => vec![format!("say it: --address {port}=HOST:PORT")],
            Self::NoPort { .. } => vec!["--address takes the names of the descriptor's `ports`".to_owned()],
            Self::NoVersion => vec!["give a request `version: {json: $.version}`".to_owned()],
            Self::NotGranted { url, .. } => vec![format!(
                "remove the request, or let the config branch grant it: `allow: {{urls: [\"{}\"]}}`",
                printable(url)
            )],
            Self::Url { .. } | Self::Request { .. } | Self::Http(_) => Vec::new(),
        }
    }
}
