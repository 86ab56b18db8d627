//! What a container says.

use bollard::container::LogOutput;
use bytes::Bytes;

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    /// On standard output.
    Out,
    /// On standard error.
    Err,
}

/// A piece of what a container said, cut anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where.
    pub pipe: Pipe,
    /// The bytes.
    pub bytes: Bytes,
}

impl From<LogOutput> for Chunk {
    fn from(said: LogOutput) -> Self {
        let pipe = match said {
            LogOutput::StdErr { .. } => Pipe::Err,
            _ => Pipe::Out,
        };
        Self {
            pipe,
            bytes: said.into_bytes(),
        }
    }
}

/// The last of what was said, as much as fits.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    most: usize,
}

impl Tail {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(self.most)..];
        self.bytes.extend_from_slice(piece);
        let over = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..over);
    }

    /// As text without the white space at its ends.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_holds_the_last_and_no_more() {
        let mut tail = Tail::new(5);
        for piece in ["abc", "def", "", "0123456789", "x\n"] {
            tail.push(piece.as_bytes());
        }
        assert_eq!(tail.text(), "789x");
    }
}
