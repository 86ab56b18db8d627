use crate::Redactor;

/// Redacts bytes that arrive in pieces: what could be the beginning of a secret is held back until more bytes decide.
/// The output is the same however the input was cut.
#[derive(Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    held: Vec<u8>,
    /// So many bytes at the front of `held` belong to a stretch whose mask was already written.
    masked: usize,
}

impl StreamRedactor {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            held: Vec::new(),
            masked: 0,
        }
    }

    /// Takes the next piece and gives what can be shown by now.
    #[must_use]
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        self.release(false)
    }

    /// Gives what is still held back; call it at the end of the stream, and where a line has to be shown at once.
    #[must_use]
    pub fn flush(&mut self) -> Vec<u8> {
        self.release(true)
    }

    fn release(&mut self, all: bool) -> Vec<u8> {
        let (finds, undecided) = self.redactor.known().scan(&self.held);
        let until = match undecided {
            Some(position) if !all => position,
            _ => self.held.len(),
        };
        let mut out = Vec::with_capacity(until);
        let mut masked = self.masked;
        for find in finds.iter().filter(|find| find.start < until) {
            if find.start >= masked {
                out.extend_from_slice(self.held.get(masked..find.start).unwrap_or_default());
                out.extend_from_slice(find.mask.as_bytes());
            }
            masked = masked.max(find.end);
        }
        out.extend_from_slice(self.held.get(masked..until).unwrap_or_default());
        self.held.drain(..until);
        self.masked = masked.saturating_sub(until);
        out
    }
}
