//! An expectation that was not met.

use std::fmt;

/// What a part of the play comes to.
pub type Play<T> = Result<T, Missed>;

/// What should have happened, what happened instead, and what the programs said meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    expected: String,
    found: String,
    logs: Vec<(String, String)>,
}

impl Missed {
    /// An expectation and what was found instead.
    #[must_use]
    pub fn new(expected: impl Into<String>, found: impl fmt::Display) -> Self {
        Self {
            expected: expected.into(),
            found: found.to_string(),
            logs: Vec::new(),
        }
    }

    /// What was found instead.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Adds what a program said.
    #[must_use]
    pub fn log(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.logs.push((name.into(), text.into()));
        self
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "expected: {}", self.expected)?;
        writeln!(f, "found:    {}", self.found)?;
        for (name, text) in &self.logs {
            writeln!(f, "--- {name}")?;
            for line in text.lines() {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Missed {}

/// Goes on only if it is so.
pub(crate) fn expect(so: bool, expected: impl Into<String>, found: impl fmt::Display) -> Play<()> {
    match so {
        true => Ok(()),
        false => Err(Missed::new(expected, found)),
    }
}
