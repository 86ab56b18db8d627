//! pilotage.yaml: environments, targets, policies and people.
//!
//! The only place policy is read from; it stands in the config branch, never in the pushed commit.
//!
//! ```
//! use pilotage_config::{Source, StepName, parse};
//!
//! let source = Source::new("pilotage.yaml", "\
//! apiVersion: pilotage/v1
//! project: acme
//! targets:
//!   box: {docker: {proxy: {haproxy: {api: /run/haproxy/admin.sock}}}}
//! environments:
//!   qa:    {target: box}
//!   stage: {target: box, from: qa}
//!   prod:  {target: box, from: stage}
//! ");
//! let (config, problems) = parse(&source);
//! assert!(problems.is_empty());
//! let config = config.unwrap();
//! let steps: Vec<_> = config.stages(&"prod".parse().unwrap()).iter().map(|stage| stage.step).collect();
//! assert_eq!(steps, [StepName::Deploy, StepName::Healthcheck, StepName::Smoke]);
//! ```

mod allow;
mod config;
mod cross_check;
mod docker;
mod environment;
mod file;
mod freeze;
mod ledger;
mod mail;
mod notify;
mod parse;
mod person;
mod pipeline;
mod policy;
mod rules;
mod schema;
mod service;
mod target;
mod tracker;
mod trigger;

pub use allow::{Allow, NoPortRange, PortRange};
pub use config::{Config, Storm};
pub use docker::{DockerTarget, DockerTls, Haproxy, Password, Proxy, Registry, SecretDelivery};
pub use environment::{Environment, First, Mode};
pub use freeze::Freeze;
pub use ledger::LedgerPlace;
pub use mail::{Mail, MailTls};
pub use notify::{NotifyEvent, NotifyRoute, NotifyRoutes};
pub use parse::{LIMITS, parse};
pub use person::{Person, is_forge_address};
pub use pilotage_yaml::{Diagnostic, Diagnostics, Source};
pub use pipeline::{OnFailure, Stage, StepName, When};
pub use policy::{PeopleRule, Policy, Proof, SkipRule, TicketRule};
pub use schema::schema;
pub use service::{ServicePlace, ServiceRules};
pub use target::{CommandTarget, KubernetesTarget, ProcessTarget, Target};
pub use tracker::{Forge, ForgeKind, Jira, Trackers};
pub use trigger::Trigger;
