//! The smallest step that can come to every end the frame knows; the frame's own tests run it as a process.

use std::path::PathBuf;

use pilotage_outcome::{Change, CheckOutcome, CheckResult, Effects, Fault, StepReport};
use pilotage_step::{Common, Context, DescriptorArgs, OutputName, SecretName, StepCli};
use serde_json::json;

/// Comes to the end that it is told.
#[derive(clap::Parser)]
#[command(name = "pilotage-demo")]
struct Args {
    #[command(subcommand)]
    end: Ending,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Ending {
    /// Passes, and writes a file unless it is a dry run.
    Pass {
        /// The file to write.
        #[arg(long)]
        touch: Option<PathBuf>,
    },
    /// Fails a check.
    Fail,
    /// Wants a descriptor that begins with `version:`.
    Read {
        #[command(flatten)]
        descriptor: DescriptorArgs,
    },
    /// Connects to an address.
    Connect {
        /// Where.
        #[arg(long)]
        address: String,
    },
    /// Waits until it is asked to stop.
    Wait {
        /// Do not stop when asked to.
        #[arg(long)]
        stubborn: bool,
        /// Block the thread, as a call into foreign code may.
        #[arg(long)]
        block: bool,
    },
    /// Panics.
    Panic,
    /// Prints a secret everywhere it can.
    Leak,
    /// Prints a document.
    Document {
        /// How many blanks stand in it.
        #[arg(long, default_value_t = 0)]
        blanks: usize,
    },
}

impl StepCli for Args {
    const CLEANUP: std::time::Duration = std::time::Duration::from_millis(300);

    const SECRETS: &'static [SecretName] = &[SecretName {
        env: "PILOTAGE_DEMO_TOKEN",
        help: "What `secret` shows to nobody.",
    }];

    const OUTPUTS: &'static [OutputName] = &[
        OutputName {
            key: "version",
            help: "The version it found.",
        },
        OutputName {
            key: "token",
            help: "The secret, which nobody sees.",
        },
    ];

    fn common(&self) -> &Common {
        &self.common
    }
}

async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    match args.end {
        Ending::Pass { touch } => pass(touch, &cx),
        Ending::Fail => {
            let check = CheckResult::new("http /health", CheckOutcome::Failed).reason("it answers 503");
            Ok(StepReport::of_checks(vec![check]).text("no\n"))
        }
        Ending::Read { descriptor } => {
            let source = descriptor.required_descriptor(&cx).await?;
            if source.text().starts_with("version:") {
                return Ok(StepReport::passed());
            }
            let problem = pilotage_diagnostic::Diagnostic::error("missing-key", "there is no `version`").at(
                &source,
                pilotage_diagnostic::Span::new(0, 1),
                "expected `version`",
            );
            Err(pilotage_diagnostic::Diagnostics::from(problem).into())
        }
        Ending::Connect { address } => {
            let connecting = tokio::net::TcpStream::connect(&address);
            cx.cancel
                .run(connecting)
                .await?
                .map_err(|error| Fault::unavailable(format!("{address} does not answer")).caused_by(error))?;
            Ok(StepReport::passed())
        }
        Ending::Wait { stubborn, block } => {
            cx.note(|report| report.effects = Effects::Partial);
            cx.say("waiting");
            match (stubborn, block) {
                (_, true) => loop {
                    std::thread::park();
                },
                (true, false) => std::future::pending().await,
                (false, false) => cx.cancel.run(std::future::pending()).await?,
            }
        }
        Ending::Panic => {
            cx.note(|report| report.fence = Some(7));
            #[expect(clippy::panic, reason = "this is the panic that was asked for")]
            {
                panic!("there is always something")
            }
        }
        Ending::Leak => leak(&cx),
        Ending::Document { blanks } => {
            let blanks = " ".repeat(blanks);
            Ok(StepReport::document(format!("{{\"a\": {blanks}1}}\n")))
        }
    }
}

fn pass(touch: Option<PathBuf>, cx: &Context) -> Result<StepReport, Fault> {
    let mut report = StepReport::passed().output("version", "1.4.2").text("yes\n");
    if let Some(path) = touch {
        report = report.change(Change::new("written", format!("file {}", path.display())));
        if !cx.dry_run {
            std::fs::write(&path, "x")
                .map_err(|error| Fault::unavailable("the file cannot be written").caused_by(error))?;
            report = report.effects(Effects::Complete);
        }
    }
    Ok(report)
}

fn leak(cx: &Context) -> Result<StepReport, Fault> {
    let token = cx.required_secret("DEMO_TOKEN")?;
    let token = token.expose();
    tracing::info!(target: "pilotage_demo", token, "the token is {token}");
    cx.say(token);
    let check = CheckResult::new(token, CheckOutcome::Failed)
        .reason(token)
        .detail(token)
        .histogram(token);
    Ok(StepReport::of_checks(vec![check])
        .output("token", token)
        .change(Change::new("sent", token).detail(token))
        .summary(token)
        .result(json!({ "token": token, "list": [token], token: 1 }))
        .text(format!("{token}\n")))
}

fn main() -> std::process::ExitCode {
    pilotage_step::main(run)
}
