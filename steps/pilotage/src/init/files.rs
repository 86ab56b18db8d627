//! The files of a new repository, as data. Pure.

use super::{Artifacts, Destination, Layout, config, descriptor};

/// The versions of the example that are made, the first one being what is asked for at once.
pub(super) const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// A file with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path inside its branch or folder.
    pub path: String,
    /// The content.
    pub text: String,
}

/// Everything that is made.
#[derive(Clone, Debug)]
pub struct Files {
    /// In the config branch.
    pub config: Vec<File>,
    /// In every environment branch: they share one root.
    pub services: Vec<File>,
    /// In the folder of artifacts, where one is made.
    pub artifacts: Vec<File>,
}

impl Files {
    /// The files of a layout.
    #[must_use]
    pub fn of(layout: &Layout) -> Self {
        let file = |path: String, text: String| File { path, text };
        let made = matches!(
            layout.destination,
            Destination::Process {
                artifacts: Artifacts::Made(_),
                ..
            }
        );
        let examples = layout.services.iter().filter(|_| made).flat_map(|one| {
            VERSIONS.map(|version| {
                let text = format!(
                    "# Served by `pilotage example-service`.\npage = {}\nversion = {version}\n",
                    one.service
                );
                file(format!("{}/{version}", one.service), text)
            })
        });
        Self {
            config: vec![file("pilotage.yaml".to_owned(), config::text(layout))],
            services: layout
                .services
                .iter()
                .map(|one| {
                    file(
                        pilotage_descriptor::path_of(&one.service),
                        descriptor::text(layout, one),
                    )
                })
                .collect(),
            artifacts: examples.collect(),
        }
    }

    /// Every file, as people name it: `branch:path`, and the path on disk for artifacts.
    #[must_use]
    pub fn names(&self, layout: &Layout) -> Vec<String> {
        let mut names: Vec<String> = self
            .config
            .iter()
            .map(|file| format!("{}:{}", super::write::CONFIG_BRANCH, file.path))
            .collect();
        for environment in &layout.environments {
            names.extend(
                self.services
                    .iter()
                    .map(|file| format!("{environment}:{}", file.path)),
            );
        }
        if let Destination::Process { artifacts, .. } = &layout.destination {
            let folder = artifacts.folder().to_string_lossy();
            names.extend(
                self.artifacts
                    .iter()
                    .map(|file| format!("{folder}/{}", file.path)),
            );
        }
        names
    }
}
