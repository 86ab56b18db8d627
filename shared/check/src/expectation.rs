use crate::{StatusSet, VersionSource};

/// What an endpoint has to answer to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// A connection is accepted.
    Tcp,
    /// An HTTP answer is as described.
    Http(HttpExpectation),
}

/// A good HTTP answer. All parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpExpectation {
    /// The statuses that are good.
    pub status: StatusSet,
    /// A text the body must contain, by bytes.
    pub contains: Option<String>,
    /// Where the answer says its version, and the version it must be, letter by letter.
    pub version: Option<(VersionSource, String)>,
}
