//! Act 7: what runs where, and why.

use crate::play::missed::{Missed, Play, expect};
use crate::play::world::World;

pub(super) async fn play(world: &World) -> Play<()> {
    world.teller.act(7, "What runs where, and why");
    let repository = world.repository.to_string_lossy();
    world.teller.does("pilotage-release status --repo acme.git");
    let said = world
        .place
        .runs_well(
            "pilotage-release",
            &["status", "--color", "never", "--repo", &repository],
        )
        .await?;
    world.teller.says(&said);
    for (environment, version) in [("qa", "1.1.0"), ("stage", "1.1.0"), ("prod", "1.1.0")] {
        let row = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = row
            .filter(|cells| cells.starts_with(&[environment, "shop"]))
            .find(|cells| cells.contains(&version) && cells.contains(&"runs"));
        expect(
            row.is_some(),
            format!("status says that shop {version} runs in {environment}"),
            &said,
        )?;
    }
    world
        .teller
        .sees("every row says since when, and by whose commit");

    world.teller.does("pilotage why shop qa --repo acme.git");
    let said = world
        .place
        .runs_well(
            "pilotage",
            &["why", "shop", "qa", "--color", "never", "--repo", &repository],
        )
        .await?;
    world.teller.says(&said);
    for word in ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "ana", "503", "revert"] {
        expect(
            said.to_lowercase().contains(word),
            format!("the story of shop in qa tells of {word}"),
            &said,
        )?;
    }
    tidy(world).await
}

/// Whatever the steps needed for a moment is gone: a monitor runs for months.
async fn tidy(world: &World) -> Play<()> {
    let folder = world.place.temporary();
    world
        .until("no step leaves a temporary file", || async {
            let mut left = std::fs::read_dir(&folder)
                .map_err(|error| Missed::new("the folder for temporary files can be read", error))?;
            Ok(left.next().is_none().then_some(()))
        })
        .await
}
