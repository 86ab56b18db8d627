use pilotage_check::{HeaderName, JsonPath, Pattern, StatusSet, VersionSource};
use pilotage_place::PortPlace;
use pilotage_quantity::Duration;

/// What was asked for on the command line; every part is valid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub subject: Subject,
    /// The version that has to answer, where it was said.
    pub expect_version: Option<String>,
    /// Limits that were said; they win over the descriptor's.
    pub limits: Limits,
    /// Ask on after a failure that waiting does not repair.
    pub keep_trying: bool,
    /// Of a name with several addresses one that is well suffices.
    pub any_address: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The endpoints of a descriptor, with the places that were said for its ports.
    Descriptor(Vec<PortPlace>),
    /// URLs: `http`, `https`, `tcp`, `tls`, `grpc` or `grpcs`.
    Urls(Vec<String>, Want),
}

/// What a URL has to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Good statuses.
    pub status: StatusSet,
    /// A text in the body.
    pub contains: Option<String>,
    /// Where the version stands; `$.version` of the body when nothing was said.
    pub version: Option<VersionSource>,
    /// The `Host` header.
    pub host: Option<String>,
    /// How many more days each certificate has to be good.
    pub min_tls_days: Option<u32>,
}

/// Limits, where they were said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The hard end of the check.
    pub timeout: Option<Duration>,
    /// From the start of one try to the start of the next.
    pub interval: Option<Duration>,
    /// The end of one try.
    pub try_timeout: Option<Duration>,
    /// Consecutive good answers.
    pub threshold: Option<u32>,
    /// Further tries after a failed one.
    pub retries: Option<u32>,
}

impl Want {
    /// The version source of four flags of which at most one is set.
    pub(crate) fn source(
        json: Option<JsonPath>,
        header: Option<HeaderName>,
        body: bool,
        regex: Option<Pattern>,
    ) -> Option<VersionSource> {
        json.map(VersionSource::Json)
            .or_else(|| header.map(VersionSource::Header))
            .or_else(|| body.then_some(VersionSource::Body))
            .or_else(|| regex.map(VersionSource::Regex))
    }
}
