//! A real gRPC server (Debian's `python3-grpcio`, the C core) that says of its health what a test wants.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test support: what cannot be set up has to fail the test loudly"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde::Serialize;
use tempfile::TempDir;

/// The server's own language, where Debian's package installs to.
const PYTHON: &str = "/usr/bin/python3";

/// What a server does.
#[derive(Clone, Debug, Serialize)]
pub struct Orders {
    /// Whether it offers the health protocol at all.
    pub health: bool,
    /// What it says of each service it knows: `SERVING`, `NOT_SERVING` or `UNKNOWN`; the empty name is the whole server.
    pub services: BTreeMap<String, String>,
    /// The year its certificate ends with, for one that speaks TLS.
    #[serde(skip)]
    pub tls_until: Option<i32>,
}

impl Orders {
    /// A server in the open that serves, and whose services are as said.
    #[must_use]
    pub fn serving(services: &[(&str, &str)]) -> Self {
        let all = services.iter().chain(&[("", "SERVING")]);
        Self {
            health: true,
            services: all
                .map(|(name, status)| ((*name).to_owned(), (*status).to_owned()))
                .collect(),
            tls_until: None,
        }
    }
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct GrpcServer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens, on this machine.
    pub port: u16,
    folder: TempDir,
}

impl GrpcServer {
    /// Starts one.
    #[must_use]
    pub fn start(orders: &Orders) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut said = serde_json::to_value(orders).unwrap();
        said["certificate"] = false.into();
        if let Some(year) = orders.tls_until {
            let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
            let pair = KeyPair::generate().unwrap();
            let mut params =
                CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(year, 12, 31);
            std::fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
            std::fs::write(&key, pair.serialize_pem()).unwrap();
            said["certificate"] = certificate.to_string_lossy().into();
            said["key"] = key.to_string_lossy().into();
        }
        let mut child = Command::new(PYTHON)
            .args(["-c", include_str!("grpc.py"), &said.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/setup installs python3-grpcio");
        let input = child.stdin.take().unwrap();
        let mut server = Self {
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            input,
            port: 0,
            folder,
        };
        server.port = server
            .line()
            .parse()
            .expect("a port; tests/setup installs python3-grpcio");
        server
    }

    /// From now on `service` is `status`.
    pub fn set(&mut self, service: &str, status: &str) {
        writeln!(self.input, "{service} {status}").unwrap();
        assert_eq!(self.line(), "ok");
    }

    /// Who signed the certificate: itself.
    #[must_use]
    pub fn ca_file(&self) -> std::path::PathBuf {
        self.folder.path().join(Path::new("cert.pem"))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
