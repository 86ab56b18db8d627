use std::io::{self, Read};

use bytes::{Bytes, BytesMut};

/// The beginning of an answer's body, as much of it as the reader was willing to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// The bytes, at most as many as asked for.
    pub bytes: Bytes,
    /// Whether there was more.
    pub truncated: bool,
}

/// Reads at most `most` bytes of a body: the other side does not decide how much memory we use.
///
/// # Errors
/// When the connection breaks before the body's end.
pub async fn read_body(mut response: reqwest::Response, most: usize) -> Result<Body, reqwest::Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok(Body {
                bytes: bytes.freeze(),
                truncated: true,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body {
        bytes: bytes.freeze(),
        truncated: false,
    })
}

/// The same for the blocking client.
///
/// # Errors
/// When the connection breaks before the body's end.
pub fn read_body_blocking(response: reqwest::blocking::Response, most: usize) -> io::Result<Body> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    response.take(limit).read_to_end(&mut bytes)?;
    let truncated = bytes.len() > most;
    bytes.truncate(most);
    Ok(Body {
        bytes: bytes.into(),
        truncated,
    })
}
