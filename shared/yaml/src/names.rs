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

nouns! {
    ProjectName = "project name",
    EnvironmentName = "environment name",
    ServiceName = "service name",
    CommitId = "commit",
    ReleaseId = "release",
    Duration = "duration",
    Cpu = "amount of CPU",
    Memory = "amount of memory",
    IpAddr = "IP address",
    SocketAddr = "address with a port",
}
