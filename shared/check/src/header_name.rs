use std::fmt;
use std::str::FromStr;

use crate::{GrammarError, text_serde};

/// The name of an HTTP header field, compared without regard to case.
#[derive(Clone, Debug)]
pub struct HeaderName(String);

impl HeaderName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` names the same field.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for HeaderName {}

impl FromStr for HeaderName {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        // RFC 9110, section 5.6.2: the characters of a token.
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if text.is_empty() {
            Err(GrammarError::Empty)
        } else if text.bytes().all(token) {
            Ok(Self(text.to_owned()))
        } else {
            Err(GrammarError::HeaderName)
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

text_serde!(HeaderName, "The name of an HTTP header, such as `X-Version`.");
