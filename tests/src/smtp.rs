//! A real mail server (Debian's `python3-aiosmtpd`) as a private process on a private port, which does what a test says.
//!
//! What it took is read back by Python's own parser of mail, so that a header means here what it means to a reader.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test support: what cannot be set up has to fail the test loudly"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// The server's own language, where Debian's package installs to.
const PYTHON: &str = "/usr/bin/python3";
/// The user of a server that wants a login.
pub const USER: &str = "pilotage@example.com";
/// Their password.
pub const PASSWORD: &str = "planted-secret-mail-password";

/// How a server protects its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// It offers STARTTLS and takes nothing before it.
    StartTls,
    /// From the first byte.
    Smtps,
    /// It cannot.
    None,
}

/// What a server falls silent at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hang {
    /// It never greets.
    Greeting,
    /// It never says whether it took a mail.
    Data,
    /// It takes a mail and closes the connection without saying so.
    After,
}

/// What a server does.
#[derive(Clone, Debug, Serialize)]
pub struct Orders {
    /// How it protects its connections.
    pub tls: Protection,
    /// Whether it wants [`USER`] and [`PASSWORD`].
    #[serde(serialize_with = "login")]
    pub login: bool,
    /// Answers to recipients, in order; the last one stays. Others are taken.
    pub answers: BTreeMap<String, Vec<String>>,
    /// What it falls silent at.
    pub hangs: Option<Hang>,
}

impl Default for Orders {
    /// A server as they should be.
    fn default() -> Self {
        Self {
            tls: Protection::StartTls,
            login: true,
            answers: BTreeMap::new(),
            hangs: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn login<S: serde::Serializer>(wanted: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    wanted.then_some([USER, PASSWORD]).serialize(serializer)
}

/// A mail that a server took.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Whether it came over an encrypted connection.
    pub encrypted: bool,
    /// Who was logged in.
    pub user: Option<String>,
    headers: Vec<(String, String)>,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
    /// Everything as it came.
    pub raw: String,
}

impl Mail {
    /// The values of a header, unfolded and decoded.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The names of the headers, in order.
    #[must_use]
    pub fn header_names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The server. It ends when it is dropped.
pub struct Smtp {
    child: Child,
    stdin: Option<ChildStdin>,
    reader: Option<JoinHandle<Vec<Mail>>>,
    port: u16,
    folder: TempDir,
}

impl Drop for Smtp {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Smtp {
    /// Starts one.
    ///
    /// # Panics
    /// When `python3-aiosmtpd` is not installed (`tests/setup` does it).
    #[must_use]
    pub fn start(orders: &Orders) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = certificate(folder.path());
        let script = folder.path().join("smtp.py");
        std::fs::write(&script, include_str!("smtp.py")).unwrap();
        let mut all = serde_json::to_value(orders).unwrap();
        all["certificate"] = certificate.to_str().unwrap().into();
        all["key"] = key.to_str().unwrap().into();
        let mut child = Command::new(PYTHON)
            .arg(&script)
            .arg(all.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts; tests/setup installs it");
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines
            .next()
            .expect("aiosmtpd is there; tests/setup installs it")
            .unwrap()
            .parse()
            .unwrap();
        let reader = std::thread::spawn(move || {
            lines
                .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
                .collect()
        });
        Self {
            child,
            stdin,
            reader: Some(reader),
            port,
            folder,
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The file with the authority of its certificate.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Ends it and gives what it took, in order.
    ///
    /// # Panics
    /// When it said something else.
    #[must_use]
    pub fn stop(mut self) -> Vec<Mail> {
        drop(self.stdin.take());
        // Connections that hang keep nothing open: the process ends with its main task.
        let _ = self.child.wait();
        self.reader.take().unwrap().join().unwrap()
    }
}

fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let made =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}
