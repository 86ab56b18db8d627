//! The question of the gRPC health protocol (`grpc.health.v1`), over the house's own HTTP client.

use std::error::Error;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use pilotage_check::{GrpcCode, GrpcSaid};
use pilotage_http::reqwest::{self, Client, Url};
use tonic::Status;
use tonic::codegen::{BoxFuture, Service, http};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::prober::leaf;
use crate::{HttpRequest, RequestError, Scheme};

/// A question for the health of a gRPC server, or of one of its services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcRequest {
    http: HttpRequest,
    service: String,
}

/// An answer holds one small number.
const ANSWER_BYTES: usize = 64 * 1024;

impl GrpcRequest {
    /// Asks the server known as `authority` (`shop.example.com`, `shop:8080`) for `service`; for all of it where that is
    /// empty.
    ///
    /// # Errors
    /// When the host is none.
    pub fn new(scheme: Scheme, authority: &str, service: impl Into<String>) -> Result<Self, RequestError> {
        Ok(Self {
            http: HttpRequest::get(scheme, authority, "/", [])?,
            service: service.into(),
        })
    }

    /// Plain or encrypted.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.http.scheme()
    }

    /// Whom it asks for.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.http.authority()
    }

    /// The service it asks about; empty for the whole server.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    pub(crate) fn url(&self) -> &Url {
        self.http.url()
    }
}

/// Asks `service` at `origin`, whose name `client` finds; the certificate comes along where it answered well over TLS.
///
/// # Errors
/// With the network's error where no answer came.
pub(crate) async fn check(
    client: Client,
    origin: &Url,
    service: &str,
) -> Result<(GrpcSaid, Option<Vec<u8>>), Silence> {
    let origin: http::Uri = origin
        .as_str()
        .parse()
        .map_err(|_| Silence::Other("the address is no URI".to_owned()))?;
    let asked = HealthClient::with_origin(Wire(client), origin)
        .max_decoding_message_size(ANSWER_BYTES)
        .check(HealthCheckRequest {
            service: service.to_owned(),
        })
        .await;
    match asked {
        Ok(answer) => {
            let certificate = leaf(answer.extensions());
            let said = match answer.into_inner().status() {
                ServingStatus::Serving => GrpcSaid::Serving,
                ServingStatus::NotServing => GrpcSaid::NotServing,
                ServingStatus::ServiceUnknown => GrpcSaid::ServiceUnknown,
                ServingStatus::Unknown => GrpcSaid::Unknown,
            };
            Ok((said, certificate))
        }
        // Of an answer that is not well the certificate does not matter.
        Err(status) => said(status).map(|said| (said, None)),
    }
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Silence {
    /// The network.
    #[error(transparent)]
    Http(Status),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Silence {
    /// The error of the HTTP library it comes from.
    pub(crate) fn cause(&self) -> Option<&reqwest::Error> {
        match self {
            Self::Http(status) => chain(status).find_map(|cause| cause.downcast_ref()),
            Self::Other(_) => None,
        }
    }
}

fn chain<'a>(status: &'a Status) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(status.source(), |cause: &&'a (dyn Error + 'static)| {
        (*cause).source()
    })
}

fn said(status: Status) -> Result<GrpcSaid, Silence> {
    if let Some(NoGrpc(http)) = chain(&status).find_map(|cause| cause.downcast_ref()) {
        return Ok(GrpcSaid::Http(*http));
    }
    if chain(&status).any(|cause| cause.is::<reqwest::Error>()) {
        return Err(Silence::Http(status));
    }
    Ok(GrpcSaid::Status(
        GrpcCode(status.code().into()),
        status.message().to_owned(),
    ))
}

/// Carries a call over an HTTP client.
#[derive(Clone)]
struct Wire(Client);

/// An HTTP answer that is no gRPC.
#[derive(Debug, thiserror::Error)]
#[error("an HTTP answer with status {0} that is no gRPC")]
struct NoGrpc(u16);

type Boxed = Box<dyn Error + Send + Sync>;

impl Service<http::Request<tonic::body::Body>> for Wire {
    type Response = http::Response<reqwest::Body>;
    type Error = Boxed;
    type Future = BoxFuture<Self::Response, Boxed>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // One small message, so there is no need for a stream.
            let body = body.collect().await?.to_bytes();
            let request = reqwest::Request::try_from(http::Request::from_parts(parts, body))?;
            let answer: Self::Response = client.execute(request).await?.into();
            let grpc = answer
                .headers()
                .get(http::header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
            if answer.status() != http::StatusCode::OK || !grpc {
                return Err(NoGrpc(answer.status().as_u16()).into());
            }
            Ok(answer)
        })
    }
}
