use pilotage_descriptor::salvage;
use pilotage_name::EnvironmentName;
use pilotage_yaml::{Diagnostic, Diagnostics, Limits, Node, Source, Span};

use crate::Config;
use crate::file::ConfigFile;
use crate::rules::Rules;

/// How much of pilotage.yaml is looked at before it is refused: 1 MiB, 32 levels, 100,000 nodes.
pub const LIMITS: Limits = Limits {
    bytes: 1024 * 1024,
    depth: 32,
    nodes: 100_000,
};

/// The maps of which one wrong entry does not hide what the others mean.
const MAPS: &[&str] = &[
    "targets",
    "environments",
    "policies",
    "people",
    "groups",
    "services",
];

/// Reads pilotage.yaml. Every problem is told at once, in reading order; there is no configuration when one of them is
/// an error.
#[must_use]
pub fn parse(source: &Source) -> (Option<Config>, Diagnostics) {
    let (node, mut problems) = pilotage_yaml::parse(source, &LIMITS);
    let Some(node) = node else {
        if !problems.has_errors() {
            let empty = Diagnostic::error("empty-file", "the configuration is empty")
                .at(source, Span::at(0), "nothing stands here")
                .help("begin with `apiVersion: pilotage/v1`, `project`, `targets` and `environments`");
            problems.push(empty);
        }
        return (None, problems.sorted());
    };
    let salvaged = salvage::<ConfigFile>(
        &node,
        source,
        &[("apiVersion", "pilotage/v1"), ("project", "project")],
        MAPS,
    );
    problems.extend(salvaged.problems.clone());
    if let Some(file) = &salvaged.value {
        let rules = Rules {
            node: &node,
            source,
            file,
            dropped: &salvaged.dropped,
        };
        problems.extend(rules.check());
    }
    let config = salvaged
        .value
        .filter(|_| !problems.has_errors())
        .map(|file| resolve(file, &node));
    (config, problems.sorted())
}

fn resolve(file: ConfigFile, node: &Node) -> Config {
    let policy_hash = file.policy_hash();
    // A map of the model forgets the order of the file, which is the order people think in.
    let order = node
        .get("environments")
        .and_then(Node::entries)
        .unwrap_or_default();
    let names = order
        .iter()
        .filter_map(|entry| entry.key.parse::<EnvironmentName>().ok());
    let environments = names
        .filter_map(|name| file.environments.get(&name).map(|entry| entry.resolve(&name)))
        .collect();
    Config {
        project: file.project,
        targets: file.targets,
        environments,
        policies: file.policies,
        people: file.people,
        groups: file.groups,
        trigger: file.trigger,
        services: file.services,
        notify: file.notify,
        mail: file.mail,
        templates: file.templates,
        ledger: file.ledger,
        freezes: file.freezes,
        storm: file.storm,
        trackers: file.trackers,
        forge: file.forge,
        policy_hash,
    }
}
