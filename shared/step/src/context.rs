use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pilotage_clock::Clock;
use pilotage_outcome::{Fault, Outcome, StepReport};
use pilotage_secret::{Coverage, Redactor, Secret};
use tokio::time::Instant;

use crate::{Cancel, Env, OutputFormat};

/// What the frame hands to a step's run: everything from outside that is not in its arguments. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The wall clock.
    pub clock: Clock,
    /// Says when the step should stop.
    pub cancel: Cancel,
    /// When the step will be asked to stop, where `--deadline` was given.
    pub deadline: Option<Instant>,
    /// The environment, read once.
    pub env: Env,
    /// Takes secrets out of texts; the frame passes logs, stdout and reports through it.
    pub redactor: Redactor,
    /// Change nothing; say what would be changed.
    pub dry_run: bool,
    /// What will go to stdout.
    pub output: OutputFormat,
    /// Whether the text for stdout may have colours.
    pub color: bool,
    /// PEM files to trust besides the compiled-in roots.
    pub ca_files: Vec<PathBuf>,
    /// Standard input.
    pub stdin: Arc<Mutex<dyn Read + Send>>,
    pub(crate) stdout: Stream,
    pub(crate) draft: Draft,
}

impl Context {
    /// A context outside of any frame: never cancelled, no deadline, nothing on stdin, stdout goes nowhere. For tests,
    /// which set the fields they care about.
    #[must_use]
    pub fn detached(clock: Clock, env: Env) -> Self {
        Self {
            clock,
            cancel: Cancel::never(),
            deadline: None,
            env,
            redactor: Redactor::new(),
            dry_run: false,
            output: OutputFormat::Human,
            color: false,
            ca_files: Vec::new(),
            stdin: Arc::new(Mutex::new(io::empty())),
            stdout: Stream::new(io::sink()),
            draft: Draft::default(),
        }
    }

    /// Notes what is known so far. The frame builds the report from these notes whenever the step cannot return one:
    /// when it ends with a [`Fault`], panics, or must be stopped by force. Note the effects *before* the first one:
    ///
    /// ```
    /// # use pilotage_outcome::Effects;
    /// # let cx = pilotage_step::Context::detached(pilotage_clock::Clock::system(), pilotage_step::Env::default());
    /// cx.note(|report| report.effects = Effects::Partial);
    /// ```
    pub fn note(&self, change: impl FnOnce(&mut StepReport)) {
        self.draft.update(change);
    }

    /// What was noted so far.
    #[must_use]
    pub fn noted(&self) -> StepReport {
        self.draft.read()
    }

    /// Prints a line at once on stdout, without secrets; for steps that go on for long. Under `--output json` stdout
    /// belongs to the report and nothing is printed.
    pub fn say(&self, line: &str) {
        if self.output == OutputFormat::Human {
            let text = self.redactor.redact(line);
            // Who reads may go away at any time; that is no reason to stop working.
            let _ = self.stdout.write_text(&format!("{text}\n"));
        }
    }

    /// The secret `name`: from the variable `PILOTAGE_<name>`, or from the file that `PILOTAGE_<name>_FILE` names,
    /// without one newline at its end. It is read anew at each call, so that a file which is renewed is noticed, and
    /// it is taken out of everything printed from now on.
    ///
    /// # Errors
    ///
    /// Both variables are set, the file cannot be read, or the value is no text: usage.
    pub fn secret(&self, name: &str) -> Result<Option<Secret>, Fault> {
        let variable = format!("PILOTAGE_{name}");
        let file_variable = format!("{variable}_FILE");
        let value = match (self.env.get_os(&variable), self.env.get_os(&file_variable)) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(
                    Fault::usage(format!("{variable} and {file_variable} are both set"))
                        .help("set one of them and remove the other"),
                );
            }
            (Some(value), None) => value
                .to_str()
                .ok_or_else(|| Fault::usage(format!("{variable} is not UTF-8")))?
                .to_owned(),
            (None, Some(path)) => {
                let mut text = std::fs::read_to_string(path).map_err(|error| {
                    let path = pilotage_diagnostic::printable(&path.to_string_lossy());
                    Fault::usage(format!("{file_variable} names `{path}`, which cannot be read"))
                        .caused_by(error)
                })?;
                if text.ends_with('\n') {
                    text.truncate(text.len() - 1);
                }
                text
            }
        };
        if value.is_empty() {
            return Err(Fault::usage(format!("the secret in {file_variable} is empty")));
        }
        let secret = Secret::new(value);
        if self.redactor.register_named(name, &secret) == Coverage::TooShort {
            tracing::warn!("the secret {variable} is too short to be taken out of logs and reports");
        }
        Ok(Some(secret))
    }

    /// As [`Context::secret`], for a secret that must be there.
    ///
    /// # Errors
    ///
    /// As [`Context::secret`], and when neither variable is set.
    pub fn required_secret(&self, name: &str) -> Result<Secret, Fault> {
        self.secret(name)?.ok_or_else(|| {
            Fault::usage(format!("PILOTAGE_{name} is not set")).help(format!(
                "set PILOTAGE_{name}, or PILOTAGE_{name}_FILE to a file that holds it"
            ))
        })
    }

    /// How much time is left until the deadline, where there is one.
    #[must_use]
    pub fn remaining(&self) -> Option<std::time::Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}

/// An output stream that several threads may write to.
#[derive(Clone)]
pub struct Stream(Arc<Mutex<dyn Write + Send>>);

impl Stream {
    /// A stream that writes to `writer`.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    /// Writes a text and flushes.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub fn write_text(&self, text: &str) -> io::Result<()> {
        self.write_bytes(text.as_bytes())
    }

    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write_all(bytes)?;
        writer.flush()
    }
}

/// The report as far as it is known while the step runs.
#[derive(Clone)]
pub struct Draft(Arc<Mutex<StepReport>>);

impl Default for Draft {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(StepReport::new(Outcome::Internal))))
    }
}

impl Draft {
    /// Changes it.
    pub fn update(&self, change: impl FnOnce(&mut StepReport)) {
        change(&mut self.lock());
    }

    /// A copy of it.
    #[must_use]
    pub fn read(&self) -> StepReport {
        self.lock().clone()
    }

    /// A copy of it, unless this very moment someone changes it; for a panic inside of such a change.
    pub(crate) fn try_read(&self) -> StepReport {
        match self.0.try_lock() {
            Ok(draft) => draft.clone(),
            Err(std::sync::TryLockError::Poisoned(draft)) => draft.into_inner().clone(),
            Err(std::sync::TryLockError::WouldBlock) => StepReport::new(Outcome::Internal),
        }
    }

    fn lock(&self) -> MutexGuard<'_, StepReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(variables: &[(&str, &str)]) -> Context {
        Context::detached(Clock::system(), Env::of(variables.iter().copied()))
    }

    #[test]
    fn a_secret_comes_from_its_variable_or_its_file_and_is_taken_out_of_texts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from-a-file\n").unwrap();
        let path = file.path().to_str().unwrap();

        let cx = context(&[("PILOTAGE_TOKEN", "from-a-variable")]);
        assert_eq!(cx.secret("TOKEN").unwrap().unwrap().expose(), "from-a-variable");
        assert_eq!(cx.redactor.redact("a from-a-variable b"), "a [secret TOKEN] b");

        let cx = context(&[("PILOTAGE_TOKEN_FILE", path)]);
        assert_eq!(cx.secret("TOKEN").unwrap().unwrap().expose(), "from-a-file");
        std::fs::write(file.path(), "renewed-since\n").unwrap();
        assert_eq!(cx.required_secret("TOKEN").unwrap().expose(), "renewed-since");

        assert!(context(&[]).secret("TOKEN").unwrap().is_none());
    }

    #[test]
    fn secrets_that_cannot_be_had_are_usage_errors_that_name_the_variable() {
        let both = context(&[("PILOTAGE_TOKEN", "aaaa"), ("PILOTAGE_TOKEN_FILE", "/x")]);
        let missing = context(&[("PILOTAGE_TOKEN_FILE", "/no/such/file")]);
        for fault in [
            both.secret("TOKEN").unwrap_err(),
            missing.secret("TOKEN").unwrap_err(),
            context(&[]).required_secret("TOKEN").unwrap_err(),
        ] {
            assert_eq!(fault.class, pilotage_outcome::Class::Usage);
            assert!(fault.message.contains("PILOTAGE_TOKEN"), "{}", fault.message);
        }
    }
}
