use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The writings of one secret value, as a sequence of elements that each may be written in several ways.
///
/// One pattern covers the literal text, every set of percent-encoding (browsers, forms, user information and plain
/// libraries disagree on what they encode) and JSON escapes, also mixed: what differs is only how one character is
/// written. Base64 is another alphabet and gets patterns of its own, one per alignment.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    elements: Vec<Vec<Box<[u8]>>>,
}

/// What a pattern says about one position of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// Where the longest match from this position ends, if there is one.
    pub(crate) end: Option<usize>,
    /// Whether more bytes could turn this position into a (longer) match.
    pub(crate) open: bool,
}

impl Pattern {
    /// The literal text of a value with its percent-encoded and JSON-escaped writings.
    pub(crate) fn text(value: &str) -> Self {
        Self {
            elements: value.chars().map(writings).collect(),
        }
    }

    /// The base64 writings of a value inside of a longer byte string: one pattern for each of the three ways its bytes
    /// can fall on base64's groups of three. Only characters that the value alone decides are part of a pattern.
    pub(crate) fn base64(value: &str) -> Vec<Self> {
        (0..3_usize)
            .map(|offset| {
                let mut bytes = vec![0; offset];
                bytes.extend_from_slice(value.as_bytes());
                let whole = STANDARD_NO_PAD.encode(&bytes);
                let first = (offset * 8).div_ceil(6);
                let last = bytes.len() * 8 / 6;
                Self {
                    elements: whole[first..last].chars().map(base64_writings).collect(),
                }
            })
            .collect()
    }

    /// Marks the bytes with which a match can begin.
    pub(crate) fn mark_first_bytes(&self, first: &mut [bool; 256]) {
        for writing in self.elements.iter().take(1).flatten() {
            if let Some(byte) = writing.first() {
                first[usize::from(*byte)] = true;
            }
        }
    }

    /// Matches from byte `start` on. All positions an element can end at are followed side by side, so that the time
    /// is bounded by the length of the value even for values made of escape characters.
    pub(crate) fn at(&self, text: &[u8], start: usize) -> Match {
        let mut open = false;
        let mut reached = vec![start];
        for element in &self.elements {
            let mut next = Vec::with_capacity(reached.len());
            for position in &reached {
                let rest = text.get(*position..).unwrap_or_default();
                for writing in element {
                    if rest.starts_with(writing) {
                        next.push(position + writing.len());
                    } else if writing.starts_with(rest) {
                        open = true;
                    }
                }
            }
            next.sort_unstable();
            next.dedup();
            reached = next;
            if reached.is_empty() {
                return Match { end: None, open };
            }
        }
        Match {
            end: reached.last().copied(),
            open,
        }
    }
}

fn writings(character: char) -> Vec<Box<[u8]>> {
    let mut buffer = [0; 4];
    let literal = character.encode_utf8(&mut buffer).as_bytes();
    let percent: String = literal.iter().map(|byte| format!("%{byte:02X}")).collect();
    let mut units = [0; 2];
    let escape: String = character
        .encode_utf16(&mut units)
        .iter()
        .map(|unit| format!("\\u{unit:04X}"))
        .collect();
    let mut all = vec![literal.to_vec()];
    all.push(percent.to_ascii_lowercase().into_bytes());
    all.push(percent.into_bytes());
    // The `u` of an escape is lower-case in both writings.
    all.push(escape.to_ascii_lowercase().into_bytes());
    all.push(escape.into_bytes());
    all.extend(
        match character {
            ' ' => Some("+"),
            '"' => Some("\\\""),
            '\\' => Some("\\\\"),
            '/' => Some("\\/"),
            '\n' => Some("\\n"),
            '\r' => Some("\\r"),
            '\t' => Some("\\t"),
            '\u{8}' => Some("\\b"),
            '\u{c}' => Some("\\f"),
            _ => None,
        }
        .map(|short| short.as_bytes().to_vec()),
    );
    all.sort_unstable();
    all.dedup();
    all.into_iter().map(Vec::into_boxed_slice).collect()
}

fn base64_writings(character: char) -> Vec<Box<[u8]>> {
    let all: &[&str] = match character {
        // The alphabet for URLs, and the standard one inside of a URL or of JSON.
        '+' => &["+", "-", "%2B", "%2b"],
        '/' => &["/", "_", "%2F", "%2f", "\\/"],
        other => return vec![other.to_string().into_bytes().into_boxed_slice()],
    };
    all.iter().map(|writing| writing.as_bytes().into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pattern_matches_all_writings_of_a_text() {
        let pattern = Pattern::text("a b/\"é😀");
        for writing in [
            "a b/\"é😀",
            "a+b%2F%22%C3%A9%F0%9F%98%80",
            "a%20b%2f%22%c3%a9%f0%9f%98%80",
            "a b\\/\\\"\\u00e9\\uD83D\\uDE00",
            "\\u0061%20b/\\\"é😀",
        ] {
            let found = pattern.at(writing.as_bytes(), 0);
            assert_eq!(found.end, Some(writing.len()), "{writing}");
        }
        assert_eq!(
            pattern.at(b"a b/", 0),
            Match {
                end: None,
                open: true
            }
        );
        assert_eq!(
            pattern.at(b"a c", 0),
            Match {
                end: None,
                open: false
            }
        );
    }

    #[test]
    fn a_value_of_escape_characters_takes_no_exponential_time() {
        let pattern = Pattern::text(&"\\".repeat(200));
        let text = "\\".repeat(399) + "x";
        assert_eq!(pattern.at(text.as_bytes(), 0).end, Some(399));
    }
}
