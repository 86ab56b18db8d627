use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use pilotage_name::{EnvironmentName, ProjectName, ServiceName};
use pilotage_yaml::record;

use crate::{
    CommandTarget, Environment, Forge, Freeze, LedgerPlace, Mail, Mode, NotifyEvent, NotifyRoutes, Person,
    Policy, ServiceRules, Stage, Target, Trackers, Trigger,
};

/// The whole of pilotage.yaml: valid, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The prefix of everything Pilotage creates.
    pub project: ProjectName,
    /// Where releases can land, by name.
    pub targets: BTreeMap<String, Target>,
    /// In the order of the file.
    pub environments: Vec<Environment>,
    /// What a push has to satisfy, by name.
    pub policies: BTreeMap<String, Policy>,
    /// Persons, by name.
    pub people: BTreeMap<String, Person>,
    /// Names of persons, by the group's name.
    pub groups: BTreeMap<String, Vec<String>>,
    /// How an accepted decision becomes a release.
    pub trigger: Trigger,
    /// What holds for single services.
    pub services: BTreeMap<ServiceName, ServiceRules>,
    /// Who hears of what, in every environment.
    pub notify: NotifyRoutes,
    /// The server that takes mail.
    pub mail: Option<Mail>,
    /// Message templates by event: paths in the config branch.
    pub templates: BTreeMap<NotifyEvent, String>,
    /// Where the record is kept.
    pub ledger: LedgerPlace,
    /// When nothing is released.
    pub freezes: Vec<Freeze>,
    /// How much one push may change before a person has to say so.
    pub storm: Storm,
    /// Where tickets are kept.
    pub trackers: Trackers,
    /// Where the repository is hosted.
    pub forge: Option<Forge>,
    pub(crate) policy_hash: String,
}

record! {
    /// How many services one push may change before it has to carry a `Storm: <n>` trailer.
    pub struct Storm: Eq {
        /// More than this many services.
        pub services: u32 = 20,
        /// More than this share of the environment's services, in percent.
        pub percent: u32 = 20,
    }
}

impl Storm {
    /// Below this many services a percentage says nothing: one of three services is a third.
    const PERCENT_COUNTS_ABOVE: u32 = 5;

    /// Whether a push that changes so many of an environment's services is one.
    #[must_use]
    pub fn is_one(&self, changing: u32, total: u32) -> bool {
        let share = u64::from(changing) * 100 > u64::from(self.percent) * u64::from(total);
        changing > self.services || (share && changing > Self::PERCENT_COUNTS_ABOVE)
    }
}

impl Default for Storm {
    fn default() -> Self {
        Self {
            services: 20,
            percent: 20,
        }
    }
}

/// Where the services of an environment that does not exist land.
static NOWHERE: LazyLock<Target> = LazyLock::new(|| Target::Command(CommandTarget::default()));

impl Config {
    /// The environment of this name.
    #[must_use]
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Environment> {
        self.environments
            .iter()
            .find(|environment| environment.name == *name)
    }

    /// Where a service lands, with the target's name: the service's own target in this environment, else the service's
    /// own, else the environment's. An environment that does not exist has a target without a name, whose commands are
    /// empty.
    #[must_use]
    pub fn target_of(&self, environment: &EnvironmentName, service: &ServiceName) -> (&str, &Target) {
        let own = self.services.get(service).and_then(|rules| {
            let place = rules.environments.get(environment);
            place
                .and_then(|place| place.target.as_ref())
                .or(rules.target.as_ref())
        });
        let name = own.or_else(|| {
            self.environment(environment)
                .map(|environment| &environment.target)
        });
        let target = name.and_then(|name| self.targets.get_key_value(name));
        target.map_or(("", &NOWHERE), |(name, target)| (name.as_str(), target))
    }

    /// Whether anything is touched for this service.
    #[must_use]
    pub fn mode_of(&self, environment: &EnvironmentName, service: &ServiceName) -> Mode {
        let own = self.services.get(service).and_then(|rules| {
            let place = rules.environments.get(environment);
            place.and_then(|place| place.mode).or(rules.mode)
        });
        own.or_else(|| self.environment(environment).map(|environment| environment.mode))
            .unwrap_or(Mode::Enforce)
    }

    /// The policy of an environment's pushes; one that asks for nothing when it has none.
    #[must_use]
    pub fn policy_of(&self, environment: &EnvironmentName) -> &Policy {
        let name = self
            .environment(environment)
            .and_then(|environment| environment.policy.as_ref());
        name.and_then(|name| self.policies.get(name))
            .unwrap_or(&Policy::NONE)
    }

    /// The persons behind names of persons and groups, each once.
    #[must_use]
    pub fn members(&self, who: &[String]) -> Vec<(&String, &Person)> {
        let names = who.iter().flat_map(|name| match self.groups.get(name) {
            Some(members) => members.as_slice(),
            None => std::slice::from_ref(name),
        });
        let mut seen = BTreeSet::new();
        names
            .filter(|name| seen.insert(name.as_str()))
            .filter_map(|name| self.people.get_key_value(name))
            .collect()
    }

    /// The checks of a release in this environment, in order; none for an environment that does not exist.
    #[must_use]
    pub fn stages(&self, environment: &EnvironmentName) -> Vec<Stage> {
        self.environment(environment)
            .map(|environment| environment.pipeline.clone())
            .unwrap_or_default()
    }

    /// The identity of everything here that decides (environments, policies, people, groups, services, freezes, storm,
    /// ledger, trackers, forge): `v1:` and the sha256 of its canonical JSON in hexadecimal. Comments, order of keys and
    /// written-out defaults do not change it.
    #[must_use]
    pub fn policy_hash(&self) -> String {
        self.policy_hash.clone()
    }
}
