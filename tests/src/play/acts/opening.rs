//! Act 1: an environment repository.

use std::path::Path;

use super::{ANA, MALLORY, People, RITA, build, descriptor};
use crate::play::git::{Person, git_well, short};
use crate::play::missed::{Missed, Play, expect};
use crate::play::world::World;

/// The services that `pilotage init` makes.
pub(super) const SERVICES: [&str; 2] = ["shop", "cart"];
/// The environments, in the order in which a version goes through them.
pub(super) const ENVIRONMENTS: [&str; 3] = ["qa", "stage", "prod"];

pub(super) async fn play(world: &World) -> Play<People> {
    world.teller.act(1, "An environment repository");
    world
        .teller
        .does("Rita makes it: pilotage init acme.git --project acme …");
    world.teller.says(&init(world).await?);
    has_its_shape(world).await?;

    let joins = |(name, email)| Person::joins(&world.place, &world.repository, name, email);
    let people = People {
        ana: joins(ANA).await?,
        rita: joins(RITA).await?,
        mallory: joins(MALLORY).await?,
    };
    for service in SERVICES {
        build(world, service, "1.0.0", "")?;
    }
    rules(world, &people.rita).await?;
    patience(world, &people.rita).await?;

    let repository = world.repository.to_string_lossy();
    let checked = ["check", "--color", "never", "--repo", &repository];
    let said = world.place.runs_well("pilotage", &checked).await?;
    world.teller.says(&said);
    world.teller.sees("pilotage check finds no error");
    Ok(people)
}

async fn init(world: &World) -> Play<String> {
    let text = |path: &Path| {
        let text = path.to_str().map(str::to_owned);
        text.ok_or_else(|| Missed::new("the folder's path is UTF-8", path.display()))
    };
    let (name, email) = RITA;
    let committer = format!("{name} <{email}>");
    let listen = world.door.to_string();
    let (repository, state) = (text(&world.repository)?, text(&world.root().join("state"))?);
    let artifacts = text(&world.artifacts())?;
    let program = text(&world.place.program("sample-service"))?;
    let mut words = vec![
        "init",
        &repository,
        "--project",
        "acme",
        "--committer",
        &committer,
    ];
    words.extend(["--state", &state, "--artifacts", &artifacts, "--listen", &listen]);
    words.extend([
        "--command",
        &program,
        "--artifact",
        "{artifact}",
        "--port",
        "{port}",
    ]);
    world.place.runs_well("pilotage", &words).await
}

/// A bare repository; a config branch; a branch for each environment, on one root, each with the two services.
async fn has_its_shape(world: &World) -> Play<()> {
    let git = async |args: &[&str]| git_well(&world.place, &world.repository, None, args).await;
    let bare = git(&["rev-parse", "--is-bare-repository"]).await?;
    expect(bare == "true", "the repository is bare", bare)?;
    let config = git(&["ls-tree", "--name-only", "-r", "main"]).await?;
    expect(
        config.lines().any(|path| path == "pilotage.yaml"),
        "main holds pilotage.yaml",
        config,
    )?;
    let roots = git(&["rev-list", "--max-parents=0", "qa", "stage", "prod"]).await?;
    expect(
        roots.lines().count() == 1,
        "qa, stage and prod share one root",
        &roots,
    )?;
    for environment in ENVIRONMENTS {
        let files = git(&["ls-tree", "--name-only", environment, "services/"]).await?;
        let mut found: Vec<&str> = files.lines().collect();
        found.retain(|path| path.ends_with(".yaml"));
        let mut wanted = SERVICES.map(super::descriptor);
        wanted.sort();
        expect(
            found == wanted,
            format!("{environment} describes {}", SERVICES.join(" and ")),
            files,
        )?;
    }
    world
        .teller
        .sees("main holds the rules; qa, stage and prod hold two services each, on one root");
    Ok(())
}

/// Who may release where: a commit on the config branch.
async fn rules(world: &World, rita: &Person) -> Play<()> {
    rita.takes(&world.place, "main").await?;
    let made = rita.reads("pilotage.yaml")?;
    let Some((targets, _)) = made.split_once("\nenvironments:\n") else {
        return Err(Missed::new("pilotage.yaml has environments", made));
    };
    let ((_, ana), (_, rita_email)) = (ANA, RITA);
    let text = format!(
        "\
{targets}
environments:
  qa: {{target: here, policy: team, first: deploy}}
  stage: {{target: here, from: qa, policy: managed, first: deploy}}
  prod: {{target: here, from: stage, policy: managed, first: deploy}}

policies:
  team: {{people: {{who: [developers, release-managers], proof: claimed}}}}
  managed: {{people: {{who: [release-managers], proof: claimed}}, skip: forbid}}

people:
  ana: {{emails: [{ana}]}}
  rita: {{emails: [{rita_email}]}}

groups:
  developers: [ana]
  release-managers: [rita]

trigger: local
"
    );
    rita.writes("pilotage.yaml", &text)?;
    std::fs::write(&world.config, text)
        .map_err(|error| Missed::new("the configuration can be written", error))?;
    let commit = rita
        .commits(
            &world.place,
            "Let everybody listed release to qa, and the manager to stage and prod",
        )
        .await?;
    rita.pushes(&world.place, "main").await?;
    world.teller.does(&format!(
        "Rita writes into pilotage.yaml who may release where ({}): to qa Ana and Rita, to stage and prod Rita alone",
        short(&commit)
    ));
    Ok(())
}

/// How long a new version may take to become healthy: short, so that the play is.
async fn patience(world: &World, rita: &Person) -> Play<()> {
    rita.takes(&world.place, "qa").await?;
    for service in SERVICES {
        rita.edits(&descriptor(service), "timeout: 30s", "timeout: 6s")?;
    }
    let commit = rita
        .commits(&world.place, "Know within 6 s that a version is ill")
        .await?;
    let push = ["push", "--quiet", "origin", "qa", "qa:stage", "qa:prod"];
    rita.git(&world.place, &push).await?;
    world.teller.does(&format!(
        "Rita gives new versions 6 s to become healthy, in all three branches ({})",
        short(&commit)
    ));
    Ok(())
}
