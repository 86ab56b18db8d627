/// One test case of a report. Every text is cut at a limit of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Case {
    /// The suite it stands in.
    pub suite: String,
    /// Its class, or what stands in a class's place.
    pub class: String,
    /// Its name.
    pub name: String,
    /// How long it took, in seconds.
    pub seconds: Option<f64>,
    /// How it ended.
    pub outcome: Outcome,
    /// What is wrong, where it failed; why, where it was skipped.
    pub problem: Option<Problem>,
    /// Failures of earlier tries that the runner itself made and that a later try got over.
    pub flaky: Vec<Problem>,
    /// Failures of further tries that the runner itself made.
    pub reruns: Vec<Problem>,
    /// What it printed.
    pub out: String,
    /// What it printed as errors.
    pub err: String,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It did not run.
    Skipped,
    /// It passed.
    #[default]
    Passed,
    /// It failed, or ended in an error.
    Failed,
}

/// A failure, or the reason of a skip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// In one line.
    pub message: String,
    /// The kind of failure, such as the class of an exception.
    pub kind: String,
    /// The whole text, such as a stack trace.
    pub text: String,
    /// Whether it was written as an error and not as a failure.
    pub is_error: bool,
}
