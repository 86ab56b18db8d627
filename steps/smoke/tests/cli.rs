//! The binary as it is used, against a service that behaves as services do: exit codes, reports, and what is never
//! printed.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::Barrier;

const TOKEN: &str = "tok-5f3a9c/secret+value";

/// A request as it came: its first line, its headers in lower case, its body.
#[derive(Clone, Debug)]
struct Came {
    line: String,
    headers: String,
    body: String,
}

/// A shop. Tells what came, in order.
struct Shop {
    at: SocketAddr,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Shop {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let all = Arc::clone(&came);
        let together = Arc::new(Barrier::new(8));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&all), Arc::clone(&together)));
            }
        });
        Self { at, came }
    }

    fn lines(&self) -> Vec<String> {
        self.came
            .lock()
            .unwrap()
            .iter()
            .map(|came| came.line.clone())
            .collect()
    }
}

async fn serve(mut stream: TcpStream, all: Arc<Mutex<Vec<Came>>>, together: Arc<Barrier>) -> Option<()> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let headers = headers.to_ascii_lowercase();
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < end + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let came = Came {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body: String::from_utf8(bytes[end..].to_vec()).unwrap(),
    };
    let first = {
        let mut all = all.lock().unwrap();
        all.push(came.clone());
        all.iter().filter(|other| other.line == came.line).count() == 1
    };
    let (status, more, body) = match came.line.as_str() {
        "GET /" => (
            "200 OK",
            "content-type: text/html; charset=utf-8\r\n",
            "<title>Shop</title>".to_owned(),
        ),
        "GET /health" => (
            "200 OK",
            "",
            r#"{"status":"up","version":"1.4.2","n":3}"#.to_owned(),
        ),
        "POST /login" => {
            let cookie = "set-cookie: sid=c00kie; HttpOnly\r\n";
            ("200 OK", cookie, format!(r#"{{"token":"{TOKEN}","id":7}}"#))
        }
        "GET /whoami" => (
            "500 Internal Server Error",
            "",
            format!("{}{TOKEN}", "x".repeat(84)),
        ),
        "GET /old" => ("302 Found", "location: /\r\n", String::new()),
        "GET /away" => (
            "302 Found",
            "location: http://127.0.0.1:1/elsewhere\r\n",
            String::new(),
        ),
        "GET /once-bad" if first => ("503 Service Unavailable", "", "starting".to_owned()),
        "GET /once-bad" => ("200 OK", "", String::new()),
        line if line.starts_with("GET /together") => {
            together.wait().await;
            ("200 OK", "", String::new())
        }
        line if line.starts_with("GET /orders/7") && came.headers.contains("authorization: bearer tok-") => {
            ("200 OK", "", r#"{"id":"7"}"#.to_owned())
        }
        _ => ("404 Not Found", "", "no such page".to_owned()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    report: Value,
    junit: String,
}

impl Ran {
    /// Outcome by request.
    fn outcomes(&self) -> Vec<String> {
        let checks = self.report["checks"].as_array().unwrap();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        checks
            .iter()
            .map(|check| format!("{} {}", word(&check["outcome"]), word(&check["name"])))
            .collect()
    }

    fn everything(&self) -> String {
        format!("{}{}{}{}", self.stdout, self.stderr, self.report, self.junit)
    }
}

async fn smoke(args: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let (report, junit) = (folder.path().join("r.json"), folder.path().join("j.xml"));
    let output = Command::new(env!("CARGO_BIN_EXE_pilotage-smoke"))
        .env_clear()
        .args(args)
        .arg("--report")
        .arg(&report)
        .arg("--junit")
        .arg(&junit)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        report: serde_json::from_str(&read(&report)).unwrap_or_default(),
        junit: read(&junit),
    }
}

/// Runs the smoke requests of a descriptor.
async fn of_descriptor(shop: &Shop, requests: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.yaml");
    let text = format!(
        "version: \"1.4.2\"\nimage: shop\nports: [{{name: http, port: 80, publish: proxy, routes: [{{host: shop.example.com}}]}}]\nsmoke:\n{requests}"
    );
    std::fs::write(&path, text).unwrap();
    let address = format!("http={}", shop.at);
    let mut args = vec![
        "--descriptor",
        path.to_str().unwrap(),
        "--env",
        "qa",
        "--address",
        &address,
    ];
    args.extend(more);
    smoke(&args).await
}

fn url(at: SocketAddr, path: &str) -> String {
    format!("http://{at}{path}")
}

#[tokio::test]
async fn urls_are_asked_without_any_file() {
    let shop = Shop::open().await;
    let (page, health) = (url(shop.at, "/"), url(shop.at, "/health"));
    let ran = smoke(&[
        &page,
        "--status",
        "200",
        "--contains",
        "Shop",
        "--answer-header",
        "Content-Type: text/html",
        "--within",
        "5s",
    ])
    .await;
    assert_eq!(ran.code, Some(0), "{}", ran.everything());
    assert!(
        ran.stdout.starts_with(&format!("ok        GET {page}  200 (")),
        "{}",
        ran.stdout
    );
    assert!(
        ran.junit.contains(&format!(
            "<testcase name=\"GET {page}\" classname=\"pilotage.smoke\""
        )),
        "{}",
        ran.junit
    );

    let good = [
        "--json",
        "$.status=up",
        "--json",
        "$.n=3",
        "--matches",
        "\"v.*\":\"1",
        "--expect-version",
        "1.4.2",
    ];
    let ran = smoke(&[&[health.as_str()], &good[..]].concat()).await;
    assert_eq!(ran.code, Some(0), "{}", ran.everything());

    let bad = [
        "--json",
        "$.status=down",
        "--matches",
        "^v",
        "--expect-version",
        "1.4.3",
        "--answer-header",
        "ETag",
    ];
    let ran = smoke(&[&[health.as_str()], &bad[..]].concat()).await;
    assert_eq!(ran.code, Some(1));
    let problems = &ran.report["result"]["requests"][0]["tries"][0]["problems"];
    assert_eq!(
        *problems,
        serde_json::json!([
            "200, but version 1.4.2 answered where 1.4.3 is expected",
            "200, but the body does not match `^v`",
            "200, but there is no header `ETag`; expected any value",
            "200, but `$.status` is `up`; expected `down`",
        ])
    );
    assert!(
        ran.junit.contains("<failure message=\"200, but version"),
        "{}",
        ran.junit
    );
    assert_eq!(shop.lines().len(), 3, "each was asked once");
}

#[tokio::test]
async fn where_nobody_answers_the_answer_is_not_no() {
    let shop = Shop::open().await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let (refused, page, gone) = (url(free, "/"), url(shop.at, "/"), url(shop.at, "/gone"));
    let ran = smoke(&[&refused, &page]).await;
    assert_eq!(ran.code, Some(4), "{}", ran.everything());
    assert_eq!(
        ran.outcomes(),
        [format!("unavailable GET {refused}"), format!("passed GET {page}")]
    );
    assert_eq!(
        smoke(&[&refused, &gone]).await.code,
        Some(1),
        "a clear no beats no answer"
    );
}

#[tokio::test]
async fn captured_values_reach_later_requests_and_secrets_reach_nobody_else() {
    let shop = Shop::open().await;
    let requests = "
  - get: /
  - {post: /login, name: login, unsafe: true, headers: {Content-Type: application/json}, body: '{\"user\":\"probe\"}', captures: {token: {json: $.token, secret: true}, id: {json: $.id}, sid: {cookie: sid}}}
  - {get: '/orders/{{id}}?sid={{sid}}', headers: {Authorization: 'Bearer {{token}}'}, json: {$.id: '{{id}}'}}
  - {get: /whoami, headers: {Authorization: 'Bearer {{token}}'}}
";
    let ran = of_descriptor(&shop, requests, &["-vv"]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.everything());
    assert_eq!(
        ran.outcomes(),
        [
            "passed GET /",
            "passed login",
            "passed GET /orders/{{id}}?sid={{sid}}",
            "failed GET /whoami"
        ]
    );
    let came = shop.came.lock().unwrap().clone();
    assert_eq!(
        came[0].line, "GET /",
        "what changes something waits for all before it"
    );
    assert_eq!(
        (came[1].line.as_str(), came[1].body.as_str()),
        ("POST /login", "{\"user\":\"probe\"}")
    );
    assert!(came.iter().any(|came| came.line == "GET /orders/7?sid=c00kie"));
    assert!(
        came.iter()
            .all(|came| came.headers.contains("host: shop.example.com\r\n"))
    );
    // Neither the token nor the half of it that an excerpt would have cut off.
    for part in [TOKEN, &TOKEN[..8], "tok-5f3a9c%2F"] {
        assert!(!ran.everything().contains(part), "{part}: {}", ran.everything());
    }
    assert!(
        ran.everything().contains("[secret token]"),
        "{}",
        ran.everything()
    );
}

#[tokio::test]
async fn what_a_failed_capture_would_have_fed_is_not_sent() {
    let shop = Shop::open().await;
    let requests = "
  - {get: /health, captures: {token: {json: $.token}}}
  - {get: '/orders/{{token}}'}
  - {get: /}
";
    let ran = of_descriptor(&shop, requests, &[]).await;
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.outcomes(),
        [
            "failed GET /health",
            "skipped GET /orders/{{token}}",
            "passed GET /"
        ]
    );
    assert!(
        ran.stdout
            .contains("200, but `token` could not be captured: there is no `$.token`"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.junit
            .contains("<skipped message=\"not sent: `token` was not captured\""),
        "{}",
        ran.junit
    );
    assert!(!shop.lines().iter().any(|line| line.contains("orders")));
}

#[tokio::test]
async fn redirects_are_followed_only_where_it_is_said_and_only_to_the_service() {
    let shop = Shop::open().await;
    let requests = "
  - {get: /old, name: seen, status: 302, answer_headers: {Location: /}}
  - {get: /old, name: plain}
  - {get: /old, name: followed, redirects: 1, contains: Shop}
  - {get: /away, name: away, redirects: 5}
";
    let ran = of_descriptor(&shop, requests, &[]).await;
    assert_eq!(
        ran.outcomes(),
        ["passed seen", "failed plain", "passed followed", "failed away"]
    );
    assert!(
        ran.stdout.contains("302 to `/` (redirects are not followed)"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout
            .contains("another host, which the environment does not allow"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn independent_requests_are_under_way_at_once() {
    let shop = Shop::open().await;
    // The service answers none of them before all eight are there.
    let requests: String = (0..8)
        .map(|number| format!("  - {{get: /together/{number}}}\n"))
        .collect();
    let ran = of_descriptor(&shop, &requests, &["--deadline", "50s"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.everything());
}

#[tokio::test]
async fn a_request_is_sent_once_unless_it_says_otherwise() {
    let shop = Shop::open().await;
    let ran = of_descriptor(&shop, "  - {get: /once-bad}\n", &[]).await;
    assert_eq!((ran.code, shop.lines().len()), (Some(1), 1));
    let shop = Shop::open().await;
    let ran = of_descriptor(&shop, "  - {get: /once-bad, retries: 3}\n", &[]).await;
    assert_eq!(
        (ran.code, shop.lines().len()),
        (Some(0), 2),
        "{}",
        ran.everything()
    );
    assert_eq!(ran.report["checks"][0]["tries"], 2);
}

#[tokio::test]
async fn the_deadline_cuts_what_is_under_way_and_what_waits() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = url(silent.local_addr().unwrap(), "/");
    let ran = smoke(&[&address, &address, "--parallel", "1", "--deadline", "300ms"]).await;
    assert_eq!(ran.code, Some(5), "{}", ran.everything());
    assert_eq!(
        ran.outcomes(),
        [
            format!("deadline GET {address}"),
            format!("deadline GET {address} #2")
        ]
    );
    let ran = smoke(&[&address, "--try-timeout", "100ms"]).await;
    assert_eq!(
        ran.code,
        Some(4),
        "a try has an end of its own: {}",
        ran.everything()
    );
}

#[tokio::test]
async fn a_dry_run_sends_nothing_and_tells_the_order() {
    let shop = Shop::open().await;
    let requests =
        "  - {post: /login, unsafe: true, captures: {id: {json: $.id}}}\n  - {get: '/orders/{{id}}'}\n";
    let ran = of_descriptor(&shop, requests, &["--dry-run"]).await;
    assert_eq!(
        (ran.code, shop.lines().len()),
        (Some(0), 0),
        "{}",
        ran.everything()
    );
    assert!(
        ran.stdout.contains("would send GET /orders/{{id}}") && ran.stdout.contains("after POST /login"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn only_granted_urls_are_asked_for_a_descriptor() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pilotage.yaml");
    let page = url(shop.at, "/");
    let requests = format!("  - {{get: \"{page}\"}}\n");
    for (allow, code, asked) in [("{}", 6, 0), ("{urls: [\"http://127.0.0.1:*\"]}", 0, 1)] {
        std::fs::write(
            &config,
            format!("apiVersion: pilotage/v1\nproject: acme\ntargets: {{box: {{docker: {{}}}}}}\nenvironments: {{qa: {{target: box, allow: {allow}}}}}\n"),
        )
        .unwrap();
        let ran = of_descriptor(
            &shop,
            &requests,
            &["--config", config.to_str().unwrap(), "--service", "shop"],
        )
        .await;
        assert_eq!(
            (ran.code, shop.lines().len()),
            (Some(code), asked),
            "{}",
            ran.everything()
        );
    }
}

#[tokio::test]
async fn flags_that_contradict_each_other_are_usage() {
    for args in [
        &[][..],
        &["--descriptor", "x.yaml", "--status", "200"],
        &["http://u:p@h/"],
        &["http://h/", "--within", "0s"],
    ] {
        let ran = smoke(args).await;
        assert_eq!(ran.code, Some(2), "{args:?} {}", ran.everything());
        assert!(!ran.everything().contains("u:p"), "{}", ran.everything());
    }
}
