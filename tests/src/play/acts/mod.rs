//! The seven acts. Each says what people do, waits for what has to come of it, and fails where it does not.

mod failure;
mod history;
mod opening;
mod promotion;
mod release;
mod revert;
mod trouble;

use super::door::Count;
use super::git::Person;
use super::missed::{Play, expect};
use super::world::World;

/// What the play came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Acts played to their good end.
    pub acts: usize,
    /// Requests that users sent while releases went on.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
}

impl Summary {
    /// The summary for people.
    #[must_use]
    pub fn told(&self, seconds: f64) -> String {
        let Self {
            acts,
            requests,
            failed,
        } = self;
        format!(
            "{acts} acts in {seconds:.0} s. {requests} requests while versions changed, {failed} of them failed."
        )
    }

    fn count(&mut self, count: &Count) {
        self.requests += count.requests;
        self.failed += count.failed;
    }
}

/// The people of the play: a developer, the release manager, and somebody who is on no list.
struct People {
    ana: Person,
    rita: Person,
    mallory: Person,
}

const ANA: (&str, &str) = ("Ana Costa", "ana@example.com");
const RITA: (&str, &str) = ("Rita Lund", "rita@example.com");
const MALLORY: (&str, &str) = ("Mallory", "mallory@elsewhere.example");

/// Plays all acts.
///
/// # Errors
/// An expectation is not met; the play stops there.
pub async fn play(world: &World) -> Play<Summary> {
    let mut summary = Summary::default();
    let people = opening::play(world).await?;
    summary.acts += 1;
    release::play(world, &people, &mut summary).await?;
    summary.acts += 1;
    promotion::play(world, &people).await?;
    summary.acts += 1;
    let ill = failure::play(world, &people, &mut summary).await?;
    summary.acts += 1;
    trouble::play(world, &people).await?;
    summary.acts += 1;
    revert::play(world, &people, &ill, &mut summary).await?;
    summary.acts += 1;
    history::play(world).await?;
    summary.acts += 1;
    Ok(summary)
}

/// Somebody asked all the time: no request may have failed.
fn no_request_failed(world: &World, count: &Count) -> Play<()> {
    expect(
        count.requests > 0 && count.failed == 0,
        "somebody asks all the time, and no request fails",
        format!("{count:?}"),
    )?;
    let answers: Vec<String> = count
        .answers
        .iter()
        .map(|(answer, times)| format!("{times} × {answer}"))
        .collect();
    world.teller.sees(&format!(
        "asked all the time: {} requests, 0 failed ({})",
        count.requests,
        answers.join(", ")
    ));
    Ok(())
}

/// Users find the service at its place, in this version.
async fn shows_version(world: &World, environment: &str, service: &str, version: &str) -> Play<()> {
    let body = format!("{} {version}", page(service));
    world.shows(environment, service, "/", &body).await
}

/// Where a service is described.
fn descriptor(service: &str) -> String {
    format!("services/{service}.yaml")
}

/// Puts what a version runs by where the target finds it.
fn build(world: &World, service: &str, version: &str, behaviour: &str) -> Play<()> {
    let page = page(service);
    let text =
        format!("# What the sample service is to do.\nversion = {version}\npage = {page}\n{behaviour}");
    world.target.build(service, version, &text)
}

/// What a service calls itself.
fn page(service: &str) -> String {
    let mut letters = service.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
