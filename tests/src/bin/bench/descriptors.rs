//! A thousand descriptors: read, parsed and validated for three environments, fifty of them broken.

use std::path::Path;

use pilotage_descriptor::{Source, parse as parse_descriptor};
use pilotage_name::{EnvironmentName, ServiceName};
use serde::{Deserialize, Serialize};

use crate::process::{inner, own_peak};
use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::world::descriptor;
use crate::{Measured, Trouble};

const GOOD: usize = 950;
const BROKEN: usize = 50;
const RUNS: usize = 7;

/// What one pass over the files came to.
#[derive(Serialize, Deserialize)]
struct Pass {
    milliseconds: f64,
    peak: f64,
    good: usize,
    /// Files with at least one error that names its place.
    told: usize,
}

pub(crate) fn measure(folder: &Path) -> Measured {
    for index in 0..GOOD {
        let name = format!("s{index}");
        write(folder, "good", &name, &descriptor(&name, "1.4.2"))?;
    }
    for index in 0..BROKEN {
        let name = format!("b{index}");
        write(folder, "broken", &name, &broken(index, &name))?;
    }
    let ours = passes("parse", folder)?;
    let peer = passes("parse-untyped", folder)?;
    if let Some(pass) = peer.iter().find(|pass| pass.good != GOOD) {
        return Err(format!("the peer reads {} of {GOOD}", pass.good).into());
    }
    let column = |passes: &[Pass], of: fn(&Pass) -> f64| Sample::of(passes.iter().map(of));
    let all_told = ours.iter().all(|pass| pass.told == BROKEN && pass.good == GOOD);
    #[expect(clippy::cast_precision_loss, reason = "there are fifty")]
    let told = Sample::of(ours.iter().map(|pass| pass.told as f64));
    Ok(vec![
        Row::new(
            "parse and validate 1,000 descriptors for 3 environments, time",
            Unit::Ms,
            column(&ours, |pass| pass.milliseconds),
        )
        .against(
            "serde_yaml, untyped, the 950 good ones",
            column(&peer, |pass| pass.milliseconds),
        )
        .at_most(1000.0),
        Row::new(
            "parse and validate 1,000 descriptors, peak memory",
            Unit::Mb,
            column(&ours, |pass| pass.peak),
        )
        .against("serde_yaml", column(&peer, |pass| pass.peak))
        .at_most(60.0),
        Row::new("of 50 broken ones told, with place", Unit::Count, told)
            .holds(all_told, "50, and the 950 go on"),
    ])
}

fn passes(command: &str, folder: &Path) -> Result<Vec<Pass>, Trouble> {
    // The first one warms the page cache.
    let mut all = (0..=RUNS)
        .map(|_| inner([command.as_ref(), folder.as_os_str()]))
        .collect::<Result<Vec<Pass>, Trouble>>()?;
    Ok(all.split_off(1))
}

fn write(folder: &Path, kind: &str, name: &str, text: &str) -> Result<(), Trouble> {
    let folder = folder.join(kind);
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(format!("{name}.yaml")), text)?)
}

/// A descriptor with one of the mistakes that people make.
fn broken(index: usize, name: &str) -> String {
    let good = descriptor(name, "1.4.2");
    match index % 6 {
        0 => good.replace("maintainer:", "maintaner:"),
        1 => good.replace("version: \"1.4.2\"", "version: 1.10"),
        2 => good.replace("prod:", "prd: {}\n  prod:"),
        3 => good.replace("domain:", "version: \"1.4.3\"\ndomain:"),
        4 => good.replace("port: http, status", "port: htp, status"),
        _ => good.replace("ports:\n", "ports: [\n"),
    }
}

/// The inner command `parse`.
pub(crate) fn parse(folder: &Path) -> Result<String, Trouble> {
    let environments = ["qa", "stage", "prod"]
        .map(str::parse::<EnvironmentName>)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    pass(folder, &["good", "broken"], |name, text| {
        let service: ServiceName = name.parse()?;
        let source = Source::new(format!("services/{name}.yaml"), text);
        let problems = parse_descriptor(&source)
            .for_service(&service)
            .check(&environments);
        Ok(match problems.iter().find(|problem| problem.is_error()) {
            None => Read::Good,
            Some(error) if error.line().starts_with(&format!("services/{name}.yaml:")) => Read::Told,
            Some(_) => Read::Bad,
        })
    })
}

/// The inner command `parse-untyped`: what reading the good ones costs with the library that everybody takes.
pub(crate) fn parse_untyped(folder: &Path) -> Result<String, Trouble> {
    pass(folder, &["good"], |_, text| {
        let value: serde_yaml::Value = serde_yaml::from_str(&text)?;
        Ok(if value.is_mapping() { Read::Good } else { Read::Bad })
    })
}

enum Read {
    Good,
    Told,
    Bad,
}

fn pass(
    folder: &Path,
    kinds: &[&str],
    mut read: impl FnMut(&str, String) -> Result<Read, Trouble>,
) -> Result<String, Trouble> {
    let (mut good, mut told) = (0, 0);
    let begin = std::time::Instant::now();
    for kind in kinds {
        for entry in std::fs::read_dir(folder.join(kind))? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            match read(&name, std::fs::read_to_string(&path)?)? {
                Read::Good => good += 1,
                Read::Told => told += 1,
                Read::Bad => {}
            }
        }
    }
    let milliseconds = begin.elapsed().as_secs_f64() * 1e3;
    Ok(serde_json::to_string(&Pass {
        milliseconds,
        peak: own_peak()?,
        good,
        told,
    })?)
}
