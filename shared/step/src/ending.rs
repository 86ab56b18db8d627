use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use pilotage_diagnostic::{printable, render_terminal};
use pilotage_outcome::{Class, ExitCode, Fault, Invocation, Outcome, StepReport, StepReportData, to_junit};
use pilotage_secret::Redactor;
use tokio::time::Instant;

use crate::report_file::ReportFile;
use crate::{CancelReason, Common, Draft, LogFormat, OutputFormat, OutputName, Stream};

/// How a run came to its end.
pub(crate) enum End {
    /// The step returned.
    Returned(Box<Result<StepReport, Fault>>),
    /// The frame dropped it, because it did not stop when it was asked to.
    Forced(CancelReason),
    /// It panicked.
    Panicked(String),
}

/// Everything that is needed to end a run with its reports, at any moment and from any thread, once.
pub(crate) struct Ending {
    pub(crate) step: String,
    pub(crate) command: Option<String>,
    pub(crate) version: String,
    pub(crate) started_at: Timestamp,
    pub(crate) started: Instant,
    pub(crate) dry_run: bool,
    pub(crate) output: OutputFormat,
    pub(crate) log_format: LogFormat,
    /// Whether what a person reads on stderr has colours.
    pub(crate) color: bool,
    pub(crate) files: Files,
    pub(crate) redactor: Redactor,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
    /// The outputs that the step may write.
    pub(crate) declared: &'static [OutputName],
    pub(crate) draft: Draft,
    pub(crate) claimed: AtomicBool,
}

/// The files to write at the end.
#[derive(Debug, Default)]
pub(crate) struct Files {
    report: Option<ReportFile>,
    junit: Option<ReportFile>,
    outputs: Option<ReportFile>,
}

impl Files {
    /// Opens what was asked for. What can be written is kept even where another cannot, so that a report can say so.
    pub(crate) fn prepare(common: &Common) -> (Self, Result<(), Fault>) {
        let mut problem = None;
        let mut prepare = |flag: &str, path: &Option<std::path::PathBuf>| {
            let path = path.as_deref()?;
            match ReportFile::prepare(path) {
                Ok(file) => Some(file),
                Err(error) => {
                    let message = format!("--{flag}: `{}` cannot be written", shown(path));
                    problem.get_or_insert(Fault::usage(message).caused_by(error));
                    None
                }
            }
        };
        let files = Self {
            report: prepare("report", &common.report),
            junit: prepare("junit", &common.junit),
            outputs: prepare("outputs", &common.outputs),
        };
        let named = [&common.report, &common.junit, &common.outputs];
        let twice = named
            .iter()
            .enumerate()
            .find_map(|(i, path)| path.as_ref().filter(|_| named[..i].contains(path)));
        if let Some(path) = twice.filter(|path| path.as_path() != Path::new("/dev/null")) {
            let message = format!("`{}` is named for two different reports", shown(path));
            return (Self::default(), Err(Fault::usage(message)));
        }
        (files, problem.map_or(Ok(()), Err))
    }

    /// Writes them all and says which could not be written.
    fn write(&self, data: &StepReportData) -> Vec<(String, io::Error)> {
        let json = || data.to_json();
        let junit = || to_junit(data);
        let outputs = || data.to_outputs();
        let lost = |what: &str, file: &Option<ReportFile>, text: &dyn Fn() -> String| {
            let file = file.as_ref()?;
            let error = file.write(&text()).err()?;
            Some((
                format!("the {what} `{}` could not be written", shown(file.name())),
                error,
            ))
        };
        [
            lost("report", &self.report, &json),
            lost("JUnit report", &self.junit, &junit),
            lost("file of outputs", &self.outputs, &outputs),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

impl Ending {
    /// Ends the run: report files, stdout, stderr. `None` when another thread is at it already.
    pub(crate) fn end(&self, end: End, reason: Option<CancelReason>) -> Option<ExitCode> {
        if self.claimed.swap(true, Ordering::SeqCst) {
            return None;
        }
        let fault = !matches!(&end, End::Returned(result) if result.is_ok());
        let mut report = conclude(end, reason, &self.draft);
        debug_assert!(
            report
                .outputs
                .keys()
                .all(|key| self.declared.iter().any(|name| name.covers(key.as_str()))),
            "an output that is not among the step's OUTPUTS: {:?}",
            report.outputs
        );
        let invocation = Invocation {
            step: self.step.clone(),
            command: self.command.clone(),
            version: self.version.clone(),
            started: self.started_at,
            elapsed: Instant::now().saturating_duration_since(self.started),
            dry_run: self.dry_run,
        };
        // Files first: stdout may be a pipe that nobody empties.
        let data = self.data(&report, &invocation);
        let mut lost = self.files.write(&data);
        if let Err(error) = self.print(&report, &data, fault)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            lost.push(("the result could not be written to stdout".to_owned(), error));
        }
        self.tell(&report, &data, fault);
        if !lost.is_empty() {
            let passed = report.exit_code().word() == ExitCode::Passed.word();
            if passed {
                for (message, _) in &mut lost {
                    *message = format!(
                        "{} itself succeeded; {message}",
                        work(&self.step, self.command.as_deref())
                    );
                }
            }
            for (message, error) in &lost {
                self.tell_error(message, &[error.to_string()], &[]);
            }
            if let Some((message, _)) = lost.first().filter(|_| passed) {
                // A result that nobody gets is no success; the reports that can be written say so.
                report.outcome = Outcome::Unavailable;
                report.exit_as = None;
                report.summary.clone_from(message);
                self.files.write(&self.data(&report, &invocation));
            }
        }
        Some(report.exit_code())
    }

    fn data(&self, report: &StepReport, invocation: &Invocation) -> StepReportData {
        let mut data = StepReportData::new(report, invocation);
        data.map_texts(&|text| self.redactor.redact(text));
        data
    }

    fn print(&self, report: &StepReport, data: &StepReportData, fault: bool) -> io::Result<()> {
        match self.output {
            OutputFormat::Json if !report.raw => self.stdout.write_text(&data.to_json()),
            _ if !report.text.is_empty() => self.stdout.write_text(&self.redactor.redact(&report.text)),
            // What went wrong is told on stderr; stdout carries results only.
            _ if fault || data.summary.is_empty() => Ok(()),
            _ => self.stdout.write_text(&format!("{}\n", data.summary)),
        }
    }

    /// Diagnostics and errors, for whoever watches.
    fn tell(&self, report: &StepReport, data: &StepReportData, fault: bool) {
        match (self.log_format, self.output) {
            (LogFormat::Json, _) => {
                for diagnostic in &report.diagnostics {
                    if diagnostic.is_error() {
                        tracing::error!(target: "pilotage", "{}", diagnostic.line());
                    } else {
                        tracing::warn!(target: "pilotage", "{}", diagnostic.line());
                    }
                }
            }
            (LogFormat::Text, OutputFormat::Human) if !report.diagnostics.is_empty() => {
                self.complain(&render_terminal(&report.diagnostics, self.color));
            }
            (LogFormat::Text, _) => {
                for diagnostic in &report.diagnostics {
                    self.complain(&format!("{}\n", diagnostic.line()));
                }
            }
        }
        if fault {
            self.tell_error(&data.summary, &data.causes, &data.help);
        }
    }

    fn tell_error(&self, message: &str, causes: &[String], help: &[String]) {
        if self.log_format == LogFormat::Json {
            let (causes, help) = (causes.join("; "), help.join("; "));
            tracing::error!(target: "pilotage", causes, help, "{message}");
            return;
        }
        let (red, blue, bold, reset) = match self.color {
            true => ("\x1b[1;31m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"),
            false => ("", "", "", ""),
        };
        let mut text = format!("{red}error{reset}{bold}: {}{reset}\n", printable(message));
        for cause in causes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  because: {}", printable(cause));
        }
        for help in help {
            let _ = writeln!(text, "  {blue}help{reset}: {}", printable(help));
        }
        self.complain(&text);
    }

    fn complain(&self, text: &str) {
        // Where even stderr is gone there is nobody left to tell.
        let _ = self.stderr.write_text(&self.redactor.redact(text));
    }
}

/// What a run did, in words: that of a step as such is named by the step alone.
fn work(step: &str, command: Option<&str>) -> String {
    match command {
        None | Some("run") => format!("the {step}"),
        Some(command) => format!("`{step} {command}`"),
    }
}

/// The report of a run that came to this end.
fn conclude(end: End, reason: Option<CancelReason>, draft: &Draft) -> StepReport {
    match end {
        End::Returned(result) => match *result {
            Ok(report) => with_verdict(with_identity(report, draft.read()), reason),
            Err(fault) => without_verdict(fault, draft.read(), reason),
        },
        End::Forced(reason) => {
            let message = format!("stopped by force: it did not end by itself after {reason}");
            let mut report = Fault::cancelled(message).into_report(draft.try_read());
            report.outcome = match reason {
                CancelReason::Signal(signal) => Outcome::Cancelled(signal),
                CancelReason::Deadline => Outcome::Deadline,
            };
            report
        }
        End::Panicked(message) => Fault::internal(message)
            .help("this is a bug in the step: please report it with this message")
            .into_report(draft.try_read())
            .exit_as(ExitCode::Panicked),
    }
}

/// A signal is the end that was asked for, whatever was found out until then; a verdict beats the deadline.
fn with_verdict(mut report: StepReport, reason: Option<CancelReason>) -> StepReport {
    if let Some(CancelReason::Signal(signal)) = reason {
        report.outcome = Outcome::Cancelled(signal);
        if report.summary.is_empty() {
            report.summary = format!("stopped by {signal}");
        }
    }
    report
}

fn without_verdict(fault: Fault, draft: StepReport, reason: Option<CancelReason>) -> StepReport {
    let class = fault.class;
    let mut report = fault.into_report(draft);
    report.outcome = match (reason, class) {
        (Some(CancelReason::Signal(signal)), _) => Outcome::Cancelled(signal),
        // Work that is cut short often looks like a peer that went away.
        (Some(CancelReason::Deadline), Class::Cancelled | Class::Unavailable) => Outcome::Deadline,
        (None, Class::Cancelled) => Outcome::Internal,
        _ => report.outcome,
    };
    report
}

/// The report, with who and where from the notes where it says nothing itself.
fn with_identity(mut report: StepReport, notes: StepReport) -> StepReport {
    report.project = report.project.or(notes.project);
    report.environment = report.environment.or(notes.environment);
    report.service = report.service.or(notes.service);
    report.commit = report.commit.or(notes.commit);
    report.release = report.release.or(notes.release);
    report.fence = report.fence.or(notes.fence);
    report.plan_digest = report.plan_digest.or(notes.plan_digest);
    report
}

#[cfg(test)]
mod tests {
    use pilotage_outcome::{Effects, Signal};

    use super::*;

    fn outcome(end: End, reason: Option<CancelReason>) -> Outcome {
        conclude(end, reason, &Draft::default()).outcome
    }

    #[test]
    fn the_end_and_its_reason_decide_the_outcome() {
        let terminated = Some(CancelReason::Signal(Signal::Terminate));
        let deadline = Some(CancelReason::Deadline);
        let stopped = Outcome::Cancelled(Signal::Terminate);
        let returned = |result| End::Returned(Box::new(result));
        let passed = || returned(Ok(StepReport::passed()));
        let fault = |class| returned(Err(Fault::new(class, "no")));
        let table = [
            (passed(), None, Outcome::Passed),
            (passed(), terminated, stopped),
            (passed(), deadline, Outcome::Passed),
            (returned(Ok(StepReport::failed())), deadline, Outcome::Failed),
            (fault(Class::Cancelled), terminated, stopped),
            (fault(Class::Unavailable), terminated, stopped),
            (fault(Class::Cancelled), deadline, Outcome::Deadline),
            (fault(Class::Unavailable), deadline, Outcome::Deadline),
            (fault(Class::Invalid), deadline, Outcome::Invalid),
            (fault(Class::Cancelled), None, Outcome::Internal),
            (fault(Class::Waiting), None, Outcome::Refused { waiting: true }),
            (End::Forced(CancelReason::Deadline), None, Outcome::Deadline),
            (End::Panicked("x".to_owned()), None, Outcome::Internal),
        ];
        for (index, (end, reason, expected)) in table.into_iter().enumerate() {
            assert_eq!(outcome(end, reason), expected, "row {index}");
        }
    }

    #[test]
    fn what_was_done_is_named_by_the_step() {
        assert_eq!(work("release", Some("run")), "the release");
        assert_eq!(work("deploy", None), "the deploy");
        assert_eq!(work("release", Some("status")), "`release status`");
    }

    #[test]
    fn what_was_noted_is_in_the_report_of_every_bad_end() {
        for end in [
            End::Returned(Box::new(Err(Fault::internal("no")))),
            End::Forced(CancelReason::Deadline),
            End::Panicked("no".to_owned()),
        ] {
            let draft = Draft::default();
            draft.update(|report| {
                report.effects = Effects::Partial;
                report.fence = Some(7);
            });
            let report = conclude(end, None, &draft);
            assert_eq!((report.effects, report.fence), (Effects::Partial, Some(7)));
        }
    }
}
