//! Plans over scripted services on a paused clock: outcomes, reports and what people read.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use pilotage_check::{HttpAnswer, NoAnswer, Observation, TlsProblem};
use pilotage_clock::Clock;
use pilotage_healthcheck::{Limits, Plan, Request, Subject, Want, execute, plan_of_urls};
use pilotage_outcome::{CheckOutcome, Class, Fault, Outcome, Signal, StepReport};
use pilotage_probe::{Address, Probe, Question};
use pilotage_step::{Cancel, CancelReason, Context, Env};
use tokio::time::sleep;

/// Services by host name, with an address for each script they are given; each answers its script at once, the last answer again and again.
#[derive(Default)]
struct World(
    BTreeMap<SocketAddr, Mutex<VecDeque<Observation>>>,
    BTreeMap<String, Vec<SocketAddr>>,
);

impl World {
    fn with(mut self, host: &str, script: Vec<Observation>) -> Self {
        let address = SocketAddr::from(([10, 0, 0, u8::try_from(self.0.len()).unwrap() + 1], 80));
        self.0.insert(address, Mutex::new(script.into()));
        self.1.entry(host.to_owned()).or_default().push(address);
        self
    }
}

impl Probe for World {
    async fn resolve(&self, at: &Address, _: Duration) -> Result<Vec<SocketAddr>, Observation> {
        Ok(self.1[&at.host].clone())
    }

    async fn ask(&self, _: &Question, to: SocketAddr, _: Duration) -> Observation {
        sleep(Duration::from_millis(5)).await;
        let mut script = self.0[&to].lock().unwrap();
        if script.len() > 1 {
            script.pop_front().unwrap()
        } else {
            script.front().cloned().unwrap()
        }
    }
}

fn answer(status: u16, body: &str) -> Observation {
    Observation::Http(HttpAnswer {
        status,
        body: body.as_bytes().to_vec(),
        ..HttpAnswer::default()
    })
}

fn silent(cause: NoAnswer) -> Observation {
    Observation::NoAnswer {
        cause,
        detail: "os error".to_owned(),
        elapsed: Duration::ZERO,
    }
}

fn plan(hosts: &[&str], version: Option<&str>, threshold: u32) -> Plan {
    let urls: Vec<String> = hosts.iter().map(|host| format!("http://{host}/health")).collect();
    let request = Request {
        subject: Subject::Urls(urls.clone(), Want::default()),
        expect_version: version.map(str::to_owned),
        limits: Limits {
            timeout: Some("30s".parse().unwrap()),
            threshold: Some(threshold),
            ..Limits::default()
        },
        keep_trying: false,
        any_address: false,
    };
    plan_of_urls(&urls, &Want::default(), &request).unwrap()
}

fn context() -> Context {
    Context::detached(Clock::system(), Env::default())
}

async fn run(plan: &Plan, world: &World) -> StepReport {
    execute(plan, world, &context()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_new_version_has_to_answer_as_often_as_asked() {
    let old = || answer(200, r#"{"version":"1.0.0"}"#);
    let new = || answer(200, r#"{"version":"1.1.0"}"#);
    let world = World::default().with(
        "shop",
        vec![silent(NoAnswer::Refused), old(), new(), old(), new(), new()],
    );
    let report = run(&plan(&["shop"], Some("1.1.0"), 2), &world).await;
    assert_eq!(report.outcome, Outcome::Passed);
    assert_eq!(report.outputs.values().collect::<Vec<_>>(), ["1.1.0"]);
    assert_eq!(report.checks[0].tries, 6);
    insta::assert_snapshot!(report.summary);
    insta::assert_snapshot!(report.text);
    insta::assert_json_snapshot!(report.result);
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_never_good_fail_and_tell_their_story() {
    let mut script = vec![silent(NoAnswer::Refused)];
    script.push(answer(503, "starting"));
    let world = World::default()
        .with("shop", script)
        .with("cart", vec![answer(200, "")]);
    let report = run(&plan(&["shop", "cart"], None, 1), &world).await;
    assert_eq!(report.outcome, Outcome::Failed);
    insta::assert_snapshot!(report.summary);
    insta::assert_snapshot!(report.text);
}

#[tokio::test(start_paused = true)]
async fn every_address_counts_for_itself_unless_any_suffices() {
    let world = || {
        World::default()
            .with("shop", vec![answer(200, "")])
            .with("shop", vec![answer(503, "")])
    };
    let mut plan = plan(&["shop"], None, 2);
    let report = run(&plan, &world()).await;
    assert_eq!(report.outcome, Outcome::Failed);
    let addresses = &report.result["endpoints"][0]["addresses"];
    assert_eq!(addresses[0]["last"], "200");
    assert_eq!(
        (&addresses[1]["address"], &addresses[1]["good_in_a_row"]),
        (&"10.0.0.2:80".into(), &0.into())
    );
    assert!(
        report.text.contains("address:  10.0.0.2:80 503, 0 in a row of"),
        "{}",
        report.text
    );
    plan.patience.any_address = true;
    assert_eq!(run(&plan, &world()).await.outcome, Outcome::Passed);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_no_use_outweighs_a_silence() {
    let world = World::default()
        .with("shop", vec![answer(500, "")])
        .with("cart", vec![silent(NoAnswer::Refused)]);
    let silence = run(&plan(&["cart"], None, 1), &world).await;
    assert_eq!(silence.outcome, Outcome::Unavailable, "nothing ever answered");
    let both = run(&plan(&["cart", "shop"], None, 1), &world).await;
    assert_eq!(both.outcome, Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn what_waiting_does_not_repair_ends_the_whole_check() {
    let world = World::default()
        .with("shop", vec![silent(NoAnswer::Refused)])
        .with(
            "cart",
            vec![
                silent(NoAnswer::Refused),
                silent(NoAnswer::Tls(TlsProblem::Expired)),
            ],
        );
    let begin = tokio::time::Instant::now();
    let report = run(&plan(&["shop", "cart"], None, 1), &world).await;
    assert!(begin.elapsed() < Duration::from_secs(1));
    assert_eq!(report.outcome, Outcome::Unavailable);
    insta::assert_snapshot!(report.text);
}

/// A run that is told to stop after 1.2 s.
async fn stopped(
    world: &World,
    hosts: &[&str],
    reason: CancelReason,
) -> (Result<StepReport, Fault>, Context) {
    let (handle, cancel) = Cancel::pair();
    let mut cx = context();
    cx.cancel = cancel;
    let plan = plan(hosts, None, 1);
    let (result, ()) = tokio::join!(execute(&plan, world, &cx), async {
        sleep(Duration::from_millis(1_200)).await;
        handle.cancel(reason);
    });
    (result, cx)
}

#[tokio::test(start_paused = true)]
async fn a_deadline_leaves_what_is_undecided_undecided() {
    let world = World::default()
        .with("shop", vec![answer(503, "")])
        .with("cart", vec![answer(200, "")]);
    let (result, _) = stopped(&world, &["shop", "cart"], CancelReason::Deadline).await;
    let report = result.unwrap();
    assert_eq!(report.outcome, Outcome::Deadline);
    assert_eq!(report.checks[1].outcome, CheckOutcome::Passed);
    insta::assert_snapshot!(report.checks[0].reason);
}

#[tokio::test(start_paused = true)]
async fn a_signal_leaves_a_report_of_what_was_seen() {
    let world = World::default().with("shop", vec![answer(503, "")]);
    let reason = CancelReason::Signal(Signal::Terminate);
    let (result, cx) = stopped(&world, &["shop"], reason).await;
    assert_eq!(result.unwrap_err().class, Class::Cancelled);
    assert!(cx.noted().checks[0].tries > 3);
}
