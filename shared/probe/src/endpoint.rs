use pilotage_check::Expectation;

use crate::{Address, GrpcRequest, HttpRequest};

/// Something that is asked, where it is, and what it has to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What people call it: `http /health`.
    pub name: String,
    /// Where it is; a name is looked up before each round, and every address it has is asked. Nowhere for a command, which
    /// runs within the instance.
    pub at: Option<Address>,
    /// What is asked.
    pub question: Question,
    /// What has to be answered.
    pub expectation: Expectation,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A connection, which is closed at once.
    Tcp,
    /// A connection over which TLS comes up with whoever has this name (or IP address), closed at once.
    Tls(String),
    /// An HTTP answer.
    Http(Box<HttpRequest>),
    /// The health of a gRPC server.
    Grpc(Box<GrpcRequest>),
    /// How a program with its arguments ends within the instance.
    Exec(Vec<String>),
}
