use std::error::Error;
use std::fmt;

use pilotage_diagnostic::{Diagnostic, Diagnostics};

use crate::{Effects, Outcome, Signal, StepReport};

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Flags or environment cannot be used.
    Usage,
    /// A descriptor, configuration or template is invalid.
    Invalid,
    /// No answer could be had.
    Unavailable,
    /// Time ran out before the answer.
    Deadline,
    /// Someone with the right to say no said no.
    Refused,
    /// As refused, but the answer may still become yes.
    Waiting,
    /// A newer accepted decision makes this one pointless.
    Superseded,
    /// A bug in the step.
    Internal,
    /// The step stopped because it was asked to; the frame knows by whom.
    Cancelled,
}

impl Class {
    /// The outcome of a step that ends with a fault of this class. Cancelled counts as SIGTERM here: the frame, which
    /// knows what came, says it better.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Usage => Outcome::Usage,
            Self::Invalid => Outcome::Invalid,
            Self::Unavailable => Outcome::Unavailable,
            Self::Deadline => Outcome::Deadline,
            Self::Refused => Outcome::Refused { waiting: false },
            Self::Waiting => Outcome::Refused { waiting: true },
            Self::Superseded => Outcome::Superseded,
            Self::Internal => Outcome::Internal,
            Self::Cancelled => Outcome::Cancelled(Signal::Terminate),
        }
    }
}

/// An error that knows its class. An error type that implements it becomes a [`Fault`] by `?`.
pub trait Classify: Error + Send + Sync + 'static {
    /// Its class.
    fn class(&self) -> Class;

    /// What to do about it, one sentence each.
    fn help(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The end of a step that has no verdict: what a step's run returns as its error.
///
/// It has no `From<std::io::Error>`: whoever met one knows the path and says it.
#[derive(Debug)]
pub struct Fault {
    /// Why there is no verdict.
    pub class: Class,
    /// One sentence, without a full stop.
    pub message: String,
    /// What to do about it, one sentence each.
    pub help: Vec<String>,
    /// Problems with their places.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was changed before, where it is known better than from [`StepReport::effects`] noted so far.
    pub effects: Option<Effects>,
    /// The error behind it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident $class:ident),+ $(,)?) => {
        $($(#[$doc])*
        pub fn $name(message: impl Into<String>) -> Self {
            Self::new(Class::$class, message)
        })+
    };
}

impl Fault {
    /// A fault of a class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            help: Vec::new(),
            diagnostics: Vec::new(),
            effects: None,
            source: None,
        }
    }

    constructors! {
        /// Flags or environment cannot be used: exit 2.
        usage Usage,
        /// A descriptor, configuration or template is invalid: exit 3.
        invalid Invalid,
        /// No answer could be had: exit 4.
        unavailable Unavailable,
        /// Time ran out before the answer: exit 5.
        deadline Deadline,
        /// Someone with the right to say no said no: exit 6.
        refused Refused,
        /// As refused, but the answer may still become yes: exit 6 with `waiting: true`.
        waiting Waiting,
        /// A newer accepted decision makes this one pointless: exit 7.
        superseded Superseded,
        /// A bug in the step: exit 70.
        internal Internal,
        /// The step stopped because it was asked to: exit 5, 130 or 143, as the frame knows.
        cancelled Cancelled,
    }

    /// Adds a sentence that says what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds problems with their places.
    #[must_use]
    pub fn diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.diagnostics.extend(diagnostics.into_vec());
        self
    }

    /// Says how much was changed before.
    #[must_use]
    pub fn effects(mut self, effects: Effects) -> Self {
        self.effects = Some(effects);
        self
    }

    /// Adds the error behind it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The messages of the errors behind it, from near to far, each once.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> =
            self.source.as_deref().map(|e| e as &(dyn Error + 'static));
        while let Some(error) = next {
            let text = error.to_string();
            // Many errors repeat their source in their own message; hearing it once is enough.
            let told = self.message.contains(&text) || causes.last().is_some_and(|last| last.contains(&text));
            if !told && !text.is_empty() {
                causes.push(text);
            }
            next = error.source();
        }
        causes
    }

    /// The report of a step that ends with this fault. `draft` holds what the step had noted until then.
    #[must_use]
    pub fn into_report(self, draft: StepReport) -> StepReport {
        let causes = self.causes();
        let mut report = draft;
        report.outcome = self.class.outcome();
        report.exit_as = None;
        report.summary = self.message;
        report.causes = causes;
        report.help.extend(self.help);
        report.diagnostics.extend(self.diagnostics);
        report.effects = self.effects.unwrap_or(report.effects);
        report
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

impl<E: Classify> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut fault = Self::new(error.class(), error.to_string());
        fault.help = error.help();
        fault.source = Some(Box::new(error));
        fault
    }
}

impl From<Diagnostics> for Fault {
    /// Problems in a file: invalid, told by how many there are.
    fn from(diagnostics: Diagnostics) -> Self {
        let errors = diagnostics.iter().filter(|d| d.is_error()).count();
        let message = match errors {
            1 => "1 problem was found".to_owned(),
            n => format!("{n} problems were found"),
        };
        Self::invalid(message).diagnostics(diagnostics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to list refs: {source}")]
    struct ListError {
        source: std::io::Error,
    }

    impl Classify for ListError {
        fn class(&self) -> Class {
            Class::Unavailable
        }

        fn help(&self) -> Vec<String> {
            vec!["is the server up?".to_owned()]
        }
    }

    fn list() -> Result<(), Fault> {
        let source = std::io::Error::other("connection reset");
        Err(ListError { source })?;
        Ok(())
    }

    #[test]
    fn a_classified_error_becomes_a_fault_by_itself() {
        let fault = list().unwrap_err();
        assert_eq!(fault.class, Class::Unavailable);
        assert_eq!(fault.to_string(), "failed to list refs: connection reset");
        assert_eq!(fault.causes(), Vec::<String>::new(), "nothing is told twice");
        let report = fault.into_report(StepReport::passed().effects(Effects::Partial));
        assert_eq!(report.outcome, Outcome::Unavailable);
        assert_eq!(report.effects, Effects::Partial, "what was noted before stays");
        assert_eq!(report.help, ["is the server up?"]);
    }

    #[test]
    fn causes_go_from_near_to_far() {
        let source = ListError {
            source: std::io::Error::other("connection reset"),
        };
        let fault = Fault::unavailable("the repository cannot be read").caused_by(source);
        assert_eq!(fault.causes(), ["failed to list refs: connection reset"]);
    }

    #[test]
    fn diagnostics_are_invalid() {
        let diagnostics: Diagnostics = vec![Diagnostic::error("a", "b"), Diagnostic::warning("c", "d")]
            .into_iter()
            .collect();
        let fault = Fault::from(diagnostics);
        assert_eq!(fault.class.outcome().exit_code().code(), 3);
        assert_eq!(fault.message, "1 problem was found");
        assert_eq!(fault.diagnostics.len(), 2);
    }
}
