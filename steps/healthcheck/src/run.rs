use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use pilotage_check::{End, Observation, State};
use pilotage_descriptor::{Descriptor, Diagnostic, Parsed, Source};
use pilotage_name::EnvironmentName;
use pilotage_outcome::{CheckOutcome, CheckResult, Fault, StepReport};
use pilotage_place::Around;
use pilotage_probe::{Address, HttpSettings, Probe, Prober, Question, watch};
use pilotage_step::{Cancel, CancelReason, Context, DescriptorArgs};
use serde_json::{Value, json};
use tokio::sync::watch::channel;

use crate::adapter::docker::Instances;
use crate::report::{self, Ending};
use crate::{Args, Plan, PlanError, Subject, Surroundings, plan_of_descriptor, plan_of_urls};

/// Runs the step.
///
/// # Errors
/// When there is nothing that can be asked, or it was cancelled.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let (request, from) = args.request()?;
    let mut instances = None;
    let plan = match &request.subject {
        Subject::Urls(urls, want) => plan_of_urls(urls, want, &request)?,
        Subject::Descriptor(places) => {
            let environment = from.required_environment()?.clone();
            let service = from.service_name();
            cx.note(|report| {
                report.environment = Some(environment);
                report.service = service;
            });
            let file = File::read(&from, &cx).await?;
            let around = Around::of(&from, &cx).await?;
            let surroundings = Surroundings {
                front_door: around.as_ref().and_then(|around| around.front_door),
                commands: around.as_ref().is_some_and(Instances::are_in),
            };
            instances = around.filter(Instances::are_in);
            plan_of_descriptor(&file.descriptor, places, surroundings, &request)
                .map_err(|error| file.place(error))?
        }
    };
    if cx.dry_run {
        return Ok(finish(
            StepReport::passed(),
            &plan,
            report::plan_data(&plan),
            report::plan(&plan),
            &cx,
        ));
    }
    let settings = HttpSettings {
        ca_files: cx.ca_files.clone(),
        user_agent: concat!("pilotage-healthcheck/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..HttpSettings::default()
    };
    let prober = Prober::new(&settings).map_err(PlanError::Http)?;
    let commands = plan
        .endpoints
        .iter()
        .any(|plan| matches!(plan.endpoint.question, Question::Exec(_)));
    let instances = match instances.filter(|_| commands) {
        Some(around) => Instances::connect(&around).await?,
        None => None,
    };
    execute(&plan, &Inside { prober, instances }, &cx).await
}

/// Asks over the network, and in the instances where there are any.
struct Inside {
    prober: Prober,
    instances: Option<Instances>,
}

impl Probe for Inside {
    async fn resolve(&self, at: &Address, limit: Duration) -> Result<Vec<SocketAddr>, Observation> {
        self.prober.resolve(at, limit).await
    }

    async fn ask(&self, question: &Question, to: SocketAddr, limit: Duration) -> Observation {
        self.prober.ask(question, to, limit).await
    }

    async fn execute(&self, command: &[String], limit: Duration) -> Observation {
        match &self.instances {
            Some(instances) => instances.execute(command, limit).await,
            None => self.prober.execute(command, limit).await,
        }
    }
}

/// A descriptor, and the file it came from.
struct File {
    source: Source,
    parsed: Parsed,
    environment: EnvironmentName,
    descriptor: Descriptor,
}

impl File {
    async fn read(from: &DescriptorArgs, cx: &Context) -> Result<Self, Fault> {
        let source = from.required_descriptor(cx).await?;
        let environment = from.required_environment()?.clone();
        let mut parsed = pilotage_descriptor::parse(&source);
        if let Some(service) = from.service_name() {
            parsed = parsed.for_service(&service);
        }
        let descriptor = parsed.resolve(&environment)?;
        Ok(Self {
            source,
            parsed,
            environment,
            descriptor,
        })
    }

    /// The error, with the place of the endpoint it is about.
    fn place(&self, error: PlanError) -> Fault {
        let (code, index) = match &error {
            PlanError::Endpoint { index, .. } => ("invalid-endpoint", *index),
            _ => return error.into(),
        };
        let span = self
            .parsed
            .place(&self.environment, &format!("healthcheck.endpoints[{index}]"));
        let diagnostic = Diagnostic::error(code, error.to_string()).at(&self.source, span, "this endpoint");
        Fault::from(error).diagnostics([diagnostic].into_iter().collect())
    }
}

/// Asks everything in the plan at once and waits for all of it. When waiting does not help one endpoint, the others are
/// let go: the answer is no already.
///
/// # Errors
/// When a signal ended it; what was seen until then is noted in the context.
pub async fn execute<P: Probe>(plan: &Plan, probe: &P, cx: &Context) -> Result<StepReport, Fault> {
    let (give_up, given_up) = channel(false);
    let watches = plan.endpoints.iter().map(|endpoint| {
        let mut given_up = given_up.clone();
        let give_up = &give_up;
        async move {
            let stop = async {
                tokio::select! {
                    _ = cx.cancel.cancelled() => {}
                    // Fails only when the sender is gone, which outlives this.
                    _ = given_up.wait_for(|given_up| *given_up) => {}
                }
            };
            let watched = watch(&endpoint.endpoint, &plan.patience, probe, stop).await;
            if watched.progress.state() == State::Ended(End::Terminal) {
                give_up.send_replace(true);
            }
            let (outcome, note) = outcome(&watched, &cx.cancel);
            Ending {
                outcome,
                note,
                watched,
            }
        }
    });
    let endings = join_all(watches).await;
    let mut checks: Vec<CheckResult> = plan
        .endpoints
        .iter()
        .zip(&endings)
        .map(|(plan, ending)| report::check(plan, ending))
        .collect();
    checks.extend(
        plan.skipped
            .iter()
            .map(|skipped| CheckResult::new(&skipped.name, CheckOutcome::Skipped).reason(&skipped.reason)),
    );
    let data: Vec<Value> = plan
        .endpoints
        .iter()
        .zip(&endings)
        .map(|(plan, ending)| report::data(plan, ending))
        .collect();
    let result = json!({"expected_version": plan.version, "endpoints": data});
    let text = report::text(plan, &endings);
    let mut report = finish(StepReport::of_checks(checks), plan, result, text, cx);
    report.summary = summary(plan, &endings);
    let versions: Vec<&str> = endings
        .iter()
        .filter_map(|ending| ending.watched.progress.version())
        .collect();
    if let Some(version) = versions.first() {
        report = report.output("version", *version);
    }
    let cut = endings.iter().any(|ending| ending.watched.cancelled);
    if let Some(CancelReason::Signal(_)) = cx.cancel.reason()
        && cut
    {
        cx.note(|noted| *noted = report.clone());
        cx.cancel.check()?;
    }
    Ok(report)
}

fn outcome(watched: &pilotage_probe::Watched, cancel: &Cancel) -> (CheckOutcome, &'static str) {
    if watched.is_good() {
        return (CheckOutcome::Passed, "");
    }
    if watched.cancelled {
        return match cancel.reason() {
            Some(CancelReason::Deadline) => (CheckOutcome::Deadline, "the deadline of the step came first"),
            Some(CancelReason::Signal(_)) => (CheckOutcome::Deadline, "stopped by a signal"),
            None => (
                CheckOutcome::Skipped,
                "let go, as another endpoint has failed for good",
            ),
        };
    }
    if watched.progress.answered() {
        (CheckOutcome::Failed, "")
    } else {
        (CheckOutcome::Unavailable, "")
    }
}

fn summary(plan: &Plan, endings: &[Ending]) -> String {
    if let Some(nothing) = plan.nothing {
        return format!("nothing to check: {nothing}");
    }
    let good = endings
        .iter()
        .filter(|ending| ending.outcome == CheckOutcome::Passed)
        .count();
    let all = endings.len();
    let version = match &plan.version {
        Some(version)
            if endings
                .iter()
                .any(|ending| ending.watched.progress.version().is_some()) =>
        {
            format!(", version {version} answers")
        }
        _ => String::new(),
    };
    // The worst one is named; its reason says why.
    let worst = plan
        .endpoints
        .iter()
        .zip(endings)
        .find(|(_, ending)| matches!(ending.outcome, CheckOutcome::Failed));
    let worst = worst.or_else(|| {
        plan.endpoints
            .iter()
            .zip(endings)
            .find(|(_, ending)| !matches!(ending.outcome, CheckOutcome::Passed | CheckOutcome::Skipped))
    });
    match worst {
        None => format!("{good} of {all} endpoints well{version}"),
        Some((endpoint, ending)) => {
            let last = ending
                .watched
                .progress
                .last()
                .map_or("", |said| said.text.as_str());
            format!(
                "{good} of {all} endpoints well; {}: {}{}{last}",
                endpoint.endpoint.name,
                ending.watched.progress.summary(),
                if last.is_empty() { "" } else { "; " },
            )
        }
    }
}

/// What every report of this step has.
fn finish(report: StepReport, plan: &Plan, result: Value, text: String, cx: &Context) -> StepReport {
    let noted = cx.noted();
    let mut report = report.result(result);
    report.environment = noted.environment;
    report.service = noted.service;
    report.text = match plan.nothing {
        Some(nothing) => format!("{text}nothing to check: {nothing}\n"),
        None => text,
    };
    report.summary = match plan.nothing {
        Some(nothing) => format!("nothing to check: {nothing}"),
        None => format!("{} endpoints would be asked", plan.endpoints.len()),
    };
    report
}
