use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};
use pilotage_clock::Clock;
use pilotage_outcome::{ExitCode, Fault, Signal, StepReport};
use pilotage_secret::{Redactor, Secret};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::ending::{End, Ending, Files};
use crate::manifest::{self, OutputName, SecretName};
use crate::supervisor::{self, Supervisor, Watch};
use crate::twin::{self, ParseError};
use crate::{Cancel, CancelHandle, Common, Context, Draft, Env, Stream, log};

/// The command line of a step.
pub trait StepCli: clap::Parser {
    /// How long the step may take to leave things in order after it was asked to stop; then it is stopped by force.
    /// The default stays within the ten seconds that container engines wait after SIGTERM.
    const CLEANUP: Duration = Duration::from_secs(5);

    /// The secrets that the step may use.
    const SECRETS: &'static [SecretName] = &[];

    /// The outputs that the step may write.
    const OUTPUTS: &'static [OutputName] = &[];

    /// The flags that every step has.
    fn common(&self) -> &Common;
}

/// What surrounds a run: the process, or a test.
pub struct Host {
    /// The command line, the program's name first.
    pub args: Vec<OsString>,
    /// The environment.
    pub env: Env,
    /// The wall clock.
    pub clock: Clock,
    /// Standard input.
    pub stdin: Arc<Mutex<dyn Read + Send>>,
    /// Where results go.
    pub stdout: Stream,
    /// Where logs and diagnostics go.
    pub stderr: Stream,
    /// Whether a person looks at stdout.
    pub stdout_is_terminal: bool,
    /// Whether a person looks at stderr.
    pub stderr_is_terminal: bool,
    /// The signals that come, or `None` for those that the process gets. With `None` the run owns the process: logs,
    /// panics and the exit are its own.
    pub signals: Option<mpsc::UnboundedReceiver<Signal>>,
}

impl Host {
    /// This process.
    #[must_use]
    pub fn system() -> Self {
        Self {
            args: std::env::args_os().collect(),
            env: Env::system(),
            clock: Clock::system(),
            stdin: Arc::new(Mutex::new(io::stdin())),
            stdout: Stream::new(io::stdout()),
            stderr: Stream::new(io::stderr()),
            stdout_is_terminal: io::stdout().is_terminal(),
            stderr_is_terminal: io::stderr().is_terminal(),
            signals: None,
        }
    }

    /// A host for tests: nothing on stdin, no signals, and what is printed is kept. Returns what reads stdout and
    /// stderr.
    pub fn captured<A: Into<OsString>>(
        args: impl IntoIterator<Item = A>,
        env: Env,
        clock: Clock,
    ) -> (Self, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let host = Self {
            args: args.into_iter().map(Into::into).collect(),
            env,
            clock,
            stdin: Arc::new(Mutex::new(io::empty())),
            stdout: Stream::new(stdout.clone()),
            stderr: Stream::new(stderr.clone()),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            signals: Some(mpsc::unbounded_channel().1),
        };
        (host, stdout, stderr)
    }
}

/// What was written to a stream of [`Host::captured`].
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// The text so far.
    #[must_use]
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a step as this process: the whole `main` of a binary.
pub fn main<C, F>(run: F) -> std::process::ExitCode
where
    C: StepCli,
    F: AsyncFnOnce(C, Context) -> Result<StepReport, Fault>,
{
    run_frame(Host::system(), run).into()
}

/// Runs a step on a host, from its command line to its exit code.
pub fn run_frame<C, F>(host: Host, run: F) -> ExitCode
where
    C: StepCli,
    F: AsyncFnOnce(C, Context) -> Result<StepReport, Fault>,
{
    let (started, started_at) = (Instant::now(), host.clock.now());
    let plain = versioned::<C>();
    if is_manifest_wanted(&host.args) {
        return print_manifest::<C>(&host, &plain);
    }
    let command = twin::document(plain.arg(manifest::flag()));
    let parsed = twin::parse(&command, &host.args, &host.env).and_then(|matches| {
        let path = command_path(&matches);
        let cli = C::from_arg_matches(&matches).map_err(|error| ParseError::Clap(error, Vec::new()))?;
        Ok((cli, path))
    });
    let (cli, path) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&host, error),
    };

    let common = cli.common().clone();
    let no_color = host.env.get("NO_COLOR").is_some();
    let owns_process = host.signals.is_none();
    let redactor = Redactor::new();
    register_secrets(&host.env, &redactor);
    let color = common.color.on(host.stderr_is_terminal, no_color);
    if owns_process {
        log::install(&common, color, &redactor, &host.stderr);
    }
    let (files, opened) = Files::prepare(&common);
    let (cancel_handle, cancel) = Cancel::pair();
    let draft = Draft::default();
    let name = command.get_name();
    let ending = Arc::new(Ending {
        step: manifest::short_name(name).to_owned(),
        command: path,
        version: command.get_version().unwrap_or_default().to_owned(),
        started_at,
        started,
        dry_run: common.dry_run,
        output: common.output,
        log_format: common.log_format,
        color,
        files,
        redactor: redactor.clone(),
        stdout: host.stdout.clone(),
        stderr: host.stderr.clone(),
        declared: C::OUTPUTS,
        draft: draft.clone(),
        claimed: AtomicBool::new(false),
    });
    if owns_process {
        end_on_panic(&ending);
    }
    let deadline = common.deadline.map(|after| started + after.as_std());
    let cx = Context {
        clock: host.clock,
        cancel: cancel.clone(),
        deadline,
        env: host.env,
        redactor,
        dry_run: common.dry_run,
        output: common.output,
        color: common.color.on(host.stdout_is_terminal, no_color),
        ca_files: common.ca_file,
        stdin: host.stdin,
        stdout: host.stdout,
        draft,
    };
    let result = opened.and_then(|()| {
        let watch = Watched {
            signals: host.signals,
            deadline,
            cleanup: C::CLEANUP,
            cancel: cancel_handle,
            ending: Arc::clone(&ending),
        };
        watch.run(run(cli, cx))
    });
    let end = result.unwrap_or_else(|fault| End::Returned(Box::new(Err(fault))));
    match ending.end(end, cancel.reason()) {
        Some(code) => code,
        // Another thread ends the process at this very moment; it must not be overtaken.
        None => loop {
            std::thread::park();
        },
    }
}

/// The step's command, with a version.
fn versioned<C: StepCli>() -> Command {
    let command = C::command();
    match command.get_version() {
        Some(_) => command,
        None => command.version(env!("CARGO_PKG_VERSION")),
    }
}

/// Whether the command line asks for the manifest, and for nothing else.
fn is_manifest_wanted(args: &[OsString]) -> bool {
    matches!(args, [_, flag] if flag.to_str().and_then(|flag| flag.strip_prefix("--")) == Some(manifest::FLAG))
}

fn print_manifest<C: StepCli>(host: &Host, command: &Command) -> ExitCode {
    let version = command.get_version().unwrap_or_default();
    let manifest = manifest::manifest(command, version, C::SECRETS, C::OUTPUTS);
    match host.stdout.write_text(&manifest.to_json()) {
        Ok(()) => ExitCode::Passed,
        Err(error) => {
            let _ = host
                .stderr
                .write_text(&format!("error: the manifest cannot be printed: {error}\n"));
            ExitCode::Internal
        }
    }
}

/// The subcommands that were typed, in one text.
fn command_path(matches: &ArgMatches) -> Option<String> {
    let mut path = Vec::new();
    let mut level = matches;
    while let Some((name, below)) = level.subcommand() {
        path.push(name);
        level = below;
    }
    (!path.is_empty()).then(|| path.join(" "))
}

/// Prints what the parser has to say: help and version on stdout, everything else on stderr.
fn refuse(host: &Host, error: ParseError) -> ExitCode {
    // Who asked may have gone away already; that changes nothing.
    match error {
        ParseError::Variable(message) => {
            let _ = host.stderr.write_text(&format!("error: {message}\n"));
            ExitCode::Usage
        }
        ParseError::Clap(error, variables) => {
            let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let (stream, terminal) = match help {
                true => (&host.stdout, host.stdout_is_terminal),
                false => (&host.stderr, host.stderr_is_terminal),
            };
            let text = error.render();
            let mut text = match terminal && host.env.get("NO_COLOR").is_none() {
                true => text.ansi().to_string(),
                false => text.to_string(),
            };
            for variable in variables {
                text.push_str(&format!("\nnote: {variable} is set in the environment\n"));
            }
            let _ = stream.write_text(&text);
            if help { ExitCode::Passed } else { ExitCode::Usage }
        }
    }
}

/// What the environment calls a secret is taken out of every text, also where the step never asks for it.
fn register_secrets(env: &Env, redactor: &Redactor) {
    for (name, value) in env.iter() {
        let (Some(name), Some(value)) = (name.to_str(), value.to_str()) else {
            continue;
        };
        let Some(short) = name.strip_prefix("PILOTAGE_") else {
            continue;
        };
        let secret = short
            .split('_')
            .any(|word| matches!(word, "TOKEN" | "PASSWORD" | "PASSPHRASE" | "SECRET"));
        if secret && !short.ends_with("_FILE") && !value.is_empty() {
            redactor.register_named(short, &Secret::new(value));
        }
    }
}

/// A run under deadline and signals.
struct Watched {
    signals: Option<mpsc::UnboundedReceiver<Signal>>,
    deadline: Option<Instant>,
    cleanup: Duration,
    cancel: CancelHandle,
    ending: Arc<Ending>,
}

impl Watched {
    fn run(self, step: impl Future<Output = Result<StepReport, Fault>>) -> Result<End, Fault> {
        let failed =
            |error: io::Error| Fault::unavailable("the step's threads cannot be started").caused_by(error);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("step")
            .enable_all()
            .build()
            .map_err(failed)?;
        let (force, mut forced) = oneshot::channel();
        let (over, is_over) = oneshot::channel();
        let given = self.signals;
        let (cancel, deadline, cleanup) = (self.cancel, self.deadline, self.cleanup);
        let ending = self.ending;
        let (ready, is_ready) = std::sync::mpsc::channel();
        // On a thread and a runtime of its own: a step that blocks its threads must not be able to outlive its
        // deadline or to swallow a signal.
        let supervise = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            let owns_process = given.is_none();
            runtime.block_on(async move {
                let signals = match given.map_or_else(listen, Ok) {
                    Ok(signals) => signals,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                drop(ready.send(Ok(())));
                let supervisor = Supervisor {
                    signals,
                    deadline,
                    cleanup,
                    cancel,
                    force,
                    over: is_over,
                };
                let (watch, mut signals) = supervisor.watch().await;
                if !owns_process {
                    return;
                }
                match watch {
                    Watch::Stuck(reason) => {
                        if let Some(code) = ending.end(End::Forced(reason), Some(reason)) {
                            exit(code);
                        }
                    }
                    // The reports are being written. Stdout may be a pipe that nobody empties: neither the deadline
                    // nor whoever sends another signal waits for that.
                    Watch::Over => tokio::select! {
                        () = supervisor::until(deadline.map(|at| at + cleanup)) => exit(ExitCode::Deadline),
                        signal = supervisor::next(&mut signals) => exit(match signal {
                            Signal::Interrupt => ExitCode::Interrupted,
                            Signal::Terminate => ExitCode::Terminated,
                        }),
                    },
                }
            });
        };
        std::thread::Builder::new()
            .name("supervisor".to_owned())
            .spawn(supervise)
            .map_err(failed)?;
        // The step begins when signals are heard.
        match is_ready.recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(failed(error)),
            Err(_) => return Err(Fault::internal("the supervisor ended before the step began")),
        }
        let end = runtime.block_on(async {
            tokio::select! {
                biased;
                result = step => End::Returned(Box::new(result)),
                Ok(reason) = &mut forced => End::Forced(reason),
            }
        });
        drop(over);
        // Threads that block go down with the process.
        runtime.shutdown_background();
        Ok(end)
    }
}

/// The signals that this process gets from now on.
fn listen() -> io::Result<mpsc::UnboundedReceiver<Signal>> {
    let (send, signals) = mpsc::unbounded_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            let came = tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                else => return,
            };
            if send.send(came).is_err() {
                return;
            }
        }
    });
    Ok(signals)
}

/// A panic, on whatever thread, ends the run with its reports and with 101. Release builds abort on panics, which
/// would look like a crash of another kind, and unwinding would leave the report unwritten.
fn end_on_panic(ending: &Arc<Ending>) {
    let ending = Arc::clone(ending);
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic_message(panic);
        if ending.end(End::Panicked(message.clone()), None).is_none() {
            // It panicked while it was ending: whatever can still be said goes to stderr.
            let _ = writeln!(io::stderr(), "error: {}", ending.redactor.redact(&message));
        }
        exit(ExitCode::Panicked);
    }));
}

fn panic_message(panic: &PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    match panic.location() {
        Some(place) => format!("panicked at {}:{}: {text}", place.file(), place.line()),
        None => format!("panicked: {text}"),
    }
}

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "only the frame ends a process, after the reports were written"
)]
fn exit(code: ExitCode) -> ! {
    std::process::exit(i32::from(code.code()))
}
