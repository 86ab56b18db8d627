//! `--help` of each step: what starting one costs at all, held against a program that does nothing.

use std::path::Path;

use crate::process::{Used, inner, wall_and_memory};
use crate::table::{Row, Unit};
use crate::{Measured, world};

/// The binaries of the house.
const STEPS: [&str; 8] = [
    "pilotage",
    "pilotage-deploy",
    "pilotage-git-monitor",
    "pilotage-healthcheck",
    "pilotage-notify",
    "pilotage-regression",
    "pilotage-release",
    "pilotage-smoke",
];
const TIMES: &str = "25";

pub(crate) fn measure(_: &Path) -> Measured {
    let floor: Vec<Used> = inner(["launch", TIMES, "true"])?;
    let (floor_wall, floor_memory) = wall_and_memory(&floor);
    let mut walls = Vec::new();
    let mut memories = Vec::new();
    for step in STEPS {
        let path = world::binary(step)?;
        let all: Vec<Used> = inner([
            "launch".as_ref(),
            TIMES.as_ref(),
            path.as_os_str(),
            "--help".as_ref(),
        ])?;
        let (wall, memory) = wall_and_memory(&all);
        walls.push(
            Row::new(format!("{step} --help, time"), Unit::Ms, wall)
                .against("true", floor_wall.clone())
                .at_most(10.0),
        );
        memories.push(
            Row::new(format!("{step} --help, memory"), Unit::Mb, memory)
                .against("true", floor_memory.clone())
                .at_most(15.0),
        );
    }
    walls.extend(memories);
    Ok(walls)
}
