//! Act 2: a push becomes a release.

use super::opening::{ENVIRONMENTS, SERVICES};
use super::{People, Summary, build, descriptor, no_request_failed, shows_version};
use crate::play::git::{git_well, short};
use crate::play::missed::{Play, expect};
use crate::play::world::World;

pub(super) async fn play(world: &World, people: &People, summary: &mut Summary) -> Play<()> {
    world.teller.act(2, "A push becomes a release");
    world
        .teller
        .does("Pilotage watches: pilotage-git-monitor run --repo acme.git");
    world.start_monitor()?;
    world.tell_briefly(true);
    for environment in ENVIRONMENTS {
        let tip = git_well(&world.place, &world.repository, None, &["rev-parse", environment]).await?;
        for service in SERVICES {
            world.released_well(environment, service, &tip, "1.0.0").await?;
        }
    }
    world
        .teller
        .sees("what the three branches ask for runs: two services in three environments");
    shows_version(world, "qa", "shop", "1.0.0").await?;

    world.tell_briefly(false);
    let asker = world.asker("qa", "shop").await?;
    let ana = &people.ana;
    ana.takes(&world.place, "qa").await?;
    build(world, "shop", "1.1.0", "")?;
    ana.edits(&descriptor("shop"), "version: \"1.0.0\"", "version: \"1.1.0\"")?;
    let commit = ana.commits(&world.place, "Release shop 1.1.0").await?;
    world
        .teller
        .does(&format!("Ana pushes shop 1.1.0 to qa ({})", short(&commit)));
    ana.pushes(&world.place, "qa").await?;
    let release = world.released_well("qa", "shop", &commit, "1.1.0").await?;
    let stages = release.end.map(|end| end.stages).unwrap_or_default();
    let passed: Vec<&str> = stages
        .iter()
        .filter(|(_, outcome)| outcome == "succeeded")
        .map(|(step, _)| step.as_str())
        .collect();
    expect(
        passed == ["notify", "deploy", "healthcheck", "notify"],
        "the release goes notify → deploy → healthcheck → notify, and each succeeds",
        format!("{stages:?}"),
    )?;
    world.teller.sees(&format!(
        "{} is finished: {}; the ledger has the proof that 1.1.0 runs",
        release.id,
        passed.join(" → ")
    ));
    shows_version(world, "qa", "shop", "1.1.0").await?;
    let count = asker.count().await?;
    no_request_failed(world, &count)?;
    summary.count(&count);
    Ok(())
}
