//! A small HTTP service that is released in the demo and in tests. How it behaves is told by its artifact, so that each
//! version can be well or ill in its own way:
//!
//! ```text
//! # artifacts/shop/1.1.0
//! version = 1.1.0
//! page = Shop
//! ```
//!
//! Keys, each also as a flag (`--exit-after 1s`) or variable (`SAMPLE_EXIT_AFTER`), the flag first:
//!
//! | key | meaning |
//! |---|---|
//! | `version` | what it says its version is |
//! | `page` | what `/` says before the version |
//! | `health` | `ok`, or `never`: 503 for ever |
//! | `healthy-after` | 503 for so long |
//! | `start-after` | does not listen for so long |
//! | `exit-after`, `exit-code` | ends by itself |
//! | `delay` | how long each answer takes |
//! | `ignore-term` | `true`: only a kill ends it |
//! | `bind` | the address it listens on; 127.0.0.1 when nothing is written |
//! | `eat` | takes so many MiB of memory when it starts |
//! | `ask` | `HOST:PORT` that it asks for `/` all the time, by name and on a new connection each time |
//!
//! `--artifact FILE`, `--port N` (or `PORT`). It answers `/`, `/health` (JSON with status and version), `/version`,
//! `/env/NAME`, `/file/PATH` (below `PILOTAGE_FILES`, or below `/` without it) and `/asked` (JSON: what came of `ask`),
//! and `/ask/HOST:PORT/PATH` with what that host answers it. It finishes what it is doing on SIGTERM.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Component, Path};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

const KEYS: [&str; 12] = [
    "version",
    "page",
    "health",
    "healthy-after",
    "start-after",
    "exit-after",
    "exit-code",
    "delay",
    "ignore-term",
    "bind",
    "eat",
    "ask",
];

struct Behaviour {
    version: String,
    page: String,
    ever_healthy: bool,
    healthy_after: Duration,
    start_after: Duration,
    exit_after: Option<Duration>,
    exit_code: u8,
    delay: Duration,
    ignore_term: bool,
    bind: IpAddr,
    eat: usize,
    asked: Option<(String, Asked)>,
    port: u16,
    variables: BTreeMap<String, String>,
}

impl Behaviour {
    fn read(arguments: &[String], variables: BTreeMap<String, String>) -> Result<Self, String> {
        let mut flags = BTreeMap::new();
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let key = flag
                .strip_prefix("--")
                .filter(|key| KEYS.contains(key) || ["artifact", "port"].contains(key))
                .ok_or_else(|| format!("unknown argument `{flag}`"))?;
            let value = rest.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            flags.insert(key.to_owned(), value.clone());
        }
        let mut values = match flags.get("artifact") {
            Some(path) => artifact(Path::new(path))?,
            None => BTreeMap::new(),
        };
        for key in KEYS {
            let variable = format!("SAMPLE_{}", key.to_uppercase().replace('-', "_"));
            if let Some(value) = flags.get(key).or_else(|| variables.get(&variable)) {
                values.insert(key.to_owned(), value.clone());
            }
        }
        let text = |key: &str| values.get(key).cloned();
        let time = |key: &str| values.get(key).map(|value| duration(key, value)).transpose();
        let port = flags
            .get("port")
            .or_else(|| variables.get("PORT"))
            .ok_or("no port: give --port or set PORT")?;
        Ok(Self {
            version: text("version")
                .or_else(|| variables.get("PILOTAGE_VERSION").cloned())
                .unwrap_or_else(|| "0".to_owned()),
            page: text("page").unwrap_or_else(|| "Sample".to_owned()),
            ever_healthy: match text("health").as_deref() {
                None | Some("ok") => true,
                Some("never") => false,
                Some(other) => return Err(format!("health is `ok` or `never`, not `{other}`")),
            },
            healthy_after: time("healthy-after")?.unwrap_or_default(),
            start_after: time("start-after")?.unwrap_or_default(),
            exit_after: time("exit-after")?,
            exit_code: text("exit-code")
                .map_or(Ok(1), |code| code.parse())
                .map_err(|_| "exit-code is a number from 0 to 255")?,
            delay: time("delay")?.unwrap_or_default(),
            ignore_term: text("ignore-term").as_deref() == Some("true"),
            bind: text("bind").map_or(Ok(IpAddr::from([127, 0, 0, 1])), |bind| {
                bind.parse().map_err(|_| format!("`{bind}` is no address"))
            })?,
            eat: text("eat")
                .map_or(Ok(0), |eat| eat.parse())
                .map_err(|_| "eat is a number of MiB")?,
            asked: text("ask").map(|host| (host, Asked::default())),
            port: port.parse().map_err(|_| format!("`{port}` is no port"))?,
            variables,
        })
    }
}

/// Lines `key = value`; `#` begins a comment line.
fn artifact(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .filter(|(key, _)| KEYS.contains(key))
            .ok_or_else(|| {
                format!(
                    "{shown}:{}: expected `key = value` with one of {}",
                    index + 1,
                    KEYS.join(", ")
                )
            })?;
        values.insert(key.to_owned(), value.to_owned());
    }
    Ok(values)
}

fn duration(key: &str, value: &str) -> Result<Duration, String> {
    let bad = || format!("{key} is a time such as 500ms or 2s, not `{value}`");
    let (number, unit) = match value.strip_suffix("ms") {
        Some(number) => (number, 1),
        None => (value.strip_suffix('s').ok_or_else(bad)?, 1000),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    Ok(Duration::from_millis(number * unit))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let behaviour = match Behaviour::read(&arguments, std::env::vars().collect()) {
        Ok(behaviour) => Rc::new(behaviour),
        Err(message) => {
            say(&message);
            return ExitCode::from(2);
        }
    };
    match tokio::task::LocalSet::new().run_until(serve(behaviour)).await {
        Ok(code) => code,
        Err(error) => {
            say(&format!("sample-service: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(line: &str) {
    // Nobody may be listening; there is nothing to be done about it.
    let _ = writeln!(std::io::stderr(), "{line}");
}

async fn serve(behaviour: Rc<Behaviour>) -> std::io::Result<ExitCode> {
    let begin = Instant::now();
    // Written to, or the kernel would not give it.
    let eaten = vec![1_u8; behaviour.eat * 1024 * 1024];
    if behaviour.asked.is_some() {
        tokio::task::spawn_local(ask_on(Rc::clone(&behaviour), true));
        tokio::task::spawn_local(ask_on(Rc::clone(&behaviour), false));
    }
    let mut term = signal(SignalKind::terminate())?;
    let ended = async {
        match behaviour.exit_after {
            Some(after) => tokio::time::sleep_until(begin + after).await,
            None => std::future::pending().await,
        }
    };
    let mut ended = std::pin::pin!(ended);
    if !behaviour.start_after.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(behaviour.start_after) => {}
            () = &mut ended => return Ok(ExitCode::from(behaviour.exit_code)),
            _ = term.recv(), if !behaviour.ignore_term => return Ok(ExitCode::SUCCESS),
        }
    }
    let listener = TcpListener::bind((behaviour.bind, behaviour.port)).await?;
    say(&format!(
        "version {} listens on {}",
        behaviour.version,
        listener.local_addr()?
    ));
    // Every connection holds a receiver, so that the last one is known to be gone.
    let (closing, open) = watch::channel(false);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let (behaviour, open) = (Rc::clone(&behaviour), open.clone());
                tokio::task::spawn_local(async move {
                    // A client that goes away is its own business.
                    let _ = connection(stream, &behaviour, begin, open).await;
                });
            }
            () = &mut ended => {
                say("ending by itself, as the artifact says");
                return Ok(ExitCode::from(behaviour.exit_code));
            }
            _ = term.recv() => if !behaviour.ignore_term {
                break;
            },
        }
    }
    drop(eaten);
    drop(listener);
    drop(open);
    closing.send_replace(true);
    closing.closed().await;
    say("ended on SIGTERM");
    Ok(ExitCode::SUCCESS)
}

/// What came of asking: by clients that try every address of a name, and by clients that try only the first.
#[derive(Default)]
struct Asked {
    all: RefCell<Tally>,
    first: RefCell<Tally>,
}

#[derive(Default, serde::Serialize)]
struct Tally {
    total: u64,
    failed: u64,
    answers: BTreeMap<String, u64>,
    last_error: String,
    slowest_ms: u128,
}

async fn ask_on(behaviour: Rc<Behaviour>, all: bool) {
    let Some((host, asked)) = &behaviour.asked else {
        return;
    };
    let tally = if all { &asked.all } else { &asked.first };
    loop {
        let begin = Instant::now();
        let answer = ask_once(host, "/", all).await.and_then(whole);
        {
            let mut tally = tally.borrow_mut();
            tally.total += 1;
            tally.slowest_ms = tally.slowest_ms.max(begin.elapsed().as_millis());
            match answer {
                Ok(answer) => *tally.answers.entry(answer).or_default() += 1,
                Err(error) => {
                    tally.failed += 1;
                    tally.last_error = error.to_string();
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An answer that a user is content with.
fn whole((status, body): (String, String)) -> std::io::Result<String> {
    match status.starts_with("200 ") {
        true => Ok(body.trim().to_owned()),
        false => Err(std::io::Error::other(format!("it answers {status}: {body}"))),
    }
}

/// Status and body of an answer by `host`: by the first of its addresses that can be connected to, or by the first.
async fn ask_once(host: &str, path: &str, all: bool) -> std::io::Result<(String, String)> {
    let mut last = std::io::Error::other("the name has no address");
    for address in tokio::net::lookup_host(host)
        .await?
        .take(if all { usize::MAX } else { 1 })
    {
        match tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(address)).await {
            Ok(Ok(mut stream)) => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await?;
                return answer
                    .split_once("\r\n\r\n")
                    .and_then(|(head, body)| {
                        let (_, status) = head.lines().next()?.split_once(' ')?;
                        Some((status.to_owned(), body.to_owned()))
                    })
                    .ok_or_else(|| std::io::Error::other(format!("no whole answer: {answer:?}")));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = std::io::Error::other("no answer to a connection in 5 s"),
        }
    }
    Err(last)
}

async fn connection(
    mut stream: TcpStream,
    behaviour: &Behaviour,
    begin: Instant,
    mut closing: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut buffer = [0; 4096];
            let count = tokio::select! {
                count = stream.read(&mut buffer) => count?,
                // Between two requests nothing is lost by closing.
                _ = closing.wait_for(|closing| *closing), if bytes.is_empty() => return Ok(()),
            };
            if count == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&buffer[..count]);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes.drain(..end);
        let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
        let asked_to_close = head
            .lines()
            .any(|line| line.to_ascii_lowercase().replace(' ', "") == "connection:close");
        tokio::time::sleep(behaviour.delay).await;
        let (status, kind, body) = match path.strip_prefix("/ask/") {
            Some(asked) => ask_for(asked).await,
            None => {
                let (status, kind, body) = answer(behaviour, begin, &path);
                (status.to_owned(), kind, body)
            }
        };
        let last = asked_to_close || *closing.borrow();
        let connection = if last { "close" } else { "keep-alive" };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).await?;
        if last {
            return stream.shutdown().await;
        }
    }
}

/// What somebody else answers, for whoever cannot reach them.
async fn ask_for(asked: &str) -> (String, &'static str, String) {
    let (host, path) = asked.split_once('/').unwrap_or((asked, ""));
    let (status, body) = match ask_once(host, &format!("/{path}"), true).await {
        Ok(answer) => answer,
        Err(error) => ("502 Bad Gateway".to_owned(), format!("{host}: {error}\n")),
    };
    (status, "text/plain; charset=utf-8", body)
}

fn answer(behaviour: &Behaviour, begin: Instant, path: &str) -> (&'static str, &'static str, String) {
    const OK: &str = "200 OK";
    const TEXT: &str = "text/plain; charset=utf-8";
    let missing = || ("404 Not Found", TEXT, "not found\n".to_owned());
    match path.split('?').next().unwrap_or(path) {
        "/" => (OK, TEXT, format!("{} {}\n", behaviour.page, behaviour.version)),
        "/version" => (OK, TEXT, format!("{}\n", behaviour.version)),
        "/health" => {
            let well = behaviour.ever_healthy && begin.elapsed() >= behaviour.healthy_after;
            let (status, word) = if well {
                (OK, "ok")
            } else {
                ("503 Service Unavailable", "ill")
            };
            let body = serde_json::json!({"status": word, "version": behaviour.version});
            (status, "application/json", format!("{body}\n"))
        }
        "/asked" => match &behaviour.asked {
            Some((_, asked)) => {
                let body = serde_json::json!({"all": &*asked.all.borrow(), "first": &*asked.first.borrow()});
                (OK, "application/json", format!("{body}\n"))
            }
            None => missing(),
        },
        other => {
            if let Some(name) = other.strip_prefix("/env/") {
                return behaviour
                    .variables
                    .get(name)
                    .map_or_else(missing, |value| (OK, TEXT, value.clone()));
            }
            let below = other.strip_prefix("/file/").map(Path::new);
            let root = behaviour
                .variables
                .get("PILOTAGE_FILES")
                .map_or("/", String::as_str);
            match below {
                Some(below)
                    if below
                        .components()
                        .all(|part| matches!(part, Component::Normal(_))) =>
                {
                    std::fs::read_to_string(Path::new(root).join(below))
                        .map_or_else(|_| missing(), |text| (OK, TEXT, text))
                }
                _ => missing(),
            }
        }
    }
}
