//! What of a change deserves a second look.

use std::cmp::Ordering;
use std::fmt;

use pilotage_descriptor::Descriptor;
use serde::Serialize;

use crate::desired::{Desired, host_addresses, routes};
use crate::live::Live;

/// Why a change deserves a second look. The words are the same for every kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskClass {
    /// Data would be lost.
    DataLoss,
    /// Something that cannot be changed has to be made anew.
    Replace,
    /// Nobody serves for a while.
    Downtime,
    /// It may not fit.
    Capacity,
    /// More people can reach it.
    Exposure,
    /// It runs in another name.
    Identity,
    /// An older version, or another content under the same version.
    Version,
    /// Something disappears.
    Prune,
    /// A proof that was asked for is asked no longer.
    Gate,
}

impl RiskClass {
    /// The word in plans and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataLoss => "data-loss",
            Self::Replace => "replace",
            Self::Downtime => "downtime",
            Self::Capacity => "capacity",
            Self::Exposure => "exposure",
            Self::Identity => "identity",
            Self::Version => "version",
            Self::Prune => "prune",
            Self::Gate => "gate",
        }
    }
}

impl fmt::Display for RiskClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One risk of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Risk {
    /// Its class.
    pub class: RiskClass,
    /// The field of the descriptor it comes from.
    pub path: String,
    /// What is, when there is something.
    pub from: Option<String>,
    /// What will be, when there will be something.
    pub to: Option<String>,
    /// Why it is one.
    pub reason: String,
}

/// The risks that lie in the difference between what serves and what is wanted. Downtime comes from the order of the
/// operations instead, and is told by the planner.
#[must_use]
pub fn risks(desired: &Desired, live: &Live) -> Vec<Risk> {
    let Some(serving) = live.serving_instance() else {
        return Vec::new();
    };
    let mut risks = Vec::new();
    if let Some(identity) = &serving.identity {
        let (from, to) = (&identity.version, &desired.identity.version);
        let reason = if from == to && identity.digest != desired.identity.digest {
            Some("the same version has another content now")
        } else if compare_versions(to, from) == Some(Ordering::Less) {
            Some("it is an older version than the one that serves")
        } else {
            None
        };
        if let Some(reason) = reason {
            risks.push(Risk {
                class: RiskClass::Version,
                path: "version".to_owned(),
                from: Some(from.clone()),
                to: Some(to.clone()),
                reason: reason.to_owned(),
            });
        }
    }
    if let Some(before) = &serving.descriptor {
        risks.extend(exposure(before, &desired.descriptor));
        risks.extend(gate(before, &desired.descriptor));
    }
    risks
}

fn exposure(before: &Descriptor, after: &Descriptor) -> Vec<Risk> {
    let risk = |path: &str, to: String, reason: &str| Risk {
        class: RiskClass::Exposure,
        path: path.to_owned(),
        from: None,
        to: Some(to),
        reason: reason.to_owned(),
    };
    let known = routes(before);
    let mut risks: Vec<Risk> = routes(after)
        .into_iter()
        .filter(|route| !known.contains(route))
        .map(|(host, path)| {
            risk(
                "ports.routes",
                format!("{host}{path}"),
                "it can be reached by a new route",
            )
        })
        .collect();
    let held = host_addresses(before);
    risks.extend(
        host_addresses(after)
            .into_iter()
            .filter(|address| !held.contains(address))
            .map(|address| {
                risk(
                    "ports.publish",
                    address.to_string(),
                    "it is bound to a new address of the host",
                )
            }),
    );
    risks
}

fn gate(before: &Descriptor, after: &Descriptor) -> Vec<Risk> {
    let asked = |descriptor: &Descriptor| {
        descriptor
            .healthcheck
            .as_ref()
            .map_or(0, |check| check.endpoints.len())
    };
    let (from, to) = (asked(before), asked(after));
    if to >= from {
        return Vec::new();
    }
    vec![Risk {
        class: RiskClass::Gate,
        path: "healthcheck.endpoints".to_owned(),
        from: Some(from.to_string()),
        to: Some(to.to_string()),
        reason: "fewer endpoints prove a new instance than before".to_owned(),
    }]
}

/// Orders versions made of numbers and dots; texts that are more than that have no order we could be sure of.
fn compare_versions(left: &str, right: &str) -> Option<Ordering> {
    let numbers =
        |text: &str| -> Option<Vec<u64>> { text.split('.').map(|part| part.parse().ok()).collect() };
    let (mut left, mut right) = (numbers(left)?, numbers(right)?);
    let longest = left.len().max(right.len());
    left.resize(longest, 0);
    right.resize(longest, 0);
    Some(left.cmp(&right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_other_texts_not_at_all() {
        assert_eq!(compare_versions("1.10.0", "1.9"), Some(Ordering::Greater));
        assert_eq!(compare_versions("1.2", "1.2.0"), Some(Ordering::Equal));
        assert_eq!(compare_versions("1.2-rc1", "1.2"), None);
    }
}
