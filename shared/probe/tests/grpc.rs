//! The gRPC health protocol against a server of tonic: plain and over TLS, and every answer that is not `SERVING`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pilotage_check::{GrpcCode, GrpcSaid, NoAnswer, Observation, TlsProblem};
use pilotage_probe::{GrpcRequest, Scheme};
use rcgen::CertificateParams;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::codegen::Service as _;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::{HealthReporter, health_reporter};

mod authority;
use authority::Authority;

const LIMIT: Duration = Duration::from_secs(20);

/// A server of which the whole serves, `shop.Orders` does not, and nothing else is known.
async fn server(tls: Option<TlsAcceptor>) -> (SocketAddr, HealthReporter) {
    let (reporter, health) = health_reporter();
    reporter
        .set_service_status("shop.Orders", ServingStatus::NotServing)
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, health) = (tls.clone(), health.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, health).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, health).await;
                        }
                    }
                }
            });
        }
    });
    (address, reporter)
}

async fn serve<S, H>(stream: S, health: HealthServer<H>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Health,
{
    let answer = service_fn(move |request| health.clone().call(request));
    let _ = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

async fn ask(service: &str, to: SocketAddr) -> Observation {
    let request = GrpcRequest::new(Scheme::Http, "shop.example.com", service).unwrap();
    Authority::new().prober().grpc(&request, to, LIMIT).await
}

fn said(observation: Observation) -> GrpcSaid {
    match observation {
        Observation::Grpc(answer) => answer.said,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_says_how_it_and_its_services_are() {
    let (to, reporter) = server(None).await;
    assert_eq!(said(ask("", to).await), GrpcSaid::Serving);
    assert_eq!(said(ask("shop.Orders", to).await), GrpcSaid::NotServing);
    reporter
        .set_service_status("shop.Orders", ServingStatus::Serving)
        .await;
    assert_eq!(said(ask("shop.Orders", to).await), GrpcSaid::Serving);
    let GrpcSaid::Status(GrpcCode(5), message) = said(ask("shop.Carts", to).await) else {
        panic!("NOT_FOUND is expected");
    };
    assert!(!message.is_empty());
}

#[tokio::test]
async fn over_tls_the_name_and_the_certificate_count() {
    let authority = Authority::new();
    let params = CertificateParams::new(vec!["shop.example.com".to_owned()]).unwrap();
    let tls = TlsAcceptor::from(Arc::new(authority.server_config(params, &["h2"])));
    let (to, _reporter) = server(Some(tls)).await;
    let request = GrpcRequest::new(Scheme::Https, "shop.example.com", "").unwrap();
    let seen = authority.prober().grpc(&request, to, LIMIT).await;
    let Observation::Grpc(answer) = seen else {
        panic!("{seen:?}");
    };
    assert_eq!(answer.said, GrpcSaid::Serving);
    assert_eq!(answer.certificate.unwrap().names, "shop.example.com");

    let stranger = Authority::new().prober().grpc(&request, to, LIMIT).await;
    let other = GrpcRequest::new(Scheme::Https, "cart.example.com", "").unwrap();
    let other = authority.prober().grpc(&other, to, LIMIT).await;
    for (seen, problem) in [
        (stranger, TlsProblem::UnknownAuthority),
        (other, TlsProblem::WrongName),
    ] {
        assert!(
            matches!(seen, Observation::NoAnswer { cause: NoAnswer::Tls(found), .. } if found == problem),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_grpc_server_is_told_apart_from_one_that_is_away() {
    // One that speaks HTTP/2 and no gRPC.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let web = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(|_| async {
                hyper::Response::builder()
                    .status(502)
                    .body(String::from("bad gateway"))
            });
            tokio::spawn(
                http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    assert_eq!(said(ask("", web).await), GrpcSaid::Http(502));
    // One that speaks HTTP/1.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let old = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
    });
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = free.local_addr().unwrap();
    drop(free);
    for (to, causes) in [
        (old, &[NoAnswer::Protocol, NoAnswer::Reset][..]),
        (away, &[NoAnswer::Refused]),
    ] {
        let seen = ask("", to).await;
        assert!(
            matches!(&seen, Observation::NoAnswer { cause, .. } if causes.contains(cause)),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let request = GrpcRequest::new(Scheme::Http, "127.0.0.1", "").unwrap();
    let seen = Authority::new()
        .prober()
        .grpc(&request, silent.local_addr().unwrap(), Duration::from_millis(200))
        .await;
    assert!(
        matches!(
            seen,
            Observation::NoAnswer {
                cause: NoAnswer::Timeout,
                ..
            }
        ),
        "{seen:?}"
    );
}
