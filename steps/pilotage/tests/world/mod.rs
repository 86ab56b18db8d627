//! Repositories to be checked and told of, and the binary that does it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use pilotage_tests::command::{Command, Output};
use pilotage_tests::gitserver::{BareRepository, NewCommit, git};

/// A pilotage.yaml of which nothing is to be said.
pub(crate) const CONFIG: &str = "\
apiVersion: pilotage/v1
project: acme
targets:
  cluster: {kubernetes: {}}
environments:
  qa:    {target: cluster, first: deploy}
  stage: {target: cluster, from: qa, first: deploy}
  prod:  {target: cluster, from: stage, first: deploy}
";

/// A descriptor of which nothing is to be said.
pub(crate) fn descriptor(service: &str) -> String {
    format!(
        "\
version: \"1.0.0\"
image: registry.example.com/{service}
domain: {service}.example.com
ports:
  - {{name: http, port: 8080, publish: proxy}}
healthcheck:
  endpoints:
    - {{http: /health}}
environments:
  qa:    {{domain: {service}.qa.example.com}}
  stage: {{domain: {service}.stage.example.com}}
"
    )
}

/// A folder with a bare repository in it, which is the same on every run.
pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) bare: BareRepository,
}

impl World {
    /// A repository with `shop` and `cart` in every environment.
    pub(crate) fn new() -> Self {
        Self::with(
            CONFIG,
            &[
                ("services/shop.yaml", &descriptor("shop")),
                ("services/cart.yaml", &descriptor("cart")),
            ],
        )
    }

    /// A repository with this configuration, and these files in every environment.
    pub(crate) fn with(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bare = BareRepository::init(&folder.path().join("acme"));
        bare.commit("main", NewCommit::new("Policy").file("pilotage.yaml", config));
        let first = NewCommit::new("First versions");
        let first = files
            .iter()
            .fold(first, |commit, (path, text)| commit.file(path, text));
        let root = bare.commit("qa", first);
        for branch in ["stage", "prod"] {
            bare.git(&["update-ref", &format!("refs/heads/{branch}"), &root]);
        }
        Self { folder, bare }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("acme")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `pilotage` with these words and `--repo`.
    pub(crate) fn pilotage(&self, words: &str) -> Output {
        pilotage(words).arg("--repo").arg(self.path()).run_reported()
    }

    /// A clone of one branch.
    pub(crate) fn clone_of(&self, branch: &str) -> PathBuf {
        let place = self.folder.path().join(format!("clone-of-{branch}"));
        let (from, to) = (self.path(), place.to_str().unwrap().to_owned());
        git(
            self.folder.path(),
            &[
                "clone",
                "--quiet",
                "--branch",
                branch,
                from.to_str().unwrap(),
                &to,
            ],
        );
        place
    }
}

pub(crate) fn pilotage(words: &str) -> Command {
    Command::step("pilotage").args(words.split_whitespace())
}

/// The problems of a report: `file:line:column code`.
pub(crate) fn places(output: &Output) -> Vec<String> {
    let report = output.report();
    let found = report["diagnostics"].as_array().cloned().unwrap_or_default();
    found
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            let number = |key: &str| one[key].as_u64().unwrap_or_default();
            match one["file"].as_str() {
                Some(file) => format!("{file}:{}:{} {}", number("line"), number("column"), text("code")),
                None => text("code"),
            }
        })
        .collect()
}
