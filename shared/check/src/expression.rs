use std::fmt;
use std::str::FromStr;

use crate::pattern::compile;
use crate::{GrammarError, text_serde};

/// A regular expression that is looked for anywhere in a text. Matching takes time linear in the text, whatever the
/// expression.
#[derive(Clone, Debug)]
pub struct Expression(regex::Regex);

impl Expression {
    /// Whether it finds something in `text`.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Expression {}

impl FromStr for Expression {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        compile(text).map(Self)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

text_serde!(
    Expression,
    "A regular expression that is looked for anywhere in the text."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_anywhere_unless_it_says_where() {
        let found = |expression: &str, text: &str| expression.parse::<Expression>().unwrap().is_in(text);
        assert!(found("b+", "abbc") && !found("^b", "abbc") && found("(a)(b)", "ab"));
        for bad in ["", "(", "(a{1000}{1000})"] {
            assert!(bad.parse::<Expression>().is_err(), "{bad}");
        }
    }
}
