//! Images out of a real registry, with and without credentials.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a world that cannot be made fails the test that wants it, and one that proves less says so"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pilotage_tests::docker::{get, until};
use serde_json::json;

use crate::world::{World, write};

/// A password with characters that the two alphabets of base64 write differently.
const PASSWORD: &str = "s3cret~?>~?>~?>";
/// The same as bcrypt has it, at the lowest cost.
const HASHED: &str = "$2b$04$BCBEuXE5S9xVbkLLs8VVJ.uSMpjIt8dlK/dKnM1fFfyMjUplUtbFO";

struct Registry {
    process: Child,
    address: SocketAddr,
}

impl Registry {
    /// None where Debian's `docker-registry` is not installed.
    fn start(world: &World) -> Option<Self> {
        if Command::new("docker-registry").arg("--version").output().is_err() {
            eprintln!("docker-registry is not installed, so no registry is tried");
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        write(
            &world.path("registry.yaml"),
            &format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: \"{}\"}}}}\nhttp: {{addr: \"{address}\"}}\n\
                 auth: {{htpasswd: {{realm: test, path: \"{}\"}}}}\n",
                world.path("images").display(),
                world.path("htpasswd").display(),
            ),
        );
        write(&world.path("htpasswd"), &format!("ci:{}\n", HASHED));
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(world.path("registry.yaml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listens = until(Duration::from_secs(10), || get(address, "/v2/").is_ok());
        assert!(listens, "the registry does not listen");
        Some(Self { process, address })
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

impl World {
    /// Pushes the image of a version to the registry and removes it from the engine, and says its digest.
    fn push(&self, registry: &Registry, version: &str) -> String {
        let local = format!("{}/shop:{version}", self.project);
        let remote = format!("{}/shop", registry.address);
        let api = |method: &str, path: &str| self.engine.api(method, path, None);
        api(
            "POST",
            &format!("/images/{local}/tag?repo={remote}&tag={version}"),
        );
        let auth = json!({"username": "ci", "password": PASSWORD}).to_string();
        let pushed = self.engine.push(&remote, version, &auth);
        let digest = pushed
            .split("digest: ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        assert!(digest.is_some(), "{pushed}");
        let digest = digest.unwrap().to_owned();
        for name in [local, format!("{remote}:{version}")] {
            api("DELETE", &format!("/images/{name}"));
        }
        digest
    }
}

#[test]
fn a_private_image_is_had_with_the_right_credentials_and_told_why_not_with_others() {
    let Some(world) = World::new() else { return };
    let Some(mut registry) = Registry::start(&world) else {
        return;
    };
    let credentials = |password: &str| {
        let registries = format!("{{\"{}\": {{user: ci, password: {password}}}}}", registry.address);
        world.config(&world.engine.host(), &format!("      registries: {registries}"));
    };
    let shop = |version: &str, image: &str| {
        world.web(version, "");
        let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap();
        world.descriptor(&text.replace(
            &format!("image: {}/shop", world.project),
            &format!("image: {image}"),
        ));
    };
    let address = registry.address;
    world.image("1.0.0", &[]);
    let digest = world.push(&registry, "1.0.0");
    shop("1.0.0", &format!("{address}/shop"));

    world
        .deploy(&["--fence", "1"])
        .expect(4)
        .says(&["may not be read by us", "registries"]);
    write(&world.path("password"), "wrong");
    credentials(&format!("{{file: \"{}\"}}", world.path("password").display()));
    world
        .deploy(&["--fence", "1"])
        .expect(4)
        .says(&["may not be read by us"]);
    credentials("{env: NO_SUCH_VARIABLE}");
    world
        .deploy(&["--fence", "1"])
        .expect(4)
        .says(&["NO_SUCH_VARIABLE is not set"]);
    assert_eq!(world.states(), [], "nothing was touched");

    credentials("{env: REGISTRY_PASSWORD}");
    let mut command = world.command(&["--fence", "1", "-vv"]);
    command.env("REGISTRY_PASSWORD", PASSWORD);
    let ended = world.run(command).expect(0);
    assert_eq!(ended.output("digest"), digest, "what the registry calls it");
    assert!(!ended.text().contains(PASSWORD), "{}", ended.text());

    write(&world.path("password"), &format!("{PASSWORD}\n"));
    credentials(&format!("{{file: \"{}\"}}", world.path("password").display()));
    assert_eq!(world.deploy(&["--fence", "2"]).expect(0).effects(), "none");
    shop("9.9.9", &format!("{address}/shop"));
    let missing = world
        .deploy(&["--fence", "3"])
        .expect(4)
        .says(&["is not in the registry"]);
    assert!(
        missing.took < Duration::from_secs(3),
        "asked once: {:?}",
        missing.took
    );

    // A digest says what runs without asking anybody, and what the engine has is not fetched again.
    registry.stop();
    shop(
        "1.0.0",
        &format!("{{name: \"{address}/shop\", digest: \"{digest}\"}}"),
    );
    world.deploy(&["--fence", "4"]).expect(0);
    shop("1.0.0", &format!("{address}/shop"));
    world
        .deploy(&["--fence", "5"])
        .expect(4)
        .says(&["was asked 4 times", "connection refused"]);
    world.deploy(&["status"]).expect(0).says(&["1.0.0 serves"]);
}

/// Answers the first requests as a registry that has enough for now, and leads the others to a real one.
fn busy(registry: SocketAddr, times: u32, status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut left = times;
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let count = client.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            // Who is greeted badly does not learn how to log in.
            if left > 0 && !request.starts_with("GET /v2/ ") {
                left -= 1;
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
                );
                let _ = client.write_all(answer.as_bytes());
                continue;
            }
            let Ok(mut upstream) = TcpStream::connect(registry) else {
                continue;
            };
            // One request a connection, so that each of them is seen here.
            let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            let _ = upstream.write_all(request.as_bytes());
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), upstream.try_clone().unwrap()),
                (upstream, client),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    address
}

#[test]
fn a_registry_that_is_busy_for_a_while_is_asked_again() {
    let Some(world) = World::new() else { return };
    let Some(registry) = Registry::start(&world) else {
        return;
    };
    world.image("1.0.0", &[]);
    let digest = world.push(&registry, "1.0.0");
    for (fence, status) in [("1", "429 Too Many Requests"), ("2", "503 Service Unavailable")] {
        let address = busy(registry.address, 2, status);
        write(&world.path("password"), PASSWORD);
        let password = world.path("password").display().to_string();
        world.config(
            &world.engine.host(),
            &format!("      registries: {{\"{address}\": {{user: ci, password: {{file: \"{password}\"}}}}}}"),
        );
        world.web("1.0.0", &format!("env: {{FENCE: \"{fence}\"}}"));
        let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap();
        world.descriptor(&text.replace(
            &format!("image: {}/shop", world.project),
            &format!("image: {address}/shop"),
        ));
        let ended = world.deploy(&["--fence", fence]).expect(0);
        assert_eq!(ended.output("digest"), digest);
    }
}
