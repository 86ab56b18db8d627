//! What a git server is asked, and what can go wrong with it.

use std::collections::HashMap;
use std::time::Duration;

/// A kind of request a git server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Any request.
    Any,
    /// The advertisement of refs before a fetch or of protocol version 0.
    Advertisement,
    /// The advertisement of refs before a push.
    PushAdvertisement,
    /// The one-request listing of protocol version 2.
    LsRefs,
    /// The request for a pack.
    Fetch,
    /// The request with a pack and the ref updates.
    Push,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No answer, for as long as the server lives.
    Hang,
    /// The request is done, and then there is no answer for as long as the server lives.
    HangAfter,
    /// The answer begins, and the connection ends after this many bytes of its body.
    Die {
        /// Bytes of the body that still arrive.
        after: usize,
    },
    /// The answer begins, and nothing comes after this many bytes of its body, while the connection stays up.
    Stall {
        /// Bytes of the body that still arrive.
        after: usize,
    },
    /// The request is done, and the connection ends without an answer.
    DropReply,
    /// The connection ends before anything is done.
    DropRequest,
    /// This status, and nothing is done.
    Status(u16),
    /// This status although the request was done, as from a proxy that lost patience.
    StatusAfter(u16),
    /// A redirect to the same path below another base URL.
    Redirect {
        /// The base, such as `http://127.0.0.1:1234/new`; the repository's path is appended.
        base: String,
    },
    /// A redirect to exactly this address.
    RedirectTo(String),
    /// 200 with a web page.
    LoginPage,
    /// The right answer, this much later.
    Delay(Duration),
}

/// What a server was asked since it started or since [`GitServer::reset_counts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All requests.
    pub requests: u64,
    /// Requests by kind.
    pub by_kind: HashMap<Asked, u64>,
    /// Bytes received, heads included.
    pub bytes_in: u64,
    /// Bytes sent, heads included.
    pub bytes_out: u64,
    /// Connections accepted.
    pub connections: u64,
}
