//! The ledger as anyone with git can read it.

use std::path::Path;

use serde_json::Value;

use super::git::{git, git_well};
use super::missed::Play;
use super::place::Place;

/// The newest release of a service, as its chain says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Release {
    /// Its id.
    pub(crate) id: String,
    /// The commit of the environment branch.
    pub(crate) commit: String,
    /// The version that is asked for.
    pub(crate) version: String,
    /// How it ended, if it did.
    pub(crate) end: Option<End>,
}

/// The end of a release.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    /// Such as `succeeded`.
    pub(crate) outcome: String,
    /// Why, the most telling first.
    pub(crate) reasons: Vec<String>,
    /// The version that was proved to run.
    pub(crate) proved: Option<String>,
    /// The steps with their outcomes.
    pub(crate) stages: Vec<(String, String)>,
}

/// Reads the newest release of a service; none before the first.
pub(crate) async fn release(
    place: &Place,
    repository: &Path,
    environment: &str,
    service: &str,
) -> Play<Option<Release>> {
    let name = format!("refs/pilotage/release/{environment}/{service}");
    let Some(newest) = read(place, repository, &format!("{name}:event.json")).await? else {
        return Ok(None);
    };
    // Begin and end are at most a few events apart.
    let commits = git_well(
        place,
        repository,
        None,
        &["log", "--first-parent", "--format=%H", "-n", "8", &name],
    )
    .await?;
    for commit in commits.lines() {
        let event = read(place, repository, &format!("{commit}:event.json")).await?;
        let Some(begun) =
            event.filter(|event| event["kind"] == "begun" && event["release"] == newest["release"])
        else {
            continue;
        };
        return Ok(Some(Release {
            id: text(&newest["release"]),
            commit: text(&begun["data"]["commit"]),
            version: text(&begun["data"]["version"]),
            end: (newest["kind"] == "finished").then(|| end(&newest["data"])),
        }));
    }
    Ok(None)
}

fn end(data: &Value) -> End {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    End {
        outcome: text(&data["outcome"]),
        reasons: list(&data["reason"]).iter().map(text).collect(),
        proved: data["proof"]["version"].as_str().map(str::to_owned),
        stages: list(&data["stages"])
            .iter()
            .map(|stage| (text(&stage["step"]), text(&stage["outcome"])))
            .collect(),
    }
}

/// The last decision about a service, as the monitor's chain says.
pub(crate) async fn decision(
    place: &Place,
    repository: &Path,
    environment: &str,
    service: &str,
) -> Play<Option<Value>> {
    let file = format!("refs/pilotage/monitor/{environment}:services/{service}.json");
    let record = read(place, repository, &file).await?;
    Ok(record.map(|mut record| record["decision"].take()))
}

/// What a decision objects, in words.
pub(crate) fn objections(decision: &Value) -> String {
    let gates = decision["gates"].as_array().cloned().unwrap_or_default();
    let objecting = gates.iter().filter(|gate| gate["answer"] != "pass");
    let words = objecting.flat_map(|gate| gate["evidence"].as_array().cloned().unwrap_or_default());
    words.map(|word| text(&word)).collect::<Vec<_>>().join("; ")
}

async fn read(place: &Place, repository: &Path, object: &str) -> Play<Option<Value>> {
    let output = git(place, repository, None, &["cat-file", "blob", object]).await?;
    Ok(output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout).ok())
        .flatten())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
