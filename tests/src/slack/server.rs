//! The thin HTTP server in front of the state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::WEBHOOK;
use super::state::{Answer, State, lock};

/// A request as it came over the wire.
pub(super) struct Head {
    pub(super) verb: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
}

pub(super) async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, arrived: Arc<Notify>) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = read(&mut stream).await {
        let method = match head.path.strip_prefix("/api/") {
            Some(method) => method.to_owned(),
            None if head.path == WEBHOOK => "webhook".to_owned(),
            None => head.path.clone(),
        };
        let (wanted, (status, mut extra, mut answer)) = {
            let mut state = lock(&state);
            let wanted = state.take_answer(&method);
            let does = matches!(wanted, None | Some(Answer::DoAndDrop));
            (wanted, state.handle(&method, &head, &body, does))
        };
        arrived.notify_waiters();
        let mut status = status;
        match wanted {
            None => {}
            Some(Answer::RateLimited(after)) => {
                status = 429;
                extra = after
                    .map(|after| format!("retry-after: {after}\r\n"))
                    .unwrap_or_default();
                answer = String::new();
            }
            Some(Answer::Status(number)) => {
                status = number;
                answer = "<html>not Slack</html>".to_owned();
            }
            Some(Answer::Refuse(code)) => {
                status = 200;
                answer = json!({ "ok": false, "error": code }).to_string();
            }
            Some(Answer::Body(body)) => {
                status = 200;
                answer = body.to_owned();
            }
            Some(Answer::DoAndDrop) => return,
            Some(Answer::Never) => std::future::pending().await,
        }
        let text = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<(Head, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines.first()?.split(' ');
    let (verb, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        // Of all that is encoded here, only a comma is looked at.
        .map(|(name, value)| (name.to_owned(), value.replace("%2C", ",")))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((
        Head {
            verb,
            path: path.to_owned(),
            query,
            headers,
        },
        body,
    ))
}
