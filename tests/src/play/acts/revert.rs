//! Act 6: the way back is a commit.

use super::{People, Summary, build, descriptor, no_request_failed, shows_version};
use crate::play::git::{Person, short};
use crate::play::missed::Play;
use crate::play::world::World;

/// `ill` is the commit that asked for the version which never became healthy.
pub(super) async fn play(world: &World, people: &People, ill: &str, summary: &mut Summary) -> Play<()> {
    world.teller.act(6, "git revert");
    let asker = world.asker("qa", "shop").await?;
    let ana = &people.ana;
    let release = reverts(world, ana, ill, "shop 1.2.0").await?;
    world.teller.sees(&format!(
        "{release} is finished: git asks for 1.1.0, which runs; nothing is held any more"
    ));

    let wrong = goes_wrong(world, ana).await?;
    let release = reverts(world, ana, &wrong, "shop 1.3.0").await?;
    world
        .teller
        .sees(&format!("{release} is finished: 1.1.0 is back"));
    shows_version(world, "qa", "shop", "1.1.0").await?;
    let count = asker.count().await?;
    no_request_failed(world, &count)?;
    summary.count(&count);
    Ok(())
}

/// A version that every check likes, and nobody else.
async fn goes_wrong(world: &World, ana: &Person) -> Play<String> {
    build(world, "shop", "1.3.0", "page = Everything is free at Shop\n")?;
    ana.edits(&descriptor("shop"), "version: \"1.1.0\"", "version: \"1.3.0\"")?;
    let commit = ana.commits(&world.place, "Release shop 1.3.0").await?;
    world.teller.does(&format!(
        "Ana pushes shop 1.3.0 to qa ({}): healthy, and wrong all the same",
        short(&commit)
    ));
    ana.pushes(&world.place, "qa").await?;
    world.released_well("qa", "shop", &commit, "1.3.0").await?;
    world
        .shows("qa", "shop", "/", "Everything is free at Shop 1.3.0")
        .await?;
    Ok(commit)
}

/// Reverts a commit and waits for the release of what was before it; gives back the release's id.
async fn reverts(world: &World, ana: &Person, commit: &str, what: &str) -> Play<String> {
    ana.takes(&world.place, "qa").await?;
    ana.git(&world.place, &["revert", "--no-edit", commit]).await?;
    let revert = ana.newest(&world.place).await?;
    world.teller.does(&format!(
        "Ana types git revert {} ({what}), and pushes",
        short(commit)
    ));
    ana.pushes(&world.place, "qa").await?;
    let release = world.released_well("qa", "shop", &revert, "1.1.0").await?;
    Ok(release.id)
}
