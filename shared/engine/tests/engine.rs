//! A real engine: one-off containers, commands in containers, files in and out.
#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be made fails the test that wants it"
)]

use std::future::pending;
use std::time::Duration;

use jiff::Timestamp;
use pilotage_config::DockerTarget;
use pilotage_engine::{Archive, Chunk, End, Engine, Halt, OneOff, Pipe, label};
use pilotage_outcome::Classify;
use pilotage_secret::Secret;
use pilotage_tests::docker::Engine as Real;
use serde_json::Value;
use tokio::time::Instant;

/// The image of the tests: a shell and a few small tools.
const TOOLS: &str = "pilotage-test-tools:1";
const NOW: &str = "2026-11-21T12:00:00Z";
const LATER: &str = "2026-11-21T13:00:00Z";

struct World {
    real: &'static Real,
    engine: Engine,
    project: &'static str,
}

impl World {
    async fn new(project: &'static str) -> Option<Self> {
        let real = Real::shared()?;
        real.tools(TOOLS);
        let target = DockerTarget {
            host: Some(real.host()),
            ..DockerTarget::default()
        };
        let engine = Engine::connect(&target).await.unwrap();
        Some(Self {
            real,
            engine,
            project,
        })
    }

    fn one(&self, script: &str) -> OneOff {
        let labels = label::Map::from([(label::PROJECT.to_owned(), self.project.to_owned())]);
        let mut one = OneOff::new(format!("{}-suite", self.project), labels, TOOLS, time(LATER));
        one.command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        one.network = Some("none".to_owned());
        one
    }

    /// Runs it to its end: how it ended, and what it said on both pipes.
    async fn run(&self, one: &OneOff) -> (End, String, String) {
        let mut running = self.engine.start(one, time(NOW)).await.unwrap();
        let mut said = Said::default();
        let (end, why) = running
            .to_its_end(|chunk| said.hear(&chunk), pending::<Halt<()>>())
            .await
            .unwrap();
        assert_eq!(why, None);
        running.remove().await.unwrap();
        (end, said.out, said.err)
    }

    fn containers(&self) -> Vec<Value> {
        self.real
            .containers(&format!("{}={}", label::PROJECT, self.project))
    }
}

#[derive(Default)]
struct Said {
    out: String,
    err: String,
}

impl Said {
    fn hear(&mut self, chunk: &Chunk) {
        let text = String::from_utf8_lossy(&chunk.bytes);
        match chunk.pipe {
            Pipe::Out => self.out.push_str(&text),
            Pipe::Err => self.err.push_str(&text),
        }
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn what_runs_once_is_heard_judged_and_gone() {
    let Some(world) = World::new("once").await else {
        return;
    };
    let mut one = world.one("echo $WORD; cat $TOKEN_FILE >&2; exit 7");
    one.env.insert("WORD".to_owned(), "hello".to_owned());
    one.secrets.insert("TOKEN".to_owned(), Secret::new("sw0rdfish"));
    let (end, out, err) = world.run(&one).await;
    assert_eq!((end.code, end.out_of_memory, end.killed), (7, false, false));
    assert_eq!((out.as_str(), err.as_str()), ("hello\n", "sw0rdfish"));
    assert_eq!(world.containers(), Vec::<Value>::new());
    let (end, out, _) = world
        .run(&world.one("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"))
        .await;
    assert_eq!((end.code, out.lines().count()), (0, 20000), "nothing is lost");
}

#[tokio::test]
async fn what_takes_too_much_memory_is_said_to_have() {
    let Some(world) = World::new("hungry").await else {
        return;
    };
    let mut one = world.one("x=0123456789abcdef; while :; do x=$x$x; done");
    one.limits.memory = Some("16Mi".parse().unwrap());
    let (end, ..) = world.run(&one).await;
    assert!(end.out_of_memory, "{end:?}");
}

#[tokio::test]
async fn who_is_asked_to_end_has_its_grace_and_is_killed_then() {
    let Some(world) = World::new("stopped").await else {
        return;
    };
    let polite = world.one("trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done");
    let deaf = world.one("trap '' TERM; echo up; while :; do sleep 0.05; done");
    for (one, code, killed, last) in [(polite, 3, false, "up\nbye\n"), (deaf, 137, true, "up\n")] {
        let mut running = world.engine.start(&one, time(NOW)).await.unwrap();
        let (up, is_up) = tokio::sync::oneshot::channel();
        let (mut up, mut said) = (Some(up), Said::default());
        let heard = |chunk: Chunk| {
            said.hear(&chunk);
            if let Some(up) = up.take() {
                let _ = up.send(());
            }
        };
        let halt = async {
            let _ = is_up.await;
            Halt {
                why: "enough",
                grace: Some(Duration::from_secs(1)),
            }
        };
        let (end, why) = running.to_its_end(heard, halt).await.unwrap();
        assert_eq!((end.code, end.killed, why), (code, killed, Some("enough")));
        assert_eq!(said.out, last);
        running.remove().await.unwrap();
    }
}

#[tokio::test]
async fn files_go_in_and_come_out_and_no_link_leads_astray() {
    let Some(world) = World::new("files").await else {
        return;
    };
    let mut one =
        world.one("cat /in/list; mkdir -p /out/deep; cat /in/list >/out/deep/a.xml; echo x >/out/b.xml");
    let mut files = Archive::default();
    files.add("/in/list", 0o444, b"one\n");
    files.add_folder("/out", 0o777);
    one.files = files;
    one.user = Some("65532".to_owned());
    let mut running = world.engine.start(&one, time(NOW)).await.unwrap();
    let (end, _) = running.to_its_end(|_| {}, pending::<Halt<()>>()).await.unwrap();
    assert_eq!(end.code, 0);
    let folder = tempfile::tempdir().unwrap();
    let taken = running.take_out("/out", folder.path(), 1 << 20).await.unwrap();
    assert_eq!((taken.files, taken.bytes, taken.left), (2, 6, 0));
    assert_eq!(
        std::fs::read(folder.path().join("out/deep/a.xml")).unwrap(),
        b"one\n"
    );
    let none = running
        .take_out("/nowhere", folder.path(), 1 << 20)
        .await
        .unwrap();
    assert_eq!(none.files, 0);
    running.remove().await.unwrap();
}

#[tokio::test]
async fn what_a_killed_run_left_is_removed_by_the_next_and_nothing_else_is() {
    let Some(world) = World::new("left").await else {
        return;
    };
    let one = world.one("while :; do sleep 1; done");
    let ours = world.engine.start(&one, time(NOW)).await.unwrap();
    // Made by a process of this machine that is gone, and by one elsewhere whose time is not up.
    let place = |start: u64, place: Option<&str>| {
        let holder = pilotage_engine::Holder::me(time(LATER));
        let mut holder = serde_json::to_value(holder).unwrap();
        holder["start"] = start.into();
        if let Some(place) = place {
            holder["place"] = place.into();
        }
        let body = serde_json::json!({"Image": TOOLS, "Cmd": ["/bin/sleep", "1000"],
            "Labels": {label::PROJECT: world.project, label::ONE_OFF: holder.to_string()}});
        let name = format!("left-{}", start);
        world.real.run(&name, "none", &body);
        name
    };
    let (gone, elsewhere) = (place(1, None), place(2, Some("elsewhere")));
    let stranger = serde_json::json!({"Image": TOOLS, "Cmd": ["/bin/sleep", "1000"],
        "Labels": {label::PROJECT: world.project}});
    world.real.run("left-stranger", "none", &stranger);
    let names = || {
        let mut names: Vec<String> = world
            .containers()
            .iter()
            .map(|found| {
                found["Names"][0]
                    .as_str()
                    .unwrap()
                    .trim_start_matches('/')
                    .to_owned()
            })
            .collect();
        names.sort();
        names
    };
    world.engine.clear_left(&one.labels, time(NOW)).await.unwrap();
    assert!(
        !names().contains(&gone) && names().contains(&elsewhere),
        "{:?}",
        names()
    );
    let past = "2026-11-21T13:00:01Z";
    world.engine.clear_left(&one.labels, time(past)).await.unwrap();
    assert_eq!(names(), ["left-stranger".to_owned(), ours.name.clone()]);
    world.real.remove_project(world.project);
}

#[tokio::test]
async fn a_command_in_a_container_is_told_by_its_code_and_what_it_said() {
    let Some(world) = World::new("command").await else {
        return;
    };
    let running = world
        .engine
        .start(&world.one("while :; do sleep 1; done"), time(NOW))
        .await
        .unwrap();
    let exec = async |command: &[&str], limit: u64| {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let limit = Duration::from_millis(limit);
        world.engine.exec(&running.id, &command, limit).await
    };
    let well = exec(&["/bin/sh", "-c", "echo fine"], 10_000).await.unwrap();
    assert_eq!((well.code, well.said.as_str()), (Some(0), "fine"));
    let ill = exec(&["/bin/sh", "-c", "echo no >&2; exit 4"], 10_000)
        .await
        .unwrap();
    assert_eq!((ill.code, ill.said.as_str()), (Some(4), "no"));
    let missing = exec(&["/bin/nothing"], 10_000).await.unwrap();
    assert!(matches!(missing.code, Some(126 | 127)), "{missing:?}");
    assert!(missing.said.contains("no such file"), "{missing:?}");
    let began = Instant::now();
    let slow = exec(&["/bin/sleep", "30"], 300).await.unwrap();
    assert_eq!(slow.code, None);
    assert!(began.elapsed() < Duration::from_secs(5));
    running.remove().await.unwrap();
    let shell = ["/bin/sh".to_owned()];
    let gone = world
        .engine
        .exec("command-nobody", &shell, Duration::from_secs(5));
    assert_eq!(gone.await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_told_with_what_helps() {
    let target = DockerTarget {
        host: Some("unix:///nowhere/docker.sock".to_owned()),
        ..DockerTarget::default()
    };
    let error = Engine::connect(&target).await.unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(error.help()[0].contains("see whether the engine runs"));
}
