//! `make demo`: Pilotage at work, in seven acts.
//!
//! It exits with 0 when every act came to its good end, with 1 when one did not, and with 130 or 143 when it was stopped.
//! Nothing is left behind in any case; `--keep` leaves the files to look at, and no process.

use std::process::ExitCode;
use std::sync::Arc;

use pilotage_tests::command::binaries;
use pilotage_tests::play::{Play, Summary, Teller, World, play};
use tokio::signal::unix::{Signal, SignalKind, signal};

const USAGE: &str = "\
Plays seven acts of Pilotage at work, and leaves nothing behind.

Usage: demo [--keep]

      --keep  leave the files to look at, and no process
  -h, --help  print this
";

enum End {
    Played(Play<Summary>),
    Stopped(u8),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let teller = Arc::new(Teller::stdout());
    let mut keep = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--keep" => keep = true,
            "-h" | "--help" => {
                teller.plain(USAGE.trim_end());
                return ExitCode::SUCCESS;
            }
            other => {
                teller.fails(&format!("unknown argument {other:?}"));
                teller.plain(USAGE.trim_end());
                return ExitCode::from(2);
            }
        }
    }
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            teller.fails(&format!("signals cannot be waited for: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let world = match World::new(&binaries(), Arc::clone(&teller)) {
        Ok(world) => world,
        Err(missed) => {
            teller.fails("the play cannot begin");
            teller.plain(&missed.to_string());
            return ExitCode::FAILURE;
        }
    };
    let end = tokio::select! {
        played = play(&world) => End::Played(played.map_err(|missed| world.explain(missed))),
        code = signals.next() => End::Stopped(code),
    };
    let code = match &end {
        End::Played(Ok(_)) => 0,
        End::Played(Err(_)) => 1,
        End::Stopped(code) => *code,
    };
    teller.plain("");
    teller.plain("Stopping everything …");
    if keep {
        let folder = world.keep().await;
        teller.plain(&format!("The files are in {}.", folder.display()));
    } else {
        // A second signal ends the good order; dropping the world still kills and removes everything.
        let closed = tokio::select! {
            closed = world.close() => closed,
            _ = signals.next() => Ok(()),
        };
        match closed {
            Ok(()) => teller.sees("nothing is left behind: no process, no file"),
            Err(missed) => {
                teller.fails("the play did not end as it should");
                teller.plain(&missed.to_string());
                return ExitCode::from(code.max(1));
            }
        }
    }
    match end {
        End::Played(Ok(summary)) => teller.plain(&format!("\n{}", summary.told(teller.seconds()))),
        End::Played(Err(missed)) => teller.plain(&format!("\nThe play failed.\n{missed}")),
        End::Stopped(_) => teller.plain("\nThe play was stopped."),
    }
    ExitCode::from(code)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The exit code for the next signal.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}
