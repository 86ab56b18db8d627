//! Act 1: an environment repository.

use std::path::Path;

use super::{ANA, MALLORY, People, RITA, build, descriptor};
use crate::play::git::{Person, git_well, short};
use crate::play::harbour;
use crate::play::missed::{Missed, Play, expect};
use crate::play::target::Target;
use crate::play::world::World;

/// The services that `pilotage init` makes.
pub(super) const SERVICES: [&str; 2] = ["shop", "cart"];
/// The environments, in the order in which a version goes through them.
pub(super) const ENVIRONMENTS: [&str; 3] = ["qa", "stage", "prod"];

pub(super) async fn play(world: &World) -> Play<People> {
    world.teller.act(1, "An environment repository");
    world.teller.does(&format!(
        "Rita makes it: pilotage init acme.git --project {} …",
        world.target.project()
    ));
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
    checks(world, &people.rita).await?;

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
    let repository = text(&world.repository)?;
    let mut words = vec!["init".to_owned(), repository];
    let mut add = |more: &[&str]| words.extend(more.iter().map(|word| (*word).to_owned()));
    add(&["--project", world.target.project(), "--committer", &committer]);
    match &world.target {
        Target::Process { door, artifacts } => {
            let (state, artifacts) = (text(&world.root().join("state"))?, text(artifacts)?);
            let (listen, program) = (door.to_string(), text(&world.place.program("sample-service"))?);
            add(&["--state", &state, "--artifacts", &artifacts, "--listen", &listen]);
            add(&[
                "--command",
                &program,
                "--artifact",
                "{artifact}",
                "--port",
                "{port}",
            ]);
        }
        Target::Docker(harbour) => {
            add(&["--target", "docker", "--engine", &harbour.address()]);
            add(&["--image", &harbour.images()]);
            for service in SERVICES {
                add(&["--service", &format!("{service}:{}", harbour::PORT)]);
            }
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
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
    let target = world.target.name();
    let allow = match world.target {
        // The suite of stage is a program of this machine.
        Target::Process { .. } => ", allow: {commands: true}",
        Target::Docker(_) => "",
    };
    let text = format!(
        "\
{targets}
environments:
  qa: {{target: {target}, policy: team, first: deploy}}
  stage: {{target: {target}, from: qa, policy: managed, first: deploy{allow}}}
  prod: {{target: {target}, from: stage, policy: managed, first: deploy}}

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

/// How a new version is checked: within a short time, so that the play is short; in stage by a suite of tests, in prod by
/// what a user would ask.
async fn checks(world: &World, rita: &Person) -> Play<()> {
    rita.takes(&world.place, "qa").await?;
    for service in SERVICES {
        rita.edits(&descriptor(service), "timeout: 30s", "timeout: 6s")?;
    }
    let suite = world.target.suite(&world.place.program("sample-suite"))?;
    let stage = format!("  stage: {{regression: {{{suite}, reports: [\"out/*.xml\"], timeout: 1m}}, ");
    rita.edits(&descriptor("shop"), "  stage: {", &stage)?;
    let smoke = "\n# What prod asks as its users do.\nsmoke:\n  - {get: /, contains: Shop}\n  - {get: /env/GREETING, contains: hello}\n";
    let shop = rita.reads(&descriptor("shop"))?;
    rita.writes(&descriptor("shop"), &(shop + smoke))?;
    let message = "Know within 6 s that a version is ill, and test shop in stage and prod";
    let commit = rita.commits(&world.place, message).await?;
    let push = ["push", "--quiet", "origin", "qa", "qa:stage", "qa:prod"];
    rita.git(&world.place, &push).await?;
    world.teller.does(&format!(
        "Rita gives new versions 6 s to become healthy, and shop a suite of tests for stage and requests for prod ({})",
        short(&commit)
    ));
    Ok(())
}
