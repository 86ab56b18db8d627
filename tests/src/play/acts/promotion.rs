//! Act 3: the change goes on by merges.

use super::{People, descriptor, shows_version};
use crate::play::git::short;
use crate::play::missed::{Play, expect};
use crate::play::world::World;

pub(super) async fn play(world: &World, people: &People) -> Play<()> {
    world
        .teller
        .act(3, "The release manager merges it into stage, then into prod");
    let rita = &people.rita;
    for (from, to, check) in [("qa", "stage", "regression"), ("stage", "prod", "smoke")] {
        rita.takes(&world.place, to).await?;
        let source = format!("origin/{from}");
        let message = format!("Bring shop 1.1.0 from {from} to {to}");
        rita.git(
            &world.place,
            &["merge", "--quiet", "--no-ff", "-m", &message, &source],
        )
        .await?;
        let commit = rita.newest(&world.place).await?;
        world.teller.does(&format!(
            "Rita merges {from} into {to} and pushes ({})",
            short(&commit)
        ));
        rita.pushes(&world.place, to).await?;
        let release = world.released_well(to, "shop", &commit, "1.1.0").await?;
        let stages = release.end.map(|end| end.stages).unwrap_or_default();
        let found: Vec<&str> = stages.iter().map(|(step, _)| step.as_str()).collect();
        expect(
            found == ["notify", "deploy", "healthcheck", check, "notify"]
                && stages.iter().all(|(_, outcome)| outcome == "succeeded"),
            format!("a release in {to} goes on with {check} after the healthcheck, and each step succeeds"),
            format!("{stages:?}"),
        )?;
        let told: Vec<String> = stages
            .iter()
            .map(|(step, outcome)| format!("{step} {outcome}"))
            .collect();
        world
            .teller
            .sees(&format!("{} is finished: {}", release.id, told.join(", ")));
        shows_version(world, to, "shop", "1.1.0").await?;
        let greeting = format!("hello from {to}");
        world.shows(to, "shop", "/env/GREETING", &greeting).await?;
    }
    world.teller.sees(&format!(
        "the same {} in three branches, in each with the overlay of its environment",
        descriptor("shop")
    ));
    Ok(())
}
