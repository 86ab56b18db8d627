//! `make demo`: Pilotage at work, in seven acts.
//!
//! It exits with 0 when every act came to its good end, with 1 when one did not, and with 130 or 143 when it was stopped.
//! Nothing is left behind in any case; `--keep` leaves the files to look at, and no process.

use std::process::ExitCode;
use std::sync::Arc;

use pilotage_tests::command::binaries;
use pilotage_tests::play::{Missed, Play, Summary, TargetKind, Teller, World, engine_socket, play};
use tokio::signal::unix::{Signal, SignalKind, signal};

const USAGE: &str = "\
Plays seven acts of Pilotage at work, and leaves nothing behind.

Usage: demo [--target process|docker] [--keep]

      --target  plain processes, or containers of the engine of this machine (DOCKER_HOST);
                without it containers when an engine answers
      --keep    leave the files to look at, and no process or container
  -h, --help    print this
";

enum End {
    Played(Play<Summary>),
    Stopped(u8),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let teller = Arc::new(Teller::stdout());
    let (mut keep, mut asked) = (false, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = true,
            "--target" => match arguments.next().as_deref() {
                Some("process") => asked = Some(Asked::Process),
                Some("docker") => asked = Some(Asked::Docker),
                other => {
                    let found = other.unwrap_or("nothing");
                    teller.fails(&format!("--target is `process` or `docker`, not `{found}`"));
                    return ExitCode::from(2);
                }
            },
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
    let world = tokio::select! {
        world = open(&teller, asked) => world,
        code = signals.next() => return ExitCode::from(code),
    };
    let world = match world {
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
            Ok(()) => teller.sees("nothing is left behind: no process, no container, no file"),
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

/// What `--target` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Process,
    Docker,
}

/// A world on the target that was asked for; else on Docker where an engine of this machine can be used. Says which one it
/// is and how to have the other.
async fn open(teller: &Arc<Teller>, asked: Option<Asked>) -> Play<World> {
    let on = async |kind: &TargetKind| World::new(&binaries(), Arc::clone(teller), kind).await;
    let host = std::env::vars().find(|(name, _)| name == "DOCKER_HOST");
    let docker = match engine_socket(host.as_ref().map(|(_, value)| value.as_str())) {
        _ if asked == Some(Asked::Process) => Err("it was not asked for".to_owned()),
        Ok(socket) => match on(&TargetKind::Docker(socket)).await {
            Ok(world) => Ok(world),
            Err(missed) => Err(missed.found().to_owned()),
        },
        Err(reason) => Err(reason),
    };
    match (docker, asked) {
        (Ok(world), _) => {
            teller.plain("Played with containers. `make demo TARGET=process` plays it with plain processes.");
            Ok(world)
        }
        (Err(reason), Some(Asked::Docker)) => Err(Missed::new(
            "a Docker engine of this machine can be used (DOCKER_HOST=unix:///PATH names another one)",
            reason,
        )),
        (Err(_), Some(Asked::Process)) => {
            teller.plain("Played with plain processes. `make demo TARGET=docker` plays it with containers.");
            on(&TargetKind::Process).await
        }
        (Err(reason), None) => {
            teller.plain(&format!(
                "Played with plain processes, as no Docker engine can be used: {reason}\n\
                 `make demo TARGET=docker` plays it with containers, once one can."
            ));
            on(&TargetKind::Process).await
        }
    }
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
