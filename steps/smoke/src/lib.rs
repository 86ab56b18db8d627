//! Sends a service the requests its users would send after a release, and looks at every answer.
//!
//! A command line becomes a [`Request`], a request (with a descriptor, or by itself) a [`Plan`]: what is sent, where, what
//! has to be answered, and which request waits for which. [`execute`] sends it over the [`pilotage_probe::Probe`] port,
//! as much at once as the plan allows. A message is built from its templates by `outgoing`, and what came back is judged
//! and told by `verdict` and `report`.

mod args;
mod error;
mod order;
mod outgoing;
mod plan;
mod report;
mod request;
mod run;
mod verdict;

pub use args::Args;
pub use error::{PlanError, RequestFault};
pub use plan::{Plan, RequestPlan, SkippedRequest, Target, plan_of_descriptor, plan_of_urls};
pub use request::{Limits, Request, Subject, Want};
pub use run::{execute, run};
