//! The regression suite of the sample service: what a team would write with its test framework. It asks the release that
//! `PILOTAGE_URL` and `PILOTAGE_HOST` name, wants the version of `PILOTAGE_VERSION`, prints a line a test, and leaves
//! `out/shop.xml` as JUnit.
//!
//! It ends with 0 when every test passed, with 1 when one did not, and with 2 when it was not told what to ask.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The release that is tested.
struct Release {
    /// `HOST:PORT`.
    at: String,
    /// Whom a request asks for.
    host: String,
    version: String,
}

type Test = fn(&Release) -> Result<(), String>;

const TESTS: [(&str, Test); 4] = [
    ("the page carries the name and the version", |release| {
        let page = release.get("/", 200)?;
        holds(&page, "Shop").and_then(|()| holds(&page, &release.version))
    }),
    ("the version is the released one", |release| {
        holds(&release.get("/version", 200)?, &release.version)
    }),
    ("everybody is greeted", |release| {
        holds(&release.get("/env/GREETING", 200)?, "hello")
    }),
    ("what is not there is not found", |release| {
        release.get("/nowhere", 404).map(drop)
    }),
];

fn main() -> ExitCode {
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    let variable = |name: &str| variables.get(name).cloned();
    let (Some(url), Some(version)) = (variable("PILOTAGE_URL"), variable("PILOTAGE_VERSION")) else {
        say("PILOTAGE_URL and PILOTAGE_VERSION say what is tested");
        return ExitCode::from(2);
    };
    let at = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let release = Release {
        host: variable("PILOTAGE_HOST").unwrap_or_else(|| at.clone()),
        at,
        version,
    };
    let results = TESTS.map(|(name, test)| (name, test(&release)));
    for (name, result) in &results {
        match result {
            Ok(()) => say(&format!("ok      {name}")),
            Err(why) => say(&format!("FAILED  {name}: {why}")),
        }
    }
    let written = std::fs::create_dir_all("out")
        .and_then(|()| std::fs::write(Path::new("out/shop.xml"), junit(&results)));
    if let Err(error) = written {
        say(&format!("out/shop.xml: {error}"));
        return ExitCode::FAILURE;
    }
    match results.iter().all(|(_, result)| result.is_ok()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

impl Release {
    fn get(&self, path: &str, wanted: u16) -> Result<String, String> {
        let answer = self.ask(path).map_err(|error| format!("{path}: {error}"))?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .ok_or_else(|| format!("{path}: no whole answer"))?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        match status == wanted.to_string() {
            true => Ok(body.to_owned()),
            false => Err(format!("{path}: answers {status}, not {wanted}")),
        }
    }

    fn ask(&self, path: &str) -> std::io::Result<String> {
        let address = self
            .at
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| std::io::Error::other("the name has no address"))?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = &self.host;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn holds(text: &str, wanted: &str) -> Result<(), String> {
    match text.contains(wanted) {
        true => Ok(()),
        false => Err(format!("`{}` does not hold `{wanted}`", text.trim())),
    }
}

fn junit(results: &[(&str, Result<(), String>)]) -> String {
    let failed = results.iter().filter(|(_, result)| result.is_err()).count();
    let mut text = format!(
        "<testsuite name=\"shop\" tests=\"{}\" failures=\"{failed}\">\n",
        results.len()
    );
    for (name, result) in results {
        let case = format!("  <testcase classname=\"shop\" name=\"{}\"", escaped(name));
        text.push_str(&match result {
            Ok(()) => format!("{case}/>\n"),
            Err(why) => format!("{case}><failure message=\"{}\"/></testcase>\n", escaped(why)),
        });
    }
    text + "</testsuite>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

fn say(line: &str) {
    // Nobody may be listening; there is nothing to be done about it.
    let _ = writeln!(std::io::stdout(), "{line}");
}
