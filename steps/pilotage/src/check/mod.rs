//! `pilotage check`: everything that is wrong, at once. Policy comes from the config branch; no secret is resolved, no
//! hook, filter or program is run.

mod findings;
mod folder;
mod gates;
mod judge;
mod ledger;
mod repository;
mod working;

use pilotage_outcome::{Fault, StepReport};
use pilotage_step::Context;

use crate::args::Check;
pub use findings::{Findings, LedgerTrust};
pub use folder::{Entry, Folder};
pub use judge::{Judged, judge};

/// Checks a repository or a working tree.
///
/// # Errors
/// What is to be checked cannot be read. Whatever is wrong with it is no error but a finding.
pub async fn run(wish: Box<Check>, cx: &Context) -> Result<StepReport, Fault> {
    let context = cx.clone();
    let looking = tokio::task::spawn_blocking(move || look(&wish, &context));
    cx.cancel
        .run(looking)
        .await?
        .map_err(|error| Fault::internal("the check broke off").caused_by(error))?
}

fn look(wish: &Check, cx: &Context) -> Result<StepReport, Fault> {
    let findings = match wish.repository.repo {
        Some(_) => repository::examine(wish, cx)?,
        None => working::examine(wish, cx)?,
    };
    Ok(findings.only(&wish.repository.service).report())
}
