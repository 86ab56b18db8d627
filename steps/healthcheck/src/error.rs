use pilotage_diagnostic::printable;
use pilotage_outcome::{Class, Classify};
use pilotage_place::NoPlace;
use pilotage_probe::{HttpError, RequestError};
use pilotage_quantity::Duration;

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
    #[error("--{flag} must be at least {least}")]
    TooShort {
        /// Without the leading hyphens.
        flag: &'static str,
        /// What is allowed.
        least: Duration,
    },
}

impl Classify for RequestFault {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Nothing => vec![
                "give URLs: pilotage-healthcheck http://shop:8080/health --timeout 30s".to_owned(),
                "or a descriptor: pilotage-healthcheck --descriptor services/shop.yaml --env qa".to_owned(),
            ],
            Self::OnlyWithUrls { .. } | Self::TooShort { .. } => Vec::new(),
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
    /// An endpoint of the descriptor that makes no request.
    #[error("endpoint {} of the descriptor cannot be asked: {source}", index + 1)]
    Endpoint {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it.
        source: RequestError,
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
    #[error("no endpoint of the descriptor says its version, so --expect-version cannot be proved")]
    NoVersion,
    /// A version to expect, and no HTTP in what is asked.
    #[error("none of the URLs is http, so --expect-version cannot be proved")]
    NoHttp,
    /// A certificate to look at, and nobody to show one.
    #[error("none of the URLs is https, tls or grpcs, so there is no certificate for --min-tls-days")]
    NoTls,
    /// A CA file of no use.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Classify for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::Endpoint { .. } => Class::Invalid,
            Self::Url { .. }
            | Self::NoPort { .. }
            | Self::NoPlace(_)
            | Self::NoVersion
            | Self::NoHttp
            | Self::NoTls
            | Self::Http(_) => Class::Usage,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::NoPlace(NoPlace { port }) => vec![format!("say it: --address {port}=HOST:PORT")],
            Self::NoPort { .. } => vec!["--address takes the names of the descriptor's `ports`".to_owned()],
            Self::NoVersion => vec!["give an endpoint `version: {json: $.version}`".to_owned()],
            Self::Url { .. } | Self::Endpoint { .. } | Self::NoHttp | Self::NoTls | Self::Http(_) => {
                Vec::new()
            }
        }
    }
}
