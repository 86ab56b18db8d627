use pilotage_name::EnvironmentName;
use pilotage_yaml::{record, words};

use crate::pipeline::StageEntry;
use crate::{Allow, NotifyRoutes, Stage};

/// One environment: a branch, a target and the rules between them; defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    /// Its name.
    pub name: EnvironmentName,
    /// The branch that says what runs there; the name when nothing was written.
    pub branch: String,
    /// Where releases land.
    pub target: String,
    /// The environment before it, from which proofs carry over.
    pub from: Option<EnvironmentName>,
    /// The policy of its pushes.
    pub policy: Option<String>,
    /// Whether anything is touched.
    pub mode: Mode,
    /// What becomes of services that run already when the environment is seen for the first time.
    pub first: Option<First>,
    /// The stages of a release, defaults filled in.
    pub pipeline: Vec<Stage>,
    /// What descriptors may ask for.
    pub allow: Allow,
    /// Who hears of releases here, besides the routes for everywhere.
    pub notify: NotifyRoutes,
    /// age recipients that values of this environment are sealed for.
    pub seal: Vec<String>,
}

record! {
    /// An environment: a branch, a target and the rules between them.
    pub(crate) struct EnvironmentEntry {
        /// The branch that says what runs there; the environment's name when nothing is written.
        pub(crate) branch: Option<String>,
        /// Where releases land: a name under `targets`.
        pub(crate) target: String,
        /// The environment before it, from which proofs carry over.
        pub(crate) from: Option<EnvironmentName>,
        /// The policy of its pushes: a name under `policies`.
        pub(crate) policy: Option<String>,
        /// Whether anything is touched.
        pub(crate) mode: Mode = Mode::Enforce,
        /// What becomes of services that run already when the environment is seen for the first time.
        pub(crate) first: Option<First>,
        /// The stages of a release. Without it: deploy and healthcheck; for `stage` also regression; for `prod`, and
        /// any other environment with `from`, also smoke.
        pub(crate) pipeline: Option<Vec<StageEntry>>,
        /// What descriptors may ask for.
        pub(crate) allow: Allow = Allow::default(),
        /// Who hears of releases here, besides the routes for everywhere.
        pub(crate) notify: NotifyRoutes = NotifyRoutes::default(),
        /// age recipients that values of this environment are sealed for.
        pub(crate) seal: Vec<String>,
    }
}

impl EnvironmentEntry {
    pub(crate) fn resolve(&self, name: &EnvironmentName) -> Environment {
        let follows = self.from.is_some();
        Environment {
            name: name.clone(),
            branch: self.branch.clone().unwrap_or_else(|| name.to_string()),
            target: self.target.clone(),
            from: self.from.clone(),
            policy: self.policy.clone(),
            mode: self.mode,
            first: self.first,
            pipeline: match &self.pipeline {
                Some(stages) => stages.iter().map(|stage| stage.resolve(follows)).collect(),
                None => Stage::default_pipeline(name, follows),
            },
            allow: self.allow.clone(),
            notify: self.notify.clone(),
            seal: self.seal.clone(),
        }
    }
}

words! {
    /// Whether decisions have effects.
    pub enum Mode {
        /// They do.
        Enforce = "enforce",
        /// Pilotage decides, plans and announces, and touches nothing.
        Observe = "observe",
    }
}

words! {
    /// What becomes of services that run already when an environment is seen for the first time.
    pub enum First {
        /// They count as released.
        Adopt = "adopt",
        /// They are released.
        Deploy = "deploy",
    }
}
