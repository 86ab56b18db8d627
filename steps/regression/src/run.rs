use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pilotage_descriptor::{Diagnostic, SecretSource, Source};
use pilotage_diagnostic::printable;
use pilotage_junit::{Case, Merger, Outcome, Totals, read};
use pilotage_outcome::{CheckOutcome, Fault, StepReport};
use pilotage_place::Around;
use pilotage_quarantine::Quarantine;
use pilotage_step::{Context, child_environment};
use tempfile::NamedTempFile;
use tokio::time::Instant;

use crate::adapter::docker::Containers;
use crate::collect::{self, Found};
use crate::plan::{plan_of_command, plan_of_descriptor};
use crate::report::{self, SuiteRun, Tried};
use crate::{Args, Evidence, Exit, Plan, PlanError, Processes, Run, Suite, Work, judge};

/// Runs the step.
///
/// # Errors
/// When there is nothing that can be run, or it was cancelled.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let (plan, around) = match &args.from.descriptor {
        None => (plan_of_command(&args)?, None),
        Some(_) => of_descriptor(&args, &cx).await?,
    };
    cx.note(|report| {
        report.release.clone_from(&args.release);
        report.commit.clone_from(&args.commit);
    });
    let directory = args.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    let directory = fs::canonicalize(&directory).map_err(|source| PlanError::File {
        path: directory,
        verb: "read",
        source,
    })?;
    let shown = directory.to_string_lossy().into_owned();
    if let Work::Nothing(why) = plan.work {
        return Ok(finish(
            StepReport::passed(),
            format!("nothing to run: {why}"),
            report::plan(&plan, &shown),
            &cx,
        ));
    }
    let quarantine = Arc::new(quarantine(&args, &cx)?);
    if cx.dry_run {
        let report = StepReport::passed().result(report::plan_data(&plan, &shown));
        return Ok(finish(
            report,
            "the suite would be run".to_owned(),
            report::plan(&plan, &shown),
            &cx,
        ));
    }
    let tested = Tested {
        plan: &plan,
        quarantine,
        merged: args.merged_file(),
        cx: &cx,
    };
    let suite_run = match (&plan.work, &around) {
        (Work::Image { image, command }, Some(around)) => {
            let suite = Containers::prepare(around, image, &plan, command, args.structured(), &cx).await?;
            tracing::info!("the suite runs in {} of its image", suite.directory());
            let folder = suite.folder().map_err(PlanError::Merge)?;
            tested.by(&suite, &folder).await?
        }
        _ => {
            let suite = Processes {
                command: match &plan.work {
                    Work::Command(command) => command.clone(),
                    Work::Nothing(_) | Work::Judge | Work::Image { .. } => Vec::new(),
                },
                environment: environment(&args, &plan, &cx),
                directory: directory.clone(),
                redactor: cx.redactor.clone(),
                structured: args.structured(),
            };
            tested.by(&suite, &directory).await?
        }
    };
    let mut report = StepReport::of_checks(vec![report::check(&suite_run)]).result(report::data(&suite_run));
    let Totals { cases, failed, .. } = suite_run.totals;
    for (key, value) in [("tests", cases), ("failed", failed)] {
        report = report.output(key, value.to_string());
    }
    let stopped = suite_run.judgement.outcome == CheckOutcome::Deadline;
    let report = finish(
        report,
        suite_run.judgement.reason.clone(),
        report::text(&suite_run),
        &cx,
    );
    if stopped {
        cx.note(|noted| *noted = report.clone());
        if let Some(pilotage_step::CancelReason::Signal(_)) = cx.cancel.reason() {
            cx.cancel.check()?;
        }
    }
    Ok(report)
}

async fn of_descriptor(args: &Args, cx: &Context) -> Result<(Plan, Option<Around>), Fault> {
    let from = &args.from;
    let environment = from.required_environment()?.clone();
    let service = from.service_name();
    cx.note(|report| {
        report.environment = Some(environment.clone());
        report.service.clone_from(&service);
    });
    let source = from.required_descriptor(cx).await?;
    let mut parsed = pilotage_descriptor::parse(&source);
    if let Some(service) = &service {
        parsed = parsed.for_service(service);
    }
    let descriptor = parsed.resolve(&environment)?;
    let around = Around::of(from, cx).await?;
    let plan = plan_of_descriptor(&descriptor, environment.as_str(), args, around.as_ref());
    let plan = plan.map_err(|error| {
        let (code, path) = match &error {
            PlanError::Image { .. } => ("unsupported-suite", "regression.image"),
            PlanError::ImageNotGranted { .. } => ("not-allowed", "regression.image"),
            PlanError::NotGranted { .. } | PlanError::NoConfig => ("not-allowed", "regression.command"),
            _ => return error.into(),
        };
        let span = parsed.place(&environment, path);
        let diagnostic = Diagnostic::error(code, error.to_string()).at(&source, span, "this suite");
        Fault::from(error).diagnostics([diagnostic].into_iter().collect())
    })?;
    Ok((plan, around))
}

/// The list, as it is today.
fn quarantine(args: &Args, cx: &Context) -> Result<Quarantine, Fault> {
    let Some(path) = &args.quarantine else {
        return Ok(Quarantine::default());
    };
    let text = fs::read_to_string(path).map_err(|source| PlanError::File {
        path: path.clone(),
        verb: "read",
        source,
    })?;
    let today = cx.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Ok(Quarantine::parse(
        &Source::new(path.to_string_lossy(), text),
        today,
    )?)
}

/// The environment of the suite. A command of somebody's own gets theirs; one that a descriptor names gets what every
/// step gets of the machine, and the secrets of its own service.
fn environment(args: &Args, plan: &Plan, cx: &Context) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = match &args.from.descriptor {
        None => {
            let foreign = |name: &std::ffi::OsStr| !name.to_string_lossy().starts_with("PILOTAGE_");
            let all = cx.env.iter().filter(|(name, _)| foreign(name));
            all.map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        }
        Some(_) => {
            let service = args.from.service_name();
            let secrets = service.map(|service| format!("{}*", SecretSource::env_prefix(&service)));
            child_environment(&cx.env, &secrets.iter().map(String::as_str).collect::<Vec<_>>())
        }
    };
    environment.extend(
        plan.variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    environment
}

/// What a suite is tested for, whatever runs it.
struct Tested<'a> {
    plan: &'a Plan,
    quarantine: Arc<Quarantine>,
    merged: Option<PathBuf>,
    cx: &'a Context,
}

impl Tested<'_> {
    async fn by<S: Suite>(self, suite: &S, directory: &Path) -> Result<SuiteRun, Fault> {
        let testing = Testing {
            suite,
            plan: self.plan,
            directory,
            quarantine: self.quarantine,
            cx: self.cx,
        };
        testing.through(self.merged).await
    }
}

struct Testing<'a, S> {
    suite: &'a S,
    plan: &'a Plan,
    directory: &'a Path,
    quarantine: Arc<Quarantine>,
    cx: &'a Context,
}

impl<S: Suite> Testing<'_, S> {
    async fn through(&self, merged: Option<PathBuf>) -> Result<SuiteRun, Fault> {
        // Whether it can be written is found out before anything runs.
        let merged = merged.map(Merged::prepare).transpose()?;
        let redactor = self.cx.redactor.clone();
        let quarantine = Arc::clone(&self.quarantine);
        let excuse = move |case: &Case| quarantine.excuse(&case.class, &case.name);
        let mut merger = Merger::new(move |text| redactor.redact(text).into_owned().into(), excuse)
            .map_err(PlanError::Merge)?;
        let began = Instant::now();
        let mut tries: Vec<Tried> = Vec::new();
        let mut failed = Failed::default();
        for attempt in 1..=self.plan.limits.retries.saturating_add(1) {
            let at = began.elapsed();
            let before = self.there()?;
            let (ended, before) = match self.plan.work {
                Work::Command(_) | Work::Image { .. } => {
                    (Some(self.once(attempt, failed.path()).await), before)
                }
                // Everything that is there counts.
                Work::Nothing(_) | Work::Judge => (None, Found::new()),
            };
            let fresh = collect::fresh(&before, &self.there()?);
            let mut broken = Vec::new();
            failed = Failed::default();
            for path in &fresh {
                if let Some(reason) = self.read(path, attempt, &mut merger, &mut failed)? {
                    tracing::warn!("the report `{}` cannot be read: {reason}", printable(path));
                    broken.push(format!("{path}: {reason}"));
                }
            }
            let evidence = self.evidence(ended.as_ref().map(|ended| &ended.exit), merger.totals(), &broken);
            let good = judge(&evidence).outcome == CheckOutcome::Passed;
            // Another run changes nothing of these.
            let last = good
                || !self.quarantine.expired().is_empty()
                || self.cx.cancel.is_cancelled()
                || matches!(self.plan.work, Work::Judge)
                || matches!(ended.as_ref().map(|ended| &ended.exit), Some(Exit::NotStarted(_)));
            tries.push(Tried {
                at,
                ended,
                good,
                reports: fresh.len(),
                broken,
            });
            if last {
                break;
            }
            tracing::info!("run {attempt} of the suite failed");
            failed.write().map_err(PlanError::Merge)?;
        }
        let (totals, merged) = match merged {
            Some(merged) => merged.write(merger)?,
            None => (
                merger
                    .finish("regression", io::sink())
                    .map_err(PlanError::Merge)?,
                None,
            ),
        };
        let end = tries.last();
        let exit = end
            .and_then(|tried| tried.ended.as_ref())
            .map(|ended| &ended.exit);
        let broken = end.map_or(&[][..], |tried| tried.broken.as_slice());
        let judgement = judge(&self.evidence(exit, totals.clone(), broken));
        let mut notes = self.quarantine.expired();
        notes.extend(self.quarantine.unused());
        Ok(SuiteRun {
            tries,
            totals,
            judgement,
            notes,
            merged,
        })
    }

    async fn once(&self, attempt: u32, failed: Option<&Path>) -> crate::Ended {
        let limits = &self.plan.limits;
        let run = Run {
            attempt,
            timeout: limits.timeout.as_std(),
            idle: limits.idle.map(|idle| idle.as_std()),
            grace: limits.grace.as_std(),
            failed: failed.map(Path::to_owned),
        };
        self.suite.run(run, &self.cx.cancel).await
    }

    fn evidence(&self, exit: Option<&Exit>, totals: Totals, broken: &[String]) -> Evidence {
        Evidence {
            exit: exit.cloned(),
            totals,
            counted: !self.plan.reports.is_empty(),
            broken: broken.to_vec(),
            expired: self.quarantine.expired(),
        }
    }

    fn there(&self) -> Result<Found, PlanError> {
        collect::find(self.directory, &self.plan.reports).map_err(|source| PlanError::File {
            path: self.directory.to_owned(),
            verb: "read",
            source,
        })
    }

    /// Takes the cases of a report. Says why it cannot be read, when it cannot.
    fn read(
        &self,
        path: &str,
        attempt: u32,
        merger: &mut Merger,
        failed: &mut Failed,
    ) -> Result<Option<String>, PlanError> {
        let file = match collect::open(self.directory, path) {
            Ok(file) => file,
            Err(error) => return Ok(Some(error.to_string())),
        };
        merger.begin_file();
        let mut full = None;
        let read = read(file, path, &mut |case| {
            self.quarantine.saw(&case.class, &case.name);
            if case.outcome == Outcome::Failed && self.quarantine.excuse(&case.class, &case.name).is_none() {
                failed.add(&case);
            }
            merger.add(attempt, &case).map_err(|error| {
                full = Some(error);
                io::Error::other("the spool is full")
            })
        });
        match (read, full) {
            (_, Some(error)) => Err(PlanError::Merge(error)),
            (Ok(()), None) => Ok(None),
            (Err(error), None) => Ok(Some(error.to_string())),
        }
    }
}

/// Tests that failed in a run, for the next one.
#[derive(Default)]
struct Failed {
    names: Vec<String>,
    file: Option<NamedTempFile>,
}

impl Failed {
    /// A suite with more failures than this had better run as a whole.
    const MOST: usize = 10_000;

    fn add(&mut self, case: &Case) {
        if self.names.len() <= Self::MOST {
            self.names
                .push(printable(&format!("{}.{}", case.class, case.name)));
        }
    }

    fn write(&mut self) -> io::Result<()> {
        if !self.names.is_empty() && self.names.len() <= Self::MOST {
            let mut file = NamedTempFile::new()?;
            for name in &self.names {
                writeln!(file, "{name}")?;
            }
            self.file = Some(file);
        }
        Ok(())
    }

    fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(NamedTempFile::path)
    }
}

/// The merged report, on its way to its place.
struct Merged {
    path: PathBuf,
    file: NamedTempFile,
}

impl Merged {
    fn prepare(path: PathBuf) -> Result<Self, PlanError> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // Readable as the umask says: a CI server that reads it often runs as someone else.
        let file = tempfile::Builder::new()
            .prefix(".pilotage-merged-")
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder);
        match file {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(PlanError::File {
                path,
                verb: "written",
                source,
            }),
        }
    }

    fn write(self, merger: Merger) -> Result<(Totals, Option<String>), PlanError> {
        let totals = merger
            .finish("regression", self.file.as_file())
            .map_err(PlanError::Merge)?;
        let shown = self.path.to_string_lossy().into_owned();
        match self.file.persist(&self.path) {
            Ok(_) => Ok((totals, Some(shown))),
            Err(error) => Err(PlanError::File {
                path: self.path,
                verb: "written",
                source: error.error,
            }),
        }
    }
}

/// What every report of this step has.
fn finish(mut report: StepReport, summary: String, text: String, cx: &Context) -> StepReport {
    let noted = cx.noted();
    report.environment = noted.environment;
    report.service = noted.service;
    report.release = noted.release;
    report.commit = noted.commit;
    report.summary = summary;
    report.text = text;
    report
}
