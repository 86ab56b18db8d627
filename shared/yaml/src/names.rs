//! The identities and quantities of the house, and the addresses of the standard library, as texts of a file.

use std::net::{IpAddr, SocketAddr};

use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceName};
use pilotage_quantity::{Cpu, Duration, Memory};

use crate::FromText;

macro_rules! nouns {
    ($($type:ty = $noun:literal,)*) => {
        $(impl FromText for $type {
            const NOUN: &'static str = $noun;
        })*
    };
}

impl FromText for Cpu {
    const NOUN: &'static str = "amount of CPU";
    /// A number of cores is the field's own spelling.
    const PLAIN: bool = true;
}

nouns! {
    ProjectName = "project name",
    EnvironmentName = "environment name",
    ServiceName = "service name",
    CommitId = "commit",
    ReleaseId = "release",
    Duration = "duration",
    Memory = "amount of memory",
    IpAddr = "IP address",
    SocketAddr = "address with a port",
}
