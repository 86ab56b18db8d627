//! The walls of the house, checked from `cargo metadata` and the source tree: who may depend on whom, which licences
//! may come in, and where things may stand. `deny.toml` says the same to cargo-deny, which needs a network.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot read the tree has to fail"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// Crates of the domain: no runtime, network, clock or environment may be reachable from them.
const PURE: [&str; 12] = [
    "pilotage-check",
    "pilotage-command-line",
    "pilotage-config",
    "pilotage-descriptor",
    "pilotage-diagnostic",
    "pilotage-gate",
    "pilotage-name",
    "pilotage-outcome",
    "pilotage-quantity",
    "pilotage-quarantine",
    "pilotage-secret",
    "pilotage-yaml",
];
const IMPURE: [&str; 9] = [
    "tokio",
    "reqwest",
    "git2",
    "rustix",
    "hyper",
    "pilotage-clock",
    "process-wrap",
    "slack-morphism",
    "lettre",
];

/// Who alone may depend on a library directly.
const WALLS: [(&str, &[&str]); 9] = [
    ("bollard", &["pilotage-deploy", "pilotage-engine"]),
    ("git2", &["pilotage-gitrepo", "pilotage-ledger"]),
    ("russh", &["pilotage-gitrepo"]),
    ("reqwest", &["pilotage-http"]),
    ("lettre", &["pilotage-notify"]),
    ("slack-morphism", &["pilotage-notify"]),
    ("backoff", &["pilotage-retry"]),
    ("granit-parser", &["pilotage-yaml"]),
    ("clap", &["pilotage-step"]), // and the steps, whose args.rs is checked below
];

const BANNED: [&str; 6] = [
    "libssh2-sys",
    "openssl-sys",
    "aws-lc-sys",
    "native-tls",
    "yaml-rust",
    "serde_yml",
];

const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

struct Package {
    name: String,
    licence: Option<String>,
    folder: PathBuf,
    in_house: bool,
    /// Direct dependencies of normal kind, by package name.
    normal: BTreeSet<String>,
}

struct House {
    root: PathBuf,
    packages: BTreeMap<String, Package>,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        // What is built; crates for other systems are not even downloaded.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(&root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut by_id = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let folder = PathBuf::from(text(&package["manifest_path"]))
            .parent()
            .unwrap()
            .to_owned();
        by_id.insert(
            text(&package["id"]),
            Package {
                name: text(&package["name"]),
                licence: package["license"].as_str().map(str::to_owned),
                in_house: package["source"].is_null(),
                folder,
                normal: BTreeSet::new(),
            },
        );
    }
    let names: BTreeMap<String, String> = by_id.iter().map(|(id, p)| (id.clone(), p.name.clone())).collect();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let normal = node["deps"].as_array().unwrap().iter().filter(|dep| {
            dep["dep_kinds"]
                .as_array()
                .unwrap()
                .iter()
                .any(|kind| kind["kind"].is_null())
        });
        let normal = normal
            .map(|dep| names[dep["pkg"].as_str().unwrap()].clone())
            .collect::<BTreeSet<_>>();
        // Several versions of one crate are one crate to a wall.
        by_id.get_mut(node["id"].as_str().unwrap()).unwrap().normal = normal;
    }
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for package in by_id.into_values() {
        match packages.get_mut(&package.name) {
            Some(known) => known.normal.extend(package.normal),
            None => {
                packages.insert(package.name.clone(), package);
            }
        }
    }
    House { root, packages }
});

impl House {
    fn in_house(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().filter(|package| package.in_house)
    }

    fn steps(&self) -> BTreeSet<&str> {
        let steps = self.root.join("steps");
        self.in_house()
            .filter(|p| p.folder.starts_with(&steps))
            .map(|p| p.name.as_str())
            .collect()
    }

    /// Everything reachable through normal dependencies.
    fn reachable<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(name) = todo.pop() {
            for next in &self.packages[name].normal {
                if seen.insert(next.as_str()) {
                    todo.push(next);
                }
            }
        }
        seen
    }

    fn sources(&self, folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut todo = vec![folder.to_owned()];
        while let Some(folder) = todo.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() && !path.ends_with("target") {
                    todo.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

#[test]
fn no_step_depends_on_another_step() {
    let steps = HOUSE.steps();
    assert!(steps.len() >= 6, "the steps are found: {steps:?}");
    for step in &steps {
        let others: Vec<_> = HOUSE.packages[*step]
            .normal
            .iter()
            .filter(|d| steps.contains(d.as_str()))
            .collect();
        assert!(others.is_empty(), "{step} depends on the step {others:?}");
    }
    for package in HOUSE
        .in_house()
        .filter(|p| p.folder.starts_with(HOUSE.root.join("shared")))
    {
        let used: Vec<_> = package
            .normal
            .iter()
            .filter(|d| steps.contains(d.as_str()))
            .collect();
        assert!(used.is_empty(), "{} depends on the step {used:?}", package.name);
    }
}

#[test]
fn libraries_stay_behind_their_wall() {
    let steps = HOUSE.steps();
    for (library, allowed) in WALLS {
        assert!(
            HOUSE.packages.contains_key(library),
            "{library} is used at all; else take it off the list"
        );
        for package in HOUSE.in_house().filter(|p| p.normal.contains(library)) {
            let by_wall = allowed.contains(&package.name.as_str());
            let by_step = library == "clap" && steps.contains(package.name.as_str());
            assert!(
                by_wall || by_step,
                "{} depends on {library}, which only {allowed:?} may",
                package.name
            );
        }
    }
}

/// Files that choose by the kind of a target, beside the adapters themselves.
const CHOOSES_THE_TARGET: [&str; 6] = [
    "steps/deploy/src/lib.rs",
    "steps/deploy/src/place.rs",
    "steps/healthcheck/src/run.rs",
    "steps/pilotage/src/args.rs",
    "steps/pilotage/src/init/",
    "shared/place/src/front_door.rs",
];

#[test]
fn an_engine_is_known_to_its_crate_and_its_adapters_alone() {
    for package in HOUSE.in_house() {
        for path in HOUSE.sources(&package.folder.join("src")) {
            let shown = path.strip_prefix(&HOUSE.root).unwrap().display().to_string();
            let home = ["shared/engine/", "shared/config/", "tests/"]
                .iter()
                .any(|home| shown.starts_with(home));
            let adapter = shown.contains("/src/adapter/");
            let chooses = CHOOSES_THE_TARGET.iter().any(|file| shown.starts_with(file));
            let text = std::fs::read_to_string(&path).unwrap();
            let mut code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            let word = code.find(|line| line.contains("Docker") || line.contains("bollard"));
            assert!(home || adapter || chooses || word.is_none(), "{shown}: {word:?}");
        }
    }
}

#[test]
fn the_domain_is_pure() {
    for name in PURE {
        let reachable = HOUSE.reachable(name);
        let impure: Vec<_> = IMPURE
            .iter()
            .filter(|library| reachable.contains(*library))
            .collect();
        assert!(impure.is_empty(), "{name} reaches {impure:?}");
    }
}

#[test]
fn nothing_banned_comes_in() {
    let from_us: BTreeSet<&str> = HOUSE.in_house().flat_map(|p| HOUSE.reachable(&p.name)).collect();
    for banned in BANNED {
        assert!(!from_us.contains(banned), "{banned} is a dependency");
    }
}

#[test]
fn licences_are_known_and_allow_our_use() {
    for package in HOUSE.packages.values().filter(|p| !p.in_house) {
        let licence = package.licence.as_deref().unwrap_or_default();
        assert!(
            allowed(licence),
            "{} has the licence {licence:?}; none of its choices is allowed",
            package.name
        );
    }
}

/// Whether a licence expression can be met with allowed licences: every AND part, some OR part. `/` is the old `OR`.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let plain = expression.replace(['(', ')'], " ");
    // Parenthesised mixtures are met when each AND part has an allowed alternative; that is exact for the forms in use.
    plain.split(" AND ").all(|part| {
        part.split(" OR ")
            .any(|licence| LICENCES.contains(&licence.trim()))
    })
}

#[test]
fn the_licence_rule_refuses_what_it_must() {
    assert!(
        allowed("MIT OR GPL-3.0")
            && allowed("MIT/Apache-2.0")
            && allowed("(MIT OR Apache-2.0) AND Unicode-3.0")
    );
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "LGPL-2.0-or-later", ""] {
        assert!(!allowed(bad), "{bad}");
    }
}

#[test]
fn a_step_looks_like_every_other_step() {
    for step in HOUSE.steps() {
        let folder = HOUSE.packages[step].folder.join("src");
        let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
        assert!(
            main.lines().count() <= 30,
            "{step}: main.rs decides nothing, it has {} lines",
            main.lines().count()
        );
        // The front door has a folder for each of its commands instead of one run.
        let files: &[&str] = if step == "pilotage" {
            &["lib.rs", "args.rs"]
        } else {
            &["lib.rs", "args.rs", "run.rs"]
        };
        for file in files {
            assert!(folder.join(file).exists(), "{step} has no {file}");
        }
        for path in HOUSE
            .sources(&folder)
            .into_iter()
            .filter(|path| !path.ends_with("args.rs"))
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let clap = text
                .lines()
                .find(|line| line.contains("clap::") || line.contains("#[arg("));
            let under_args = path.components().any(|c| c.as_os_str() == "args");
            assert!(
                clap.is_none() || under_args,
                "{}: only args.rs knows clap: {clap:?}",
                path.display()
            );
        }
    }
}

#[test]
fn no_drawer_without_a_label() {
    const DRAWERS: [&str; 8] = [
        "util", "utils", "common", "core", "misc", "helpers", "helper", "shared",
    ];
    for place in ["steps", "shared", "tests/src"] {
        for path in HOUSE.sources(&HOUSE.root.join(place)) {
            let inside = path.strip_prefix(HOUSE.root.join(place)).unwrap();
            for part in inside.components() {
                let name = Path::new(part.as_os_str())
                    .file_stem()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                assert!(
                    !DRAWERS.contains(&name.as_str()),
                    "{}: name the noun it holds",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn every_crate_says_what_it_is_and_obeys_the_lints() {
    for package in HOUSE.in_house() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} obeys the workspace's lints",
            package.name
        );
        let described = manifest
            .lines()
            .any(|line| line.starts_with("description = ") && line.len() > 30);
        assert!(described, "{} has a description of one sentence", package.name);
    }
}

#[test]
fn the_map_names_every_crate() {
    let map = std::fs::read_to_string(HOUSE.root.join("ARCHITECTURE.md")).unwrap();
    for package in HOUSE.in_house() {
        let folder = package
            .folder
            .strip_prefix(&HOUSE.root)
            .unwrap()
            .display()
            .to_string();
        assert!(
            map.contains(&format!("`{folder}`")),
            "ARCHITECTURE.md says nothing of `{folder}`"
        );
    }
}

#[test]
fn the_invariants_are_held_by_tests_that_exist() {
    let map = std::fs::read_to_string(HOUSE.root.join("ARCHITECTURE.md")).unwrap();
    let rows = map.lines().filter(|line| {
        let number = line.trim_start_matches("| ").split(' ').next();
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let mut sources = String::new();
    for place in ["steps", "shared", "tests"] {
        for path in HOUSE.sources(&HOUSE.root.join(place)) {
            sources.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    let mut named = 0;
    for row in rows {
        let holders = row.split('|').nth(3).unwrap();
        for name in holders.split('`').skip(1).step_by(2) {
            let is_test = !name.contains('.');
            named += usize::from(is_test);
            assert!(
                !is_test || sources.contains(&format!("fn {name}(")),
                "{name} holds an invariant in ARCHITECTURE.md and is no test"
            );
        }
    }
    assert!(named > 10, "the table of invariants was not found");
}
