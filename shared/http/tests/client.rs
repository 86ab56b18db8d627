//! Clients against real sockets: plain HTTP and TLS without any system roots, proxies, and what each failure is called.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pilotage_http::reqwest;
use pilotage_http::{
    Failure, FailureKind, HttpError, HttpSettings, Proxies, TlsProblem, blocking_client, client, read_body,
    read_body_blocking,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A machine without any roots.
fn settings() -> HttpSettings {
    HttpSettings {
        system_roots: false,
        timeout: Some(Duration::from_secs(20)),
        ..HttpSettings::default()
    }
}

/// Answers every connection's first request with `answer`, byte for byte, and closes. Gives the first line of each request.
async fn plain(answer: &'static str) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                if let Some(line) = serve(stream, answer).await {
                    let _ = tell.send(line);
                }
            });
        }
    });
    (address, told)
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()?;
    String::from_utf8_lossy(&head).lines().next().map(str::to_owned)
}

struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ca.pem()).unwrap();
        Self { ca, file }
    }

    fn settings(&self) -> HttpSettings {
        HttpSettings {
            ca_files: vec![self.file.path().to_owned()],
            ..settings()
        }
    }

    async fn tls(&self, params: CertificateParams) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.ca).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, OK).await;
                    }
                });
            }
        });
        address
    }
}

fn localhost() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap()
}

async fn failure(settings: &HttpSettings, url: &str) -> Failure {
    let error = match client(settings).unwrap().get(url).send().await {
        Ok(response) => response.bytes().await.unwrap_err(),
        Err(error) => error,
    };
    Failure::of(&error)
}

#[tokio::test]
async fn plain_http_needs_no_roots_at_all() {
    let (address, _told) = plain(OK).await;
    let client = client(&settings()).unwrap();
    let answer = client.get(format!("http://{address}/")).send().await.unwrap();
    assert_eq!(read_body(answer, 100).await.unwrap().bytes, "hello");

    let answer = client.get(format!("http://{address}/")).send().await.unwrap();
    let body = read_body(answer, 4).await.unwrap();
    assert_eq!((&body.bytes[..], body.truncated), (&b"hell"[..], true));
}

#[tokio::test]
async fn a_ca_file_is_enough_for_tls() {
    let authority = Authority::new();
    let address = authority.tls(localhost()).await;
    let url = format!("https://{address}/");
    let answer = client(&authority.settings())
        .unwrap()
        .get(&url)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");

    // The same beside the machine's roots, from code that blocks.
    let with_system = HttpSettings {
        system_roots: true,
        ..authority.settings()
    };
    let body = tokio::task::spawn_blocking(move || {
        read_body_blocking(blocking_client(&with_system).unwrap().get(url).send().unwrap(), 3).unwrap()
    });
    let body = body.await.unwrap();
    assert_eq!((&body.bytes[..], body.truncated), (&b"hel"[..], true));
}

#[tokio::test]
async fn tls_failures_say_what_is_wrong_with_the_certificate() {
    let authority = Authority::new();
    let good = format!("https://{}/", authority.tls(localhost()).await);
    assert_eq!(
        failure(&settings(), &good).await.kind,
        FailureKind::Tls(TlsProblem::UnknownIssuer)
    );
    assert_eq!(
        failure(&Authority::new().settings(), &good).await.kind,
        FailureKind::Tls(TlsProblem::UnknownIssuer)
    );

    let mut old = localhost();
    old.not_before = rcgen::date_time_ymd(2001, 1, 1);
    old.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let address = authority.tls(old).await;
    let failed = failure(&authority.settings(), &format!("https://{address}/")).await;
    assert_eq!(
        (failed.kind, failed.maybe_sent),
        (FailureKind::Tls(TlsProblem::Expired), false)
    );

    let other = CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap();
    let address = authority.tls(other).await;
    let failed = failure(&authority.settings(), &format!("https://{address}/")).await;
    assert_eq!(failed.kind, FailureKind::Tls(TlsProblem::WrongName));

    let (address, _told) = plain(OK).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let early = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
        let _ = stream.read_buf(&mut Vec::new()).await;
    });
    let failed = failure(&authority.settings(), &format!("https://{early}/")).await;
    assert_eq!(
        failed.kind,
        FailureKind::Tls(TlsProblem::NotTls),
        "{failed} ({address})"
    );
}

#[tokio::test]
async fn failures_without_tls_have_their_names_too() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let failed = failure(&settings(), &format!("http://{free}/?token=hunter2")).await;
    assert_eq!((failed.kind, failed.maybe_sent), (FailureKind::Refused, false));
    assert!(!failed.to_string().contains("hunter2"), "{failed}");

    let failed = failure(&settings(), "http://no-such-host.invalid/hunter2").await;
    assert_eq!((failed.kind, failed.maybe_sent), (FailureKind::Dns, false));
    assert!(!failed.to_string().contains("hunter2"), "{failed}");

    for (answer, kind) in [
        ("", FailureKind::Reset),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
            FailureKind::Reset,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n", FailureKind::Protocol),
    ] {
        let (address, _told) = plain(answer).await;
        let failed = failure(&settings(), &format!("http://{address}/")).await;
        assert_eq!(
            (failed.kind, failed.maybe_sent),
            (kind, true),
            "{answer:?}: {failed}"
        );
    }

    let failed = failure(&settings(), "http://exa mple/").await;
    assert_eq!((failed.kind, failed.maybe_sent), (FailureKind::Request, false));
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = HttpSettings {
        timeout: Some(Duration::from_millis(50)),
        ..settings()
    };
    let failed = failure(&settings, &format!("http://{address}/")).await;
    assert_eq!((failed.kind, failed.maybe_sent), (FailureKind::Timeout, true));
}

#[tokio::test]
async fn requests_go_through_the_proxies_that_were_handed_in() {
    let (proxy, mut told) = plain(OK).await;
    let (direct, mut direct_told) = plain(OK).await;
    let proxies = Proxies::from_env(|name| match name {
        "http_proxy" => Some(format!("http://ana:hunter2@{proxy}")),
        "no_proxy" => Some("127.0.0.1".to_owned()),
        _ => None,
    });
    let client = client(&HttpSettings {
        proxies: proxies.unwrap(),
        ..settings()
    })
    .unwrap();
    client.get("http://shop.invalid/health").send().await.unwrap();
    assert_eq!(
        told.recv().await.unwrap(),
        "GET http://shop.invalid/health HTTP/1.1"
    );
    client
        .get(format!("http://{direct}/health"))
        .send()
        .await
        .unwrap();
    assert_eq!(direct_told.recv().await.unwrap(), "GET /health HTTP/1.1");

    let (refusing, _told) = plain("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    let proxies = Proxies::from_env(|name| (name == "https_proxy").then(|| refusing.to_string()));
    let failed = failure(
        &HttpSettings {
            proxies: proxies.unwrap(),
            ..settings()
        },
        "https://shop.invalid/",
    )
    .await;
    assert_eq!(
        (failed.kind, failed.maybe_sent),
        (FailureKind::Proxy, false),
        "{failed}"
    );
}

#[tokio::test]
async fn redirects_are_answers_unless_asked_for() {
    let (address, _told) = plain("HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://{address}/");
    let answer = client(&settings()).unwrap().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::FOUND);
    let following = HttpSettings {
        redirects: 3,
        ..settings()
    };
    assert_eq!(failure(&following, &url).await.kind, FailureKind::Redirect);
}

#[test]
fn a_ca_file_of_no_use_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let with = |path: PathBuf| {
        client(&HttpSettings {
            ca_files: vec![path],
            ..settings()
        })
    };
    assert!(
        matches!(with("/no/such.pem".into()), Err(HttpError::CaFile { path, .. }) if path == "/no/such.pem")
    );
    assert!(matches!(
        with(file.path().to_owned()),
        Err(HttpError::NoCertificate { .. })
    ));
    std::fs::write(
        file.path(),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(matches!(
        with(file.path().to_owned()),
        Err(HttpError::BadCertificate { .. })
    ));
    std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nnot base64!\n").unwrap();
    assert!(matches!(
        with(file.path().to_owned()),
        Err(HttpError::BadCertificate { .. } | HttpError::NoCertificate { .. })
    ));
}
