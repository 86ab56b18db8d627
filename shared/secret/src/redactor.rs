use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use crate::pattern::Pattern;
use crate::{Secret, StreamRedactor};

/// Values shorter than this are not looked for: masking every `ab` of a log would hide the log, not the secret.
const SHORTEST: usize = 4;
/// Lines of a value of several lines (a private key, say) are looked for one by one from this length on.
const SHORTEST_LINE: usize = 8;

/// Replaces every registered secret in a text by a mask: `[secret]`, or `[secret NAME]` when it has a name.
///
/// A value is found literally, percent-encoded, JSON-escaped and base64-encoded at any of the three alignments (the one
/// or two characters that a value shares with its neighbours there stay). Overlapping finds become one mask, so that no
/// tail of a value is left over. Values of several lines are found as a whole and line by line.
///
/// Clones share what is registered; a value registered later is masked from then on.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Arc<RwLock<Arc<Known>>>,
}

/// Whether a registered value will be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// It will be masked wherever it appears.
    Masked,
    /// It is shorter than 4 characters and is not looked for; whoever accepts it should say so.
    TooShort,
}

#[derive(Clone)]
pub(crate) struct Known {
    entries: Vec<(Pattern, Arc<str>)>,
    first: [bool; 256],
}

impl Default for Known {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            first: [false; 256],
        }
    }
}

/// A stretch of text to mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Find {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) mask: Arc<str>,
}

impl Redactor {
    /// A redactor that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Masks `secret` as `[secret]` from now on.
    pub fn register(&self, secret: &Secret) -> Coverage {
        self.add(secret.expose(), "[secret]".into())
    }

    /// Masks `secret` as `[secret NAME]` from now on; `name` says which one it was, such as `SLACK_TOKEN`.
    pub fn register_named(&self, name: &str, secret: &Secret) -> Coverage {
        self.add(secret.expose(), format!("[secret {name}]").into())
    }

    fn add(&self, value: &str, mask: Arc<str>) -> Coverage {
        let trimmed = value.trim();
        if trimmed.chars().count() < SHORTEST {
            return Coverage::TooShort;
        }
        // Without the white space around it: a final newline of a file is not part of what is used later.
        let mut patterns = vec![Pattern::text(trimmed)];
        patterns.extend(Pattern::base64(trimmed));
        if trimmed.contains('\n') {
            let lines = trimmed.lines().map(str::trim);
            patterns.extend(
                lines
                    .filter(|line| line.len() >= SHORTEST_LINE)
                    .map(Pattern::text),
            );
        }
        let mut shared = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = Known::clone(&shared);
        for pattern in patterns {
            pattern.mark_first_bytes(&mut known.first);
            known.entries.push((pattern, Arc::clone(&mask)));
        }
        *shared = Arc::new(known);
        Coverage::Masked
    }

    /// The text with every registered value masked; the same text when there was none.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Finds begin and end on characters, so nothing is lost here.
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
        }
    }

    /// The same for bytes of any encoding.
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let (finds, _) = self.known().scan(bytes);
        if finds.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        for find in finds {
            out.extend_from_slice(&bytes[at..find.start]);
            out.extend_from_slice(find.mask.as_bytes());
            at = find.end;
        }
        out.extend_from_slice(&bytes[at..]);
        Cow::Owned(out)
    }

    /// For text that comes in pieces, such as a child's output.
    #[must_use]
    pub fn stream(&self) -> StreamRedactor {
        StreamRedactor::new(self.clone())
    }

    pub(crate) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor")
    }
}

impl Known {
    /// All stretches to mask, disjoint and in order, and the first position of which more bytes could still change
    /// the answer.
    pub(crate) fn scan(&self, text: &[u8]) -> (Vec<Find>, Option<usize>) {
        let mut finds: Vec<Find> = Vec::new();
        let mut undecided = None;
        for start in 0..text.len() {
            if !self.first[usize::from(text[start])] {
                continue;
            }
            let mut longest: Option<(usize, &Arc<str>)> = None;
            for (pattern, mask) in &self.entries {
                let found = pattern.at(text, start);
                if found.open && undecided.is_none() {
                    undecided = Some(start);
                }
                if let Some(end) = found.end
                    && longest.is_none_or(|(known, _)| end > known)
                {
                    longest = Some((end, mask));
                }
            }
            let Some((end, mask)) = longest else { continue };
            match finds.last_mut() {
                Some(last) if start < last.end => last.end = last.end.max(end),
                _ => finds.push(Find {
                    start,
                    end,
                    mask: Arc::clone(mask),
                }),
            }
        }
        (finds, undecided)
    }
}
