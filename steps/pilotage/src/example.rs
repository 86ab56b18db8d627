//! What a new repository releases until it has services of its own: a page that says its version, and a health check.

use std::path::Path;
use std::time::Duration;

use pilotage_outcome::{Fault, StepReport};
use pilotage_step::Context;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The most of a request's head that is read.
const LARGEST_HEAD: usize = 16 * 1024;

/// How long requests under way may take after the end was asked for.
const GRACE: Duration = Duration::from_secs(3);

/// What is served.
#[derive(Clone)]
struct Page {
    title: String,
    version: String,
    greeting: String,
}

/// Serves until it is told to stop.
pub(crate) async fn run(artifact: &Path, port: u16, cx: &Context) -> Result<StepReport, Fault> {
    let text = tokio::fs::read_to_string(artifact).await.map_err(|error| {
        Fault::usage(format!("--artifact: `{}` cannot be read", artifact.display())).caused_by(error)
    })?;
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned())
    };
    let page = Page {
        title: value("page").unwrap_or_else(|| "Example".to_owned()),
        version: value("version").ok_or_else(|| Fault::usage("the artifact has no line `version = …`"))?,
        greeting: cx.env.get("GREETING").unwrap_or_default().to_owned(),
    };
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| Fault::unavailable(format!("the port {port} cannot be had")).caused_by(error))?;
    cx.say(&format!(
        "{} {} listens on 127.0.0.1:{port}",
        page.title, page.version
    ));
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    open.spawn(answer(stream, page.clone()));
                }
            }
            _ = cx.cancel.cancelled() => break,
            Some(_) = open.join_next() => {}
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, open.join_all()).await;
    Ok(StepReport::passed())
}

/// Answers one request. A client that goes away is its own business.
async fn answer(mut stream: TcpStream, page: Page) {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer).await {
            Ok(count) if count > 0 && head.len() < LARGEST_HEAD => head.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or("/");
    let (status, kind, body) = match path {
        "/" => ("200 OK", "text/plain; charset=utf-8", page.text()),
        "/health" => {
            let body = serde_json::json!({"status": "ok", "version": page.version});
            ("200 OK", "application/json", format!("{body}\n"))
        }
        _ => (
            "404 Not Found",
            "text/plain; charset=utf-8",
            "not found\n".to_owned(),
        ),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        let _ = stream.shutdown().await;
    }
}

impl Page {
    fn text(&self) -> String {
        let Self {
            title,
            version,
            greeting,
        } = self;
        match greeting.as_str() {
            "" => format!("{title} {version}\n"),
            greeting => format!("{title} {version}: {greeting}\n"),
        }
    }
}
