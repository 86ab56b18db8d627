//! `pilotage init`: an environment repository that works.

mod config;
mod descriptor;
mod files;
mod identity;
mod layout;
mod next;
mod port;
mod write;

use pilotage_outcome::{Change, Effects, Fault, StepReport};
use pilotage_step::Context;
use serde_json::json;

use crate::args::Init;
pub use files::{File, Files};
pub use layout::{Artifacts, Destination, Layout, Manager};

/// Makes the repository, or says what would be made.
///
/// # Errors
/// The wish cannot be fulfilled, or the disk says no.
pub async fn run(wish: Box<Init>, cx: &Context) -> Result<StepReport, Fault> {
    let manager = identity::find(wish.committer.as_deref(), cx).await?;
    let layout = Layout::of(&wish, manager)?;
    let files = Files::of(&layout);
    let places = write::Places::look(&layout, &files)?;
    let mut report = StepReport::passed()
        .project(layout.project.clone())
        .output("repository", layout.directory.to_string_lossy())
        .result(json!({
            "repository": layout.directory,
            "state": layout.state(),
            "environments": layout.environments,
            "services": layout.services.iter().map(|one| &one.service).collect::<Vec<_>>(),
            "files": files.names(&layout),
        }));
    for name in files.names(&layout) {
        report = report.change(Change::new("created", name));
    }
    if cx.dry_run {
        let list: String = files
            .names(&layout)
            .iter()
            .map(|name| format!("  {name}\n"))
            .collect();
        let text = format!("would make {}:\n{list}", layout.shown_directory());
        return Ok(report.text(text));
    }
    cx.note(|report| report.effects = Effects::Partial);
    let now = cx.clock.now();
    let cancel = cx.cancel.clone();
    let (text, next) = (layout.summary(), next::steps(&layout));
    // On a thread of its own and never dropped half way: what was begun is either put in place or taken away.
    tokio::task::spawn_blocking(move || places.write(&layout, &files, now, &cancel))
        .await
        .map_err(|error| Fault::internal("the repository could not be made").caused_by(error))??;
    Ok(report
        .effects(Effects::Complete)
        .summary(text.clone())
        .text(format!("{text}\n\n{next}")))
}
