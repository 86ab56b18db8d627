//! Asks a service's endpoints until they answer well, as the version asked for, or the time is spent.
//!
//! A command line becomes a [`Request`], a request (with a descriptor, or by itself) a [`Plan`], and a plan is executed
//! over the [`pilotage_probe::Probe`] port: every endpoint at once, each by [`pilotage_probe::watch`]. The timeline of the
//! tries is told once, by `report`, for people and for programs.

mod adapter;
mod args;
mod error;
mod plan;
mod report;
mod request;
mod run;

pub use args::Args;
pub use error::{PlanError, RequestFault};
pub use plan::{EndpointPlan, Plan, SkippedEndpoint, Surroundings, plan_of_descriptor, plan_of_urls};
pub use request::{Limits, Request, Subject, Want};
pub use run::{execute, run};
