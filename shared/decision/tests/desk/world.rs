//! An environment repository with three environments, and desks that work on it.

use std::path::Path;

use pilotage_clock::Clock;
use pilotage_config::First;
use pilotage_decision::{Access, Decided, Desk, Recorded, descriptors};
use pilotage_gate::{Answer, Decision, Verdict};
use pilotage_gitrepo::{Limits, RemoteUrl};
use pilotage_http::HttpSettings;
use pilotage_ledger::{
    Append, Begin, BeginRequest, Effects, EndWord, EnvironmentRecord, Finished, Holder, Lease, LinuxMachine,
    Monitor, Proof, Trigger, TriggerKind,
};
use pilotage_name::{CommitId, EnvironmentName, ServiceKey, ServiceName};
use pilotage_tests::gitserver::{BareRepository, NewCommit, Person};
use tempfile::TempDir;

/// qa asks nobody; stage and prod want changes that rita brought.
pub(crate) const POLICY: &str = "\
apiVersion: pilotage/v1
project: acme
targets:
  box: {docker: {}}
environments:
  qa: {target: box, first: deploy}
  stage: {target: box, from: qa, first: deploy, policy: strict}
  prod: {target: box, from: stage, first: deploy, policy: strict}
policies:
  strict: {people: {who: [managers], proof: claimed}}
people:
  ana: {emails: [ana@example.com]}
  rita: {emails: [rita@example.com]}
groups:
  managers: [rita]
trigger: local
";

pub(crate) struct World {
    root: TempDir,
    pub(crate) repository: BareRepository,
}

pub(crate) fn person(name: &str) -> Person {
    Person::new(name, &format!("{name}@example.com"))
}

pub(crate) fn shop(version: &str) -> String {
    format!("version: \"{version}\"\nimage: registry.example.com/shop\n")
}

pub(crate) fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

impl World {
    /// Three branches on one root, with shop 1.0.0, brought by rita.
    pub(crate) fn new() -> Self {
        Self::with(POLICY)
    }

    pub(crate) fn with(policy: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let repository = BareRepository::init(&root.path().join("envs.git"));
        repository.commit("main", NewCommit::new("Policy").file("pilotage.yaml", policy));
        let first = NewCommit::new("Begin").file("services/shop.yaml", shop("1.0.0"));
        let first = repository.commit("qa", first.by(&person("rita")));
        for branch in ["stage", "prod"] {
            repository.git(&["update-ref", &format!("refs/heads/{branch}"), &first]);
        }
        Self { root, repository }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn access(&self) -> Access {
        Access {
            url: self
                .repository
                .path()
                .to_str()
                .unwrap()
                .parse::<RemoteUrl>()
                .unwrap(),
            config_branch: "main".to_owned(),
            cache_dir: self.root.path().join("cache"),
            http: HttpSettings::default(),
            credentials: None,
            limits: Limits::default(),
            ssh: pilotage_gitrepo::SshSettings::default(),
            ledger_key: None,
            clock: Clock::system(),
        }
    }

    pub(crate) fn desk(&self) -> Desk {
        Desk::open(self.access()).unwrap()
    }

    /// Puts a new descriptor of shop on a branch.
    pub(crate) fn push(&self, branch: &str, who: &str, version: &str) -> String {
        let message = format!("Take shop to {version}");
        let commit = NewCommit::new(&message).file("services/shop.yaml", shop(version));
        self.repository.commit(branch, commit.by(&person(who)))
    }

    /// Decides everything that stands on the branch and records it, as a monitor does.
    pub(crate) fn tick(&self, environment: &str) -> Vec<Decision> {
        let mut desk = self.desk();
        let (decided, monitor) = decide(&mut desk, environment, None);
        let decisions = decided.iter().map(|one| one.decision.clone()).collect();
        assert!(matches!(
            record(&mut desk, environment, &decided, &monitor),
            Recorded::Done(_)
        ));
        decisions
    }

    /// As [`World::tick`], for shop alone.
    pub(crate) fn shop(&self, environment: &str) -> Decision {
        let decisions = self.tick(environment);
        decisions
            .into_iter()
            .find(|decision| decision.service.as_str() == "shop")
            .unwrap()
    }
}

pub(crate) fn tip(desk: &Desk, environment: &str) -> CommitId {
    desk.sight().tip(&name(environment)).unwrap().clone()
}

pub(crate) fn decide(
    desk: &mut Desk,
    environment: &str,
    first: Option<First>,
) -> (Vec<Decided>, std::sync::Arc<Monitor>) {
    let environment: EnvironmentName = name(environment);
    let tip = tip(desk, environment.as_str());
    let services: Vec<ServiceName> = descriptors::list(desk.cache(), &tip)
        .unwrap()
        .found
        .into_keys()
        .collect();
    desk.decide(&environment, &services, &tip, first).unwrap()
}

pub(crate) fn record(desk: &mut Desk, environment: &str, decided: &[Decided], on: &Monitor) -> Recorded {
    let tip = tip(desk, environment);
    let changed = EnvironmentRecord {
        first: on.environment.first.clone().or(Some(tip.clone())),
        seen: Some(tip),
        ..on.environment.clone()
    };
    let data = serde_json::Value::Null;
    desk.record(&name(environment), on, decided, Some(changed), holder(), data)
        .unwrap()
}

pub(crate) fn holder() -> Holder {
    LinuxMachine::read().unwrap().this_process().unwrap()
}

/// What a gate said.
#[track_caller]
pub(crate) fn said<'a>(decision: &'a Decision, gate: &str) -> (Answer, &'a str) {
    let result = decision.gates.iter().find(|result| result.gate == gate);
    let result = result.unwrap_or_else(|| panic!("{gate} says something: {}", decision.explain()));
    (result.answer, result.evidence.first().map_or("", String::as_str))
}

#[track_caller]
pub(crate) fn assert_verdict(decision: &Decision, verdict: Verdict) {
    assert_eq!(decision.verdict, verdict, "{}", decision.explain());
}

/// How a scripted release ends.
pub(crate) fn finished(outcome: EndWord, effects: Effects) -> Finished {
    let proof = (outcome == EndWord::Succeeded).then(|| Proof {
        digest: "sha256:aa".to_owned(),
        version: None,
        config: None,
    });
    Finished {
        outcome,
        effects,
        stages: Vec::new(),
        plan: None,
        proof,
        reason: Vec::new(),
        undone: false,
    }
}

impl World {
    /// Releases what was accepted last of shop, in the ledger only.
    pub(crate) fn release(&self, environment: &str, end: Finished) {
        let mut desk = self.desk();
        let lease = self.begin(&mut desk, environment);
        let done = desk.ledger().finish(&lease, end).unwrap();
        assert!(matches!(done, Append::Done(_)), "{done:?}");
    }

    /// Begins a release of what was accepted last of shop.
    pub(crate) fn begin(&self, desk: &mut Desk, environment: &str) -> Lease {
        self.begin_as(desk, environment, Holder::build("https://ci.example.com/7"))
    }

    /// The same for somebody.
    pub(crate) fn begin_as(&self, desk: &mut Desk, environment: &str, holder: Holder) -> Lease {
        let (environment, service): (EnvironmentName, ServiceName) = (name(environment), name("shop"));
        let monitor = desk.ledger().monitor(&environment).unwrap();
        let accepted = monitor.services[&service].accepted.clone().unwrap();
        let request = BeginRequest {
            service: ServiceKey {
                project: name("acme"),
                environment,
                service,
            },
            commit: accepted.commit,
            config_commit: desk.sight().config_commit.clone(),
            policy: desk.sight().config.policy_hash(),
            descriptor: accepted.descriptor,
            config: "v1:0".to_owned(),
            version: accepted.version,
            plan: None,
            trigger: Trigger {
                kind: TriggerKind::Hand,
                by: "rita".to_owned(),
                change: None,
            },
            decision: None,
            holder,
            lasts: std::time::Duration::from_secs(600),
            retires: false,
        };
        let history = self.desk();
        let mut is_ancestor = |older: &CommitId, newer: &CommitId| history.cache().is_ancestor(older, newer);
        let begun = desk.ledger().begin(&[request], &mut is_ancestor).unwrap();
        match begun.into_iter().next() {
            Some(Begin::Begun(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// Changes pilotage.yaml.
    pub(crate) fn rule(&self, policy: &str) {
        self.repository
            .commit("main", NewCommit::new("Rule").file("pilotage.yaml", policy));
    }
}
