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
use pilotage_probe::{Address, BODY_BYTES, HttpRequest, Probe, Prober, Scheme};
use rcgen::CertificateParams;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::TlsAcceptor;

mod authority;
use authority::Authority;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-version: 1.4.2\r\n\r\nhello";
const LIMIT: Duration = Duration::from_secs(20);

fn prober() -> Prober {
    Prober::new(&authority::settings()).unwrap()
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

/// Answers over TLS like [`server`] in the open.
async fn tls_server(
    authority: &Authority,
    params: CertificateParams,
) -> (SocketAddr, UnboundedReceiver<String>) {
    let acceptor = TlsAcceptor::from(Arc::new(authority.server_config(params, &[])));
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

fn certificate() -> CertificateParams {
    CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap()
}

#[tokio::test]
async fn tls_proves_the_name_whatever_the_address() {
    let authority = Authority::new();
    let (address, mut told) = tls_server(&authority, certificate()).await;
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
    let (good, _told) = tls_server(&authority, certificate()).await;
    let mut old = certificate();
    old.not_before = rcgen::date_time_ymd(2001, 1, 1);
    old.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let (old, _told) = tls_server(&authority, old).await;
    let other = CertificateParams::new(vec!["cart.example.com".to_owned()]).unwrap();
    let (other, _told) = tls_server(&authority, other).await;
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

#[tokio::test]
async fn a_handshake_shows_the_certificate() {
    let authority = Authority::new();
    let mut soon = certificate();
    soon.not_before = rcgen::date_time_ymd(2020, 1, 1);
    soon.not_after = rcgen::date_time_ymd(2100, 12, 31);
    let (address, _told) = tls_server(&authority, soon).await;
    let seen = authority.prober().tls("shop.example.com", address, LIMIT).await;
    let Observation::Secured { certificate, .. } = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (certificate.names.as_str(), certificate.ends.as_str()),
        ("shop.example.com", "2100-12-31")
    );
    assert!(certificate.days_left > 20_000, "{certificate:?}");
    let over_http = authority
        .prober()
        .http(&get(Scheme::Https, "shop.example.com"), address, LIMIT)
        .await;
    assert!(
        matches!(&over_http, Observation::Http(answer) if answer.certificate.as_ref() == Some(&certificate)),
        "{over_http:?}"
    );
    for (prober, name, problem) in [
        (prober(), "shop.example.com", TlsProblem::UnknownAuthority),
        (authority.prober(), "cart.example.com", TlsProblem::WrongName),
        (authority.prober(), "127.0.0.1", TlsProblem::WrongName),
    ] {
        let seen = prober.tls(name, address, LIMIT).await;
        assert!(
            matches!(seen, Observation::NoAnswer { cause: NoAnswer::Tls(found), .. } if found == problem),
            "{name}: {seen:?}"
        );
    }
    let (plain, _told) = server("220 mail.example.com ESMTP\r\n").await;
    let seen = authority
        .prober()
        .tls("shop.example.com", free().await, LIMIT)
        .await;
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
    let slow = authority
        .prober()
        .tls("shop.example.com", plain, Duration::from_millis(200))
        .await;
    assert!(matches!(slow, Observation::NoAnswer { .. }), "{slow:?}");
}

#[tokio::test]
async fn only_who_wants_it_uses_a_connection_twice() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, mut told) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tell.send(());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        let _ = stream.write_all(OK.as_bytes()).await;
                    }
                }
            });
        }
    });
    let request = get(Scheme::Http, "shop");
    for (prober, connections) in [
        (prober(), 3),
        (Prober::reusing(&authority::settings()).unwrap(), 1),
    ] {
        for _ in 0..3 {
            assert!(matches!(
                prober.http(&request, address, LIMIT).await,
                Observation::Http(_)
            ));
        }
        let mut seen = 0;
        while told.try_recv().is_ok() {
            seen += 1;
        }
        assert_eq!(seen, connections);
    }
}
