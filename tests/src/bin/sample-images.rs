//! `make images`: images of the sample service in the engine of this machine, for an environment repository of one's own.
//!
//! ```text
//! sample-images NAME:VERSION...
//! ```

use std::io::Write as _;
use std::process::ExitCode;

use pilotage_tests::docker::{Engine, sample};
use pilotage_tests::play::engine_socket;

fn main() -> ExitCode {
    let images: Vec<String> = std::env::args().skip(1).collect();
    match make(&images) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&why);
            ExitCode::FAILURE
        }
    }
}

fn make(images: &[String]) -> Result<(), String> {
    let host = std::env::vars().find(|(name, _)| name == "DOCKER_HOST");
    let socket = engine_socket(host.as_ref().map(|(_, value)| value.as_str()))?;
    let shown = socket.display().to_string();
    let engine =
        Engine::at(socket).map_err(|error| format!("no Docker engine answers at {shown}: {error}"))?;
    for image in images {
        let (name, version) = image
            .rsplit_once(':')
            .ok_or_else(|| format!("`{image}` is no NAME:VERSION"))?;
        let page = name.rsplit('/').next().unwrap_or(name);
        engine
            .import(
                image,
                &sample(),
                &[("SAMPLE_VERSION", version), ("SAMPLE_PAGE", page)],
            )
            .map_err(|error| format!("{image}: {error}"))?;
        say(&format!("made {image}"));
    }
    Ok(())
}

fn say(line: &str) {
    // Nobody may be listening; there is nothing to be done about it.
    let _ = writeln!(std::io::stdout(), "{line}");
}
