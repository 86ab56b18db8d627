use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use pilotage_check::{HttpAnswer, NoAnswer, Observation};
use pilotage_descriptor::{Descriptor, Diagnostic, Parsed, Source};
use pilotage_outcome::{CheckOutcome, CheckResult, Fault, StepReport};
use pilotage_place::Around;
use pilotage_probe::{HttpSettings, Probe, Prober, Question};
use pilotage_step::{CancelReason, Context, DescriptorArgs};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::outgoing::{Outgoing, Values, expected};
use crate::report::{self, Ending, Try};
use crate::verdict::{Judged, judged};
use crate::{Args, Plan, PlanError, Request, RequestPlan, Subject, plan_of_descriptor, plan_of_urls};

/// Between a bad try and the next one.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs the step.
///
/// # Errors
/// When there is nothing that can be asked, or it was cancelled.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let (request, from) = args.request()?;
    let plan = match &request.subject {
        Subject::Urls(urls, want) => plan_of_urls(urls, want, &request)?,
        Subject::Descriptor(_) => of_descriptor(&from, &request, &cx).await?,
    };
    if cx.dry_run {
        let mut report = finish(
            StepReport::passed(),
            &plan,
            report::plan_data(&plan),
            report::plan(&plan),
            &cx,
        );
        report.summary = match plan.nothing {
            Some(nothing) => format!("nothing to send: {nothing}"),
            None => format!("{} requests would be sent", plan.requests.len()),
        };
        return Ok(report);
    }
    let settings = HttpSettings {
        ca_files: cx.ca_files.clone(),
        user_agent: concat!("pilotage-smoke/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..HttpSettings::default()
    };
    // Users reuse their connections, too.
    let prober = Prober::reusing(&settings).map_err(PlanError::Http)?;
    execute(&plan, &prober, &cx).await
}

async fn of_descriptor(from: &DescriptorArgs, request: &Request, cx: &Context) -> Result<Plan, Fault> {
    let places = match &request.subject {
        Subject::Descriptor(places) => places.as_slice(),
        Subject::Urls(..) => &[],
    };
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
    let descriptor: Descriptor = parsed.resolve(&environment)?;
    let around = Around::of(from, cx).await?;
    let door = around.as_ref().and_then(|around| around.front_door);
    let allow = around.as_ref().map(|around| &around.allow);
    plan_of_descriptor(&descriptor, places, door, allow, request)
        .map_err(|error| placed(error, &source, &parsed, &environment))
}

/// The error, with the place of the request it is about.
fn placed(
    error: PlanError,
    source: &Source,
    parsed: &Parsed,
    environment: &pilotage_name::EnvironmentName,
) -> Fault {
    let (code, index) = match &error {
        PlanError::Request { index, .. } => ("invalid-request", *index),
        PlanError::NotGranted { index, .. } => ("not-allowed", *index),
        _ => return error.into(),
    };
    let span = parsed.place(environment, &format!("smoke[{index}]"));
    let diagnostic = Diagnostic::error(code, error.to_string()).at(source, span, "this request");
    Fault::from(error).diagnostics([diagnostic].into_iter().collect())
}

/// Sends everything in the plan, as much at once as it allows, and waits for all of it.
///
/// # Errors
/// When a signal ended it; what was seen until then is noted in the context.
pub async fn execute<P: Probe>(plan: &Plan, probe: &P, cx: &Context) -> Result<StepReport, Fault> {
    let endings = Sending { plan, probe, cx }.all().await;
    let pairs = || plan.requests.iter().zip(&endings);
    let mut checks: Vec<CheckResult> = pairs()
        .map(|(request, ending)| report::check(request, ending))
        .collect();
    checks.extend(
        plan.skipped
            .iter()
            .map(|skipped| CheckResult::new(&skipped.name, CheckOutcome::Skipped).reason(&skipped.reason)),
    );
    let data: Vec<Value> = pairs()
        .map(|(request, ending)| report::data(request, ending))
        .collect();
    let result = json!({"expected_version": plan.version, "requests": data});
    let mut report = finish(
        StepReport::of_checks(checks),
        plan,
        result,
        report::text(plan, &endings),
        cx,
    );
    report.summary = report::summary(plan, &endings);
    if let Some(CancelReason::Signal(_)) = cx.cancel.reason()
        && endings
            .iter()
            .any(|ending| ending.outcome == CheckOutcome::Deadline)
    {
        cx.note(|noted| *noted = report.clone());
        cx.cancel.check()?;
    }
    Ok(report)
}

struct Sending<'a, P> {
    plan: &'a Plan,
    probe: &'a P,
    cx: &'a Context,
}

impl<P: Probe> Sending<'_, P> {
    async fn all(&self) -> Vec<Ending> {
        let requests = &self.plan.requests;
        let began = Instant::now();
        let mut waiting: Vec<usize> = requests.iter().map(|request| request.waits_for.len()).collect();
        let mut waited_for: Vec<Vec<usize>> = vec![Vec::new(); requests.len()];
        for (index, request) in requests.iter().enumerate() {
            for before in &request.waits_for {
                waited_for[*before].push(index);
            }
        }
        let mut ready: VecDeque<usize> = (0..requests.len()).filter(|index| waiting[*index] == 0).collect();
        let mut endings: Vec<Option<Ending>> = requests.iter().map(|_| None).collect();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.plan.limits.parallel
                && let Some(index) = ready.pop_front()
            {
                let values = values_for(&requests[index], &endings);
                running.push(async move { (index, self.one(&requests[index], values, began).await) });
            }
            let Some((index, ending)) = running.next().await else {
                break;
            };
            endings[index] = Some(ending);
            for after in &waited_for[index] {
                waiting[*after] -= 1;
                if waiting[*after] == 0 {
                    ready.push_back(*after);
                }
            }
        }
        // Every request waits for earlier ones only, so that each has had its turn.
        endings.into_iter().flatten().collect()
    }

    async fn one(&self, request: &RequestPlan, values: Result<Values, String>, began: Instant) -> Ending {
        let mut ending = Ending::new(began.elapsed());
        let values = match values {
            Ok(values) => values,
            Err(reason) => return ending.ended(CheckOutcome::Skipped, reason),
        };
        let expected = expected(request, &values);
        loop {
            let started = Instant::now();
            let tried = tokio::select! {
                biased;
                reason = self.cx.cancel.cancelled() => return ending.cut(reason),
                observation = self.exchange(request, &values) => observation,
            };
            let (verdict, latency) = match tried {
                Ok(observation) => {
                    let latency = matches!(observation, Observation::Http(_)).then(|| observation.elapsed());
                    (
                        judged(request, &expected, &observation, &self.cx.redactor),
                        latency,
                    )
                }
                Err(reason) => (Judged::bad("redirect", reason), None),
            };
            let good = verdict.good;
            ending.tries.push(Try {
                at: started.duration_since(began).saturating_sub(ending.started),
                latency,
                answered: verdict.answered,
                good,
                key: verdict.key,
                texts: verdict.texts,
            });
            if good {
                ending.captured = verdict.captured;
                return ending.ended(CheckOutcome::Passed, String::new());
            }
            if ending.tries.len() > usize::try_from(request.retries).unwrap_or(usize::MAX) {
                // Once something answered, the answer is no.
                let outcome = match ending.tries.iter().any(|tried| tried.answered) {
                    true => CheckOutcome::Failed,
                    false => CheckOutcome::Unavailable,
                };
                return ending.ended(outcome, String::new());
            }
            tokio::select! {
                biased;
                reason = self.cx.cancel.cancelled() => return ending.cut(reason),
                () = sleep(PAUSE) => {}
            }
        }
    }

    /// One try: the request, and the redirects that it follows.
    ///
    /// # Errors
    /// Why it cannot be sent, or why a redirect is not followed.
    async fn exchange(&self, request: &RequestPlan, values: &Values) -> Result<Observation, String> {
        let limit = self.limit(request);
        let began = Instant::now();
        let mut outgoing = Outgoing::of(request, values)?;
        let mut left = request.redirects;
        loop {
            let sent = outgoing.request().map_err(|error| error.to_string())?;
            let remaining = limit.saturating_sub(began.elapsed());
            let observation = self
                .ask(&outgoing, Question::Http(Box::new(sent)), remaining)
                .await;
            let elapsed = began.elapsed();
            let Observation::Http(answer) = observation else {
                return Ok(observation);
            };
            match answer.location() {
                Some(location) if left > 0 && matches!(answer.status, 301 | 302 | 303 | 307 | 308) => {
                    outgoing = outgoing.redirected(answer.status, location, self.plan.away.as_ref())?;
                    left -= 1;
                }
                // From the start of the first request, as its user sees it.
                _ => return Ok(Observation::Http(HttpAnswer { elapsed, ..answer })),
            }
        }
    }

    /// Asks at the first address that takes the connection.
    async fn ask(&self, outgoing: &Outgoing, question: Question, limit: Duration) -> Observation {
        let began = Instant::now();
        let addresses = match self.probe.resolve(&outgoing.at, limit).await {
            Ok(addresses) => addresses,
            Err(observation) => return observation,
        };
        let mut last = None;
        for address in addresses {
            let remaining = limit.saturating_sub(began.elapsed());
            let observation = self.probe.ask(&question, address, remaining).await;
            let cause = match &observation {
                Observation::NoAnswer { cause, .. } => *cause,
                _ => return observation,
            };
            // Nothing was sent there, so that the next address may be asked whatever the request would change.
            let unsent = matches!(
                cause,
                NoAnswer::Refused | NoAnswer::Unreachable | NoAnswer::NoRoute
            );
            if !unsent {
                return observation;
            }
            last = Some(observation);
        }
        last.unwrap_or_else(|| Observation::NoAnswer {
            cause: NoAnswer::Dns,
            detail: "the name has no address".to_owned(),
            elapsed: began.elapsed(),
        })
    }

    /// The end of one try; an answer that is allowed to be late is waited for.
    fn limit(&self, request: &RequestPlan) -> Duration {
        let within = request.assertions.iter().find_map(|assertion| match assertion {
            pilotage_check::Assertion::Within(limit) => Some(*limit),
            _ => None,
        });
        let limit = self.plan.limits.try_timeout.as_std();
        within.map_or(limit, |within| limit.max(within + Duration::from_secs(1)))
    }
}

/// The captured values a request needs, or whose failure keeps it from being sent.
fn values_for(request: &RequestPlan, endings: &[Option<Ending>]) -> Result<Values, String> {
    let mut values = Values::new();
    for (name, owner) in &request.needs {
        match endings[*owner]
            .as_ref()
            .and_then(|ending| ending.captured.get(name))
        {
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None => return Err(format!("not sent: `{name}` was not captured")),
        }
    }
    Ok(values)
}

/// What every report of this step has.
fn finish(report: StepReport, plan: &Plan, result: Value, text: String, cx: &Context) -> StepReport {
    let noted = cx.noted();
    let mut report = report.result(result);
    report.environment = noted.environment;
    report.service = noted.service;
    report.text = match plan.nothing {
        Some(nothing) => format!("{text}nothing to send: {nothing}\n"),
        None => text,
    };
    report
}
