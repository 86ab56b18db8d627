//! What every binary promises, as questions that a table of binaries is asked. A row says how a binary is brought into
//! each situation; the questions are the same for all.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a question that is answered wrongly fails the test that asked it"
)]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use pilotage_manifest::Manifest;
use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Command, Output, PATIENCE, Running};

/// The published schema of reports.
const SCHEMA: &str = include_str!("../../shared/outcome/step-report.schema.json");
/// The published schema of manifests.
const MANIFEST: &str = include_str!("../../shared/manifest/step-manifest.schema.json");
/// What no output may hold.
pub const SECRET: &str = "xoxb-planted/secret+value&41";

/// How a binary is brought into a situation, or why it cannot come into it.
pub type Row<S> = Result<S, &'static str>;

/// One binary, and how it is brought into each situation.
#[derive(Clone, Copy)]
pub struct Contract {
    /// Its name, as it says it itself.
    pub name: &'static str,
    /// Makes the command.
    pub command: fn() -> Command,
    /// Something short, at whose end there is a verdict (passed or failed).
    pub verdict: Row<Situation>,
    /// A descriptor, configuration or template with an error.
    pub bad_descriptor: Row<Situation>,
    /// Something at [`World::refused`] is needed, where nobody listens.
    pub refused: Row<Situation>,
    /// Something goes on until it is stopped, and [`Lasting`] says how one sees that it does.
    pub lasting: Row<Lasting>,
    /// Something would be changed in the world's folder, or asked of [`World::silent`], but for `--dry-run`. It passes.
    pub effect: Row<Situation>,
    /// A secret is used, and named by its variable.
    pub secret: Row<(&'static str, Situation)>,
}

/// Brings a binary into a situation.
pub type Situation = fn(&World) -> Given;

/// A situation without an end.
#[derive(Clone, Copy)]
pub struct Lasting {
    /// Brings it about.
    pub situation: Situation,
    /// How one sees that it has begun.
    pub begun: Begun,
    /// The code when the deadline ends it: 5, unless the step has a verdict by then.
    pub at_deadline: i32,
}

/// How one sees that something has begun.
#[derive(Clone, Copy)]
pub enum Begun {
    /// It has connected to [`World::silent`].
    Connected,
    /// It has printed this.
    Stdout(&'static str),
    /// It has logged this.
    Stderr(&'static str),
}

/// What a binary is given.
#[derive(Default)]
pub struct Given {
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl Given {
    /// These arguments.
    pub fn args<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Self {
        Self {
            args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
            env: Vec::new(),
        }
    }

    /// And this argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// And this variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    fn apply(self, command: Command) -> Command {
        self.env
            .into_iter()
            .fold(command.args(self.args), |command, (name, value)| {
                command.env(name, value)
            })
    }
}

/// The surroundings of one question: a folder, an address where nobody listens, one that takes connections and never
/// answers.
pub struct World {
    folder: TempDir,
    silent: SocketAddr,
    connected: Receiver<()>,
}

impl World {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let silent = listener.local_addr().expect("it has an address");
        let (send, connected) = channel();
        std::thread::spawn(move || hold(&listener, &send));
        Self {
            folder: tempfile::tempdir().expect("a folder can be made"),
            silent,
            connected,
        }
    }

    /// The folder of this world.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in it, with folders as needed.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        let parent = path.parent().expect("a file lies in a folder");
        std::fs::create_dir_all(parent).expect("a folder can be made");
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// `host:port` where nobody listens.
    #[must_use]
    pub fn refused(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.local_addr().expect("it has an address").to_string()
    }

    /// `host:port` where connections are taken and nothing is ever said.
    #[must_use]
    pub fn silent(&self) -> String {
        self.silent.to_string()
    }

    /// Every file with its content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(&path, files);
                } else {
                    files.insert(path.clone(), std::fs::read(&path).unwrap_or_default());
                }
            }
        }
        let mut files = BTreeMap::new();
        walk(self.folder(), &mut files);
        files
    }
}

fn hold(listener: &TcpListener, send: &Sender<()>) {
    let mut held: Vec<TcpStream> = Vec::new();
    for stream in listener.incoming().flatten() {
        held.push(stream);
        if send.send(()).is_err() {
            return;
        }
    }
}

impl Contract {
    fn given(&self, given: Given) -> Command {
        given.apply((self.command)())
    }

    fn assert_code(&self, output: &Output, code: i32) {
        assert_eq!(output.code, Some(code), "{}: {output}", self.name);
    }

    /// A situation is there, or the reason why not.
    pub fn reasons(&self) {
        let missing = [
            self.verdict.err(),
            self.bad_descriptor.err(),
            self.refused.err(),
            self.lasting.err(),
            self.effect.err(),
            self.secret.err(),
        ];
        for reason in missing.into_iter().flatten() {
            assert!(
                reason.split(' ').count() >= 5,
                "{}: `{reason}` is no reason",
                self.name
            );
        }
    }

    /// `--help` explains every flag with its variable, on stdout.
    pub fn help(&self) {
        let output = (self.command)().arg("--help").run();
        self.assert_code(&output, 0);
        for text in ["Usage:", "--report", "PILOTAGE_REPORT", "--deadline"] {
            assert!(
                output.stdout.contains(text),
                "{}: no {text} in {output}",
                self.name
            );
        }
        assert_eq!(output.stderr, "", "{}", self.name);
    }

    /// `--manifest` says as data what `--help` says in words, for every command there is.
    pub fn manifest(&self) {
        let output = (self.command)().arg("--manifest").run();
        self.assert_code(&output, 0);
        assert_obeys(&output.json(), MANIFEST);
        let manifest: Manifest = serde_json::from_str(&output.stdout).expect("the schema was obeyed");
        assert_eq!(manifest.binary, self.name);
        assert!(!manifest.commands.is_empty(), "{output}");
        for command in &manifest.commands {
            let help = (self.command)().args(&command.path).arg("--help").run();
            self.assert_code(&help, 0);
            for parameter in command.parameters.iter().chain(&manifest.common) {
                let twin = format!("[env: {}]", parameter.env);
                // A long text is broken into lines.
                let said = help.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(
                    said.contains(&twin),
                    "{} {:?}: no {twin} in {help}",
                    self.name,
                    command.path
                );
            }
            let said = help.stdout.matches("[env:").count();
            let told = command.parameters.len() + manifest.common.len();
            assert_eq!(said, told, "{} {:?}: {help}", self.name, command.path);
        }
        let alone = (self.command)().args(["--manifest", "--verbose"]).run();
        self.assert_code(&alone, 2);
    }

    /// `--version` is the name and a version.
    pub fn version(&self) {
        let output = (self.command)().arg("--version").run();
        self.assert_code(&output, 0);
        let words: Vec<&str> = output.stdout.split_whitespace().collect();
        assert!(matches!(words[..], [name, _] if name == self.name), "{output}");
    }

    /// A flag that does not exist is a usage error that names the nearest one.
    pub fn bad_flag(&self) {
        let output = (self.command)().arg("--no-such-flag").run();
        self.assert_code(&output, 2);
        assert!(output.stderr.contains("--no-such-flag"), "{output}");
        assert_eq!(output.stdout, "", "{}", self.name);
        let output = (self.command)().arg("--reprot=x").run();
        self.assert_code(&output, 2);
        assert!(output.stderr.contains("--report"), "{output}");
    }

    /// Flags have twins in the environment; what was typed wins; a bad value names the variable.
    pub fn environment_twin(&self) {
        let output = (self.command)()
            .env("PILOTAGE_COLOR", "purple")
            .arg("--no-such-flag")
            .run();
        self.assert_code(&output, 2);
        let Ok(situation) = self.verdict else { return };
        let world = World::new();
        let bad = self
            .given(situation(&world))
            .env("PILOTAGE_DEADLINE", "soon")
            .run();
        self.assert_code(&bad, 2);
        assert!(bad.stderr.contains("PILOTAGE_DEADLINE"), "{bad}");

        let command = self.given(situation(&world));
        let (twin, typed) = (
            command.home().join("twin.json"),
            command.home().join("report.json"),
        );
        let output = command.env("PILOTAGE_REPORT", &twin).run();
        assert!(output.file("twin.json").contains("step-report/v1"), "{output}");

        let output = self
            .given(situation(&world))
            .env("PILOTAGE_REPORT", &typed)
            .run_reported();
        assert_eq!(output.report()["schema"], "step-report/v1", "{output}");
        assert!(!typed.exists(), "what was typed wins: {output}");
    }

    /// `--output json` is one document on stdout, valid against the published schema and the same as the report file.
    pub fn json_output(&self) {
        let Ok(situation) = self.verdict else { return };
        let world = World::new();
        let command = self.given(situation(&world)).args(["--output", "json"]);
        let (junit, lines) = (command.home().join("junit.xml"), command.home().join("outputs"));
        let output = command
            .arg("--junit")
            .arg(junit)
            .arg("--outputs")
            .arg(lines)
            .run_reported();
        let report = output.json();
        assert_valid(&report);
        assert_eq!(
            report,
            output.report(),
            "{}: stdout and the file tell the same",
            self.name
        );
        assert_eq!(report["exit_code"], Value::from(output.code), "{output}");
        assert!(output.file("junit.xml").contains("<testcase"), "{output}");
        assert!(output.file("outputs").contains("outcome="), "{output}");
    }

    /// A descriptor with an error: 3, and the report says where.
    pub fn bad_descriptor(&self) {
        let Ok(situation) = self.bad_descriptor else {
            return;
        };
        let output = self.given(situation(&World::new())).run_reported();
        self.assert_code(&output, 3);
        let report = output.report();
        assert_valid(&report);
        assert_eq!(report["outcome"], "invalid", "{output}");
        let place = &report["diagnostics"][0];
        assert!(place["line"].is_u64() && place["file"].is_string(), "{report:#}");
        assert_eq!(report["effects"], "none", "{output}");
    }

    /// Nobody listens: 4.
    pub fn refused(&self) {
        let Ok(situation) = self.refused else { return };
        let output = self.given(situation(&World::new())).run_reported();
        self.assert_code(&output, 4);
        assert_valid(&output.report());
        assert_eq!(output.report()["outcome"], "unavailable", "{output}");
    }

    /// The deadline ends what goes on: 5.
    pub fn deadline(&self) {
        let Ok(lasting) = self.lasting else { return };
        let world = World::new();
        let output = self
            .given((lasting.situation)(&world))
            .args(["--deadline", "1s"])
            .run_reported();
        self.assert_code(&output, lasting.at_deadline);
        assert_valid(&output.report());
    }

    /// SIGTERM ends what goes on: 143, with a report.
    pub fn terminated(&self) {
        self.signalled(Running::terminate, 143, "SIGTERM");
    }

    /// SIGINT ends what goes on: 130, with a report.
    pub fn interrupted(&self) {
        self.signalled(Running::interrupt, 130, "SIGINT");
    }

    fn signalled(&self, send: fn(&Running), code: i32, signal: &str) {
        let Ok(lasting) = self.lasting else { return };
        let world = World::new();
        let command = self.given((lasting.situation)(&world));
        let report = command.home().join("report.json");
        let running = command.arg("--report").arg(report).spawn();
        match lasting.begun {
            Begun::Connected => world
                .connected
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("{} never connected", self.name)),
            Begun::Stdout(text) => drop(running.wait_for_stdout(text)),
            Begun::Stderr(text) => drop(running.wait_for_stderr(text)),
        }
        send(&running);
        let output = running.wait();
        self.assert_code(&output, code);
        let report = output.report();
        assert_valid(&report);
        assert_eq!(
            (&report["outcome"], &report["signal"]),
            (&"cancelled".into(), &signal.into()),
            "{output}"
        );
    }

    /// `--dry-run` says what would change and changes nothing.
    pub fn dry_run(&self) {
        let Ok(situation) = self.effect else { return };
        let world = World::new();
        let given = situation(&world);
        let before = world.files();
        let output = self.given(given).arg("--dry-run").run_reported();
        self.assert_code(&output, 0);
        assert_eq!(world.files(), before, "{}: nothing changed", self.name);
        let report = output.report();
        assert_eq!(
            (&report["effects"], &report["dry_run"]),
            (&"none".into(), &true.into()),
            "{report:#}"
        );
        assert!(
            world.connected.try_recv().is_err(),
            "{}: nobody was asked",
            self.name
        );
    }

    /// A report that cannot be written is found out before the first effect: 2.
    pub fn unwritable_report(&self) {
        let Ok(situation) = self.effect.or(self.verdict) else {
            return;
        };
        for flag in ["--report", "--junit", "--outputs"] {
            let world = World::new();
            let given = situation(&world);
            let before = world.files();
            let output = self.given(given).args([flag, "/no/such/folder/file"]).run();
            self.assert_code(&output, 2);
            assert!(output.stderr.contains(flag), "{output}");
            assert_eq!(world.files(), before, "{}: nothing changed", self.name);
            assert!(
                world.connected.try_recv().is_err(),
                "{}: nobody was asked",
                self.name
            );
        }
    }

    /// A secret is in no output, in no form.
    pub fn planted_secret(&self) {
        let Ok((variable, situation)) = self.secret else {
            return;
        };
        let (url, json) = ("xoxb-planted%2Fsecret%2Bvalue%2641", "planted\\/secret");
        let base64 = "eG94Yi1wbGFudGVkL3NlY3JldCt2YWx1ZSY0";
        for format in ["text", "json"] {
            let world = World::new();
            let command = self.given(situation(&world)).env(variable, SECRET);
            let (junit, lines) = (command.home().join("junit.xml"), command.home().join("outputs"));
            let output = command
                .args(["-vv", "--log-format", format, "--junit"])
                .arg(junit)
                .arg("--outputs")
                .arg(lines)
                .run_reported();
            assert_valid(&output.report());
            let everything = output.everything();
            for form in [SECRET, url, json, base64, "planted/secret"] {
                assert!(
                    !everything.contains(form),
                    "{}: {form} in {everything}",
                    self.name
                );
            }
        }
    }
}

/// Checks a report against the published schema.
///
/// # Panics
///
/// It does not obey it.
pub fn assert_valid(report: &Value) {
    assert_obeys(report, SCHEMA);
}

fn assert_obeys(value: &Value, schema: &str) {
    let schema: Value = serde_json::from_str(schema).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?} in {value:#}");
}
