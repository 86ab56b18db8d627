//! How long after a service is ready its waiter knows: 200 waits for random moments, beside a shell loop in the same run;
//! and what asking many endpoints at once costs over the slowest of them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::process::{Used, inner, wall_and_memory};
use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::{Measured, Trouble, world};

const WAITS: usize = 200;
/// Waits at a time: they sleep nearly all the time.
const AT_ONCE: usize = 8;
const EARLIEST: u64 = 100;
const LATEST: u64 = 3_000;
const RUNS: usize = 10;
/// The slowest of many endpoints; the others answer at random moments before.
const SLOWEST: u64 = 400;

/// What a service does until it is ready.
#[derive(Clone, Copy)]
enum Before {
    Refuses,
    Answers503,
}

pub(crate) fn measure(_: &Path) -> Measured {
    let healthcheck = world::binary("pilotage-healthcheck")?;
    let ours = |url: &str| {
        let mut command = Command::new(&healthcheck);
        command.args([url, "--timeout", "60s"]);
        command
    };
    let peer = |url: &str| {
        let mut command = Command::new("sh");
        let wait = r#"until curl -sf -o /dev/null --max-time 3 "$1"; do sleep 1; done"#;
        command.args(["-c", wait, "sh", url]);
        command
    };
    let mut rows = Vec::new();
    for (before, what) in [
        (Before::Refuses, "nobody listens"),
        (Before::Answers503, "503 is answered"),
    ] {
        let lags = lags(before, &ours)?;
        let mean = lags.iter().map(Duration::as_secs_f64).sum::<f64>() * 1e3 / number(lags.len());
        let peers = self::lags(before, &peer)?;
        let peer_mean = peers.iter().map(Duration::as_secs_f64).sum::<f64>() * 1e3 / number(peers.len());
        rows.push(
            Row::new(
                format!("known after ready, {WAITS} random moments, {what} before"),
                Unit::Ms,
                Sample::milliseconds(lags),
            )
            .against(
                format!("until curl -sf; do sleep 1, mean {peer_mean:.0} ms"),
                Sample::milliseconds(peers),
            )
            .holds(mean < 100.0, format!("mean {mean:.0} ms < 100 ms")),
        );
    }
    for count in [10, 100] {
        rows.extend(many(&healthcheck, count)?);
    }
    Ok(rows)
}

/// From the moment each service is ready to the end of its waiter.
fn lags(before: Before, waiter: &(dyn Fn(&str) -> Command + Sync)) -> Result<Vec<Duration>, Trouble> {
    let moments = random(WAITS, EARLIEST, LATEST);
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<Duration>, Trouble> {
        let mut lags = Vec::new();
        while let Some(moment) = moments.get(next.fetch_add(1, Ordering::Relaxed)) {
            lags.push(lag(before, *moment, waiter)?);
        }
        Ok(lags)
    };
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|one| one.join().unwrap_or_else(|_| Err("a thread broke off".into())))
            .collect::<Result<Vec<_>, Trouble>>()
    })?;
    Ok(parts.concat())
}

fn lag(before: Before, moment: Duration, waiter: &dyn Fn(&str) -> Command) -> Result<Duration, Trouble> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let at = listener.local_addr()?;
    let ready = Arc::new(AtomicBool::new(false));
    let serve = |listener: TcpListener| {
        let ready = Arc::clone(&ready);
        serve(listener, move |_| (Duration::ZERO, ready.load(Ordering::SeqCst)))
    };
    let mut kept = Some(listener);
    let mut server = match before {
        Before::Answers503 => kept.take().map(serve).transpose()?,
        // The port is known to be free, and nobody listens there.
        Before::Refuses => {
            kept = None;
            None
        }
    };
    let mut child = waiter(&format!("http://{at}/health"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    std::thread::sleep(moment);
    ready.store(true, Ordering::SeqCst);
    if server.is_none() {
        server = Some(serve(TcpListener::bind(at)?)?);
    }
    let since = Instant::now();
    let status = child.wait()?;
    let lag = since.elapsed();
    drop((server, kept));
    if status.success() {
        Ok(lag)
    } else {
        Err(format!("a waiter ended with {status}").into())
    }
}

/// The time over the slowest endpoint, when `count` of them are asked at once, and the memory that takes.
fn many(healthcheck: &Path, count: usize) -> Measured {
    let mut delays = random(count, 0, SLOWEST);
    delays[0] = Duration::from_millis(SLOWEST);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let at = listener.local_addr()?;
    let _server = serve(listener, move |path| {
        let number = path.trim_start_matches('/').parse::<usize>().ok();
        let delay = number.and_then(|number| delays.get(number));
        (delay.copied().unwrap_or_default(), delay.is_some())
    })?;
    let urls: Vec<String> = (0..count).map(|number| format!("http://{at}/{number}")).collect();
    let over = |command: &mut Command| -> Result<Duration, Trouble> {
        let begin = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("asking {count} endpoints ended with {status}").into());
        }
        Ok(begin.elapsed().saturating_sub(Duration::from_millis(SLOWEST)))
    };
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(over(Command::new(healthcheck).args(&urls))?);
        let mut curl = Command::new("curl");
        curl.args([
            "-sf",
            "--parallel",
            "--parallel-immediate",
            "--parallel-max",
            "100",
        ]);
        peers.push(over(curl.args(&urls))?);
    }
    let program = healthcheck.to_str().ok_or("the folder has no readable name")?;
    let launch = [
        &["launch", "5", program],
        &urls.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat();
    let used: Vec<Used> = inner(launch)?;
    let (_, memory) = wall_and_memory(&used);
    Ok(vec![
        Row::new(
            format!("{count} endpoints at once, over the slowest of {SLOWEST} ms"),
            Unit::Ms,
            Sample::milliseconds(ours),
        )
        .against("curl --parallel", Sample::milliseconds(peers))
        .at_most(50.0),
        Row::new(format!("{count} endpoints at once, memory"), Unit::Mb, memory).at_most(25.0),
    ])
}

/// A service; what comes first decides for a path how long it thinks and whether it is well. Gone when it is dropped.
struct Server {
    at: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

fn serve(
    listener: TcpListener,
    answer: impl Fn(&str) -> (Duration, bool) + Send + Sync + 'static,
) -> Result<Server, Trouble> {
    let at = listener.local_addr()?;
    let over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&over);
    let answer = Arc::new(answer);
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if ended.load(Ordering::SeqCst) {
                break;
            }
            let answer = Arc::clone(&answer);
            // A client that went away is no trouble of the service.
            std::thread::spawn(move || stream.map(|stream| converse(stream, answer.as_ref())));
        }
    });
    Ok(Server {
        at,
        over,
        thread: Some(thread),
    })
}

fn converse(mut stream: TcpStream, answer: &dyn Fn(&str) -> (Duration, bool)) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (delay, well) = answer(first.split(' ').nth(1).unwrap_or_default());
    std::thread::sleep(delay);
    let status = if well { "200 OK" } else { "503 Service Unavailable" };
    stream
        .write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // One connection more wakes the thread that accepts them.
        let _ = TcpStream::connect(self.at);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Times between two bounds in milliseconds that look random and are the same in every run.
fn random(count: usize, from: u64, to: u64) -> Vec<Duration> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let step = || {
        // Marsaglia, "Xorshift RNGs" (2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_millis(from + state % (to - from))
    };
    std::iter::repeat_with(step).take(count).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn number(count: usize) -> f64 {
    count as f64
}
