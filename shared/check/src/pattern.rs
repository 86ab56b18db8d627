use std::fmt;
use std::str::FromStr;

use crate::{GrammarError, text_serde};

/// A regular expression with exactly one group, which encloses what is looked for: `version=([0-9.]+)`.
/// Matching takes time linear in the text, whatever the expression.
#[derive(Clone, Debug)]
pub struct Pattern(regex::Regex);

/// A compiled expression larger than this is refused: the text of it may come from git.
const COMPILED_BYTES: usize = 1 << 20;

impl Pattern {
    /// What the group encloses at the first match.
    #[must_use]
    pub fn find<'t>(&self, text: &'t str) -> Option<&'t str> {
        self.0.captures(text)?.get(1).map(|group| group.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl FromStr for Pattern {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let regex = compile(text)?;
        match regex.captures_len() - 1 {
            1 => Ok(Self(regex)),
            groups => Err(GrammarError::Groups(groups)),
        }
    }
}

/// The expression a text is, within its bounds.
pub(crate) fn compile(text: &str) -> Result<regex::Regex, GrammarError> {
    if text.is_empty() {
        return Err(GrammarError::Empty);
    }
    regex::RegexBuilder::new(text)
        .size_limit(COMPILED_BYTES)
        .build()
        .map_err(|error| {
            // The first lines draw the expression again; the last one says what is wrong.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            GrammarError::Regex(last.trim_start_matches("error: ").to_owned())
        })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str())
    }
}

text_serde!(
    Pattern,
    "A regular expression with exactly one group, which encloses the version."
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_group_is_needed() {
        for (text, groups) in [("v", 0), ("(a)(b)", 2), ("(?:a)", 0)] {
            assert_eq!(
                text.parse::<Pattern>(),
                Err(GrammarError::Groups(groups)),
                "{text}"
            );
        }
        assert_eq!("^v([0-9]+)".parse::<Pattern>().unwrap().find("a v12"), None);
        assert_eq!(
            "(?:v)([0-9]+)".parse::<Pattern>().unwrap().find("a-v12"),
            Some("12")
        );
    }

    #[test]
    fn broken_and_exploding_expressions_are_refused() {
        let Err(GrammarError::Regex(text)) = "(".parse::<Pattern>() else {
            panic!("an open group");
        };
        assert_eq!(text, "unclosed group");
        assert!(matches!(
            "(a{1000}{1000})".parse::<Pattern>(),
            Err(GrammarError::Regex(_))
        ));
    }
}
