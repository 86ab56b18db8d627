/// How one observation stands to its expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Good {
        /// What was seen.
        said: Said,
        /// The version that answered, where one was asked for.
        version: Option<String>,
    },
    /// It answered, and not as expected.
    Bad(Said, Class),
    /// It did not answer.
    NoAnswer(Said, Class),
}

/// What was seen, in two lengths. Both are safe to print: control characters of the other side are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Short, for a histogram: `503`, `refused`, `version 1.0.0`.
    pub key: String,
    /// For people: what was seen and what was expected.
    pub text: String,
}

/// Whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It may pass.
    Transient,
    /// It may pass within a grace: a route or page that is not there yet.
    Grace,
    /// It will not pass by waiting.
    Terminal,
}

impl Verdict {
    /// Whether it is as expected.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// Whether anything answered at all.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        !matches!(self, Self::NoAnswer(..))
    }

    /// What was seen.
    #[must_use]
    pub fn said(&self) -> &Said {
        match self {
            Self::Good { said, .. } | Self::Bad(said, _) | Self::NoAnswer(said, _) => said,
        }
    }

    /// Whether asking again can help; `None` where it was good.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Good { .. } => None,
            Self::Bad(_, class) | Self::NoAnswer(_, class) => Some(*class),
        }
    }

    /// Whether waiting cannot help.
    #[must_use]
    pub fn terminal(&self) -> bool {
        self.class() == Some(Class::Terminal)
    }
}
