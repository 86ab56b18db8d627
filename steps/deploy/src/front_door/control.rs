//! What a deploy asks the front door, over a socket in the state directory: one JSON line each way.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// A question to the front door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub(crate) enum Ask {
    /// Who are you?
    Status,
    /// Where would you lead this request now?
    Lookup {
        /// Its host.
        host: String,
        /// Its path.
        path: String,
    },
    /// Wait until no connection to these addresses is open, nor any that was led there by a route read before now.
    Drained {
        /// The addresses that are left.
        addresses: Vec<SocketAddr>,
        /// How long to wait at most, in milliseconds.
        timeout_ms: u64,
    },
    /// Take no more connections, finish the open ones, and end.
    Stop,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Where the request would go, for a lookup that found something.
    pub(crate) address: Option<SocketAddr>,
    /// How many connections are open to the addresses asked about.
    pub(crate) open: usize,
}

pub(crate) const SOCKET: &str = "front-door.sock";

/// Sockets have names of at most 107 bytes (unix(7)); state directories may lie deeper. The directory's descriptor
/// gives every one of them a short name, as long as the returned handle lives.
pub(crate) fn short_path(state: &Path) -> io::Result<(std::fs::File, PathBuf)> {
    let directory = std::fs::File::open(state)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(SOCKET);
    Ok((directory, path))
}

/// How long an answer may take that waits for nothing.
const ANSWER: Duration = Duration::from_secs(5);

/// Asks the front door of a state directory.
///
/// # Errors
/// When none answers.
pub(crate) async fn ask(state: &Path, question: &Ask) -> io::Result<Answer> {
    let wait = match question {
        Ask::Drained { timeout_ms, .. } => ANSWER + Duration::from_millis(*timeout_ms),
        _ => ANSWER,
    };
    let talk = async {
        let (_directory, path) = short_path(state)?;
        let mut stream = UnixStream::connect(path).await?;
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).await?;
        Ok(serde_json::from_str(&answer)?)
    };
    tokio::time::timeout(wait, talk)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
