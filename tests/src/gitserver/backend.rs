//! The right answer to a request: `git http-backend`, behind a password where one is wanted.

use std::io::{self, Write as _};
use std::process::Stdio;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::exchange::{Reply, Request};
use super::program::git_command;
use super::server::Shared;

/// The right answer: credentials, then `git http-backend`.
pub(super) fn answer(shared: &Shared, request: &Request) -> io::Result<Reply> {
    let credentials = shared.state.lock().unwrap().credentials.clone();
    if let Some((user, password)) = &credentials {
        let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        if request.headers.get("authorization") != Some(&expected) {
            let mut reply = Reply::plain(401, "text/plain", "who are you\n");
            reply
                .headers
                .push(("WWW-Authenticate".to_owned(), "Basic realm=\"git\"".to_owned()));
            return Ok(reply);
        }
    }
    let mut command = git_command(&shared.root);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let variables = [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ];
    for (header, variable) in variables {
        if let Some(value) = request.headers.get(header) {
            command.env(variable, value);
        }
    }
    if let Some((user, _)) = &credentials {
        command.env("REMOTE_USER", user);
    }
    command.env_remove("GIT_PROTOCOL");
    if let Some(protocol) = request.headers.get("git-protocol")
        && !shared.without_v2.load(Ordering::Relaxed)
    {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || drop(input.write_all(&request.body)));
        child.wait_with_output()
    })?;
    Ok(parse_cgi(&output.stdout))
}

fn parse_cgi(output: &[u8]) -> Reply {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = match end {
        Some(end) => (&output[..end], &output[end + 4..]),
        None => return Reply::plain(500, "text/plain", "git http-backend failed\n"),
    };
    let mut reply = Reply {
        status: "200 OK".to_owned(),
        headers: Vec::new(),
        body: body.to_vec(),
    };
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().to_owned();
        if name.eq_ignore_ascii_case("status") {
            reply.status = value;
        } else {
            reply.headers.push((name.to_owned(), value));
        }
    }
    reply
}
