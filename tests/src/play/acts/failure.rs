//! Act 4: a version that never becomes healthy.

use super::{ANA, People, Summary, build, descriptor, no_request_failed, shows_version};
use crate::play::git::short;
use crate::play::missed::{Play, expect};
use crate::play::world::World;

/// Gives back the commit that asked for it.
pub(super) async fn play(world: &World, people: &People, summary: &mut Summary) -> Play<String> {
    world.teller.act(4, "A version that never becomes healthy");
    let asker = world.asker("qa", "shop").await?;
    let ana = &people.ana;
    ana.takes(&world.place, "qa").await?;
    build(world, "shop", "1.2.0", "health = never\n")?;
    ana.edits(&descriptor("shop"), "version: \"1.1.0\"", "version: \"1.2.0\"")?;
    let commit = ana.commits(&world.place, "Release shop 1.2.0").await?;
    world.teller.does(&format!(
        "Ana pushes shop 1.2.0 to qa ({}); its /health will say 503 for ever",
        short(&commit)
    ));
    ana.pushes(&world.place, "qa").await?;
    let release = world.released("qa", "shop", &commit).await?;
    let end = release.end.as_ref();
    expect(
        end.is_some_and(|end| {
            end.outcome == "failed" && end.reasons.iter().any(|reason| reason.contains("503"))
        }),
        "the release of 1.2.0 fails, because it answers 503",
        format!("{release:?}"),
    )?;
    world.teller.sees(&format!("{} failed", release.id));
    world.hears(&["qa/shop", "the release of 1.2.0 FAILED"]).await?;
    world.hears(&["brought by", ANA.0]).await?;
    world.hears(&["held", "1.1.0", "1.2.0"]).await?;
    world.teller.sees("Ana is told why");
    held(world).await?;
    shows_version(world, "qa", "shop", "1.1.0").await?;
    let count = asker.count().await?;
    expect(
        count.answers.keys().all(|answer| answer.ends_with(" 1.1.0")),
        "only 1.1.0 answers, all the time",
        format!("{count:?}"),
    )?;
    no_request_failed(world, &count)?;
    summary.count(&count);
    Ok(commit)
}

/// What runs is not what git asks for, and it is said why.
async fn held(world: &World) -> Play<()> {
    let repository = world.repository.to_string_lossy();
    let mut words = vec!["status", "--color", "never", "--repo", &repository];
    words.extend(["--env", "qa", "--service", "shop"]);
    let said = world.place.runs_well("pilotage-release", &words).await?;
    world
        .teller
        .does("pilotage-release status --env qa --service shop --repo acme.git");
    world.teller.says(&said);
    expect(
        said.contains(" held ") && said.contains("git asks for 1.2.0"),
        "status says that shop is held in qa, and that git asks for 1.2.0",
        &said,
    )?;
    world
        .teller
        .sees("1.2.0 is held: nothing automatic tries it again, a commit does");
    Ok(())
}
