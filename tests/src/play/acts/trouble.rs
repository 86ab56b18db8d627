//! Act 5: trouble, each on a service of its own.

use super::{ANA, MALLORY, People, build, descriptor, shows_version};
use crate::play::git::short;
use crate::play::missed::{Missed, Play, expect};
use crate::play::world::World;

/// The services that come to `shop` and `cart` now.
const NEW: [&str; 3] = ["mail", "pay", "search"];

pub(super) async fn play(world: &World, people: &People) -> Play<()> {
    world
        .teller
        .act(5, "Trouble, each on a service of its own, and a good change");
    let ana = &people.ana;
    world.tell_briefly(true);
    more_services(world, people).await?;
    world.tell_briefly(false);

    build(world, "cart", "1.1.0", "")?;
    build(world, "pay", "1.1.0", "")?;
    ana.takes(&world.place, "qa").await?;
    ana.edits(&descriptor("cart"), "version: \"1.0.0\"", "version: \"1.1.0\"")?;
    let skipped = ana
        .commits(
            &world.place,
            "Release cart 1.1.0 when the stock is counted [skip deploy]",
        )
        .await?;
    let broken = break_it(&ana.reads(&descriptor("search"))?)?;
    ana.writes(&descriptor("search"), &broken.text)?;
    ana.commits(&world.place, "Give search more memory").await?;
    ana.edits(&descriptor("pay"), "version: \"1.0.0\"", "version: \"1.1.0\"")?;
    let good = ana.commits(&world.place, "Release pay 1.1.0").await?;
    ana.pushes(&world.place, "qa").await?;
    world.teller.does(
        "Ana pushes three commits to qa: cart with a skip marker, search with a slip, pay as it should be",
    );

    world
        .decided("qa", "cart", "skip", |why| why.contains(short(&skipped)))
        .await?;
    world
        .teller
        .sees("cart: skipped, as its commit asks; the next commit brings it along");
    let place = format!("services/search.yaml:{}:{}", broken.line, broken.column);
    world.decided("qa", "search", "refuse", |_| true).await?;
    world.hears(&[&place]).await?;
    world
        .teller
        .sees(&format!("search: refused, the slip is at {place}"));
    world.released_well("qa", "pay", &good, "1.1.0").await?;
    shows_version(world, "qa", "pay", "1.1.0").await?;
    world
        .teller
        .sees("pay: released all the same; one service's trouble is no other's");

    stranger(world, people).await?;

    for service in ["cart", "mail", "search"] {
        shows_version(world, "qa", service, "1.0.0").await?;
    }
    Ok(())
}

/// Three more services, so that each trouble has one of its own.
async fn more_services(world: &World, people: &People) -> Play<()> {
    let ana = &people.ana;
    ana.takes(&world.place, "qa").await?;
    let pattern = ana.reads(&descriptor("cart"))?;
    for service in NEW {
        build(world, service, "1.0.0", "")?;
        ana.writes(&descriptor(service), &pattern.replace("cart", service))?;
    }
    let commit = ana
        .commits(&world.place, "Add mail, pay and search, all as 1.0.0")
        .await?;
    world.teller.does(&format!(
        "Ana adds three services to qa in one push ({})",
        short(&commit)
    ));
    ana.pushes(&world.place, "qa").await?;
    for service in NEW {
        world.released_well("qa", service, &commit, "1.0.0").await?;
    }
    world
        .teller
        .sees("mail, pay and search are released, all at once");
    Ok(())
}

/// A committer whom nobody knows, and a listed person's clean commit on the same file: the first one still counts.
async fn stranger(world: &World, people: &People) -> Play<()> {
    let mail = descriptor("mail");
    let mallory = &people.mallory;
    mallory.takes(&world.place, "qa").await?;
    mallory.edits(&mail, "hello from qa", "mallory was here")?;
    let theirs = mallory.commits(&world.place, "Change the greeting").await?;
    mallory.pushes(&world.place, "qa").await?;
    world.teller.does(&format!(
        "Mallory, who is on no list, pushes a change of mail to qa ({})",
        short(&theirs)
    ));
    let names_it = |why: &str| why.contains(short(&theirs)) && why.contains(MALLORY.1);
    world.decided("qa", "mail", "refuse", names_it).await?;
    world.hears(&["qa/mail", "REFUSED"]).await?;
    world.teller.sees("mail: refused, nobody knows Mallory");

    let ana = &people.ana;
    ana.takes(&world.place, "qa").await?;
    build(world, "mail", "1.1.0", "")?;
    ana.edits(&mail, "version: \"1.0.0\"", "version: \"1.1.0\"")?;
    let hers = ana.commits(&world.place, "Release mail 1.1.0").await?;
    ana.pushes(&world.place, "qa").await?;
    world.teller.does(&format!(
        "Ana pushes mail 1.1.0 on top of it ({}): her commit is fine, its file still carries Mallory's change",
        short(&hers)
    ));
    world
        .decided("qa", "mail", "refuse", |why| names_it(why) && !why.is_empty())
        .await?;
    world.hears(&["qa/mail", "1.1.0 is REFUSED"]).await?;
    world.teller.sees(&format!(
        "mail: still refused, because of {} by {}; {} cannot carry it in",
        short(&theirs),
        MALLORY.0,
        ANA.0
    ));
    Ok(())
}

/// A descriptor with a slip, and where that is, counted from 1.
struct Broken {
    text: String,
    line: usize,
    column: usize,
}

/// A key that nobody knows.
fn break_it(text: &str) -> Play<Broken> {
    const SLIP: &str = "resurces: {memory: 64Mi}\n";
    expect(
        !text.contains("resources:"),
        "search asks for no resources yet",
        text,
    )?;
    let line = text.lines().count() + 1;
    if !text.ends_with('\n') {
        return Err(Missed::new("the descriptor ends with a newline", text));
    }
    Ok(Broken {
        text: format!("{text}{SLIP}"),
        line,
        column: 1,
    })
}
