//! The frame inside of a test's process: arguments, environment, clock and streams are given.

use pilotage_clock::Clock;
use pilotage_outcome::{ExitCode, Fault, StepReport};
use pilotage_step::{Common, Context, Env, Host, StepCli, run_frame};

/// Greets somebody.
#[derive(clap::Parser)]
#[command(name = "pilotage-greet", version = "9.9.9")]
struct Greet {
    /// Who is greeted.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    common: Common,
}

impl StepCli for Greet {
    fn common(&self) -> &Common {
        &self.common
    }
}

async fn greet(args: Greet, cx: Context) -> Result<StepReport, Fault> {
    if args.name == "nobody" {
        return Err(Fault::waiting("there is nobody").help("come again"));
    }
    Ok(StepReport::passed().text(format!("hello {} at {}\n", args.name, cx.clock.now())))
}

fn run(args: &[&str], env: &[(&str, &str)]) -> (ExitCode, String, String) {
    let noon = jiff::Timestamp::constant(1_767_268_800, 0);
    let clock = Clock::fixed(noon);
    let args = std::iter::once("pilotage-greet").chain(args.iter().copied());
    let (host, stdout, stderr) = Host::captured(args, Env::of(env.iter().copied()), clock);
    let code = run_frame(host, greet);
    (code, stdout.text(), stderr.text())
}

#[test]
fn a_run_is_a_function_of_what_surrounds_it() {
    let (code, stdout, stderr) = run(&["--name", "Ana"], &[("PILOTAGE_NAME", "Bea")]);
    assert_eq!((code, stderr.as_str()), (ExitCode::Passed, ""));
    assert_eq!(stdout, "hello Ana at 2026-01-01T12:00:00Z\n");
    let (_, stdout, _) = run(&[], &[("PILOTAGE_NAME", "Bea")]);
    assert_eq!(stdout, "hello Bea at 2026-01-01T12:00:00Z\n");
}

#[test]
fn a_fault_is_told_on_stderr_with_its_help() {
    let (code, stdout, stderr) = run(&["--name", "nobody"], &[]);
    assert_eq!((code, stdout.as_str()), (ExitCode::Refused, ""));
    assert_eq!(stderr, "error: there is nobody\n  help: come again\n");
}

#[test]
fn json_tells_the_same_with_the_injected_clock() {
    let (code, stdout, _) = run(&["--name", "nobody", "--output", "json"], &[]);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, ExitCode::Refused);
    assert_eq!(report["waiting"], true);
    assert_eq!(report["started"], "2026-01-01T12:00:00Z");
    assert_eq!(
        (&report["step"], &report["version"]),
        (&"greet".into(), &"9.9.9".into())
    );
}

#[test]
fn a_missing_flag_names_itself() {
    let (code, _, stderr) = run(&[], &[]);
    assert_eq!(code, ExitCode::Usage);
    assert!(stderr.contains("--name"), "{stderr}");
}
