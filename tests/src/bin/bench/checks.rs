//! The checks behind a release: two hundred smoke requests, and a thousand test reports made one.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::{Used, inner, wall_and_memory};
use crate::table::{Row, Unit};
use crate::{Measured, Trouble, world};

const REQUESTS: usize = 200;
const FILES: usize = 1_000;
const CASES: usize = 100;

pub(crate) fn measure(folder: &Path) -> Measured {
    let mut rows = smoke(folder)?;
    rows.extend(merge(folder)?);
    Ok(rows)
}

/// The same requests by our step and by a peer, against a service that answers at once and against one that takes 10 ms.
fn smoke(folder: &Path) -> Measured {
    let mut rows = Vec::new();
    for latency in [0, 10] {
        let at = serve(Duration::from_millis(latency))?;
        let descriptor = folder.join(format!("shop-{latency}.yaml"));
        let mut text = String::from("version: \"1\"\nports: [{name: http, port: 80}]\nsmoke:\n");
        for number in 0..REQUESTS {
            writeln!(text, "  - {{get: /{number}, status: 200, contains: Shop}}")?;
        }
        std::fs::write(&descriptor, text)?;
        let address = format!("http={at}");
        let (step, descriptor) = (path(&world::binary("pilotage-smoke")?)?, path(&descriptor)?);
        let ours = launch(
            "10",
            &[
                &step,
                "--descriptor",
                &descriptor,
                "--env",
                "qa",
                "--service",
                "shop",
                "--address",
                &address,
            ],
        )?;
        let (peer, theirs) = peer(folder, at)?;
        let (wall, memory) = wall_and_memory(&ours);
        let (peer_wall, peer_memory) = wall_and_memory(&theirs);
        let what = format!("smoke, {REQUESTS} requests answered after {latency} ms");
        rows.push(
            Row::new(format!("{what}, time"), Unit::Ms, wall)
                .against(&peer, peer_wall)
                .ratio_at_most(1.0),
        );
        rows.push(
            Row::new(format!("{what}, memory"), Unit::Mb, memory)
                .against(&peer, peer_memory)
                .at_most(25.0),
        );
    }
    Ok(rows)
}

/// `hurl --test` where it is installed, a file for each request, as many at once as it likes; else curl, as many at once
/// as we send, which looks at the status alone.
fn peer(folder: &Path, at: SocketAddr) -> Result<(String, Vec<Used>), Trouble> {
    if installed("hurl", &["--version"]) {
        let requests = folder.join(format!("hurl-{}", at.port()));
        std::fs::create_dir_all(&requests)?;
        for number in 0..REQUESTS {
            let text = format!("GET http://{at}/{number}\nHTTP 200\n[Asserts]\nbody contains \"Shop\"\n");
            std::fs::write(requests.join(format!("{number}.hurl")), text)?;
        }
        let all = launch("10", &["hurl", "--test", &path(&requests)?])?;
        return Ok(("hurl --test".to_owned(), all));
    }
    let config = folder.join(format!("curl-{}", at.port()));
    let mut text = String::new();
    for number in 0..REQUESTS {
        writeln!(text, "url = \"http://{at}/{number}\"\noutput = \"/dev/null\"")?;
    }
    std::fs::write(&config, text)?;
    let parallel = [
        "--parallel",
        "--parallel-max",
        "16",
        "--fail",
        "--silent",
        "--config",
    ];
    let all = launch(
        "10",
        &[&["curl"], &parallel[..], &[path(&config)?.as_str()]].concat(),
    )?;
    Ok(("curl --parallel".to_owned(), all))
}

/// Reports of many files become one, judged. The peer takes minutes for as many, so it is held against a tenth of them.
fn merge(folder: &Path) -> Measured {
    let mut rows = Vec::new();
    for files in [FILES, FILES / 10] {
        let reports = folder.join(format!("reports-{files}"));
        std::fs::create_dir_all(&reports)?;
        for file in 0..files {
            std::fs::write(reports.join(format!("TEST-{file}.xml")), report(file)?)?;
        }
        let (step, reports, merged) = (
            path(&world::binary("pilotage-regression")?)?,
            path(&reports)?,
            path(&folder.join("merged.xml"))?,
        );
        let ours = launch(
            "5",
            &[
                &step,
                "--directory",
                &reports,
                "--results",
                "*.xml",
                "--merged",
                &merged,
            ],
        )?;
        let (wall, memory) = wall_and_memory(&ours);
        let what = format!("merge of {files} reports with {} cases", files * CASES);
        let mut time = Row::new(format!("{what}, time"), Unit::Ms, wall);
        let mut peak = Row::new(format!("{what}, peak memory"), Unit::Mb, memory).at_most(64.0);
        if files < FILES && installed("python3", &["-c", "import junitparser"]) {
            let glob = format!("{reports}/*.xml");
            let theirs = path(&folder.join("theirs.xml"))?;
            let all = launch(
                "1",
                &["python3", "-m", "junitparser", "merge", "--glob", &glob, &theirs],
            )?;
            let (peer_wall, peer_memory) = wall_and_memory(&all);
            time = time.against("junitparser", peer_wall).ratio_at_most(1.0);
            peak = peak.against("junitparser", peer_memory);
        }
        rows.extend([time, peak]);
    }
    Ok(rows)
}

/// A report as a Java build leaves it: one case in fifty is skipped, and some talk.
fn report(file: usize) -> Result<String, Trouble> {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"com.acme.Suite{file}\" tests=\"{CASES}\">\n"
    );
    for case in 0..CASES {
        let head = format!(
            "<testcase name=\"does what it says [{case}]\" classname=\"com.acme.Suite{file}\" time=\"0.{case:03}\""
        );
        match case % 50 {
            7 => writeln!(text, "{head}><skipped message=\"not here\"/></testcase>")?,
            13 => writeln!(
                text,
                "{head}><system-out><![CDATA[{}]]></system-out></testcase>",
                "a line of output\n".repeat(20)
            )?,
            _ => writeln!(text, "{head}/>")?,
        }
    }
    text.push_str("</testsuite>\n");
    Ok(text)
}

fn launch(times: &str, command: &[&str]) -> Result<Vec<Used>, Trouble> {
    inner([&["launch", times], command].concat())
}

fn path(path: &Path) -> Result<String, Trouble> {
    Ok(PathBuf::from(path)
        .into_os_string()
        .into_string()
        .map_err(|_| "the folder has no readable name")?)
}

fn installed(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A service that answers every request so long after it came, on connections that it keeps.
fn serve(latency: Duration) -> Result<SocketAddr, Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, latency));
        }
    });
    Ok(at)
}

fn answer(mut stream: TcpStream, latency: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while let Some(line) = lines.next().transpose()? {
        if line.is_empty() {
            std::thread::sleep(latency);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 19\r\n\r\n<title>Shop</title>")?;
        }
    }
    Ok(())
}
