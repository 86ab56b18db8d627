//! The binary as it is used: exit codes, reports, stdout and what is never printed.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;

const OLD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"version\":\"1.0.0\"}";
const NEW: &str = "HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n{\"version\":\"1.1.0\"}";
const STARTING: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nstarting";

/// Answers request after request with the script, the last answer again and again. Tells how many came.
async fn service(script: &[&'static str]) -> (SocketAddr, watch::Receiver<usize>) {
    let script: Arc<[&'static str]> = script.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = watch::channel(0);
    let count = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (script, count, tell) = (script.clone(), count.clone(), tell.clone());
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let answer = script[number.min(script.len() - 1)];
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
                tell.send_replace(number + 1);
            });
        }
    });
    (address, told)
}

/// A port that was free a moment ago.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

#[must_use]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pilotage-healthcheck"));
    command
        .env_clear()
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn ended(command: &mut Command) -> Ran {
    let output = command.output().await.unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn run(args: &[&str]) -> Ran {
    ended(&mut command(args)).await
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn it_waits_until_the_new_version_answers_twice() {
    let (shop, mut told) = service(&[STARTING, OLD, NEW, NEW]).await;
    let (db, _) = service(&[STARTING]).await;
    let folder = tempfile::tempdir().unwrap();
    let (report, junit) = (folder.path().join("report.json"), folder.path().join("junit.xml"));
    let (health, tcp) = (format!("http://{shop}/health"), format!("tcp://{db}"));
    let mut args = vec![
        health.as_str(),
        tcp.as_str(),
        "--expect-version",
        "1.1.0",
        "--threshold",
        "2",
    ];
    args.extend([
        "--interval",
        "20ms",
        "--timeout",
        "30s",
        "--report",
        report.to_str().unwrap(),
    ]);
    args.extend(["--junit", junit.to_str().unwrap()]);
    let ran = run(&args).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("version 1.0.0 (1×)"), "{}", ran.stdout);
    assert_eq!(*told.borrow_and_update(), 4);
    let report = json(&report);
    assert_eq!(report["outcome"], "passed");
    assert_eq!(report["checks"][0]["tries"], 4);
    assert_eq!(report["checks"][0]["attempts"].as_array().unwrap().len(), 4);
    assert_eq!(report["result"]["endpoints"][0]["version"], "1.1.0");
    let junit = std::fs::read_to_string(junit).unwrap();
    assert!(
        junit.contains("503 where 200-299 is expected"),
        "attempts stay readable: {junit}"
    );
}

#[tokio::test]
async fn an_answer_that_never_gets_good_is_1_and_no_answer_is_4() {
    let (shop, _) = service(&[STARTING]).await;
    let shop = format!("http://{shop}/health");
    let nobody = format!("tcp://{}", free().await);
    let limits = ["--timeout", "150ms", "--interval", "20ms"];
    for (urls, code, text) in [
        (vec![shop.as_str()], 1, "timeout 150ms reached after"),
        (vec![nobody.as_str()], 4, "last: refused ("),
        (vec![nobody.as_str(), shop.as_str()], 1, "body: `starting`"),
    ] {
        let ran = run(&[&urls[..], &limits].concat()).await;
        assert_eq!(ran.code, Some(code), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(text), "{}", ran.stdout);
    }
    let ran = run(&[&nobody, "--retries", "2", "--interval", "10ms"]).await;
    assert_eq!(ran.code, Some(4));
    assert!(
        ran.stdout.contains("retries 2 used up after 3 tries"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn what_waiting_does_not_repair_is_told_at_once() {
    let (shop, _) = service(&["HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"]).await;
    let ran = run(&[&format!("http://{shop}/"), "--timeout", "10m"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("given up after 1 try"), "{}", ran.stdout);
}

#[tokio::test]
async fn redirects_are_shown_and_not_followed() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 7\r\n\r\n\x1b[2Jgo!";
    let (shop, told) = service(&[redirect, NEW]).await;
    let url = format!("http://{shop}/");
    let ran = run(&[&url, "--retries", "0"]).await;
    assert_eq!((ran.code, *told.borrow()), (Some(1), 1));
    let text =
        "302 to `/login` (redirects are not followed) where 200-299 is expected; body: `\\u{1b}[2Jgo!`";
    assert!(
        ran.stdout.contains(text) && !ran.stdout.contains('\x1b'),
        "{}",
        ran.stdout
    );
    let (shop, _) = service(&[redirect]).await;
    let ran = run(&[&format!("http://{shop}/"), "--status", "300-399"]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}

#[tokio::test]
async fn the_deadline_of_the_step_is_5_and_sigterm_is_143_with_a_report() {
    let (shop, mut told) = service(&[STARTING]).await;
    let url = format!("http://{shop}/");
    let ran = run(&[&url, "--timeout", "10m", "--deadline", "200ms"]).await;
    assert_eq!(ran.code, Some(5), "{}{}", ran.stdout, ran.stderr);

    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    told.borrow_and_update();
    let args = [
        url.as_str(),
        "--timeout",
        "10m",
        "--interval",
        "10ms",
        "--report",
        report.to_str().unwrap(),
    ];
    let child = command(&args).spawn().unwrap();
    let before = *told.borrow_and_update();
    told.wait_for(|count| *count > before + 2).await.unwrap();
    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(143));
    let report = json(&report);
    assert_eq!(report["outcome"], "cancelled");
    assert!(report["checks"][0]["tries"].as_u64().unwrap() >= 2, "{report}");
}

const DESCRIPTOR: &str = "version: \"1.1.0\"
image: registry.example.com/shop
ports: [{name: http, port: 8080, publish: proxy, routes: [{host: shop.example.com}]}, {name: admin, port: 9090}]
healthcheck:
  endpoints: [{http: /health, port: http, version: {json: $.version}}, {tcp: admin}]
  timeout: 20s
  interval: 20ms
";

#[tokio::test]
async fn a_descriptor_is_asked_at_the_address_that_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.yaml");
    std::fs::write(&file, DESCRIPTOR).unwrap();
    let (shop, _) = service(&[OLD, NEW]).await;
    let address = format!("http={shop}");
    let args = ["--descriptor", file.to_str().unwrap(), "--address", &address];
    let ran = ended(command(&args).env("PILOTAGE_ENV", "qa")).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("skipped   tcp admin"), "{}", ran.stdout);

    let ran = ended(command(&args).args(["--env", "qa", "--dry-run"])).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    insta::assert_snapshot!(ran.stdout.replace(&shop.to_string(), "ADDRESS"));

    let never = ["--env", "qa", "--expect-version", "1.2.0", "--timeout", "100ms"];
    let ran = ended(command(&args).args(never)).await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .contains("version 1.1.0 answered where 1.2.0 is expected"),
        "{}",
        ran.stdout
    );
}

#[tokio::test]
async fn a_descriptor_that_cannot_be_asked_is_3_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.yaml");
    std::fs::write(&file, DESCRIPTOR.replace("{tcp: admin}", "{tcp: admn}")).unwrap();
    let path = file.to_str().unwrap();
    let ran = run(&["--descriptor", path, "--env", "qa"]).await;
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    let place = format!("{path}:5:");
    assert!(
        ran.stderr.contains("unknown-port") && ran.stderr.contains(&place),
        "{}",
        ran.stderr
    );

    std::fs::write(
        &file,
        "kind: worker\nversion: \"1\"\nimage: registry.example.com/mailer\n",
    )
    .unwrap();
    let ran = run(&["--descriptor", path, "--env", "qa"]).await;
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (
            Some(0),
            "nothing to check: the descriptor has no healthcheck endpoints\n"
        ),
        "{}",
        ran.stderr
    );
    std::fs::write(&file, "version: 1.10\n").unwrap();
    let ran = run(&["--descriptor", path, "--env", "qa"]).await;
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
}

#[tokio::test]
async fn what_cannot_be_meant_is_2() {
    for args in [
        &[][..],
        &["ftp://shop/"],
        &["http://shop/", "--threshold", "0"],
        &["http://shop/", "--interval", "0s"],
        &["http://shop/", "--timeout", "30"],
        &["http://shop/", "--status", "2xx"],
        &["http://shop/", "--version-regex", "v"],
        &["http://shop/", "--version-body", "--version-json", "$.v"],
        &["http://shop/", "--descriptor", "shop.yaml"],
        &["tcp://shop:80", "--expect-version", "1"],
        &["--descriptor", "shop.yaml", "--status", "200"],
        &["http://shop/", "--ca-file", "/no/such/file"],
    ] {
        let ran = run(args).await;
        assert_eq!(ran.code, Some(2), "{args:?}: {}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.is_empty(), "{args:?}: {}", ran.stdout);
    }
    let ran = run(&["http://ana:hush-hush@shop/"]).await;
    assert_eq!(ran.code, Some(2));
    assert!(!ran.stderr.contains("hush-hush"), "{}", ran.stderr);
}
