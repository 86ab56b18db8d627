use std::collections::BTreeMap;

use pilotage_descriptor::canonical_hash;
use pilotage_name::{EnvironmentName, ProjectName, ServiceName};
use pilotage_yaml::{record, words};

use crate::environment::EnvironmentEntry;
use crate::{
    Forge, Freeze, LedgerPlace, Mail, NotifyEvent, NotifyRoutes, Person, Policy, ServiceRules, Storm, Target,
    Trackers, Trigger,
};

record! {
    /// A configuration (pilotage.yaml): environments, targets, policies and people. It stands in the config branch.
    pub(crate) struct ConfigFile {
        /// The format of this file.
        pub(crate) api_version as "apiVersion": ApiVersion,
        /// The prefix of everything Pilotage creates.
        pub(crate) project: ProjectName,
        /// Where releases can land, by name.
        pub(crate) targets: BTreeMap<String, Target>,
        /// The environments, in the order in which a change goes through them.
        pub(crate) environments: BTreeMap<EnvironmentName, EnvironmentEntry>,
        /// What a push has to satisfy, by name.
        pub(crate) policies: BTreeMap<String, Policy>,
        /// Persons, by the name they have here.
        pub(crate) people: BTreeMap<String, Person>,
        /// Names under `people`, by the group's name.
        pub(crate) groups: BTreeMap<String, Vec<String>>,
        /// How an accepted decision becomes a release.
        pub(crate) trigger: Trigger = Trigger::Local,
        /// What holds for single services.
        pub(crate) services: BTreeMap<ServiceName, ServiceRules>,
        /// Who hears of what, in every environment.
        pub(crate) notify: NotifyRoutes = NotifyRoutes::default(),
        /// The server that takes mail; without it nobody is mailed.
        pub(crate) mail: Option<Mail>,
        /// Message templates (minijinja) by event: paths in the config branch. They replace ours.
        pub(crate) templates: BTreeMap<NotifyEvent, String>,
        /// Where the record of decisions and releases is kept.
        pub(crate) ledger: LedgerPlace = LedgerPlace::default(),
        /// When nothing is released.
        pub(crate) freezes: Vec<Freeze>,
        /// How much one push may change before a person has to say so.
        pub(crate) storm: Storm = Storm::default(),
        /// Where tickets are kept.
        pub(crate) trackers: Trackers = Trackers::default(),
        /// Where the repository is hosted.
        pub(crate) forge: Option<Forge>,
    }
}

words! {
    /// A format of pilotage.yaml.
    pub(crate) enum ApiVersion {
        /// The first; later versions of Pilotage keep reading it.
        V1 = "pilotage/v1",
    }
}

impl ConfigFile {
    /// The identity of everything that decides. Targets, triggers and who is told decide nothing and are left out.
    pub(crate) fn policy_hash(&self) -> String {
        let mut deciding = serde_json::to_value(self).unwrap_or_default();
        if let Some(keys) = deciding.as_object_mut() {
            for key in ["targets", "trigger", "notify", "mail", "templates"] {
                keys.shift_remove(key);
            }
        }
        canonical_hash(&deciding)
    }
}
