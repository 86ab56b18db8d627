use crate::{StatusSet, VersionSource};

/// What an endpoint has to answer to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// A connection is accepted.
    Tcp,
    /// An encrypted connection comes up, with a certificate that is good for so many more days.
    Tls {
        /// Whole days; 0 is content with one that is good today.
        min_days: u32,
    },
    /// An HTTP answer is as described.
    Http(HttpExpectation),
    /// A gRPC server says that it serves.
    Grpc(GrpcExpectation),
    /// A command exits 0.
    Exit,
}

/// What a gRPC server has to say of its health: `SERVING`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcExpectation {
    /// The service that was asked about; empty for the whole server.
    pub service: String,
    /// How many more days the certificate has to be good, where it matters.
    pub min_days: Option<u32>,
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
    /// How many more days the certificate has to be good, where it matters.
    pub min_days: Option<u32>,
}
