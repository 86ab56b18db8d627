//! Runs a binary of the house as a user's shell would, and nothing of the surrounding machine reaches it: an empty
//! environment, a home of its own, an end to the patience.
//!
//! ```no_run
//! use pilotage_tests::command::Command;
//!
//! let output = Command::step("pilotage-healthcheck").args(["http://127.0.0.1:1/"]).run();
//! assert_eq!(output.code, Some(4), "{output}");
//! ```

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a harness says what is wrong by failing the test that uses it"
)]

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for anything before it fails; long, because machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The folder that holds the binaries of this build: the tests' own lie in its `deps`.
///
/// # Panics
///
/// The test's own place is not known.
#[must_use]
pub fn binaries() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own place");
    let folder = own.parent().expect("a test lies in a folder");
    match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder).to_owned(),
        _ => folder.to_owned(),
    }
}

/// The path of a built binary.
///
/// # Panics
///
/// It was not built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let path = binaries().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --workspace` first (`make test` does it by itself)",
        path.display()
    );
    path
}

/// A command to run.
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    home: TempDir,
    patience: Duration,
}

impl Command {
    /// A binary of the house, by its name.
    #[must_use]
    pub fn step(name: &str) -> Self {
        Self::program(binary(name))
    }

    /// Any program, by its path.
    ///
    /// # Panics
    ///
    /// No folder can be made for its home.
    #[must_use]
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self {
            program: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
            stdin: None,
            home: tempfile::tempdir().expect("a folder can be made"),
            patience: PATIENCE,
        }
    }

    /// How long it may take until something is there that is waited for; [`PATIENCE`] otherwise.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable. There are no others but `PATH`, `HOME` and `TMPDIR`.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the folder it runs in; its home otherwise.
    #[must_use]
    pub fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Gives it something to read; stdin is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Its home: a new and empty folder, where reports may be written too.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end, with `--report` to a file in its home, so that the report is in the output.
    pub fn run_reported(self) -> Output {
        let report = self.home.path().join("report.json");
        self.arg("--report").arg(report).run()
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// It cannot be started, or it does not end in time.
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// It cannot be started.
    #[must_use]
    pub fn spawn(self) -> Running {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path())
            .envs(self.env)
            .current_dir(self.folder.as_deref().unwrap_or(self.home.path()))
            .stdin(if self.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.display()));
        let pid = Pid::from_child(&child);
        if let (Some(bytes), Some(input)) = (self.stdin, child.stdin.take()) {
            feed(input, bytes);
        }
        let stdout = Text::read(child.stdout.take().expect("stdout is a pipe"));
        let stderr = Text::read(child.stderr.take().expect("stderr is a pipe"));
        let (send, ended) = channel();
        let alive = Arc::new(Mutex::new(true));
        let until_reaped = Arc::clone(&alive);
        std::thread::spawn(move || {
            // Looked at without reaping first: while the lock is held, the number belongs to this child and no other.
            let _ = rustix::process::waitid(
                rustix::process::WaitId::Pid(pid),
                rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
            );
            let mut alive = lock(&until_reaped);
            *alive = false;
            let status = child.wait();
            drop(alive);
            let _ = send.send(status);
        });
        Running {
            program: self.program,
            args: self.args,
            pid,
            alive,
            stdout,
            stderr,
            ended,
            home: Some(self.home),
            patience: self.patience,
        }
    }
}

fn feed(mut input: ChildStdin, bytes: Vec<u8>) {
    std::thread::spawn(move || {
        // A program may end without having read everything.
        let _ = input.write_all(&bytes);
    });
}

/// A command that runs. It is killed when it is dropped before its end.
pub struct Running {
    program: PathBuf,
    args: Vec<OsString>,
    pid: Pid,
    alive: Arc<Mutex<bool>>,
    stdout: Text,
    stderr: Text,
    ended: Receiver<std::io::Result<ExitStatus>>,
    home: Option<TempDir>,
    patience: Duration,
}

impl Running {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGINT.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let alive = lock(&self.alive);
        if *alive {
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Waits until a line of stdout holds `text`, and gives back everything printed there so far.
    ///
    /// # Panics
    ///
    /// It ends, or the patience does, before that.
    pub fn wait_for_stdout(&self, text: &str) -> String {
        self.stdout
            .wait_for(text, self.patience)
            .unwrap_or_else(|seen| self.missed("stdout", text, &seen))
    }

    /// As [`Running::wait_for_stdout`], for stderr.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.stderr
            .wait_for(text, self.patience)
            .unwrap_or_else(|seen| self.missed("stderr", text, &seen))
    }

    fn missed(&self, stream: &str, text: &str, seen: &str) -> String {
        self.kill();
        panic!(
            "{} never said {text:?} on {stream}; it said:\n{seen}\nstderr:\n{}",
            self.program.display(),
            self.stderr.so_far()
        )
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// It does not end in time.
    pub fn wait(mut self) -> Output {
        let status = match self.ended.recv_timeout(self.patience) {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => panic!("{} cannot be waited for: {error}", self.program.display()),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.kill();
                panic!(
                    "{} {:?} did not end within {:?}; stdout:\n{}\nstderr:\n{}",
                    self.program.display(),
                    self.args,
                    self.patience,
                    self.stdout.so_far(),
                    self.stderr.so_far()
                );
            }
        };
        Output {
            args: std::mem::take(&mut self.args),
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
            home: self.home.take().expect("it is taken once, here"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a command left behind.
#[must_use]
#[derive(Debug)]
pub struct Output {
    args: Vec<OsString>,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
    home: TempDir,
}

impl Output {
    /// Its home, with the files it left there.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file it left in its home.
    ///
    /// # Panics
    ///
    /// There is none of that name.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path().join(name))
            .unwrap_or_else(|error| panic!("it left no {name} ({error})\n{self}"))
    }

    /// The report of [`Command::run_reported`].
    ///
    /// # Panics
    ///
    /// There is none, or it is no JSON.
    #[must_use]
    pub fn report(&self) -> Value {
        let text = self.file("report.json");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}\n{self}"))
    }

    /// Its stdout as JSON.
    ///
    /// # Panics
    ///
    /// It is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error})\n{self}"))
    }

    /// Everything it said and left in its home, in one text.
    #[must_use]
    pub fn everything(&self) -> String {
        let mut text = format!("{}\n{}\n", self.stdout, self.stderr);
        append_files(self.home.path(), &mut text);
        text
    }
}

fn append_files(folder: &Path, text: &mut String) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            append_files(&path, text);
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&bytes));
            text.push('\n');
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match (self.code, self.signal) {
            (Some(code), _) => format!("exit {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no end".to_owned(),
        };
        let Self {
            args, stdout, stderr, ..
        } = self;
        write!(
            f,
            "{args:?} ended with {end}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// What comes out of a pipe, line by line.
#[derive(Clone)]
struct Text(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Default)]
struct Seen {
    text: String,
    ended: bool,
}

impl Text {
    fn read(pipe: impl Read + Send + 'static) -> Self {
        let shared = Self(Arc::default());
        let writer = shared.clone();
        std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                lock(&writer.0.0).text.push_str(&String::from_utf8_lossy(&line));
                writer.0.1.notify_all();
                line.clear();
            }
            lock(&writer.0.0).ended = true;
            writer.0.1.notify_all();
        });
        shared
    }

    fn wait_until(&self, patience: Duration, enough: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let (seen, changed) = &*self.0;
        changed
            .wait_timeout_while(lock(seen), patience, |seen| !enough(seen))
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn wait_for(&self, text: &str, patience: Duration) -> Result<String, String> {
        let seen = self.wait_until(patience, |seen| seen.ended || seen.text.contains(text));
        match seen.text.contains(text) {
            true => Ok(seen.text.clone()),
            false => Err(seen.text.clone()),
        }
    }

    fn so_far(&self) -> String {
        lock(&self.0.0).text.clone()
    }

    /// Everything, when nobody holds the other end any more.
    fn whole(&self) -> String {
        self.wait_until(PATIENCE, |seen| seen.ended).text.clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
