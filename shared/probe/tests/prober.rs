//! One try against real sockets: what each kind of answer and silence is called.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pilotage_check::{HttpAnswer, NoAnswer, Observation, TlsProblem};
use pilotage_probe::{Address, BODY_BYTES, HttpRequest, HttpSettings, Probe, Prober, Scheme};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-version: 1.4.2\r\n\r\nhello";
const LIMIT: Duration = Duration::from_secs(20);

fn settings() -> HttpSettings {
    HttpSettings {
        system_roots: false,
        ..HttpSettings::default()
    }
}

fn prober() -> Prober {
    Prober::new(&settings()).unwrap()
}

/// Answers the first request of each connection with `answer`, and tells the request's head.
async fn server(answer: impl Into<String>) -> (SocketAddr, UnboundedReceiver<String>) {
    let answer: Arc<str> = answer.into().into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tell, answer) = (tell.clone(), answer.clone());
            tokio::spawn(async move {
                if let Some(head) = serve(stream, &answer).await {
                    let _ = tell.send(head);
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
    // Told first: who reads only the beginning of the answer closes early.
    let told = String::from_utf8_lossy(&head).into_owned();
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    Some(told)
}

fn get(scheme: Scheme, authority: &str) -> HttpRequest {
    HttpRequest::get(scheme, authority, "/health?deep=1", [("X-Check", "yes")]).unwrap()
}

async fn answer(to: SocketAddr) -> HttpAnswer {
    match prober().http(&get(Scheme::Http, "shop"), to, LIMIT).await {
        Observation::Http(answer) => answer,
        other => panic!("{other:?}"),
    }
}

async fn silence(request: &HttpRequest, prober: &Prober, to: SocketAddr, limit: Duration) -> NoAnswer {
    match prober.http(request, to, limit).await {
        Observation::NoAnswer { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

/// A port that was free a moment ago.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[tokio::test]
async fn a_request_reaches_the_address_under_its_own_host() {
    let (address, mut told) = server(OK).await;
    let request = get(Scheme::Http, "shop.qa.example.com");
    let Observation::Http(answer) = prober().http(&request, address, LIMIT).await else {
        panic!("no answer");
    };
    assert_eq!(
        (answer.status, answer.body.as_slice(), answer.truncated),
        (200, &b"hello"[..], false)
    );
    assert_eq!(answer.header(&"X-Version".parse().unwrap()), Some("1.4.2"));
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: shop.qa.example.com\r\n"), "{head}");
    assert!(head.contains("\r\nx-check: yes\r\n"), "{head}");
    assert_eq!(head.matches("host:").count(), 1, "{head}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (other, mut followed) = server(OK).await;
    let location = format!("HTTP/1.1 302 Found\r\nlocation: http://{other}/\r\ncontent-length: 0\r\n\r\n");
    let (address, _told) = server(location).await;
    let answer = answer(address).await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.location(), Some(format!("http://{other}/").as_str()));
    assert!(followed.try_recv().is_err());
}

#[tokio::test]
async fn a_long_body_is_cut_and_says_so() {
    let body = "x".repeat(BODY_BYTES + 1);
    let (address, _told) = server(format!("HTTP/1.1 200 OK\r\n\r\n{body}")).await;
    let answer = answer(address).await;
    assert_eq!((answer.body.len(), answer.truncated), (BODY_BYTES, true));
}

#[tokio::test]
async fn silences_have_names() {
    let request = get(Scheme::Http, "shop");
    let prober = prober();
    assert_eq!(
        silence(&request, &prober, free().await, LIMIT).await,
        NoAnswer::Refused
    );
    for (text, cause) in [
        ("", NoAnswer::Reset),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello",
            NoAnswer::Reset,
        ),
        ("220 mail ESMTP\r\n\r\n", NoAnswer::Protocol),
    ] {
        let (address, _told) = server(text).await;
        assert_eq!(
            silence(&request, &prober, address, LIMIT).await,
            cause,
            "{text:?}"
        );
    }
    let hung = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let short = Duration::from_millis(30);
    let seen = silence(&request, &prober, hung.local_addr().unwrap(), short).await;
    assert_eq!(seen, NoAnswer::Timeout);
}

#[tokio::test]
async fn a_tcp_try_connects_and_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(
        prober().tcp(address, LIMIT).await,
        Observation::Connected { .. }
    ));
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "closed at once");
    let seen = prober().tcp(free().await, LIMIT).await;
    assert!(
        matches!(
            seen,
            Observation::NoAnswer {
                cause: NoAnswer::Refused,
                ..
            }
        ),
        "{seen:?}"
    );
}

#[tokio::test]
async fn names_have_addresses_or_a_reason() {
    let prober = prober();
    let resolve = |host: &str| {
        let at = Address::new(host, 80);
        let prober = &prober;
        async move { prober.resolve(&at, LIMIT).await }
    };
    assert_eq!(
        resolve("127.0.0.1").await.unwrap(),
        ["127.0.0.1:80".parse().unwrap()]
    );
    assert_eq!(resolve("::1").await.unwrap(), ["[::1]:80".parse().unwrap()]);
    assert!(
        resolve("localhost")
            .await
            .unwrap()
            .contains(&"127.0.0.1:80".parse().unwrap())
    );
    let seen = resolve("no-such-host.invalid").await.unwrap_err();
    assert!(
        matches!(
            seen,
            Observation::NoAnswer {
                cause: NoAnswer::Dns,
                ..
            }
        ),
        "{seen:?}"
    );
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

    fn prober(&self) -> Prober {
        Prober::new(&HttpSettings {
            ca_files: vec![self.file.path().to_owned()],
            ..settings()
        })
        .unwrap()
    }

    async fn server(&self, params: CertificateParams) -> (SocketAddr, UnboundedReceiver<String>) {
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
        let (tell, told) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, acceptor) = (tell.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await
                        && let Some(head) = serve(stream, OK).await
                    {
                        let _ = tell.send(head);
                    }
                });
            }
        });
        (address, told)
    }
}

fn certificate() -> CertificateParams {
    CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap()
}

#[tokio::test]
async fn tls_proves_the_name_whatever_the_address() {
    let authority = Authority::new();
    let (address, mut told) = authority.server(certificate()).await;
    let prober = authority.prober();
    for _ in 0..2 {
        let seen = prober
            .http(&get(Scheme::Https, "shop.example.com"), address, LIMIT)
            .await;
        assert!(
            matches!(&seen, Observation::Http(answer) if answer.status == 200),
            "{seen:?}"
        );
        assert!(
            told.recv()
                .await
                .unwrap()
                .contains("\r\nhost: shop.example.com\r\n")
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_told() {
    let authority = Authority::new();
    let request = get(Scheme::Https, "shop.example.com");
    let (good, _told) = authority.server(certificate()).await;
    let mut old = certificate();
    old.not_before = rcgen::date_time_ymd(2001, 1, 1);
    old.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let (old, _told) = authority.server(old).await;
    let other = CertificateParams::new(vec!["cart.example.com".to_owned()]).unwrap();
    let (other, _told) = authority.server(other).await;
    let (trusting, stranger) = (authority.prober(), prober());
    for (prober, to, problem) in [
        (&stranger, good, TlsProblem::UnknownAuthority),
        (&trusting, old, TlsProblem::Expired),
        (&trusting, other, TlsProblem::WrongName),
    ] {
        let seen = silence(&request, prober, to, LIMIT).await;
        assert_eq!(seen, NoAnswer::Tls(problem));
    }
    let early = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mail = early.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = early.accept().await.unwrap();
        stream.write_all(b"220 mail.example.com ESMTP\r\n").await.unwrap();
        let _ = stream.read_buf(&mut Vec::new()).await;
    });
    assert_eq!(
        silence(&request, &trusting, mail, LIMIT).await,
        NoAnswer::Tls(TlsProblem::NotTls)
    );
    // A server that hangs up during the handshake may be one that is starting.
    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = hangs_up.local_addr().unwrap();
    tokio::spawn(async move { drop(hangs_up.accept().await) });
    let seen = silence(&request, &trusting, to, LIMIT).await;
    assert!(
        matches!(seen, NoAnswer::Reset | NoAnswer::Tls(TlsProblem::Handshake)),
        "{seen}"
    );
}

#[tokio::test]
async fn a_method_and_a_body_are_sent_as_they_are() {
    let (address, mut told) = server(OK).await;
    let (request, _) =
        HttpRequest::of_url(&format!("http://{address}/login"), [("content-type", "text/x")]).unwrap();
    let request = request.sending("POST", Some("user=a".to_owned())).unwrap();
    assert!(!format!("{request:?}").contains("user=a"));
    assert!(matches!(
        prober().http(&request, address, LIMIT).await,
        Observation::Http(_)
    ));
    let head = told.recv().await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("post /login http/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-length: 6\r\n") && head.contains("content-type: text/x\r\n"),
        "{head}"
    );
    assert!(request.sending("PO ST", None).is_err());
}
