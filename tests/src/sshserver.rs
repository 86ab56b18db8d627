//! A real sshd for tests: Debian's openssh-server on a port of its own, with host keys and users' keys of its own, run as
//! whoever runs the tests. It serves every repository of this machine by its path, writes down what it is asked and fails
//! on demand.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is test support: what cannot be set up has to fail the test loudly"
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags};

/// The types of the host keys, and so of the lines in the file of known hosts.
pub const HOST_KEYS: [&str; 2] = ["ed25519", "ecdsa"];

/// What a client wants of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// To list the refs, by protocol version 2 where that is spoken.
    List,
    /// To fetch objects.
    Fetch,
    /// To push.
    Push,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum SshFault {
    /// No answer, for as long as the server lives.
    Hang,
    /// The answer begins, and the connection ends after so many bytes of it.
    Die {
        /// Bytes that still arrive.
        after: usize,
    },
    /// The answer begins, and nothing comes after so many bytes of it, while the connection stays up.
    Stall {
        /// Bytes that still arrive.
        after: usize,
    },
    /// A push is applied, and then the connection ends without a word about it.
    DieAfter,
    /// A push is applied, and then there is no answer for as long as the server lives.
    HangAfter,
    /// The connection ends before anything is done.
    Drop,
    /// Nothing is done; these words go to standard error, and this is the exit status.
    Say {
        /// The words.
        words: String,
        /// The exit status.
        status: u8,
    },
    /// These words come before the answer, as from a login script that greets.
    Greet(String),
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct SshServer {
    directory: tempfile::TempDir,
    sshd: Child,
    port: u16,
    user: String,
}

impl SshServer {
    /// Starts a server.
    ///
    /// # Panics
    /// When there is no sshd, or it does not start.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("sshd").tempdir().unwrap();
        let place = directory.path();
        for kind in HOST_KEYS {
            keygen(&["-t", kind, "-N", "", "-f"], &place.join(format!("host_{kind}")));
        }
        keygen(&["-t", "ed25519", "-N", "", "-f"], &place.join("id"));
        std::fs::copy(place.join("id.pub"), place.join("authorized_keys")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, place.join("hold"), Mode::RUSR | Mode::WUSR).unwrap();
        let serve = place.join("serve");
        std::fs::write(&serve, script(place)).unwrap();
        std::fs::set_permissions(&serve, std::fs::Permissions::from_mode(0o755)).unwrap();
        let user = run(Command::new("id").arg("-un"));
        let (sshd, port) = launch(place, None);
        let server = Self {
            directory,
            sshd,
            port,
            user,
        };
        server.know(&HOST_KEYS);
        server
    }

    /// The address of a repository of this machine.
    #[must_use]
    pub fn url(&self, repository: &Path) -> String {
        let path = repository
            .display()
            .to_string()
            .replace('%', "%25")
            .replace(' ', "%20");
        format!("ssh://{}@127.0.0.1:{}{path}", self.user, self.port)
    }

    /// The user that may log in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The private key of who may log in.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("id")
    }

    /// The file with the host's keys; [`SshServer::know`] writes it.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// The place for files of a test.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The host's key of a type, as `type base64`.
    #[must_use]
    pub fn host_key(&self, kind: &str) -> String {
        let file = self.directory.path().join(format!("host_{kind}.pub"));
        let text = std::fs::read_to_string(file).unwrap();
        text.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }

    /// Makes the host's keys of these types the known ones.
    pub fn know(&self, kinds: &[&str]) {
        let mut text = String::new();
        for kind in kinds {
            writeln!(text, "[127.0.0.1]:{} {}", self.port, self.host_key(kind)).unwrap();
        }
        std::fs::write(self.known_hosts(), text).unwrap();
    }

    /// Makes another key pair, which may log in when `admitted`; returns the private key's file. `options` are those of
    /// ssh-keygen.
    pub fn make_key(&self, name: &str, options: &[&str], admitted: bool) -> PathBuf {
        let file = self.directory.path().join(name);
        keygen(&[options, &["-f"]].concat(), &file);
        if admitted {
            let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
            let keys = self.directory.path().join("authorized_keys");
            let known = std::fs::read_to_string(&keys).unwrap();
            std::fs::write(keys, known + &public).unwrap();
        }
        file
    }

    /// What was asked so far: the protocol version (`version=2`, or `-`) and the command, one a line.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The processes of the connections on which something was asked, one for each question.
    #[must_use]
    pub fn connections(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join("connections")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Ends the connection of the last question, as a server that is restarted does.
    pub fn cut(&self) {
        let connections = self.connections();
        let last = connections.last().expect("something was asked");
        run(Command::new("kill").args(["-9", last]));
        let gone = || !Path::new("/proc").join(last).join("exe").exists();
        while !gone() {
            std::thread::yield_now();
        }
    }

    /// Makes the next `times` questions of a kind fail.
    pub fn fault(&self, wants: Wants, fault: &SshFault, times: usize) {
        let place = self.directory.path();
        let name = format!("fault-{}", kind(wants));
        std::fs::write(place.join(&name), fault_script(place, fault)).unwrap();
        std::fs::write(place.join(format!("{name}-times")), format!("{times}\n")).unwrap();
    }

    /// Takes all faults away; what hangs goes on.
    pub fn heal(&self) {
        for wants in [Wants::List, Wants::Fetch, Wants::Push] {
            let _ = std::fs::remove_file(self.directory.path().join(format!("fault-{}", kind(wants))));
        }
        self.release();
    }

    /// From now on the server does not take the variable that asks for protocol version 2.
    pub fn without_v2(&self) {
        std::fs::write(self.directory.path().join("without-v2"), "").unwrap();
    }

    /// Stops, and starts again on the same port with new host keys.
    pub fn renew_host_keys(&mut self) {
        self.stop();
        let place = self.directory.path();
        for kind in HOST_KEYS {
            let file = place.join(format!("host_{kind}"));
            std::fs::remove_file(&file).unwrap();
            std::fs::remove_file(file.with_extension("pub")).unwrap();
            keygen(&["-t", kind, "-N", "", "-f"], &file);
        }
        (self.sshd, self.port) = launch(place, Some(self.port));
    }

    /// Lets everything go on that waits.
    fn release(&self) {
        let hold = self.directory.path().join("hold");
        // There is nothing to do when nobody waits.
        let _ = rustix::fs::open(hold, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
    }

    fn stop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.stop();
        self.release();
        for connection in self.connections() {
            if let Ok(comm) = std::fs::read_to_string(format!("/proc/{connection}/comm"))
                && comm.starts_with("sshd")
            {
                let _ = Command::new("kill")
                    .arg(&connection)
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }
}

fn kind(wants: Wants) -> &'static str {
    match wants {
        Wants::List => "list",
        Wants::Fetch => "fetch",
        Wants::Push => "push",
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {words}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn keygen(options: &[&str], file: &Path) {
    run(Command::new("ssh-keygen")
        .args(["-q", "-C", ""])
        .args(options)
        .arg(file)
        .stdin(Stdio::null()));
}

/// The sshd program, which has to be started by its whole path.
fn program() -> PathBuf {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"]
        .map(|folder| Path::new(folder).join("sshd"))
        .into_iter()
        .find(|program| program.is_file())
        .expect("sshd is missing; run tests/setup, or on Debian: apt-get install openssh-server")
}

/// Starts sshd and waits until it listens.
fn launch(place: &Path, port: Option<u16>) -> (Child, u16) {
    // Where sshd runs as root it wants this folder, which Debian makes when the service starts.
    if rustix::process::geteuid().is_root() {
        let _ = std::fs::create_dir_all("/run/sshd");
    }
    // Between our look and its start the port may be taken by somebody else.
    for _ in 0..10 {
        let port = port.unwrap_or_else(|| {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        });
        std::fs::write(place.join("sshd_config"), config(place, port)).unwrap();
        let mut sshd = Command::new(program())
            .args(["-D", "-e", "-f"])
            .arg(place.join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd starts");
        let mut lines = BufReader::new(sshd.stderr.take().unwrap()).lines();
        let mut said = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            if line.contains("Server listening on") {
                // It goes on talking, and must not be stopped by a full pipe.
                std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
                return (sshd, port);
            }
            said.push_str(&line);
            said.push('\n');
        }
        let _ = sshd.wait();
        assert!(said.contains("in use"), "sshd does not start: {said}");
    }
    panic!("no port for sshd");
}

fn config(place: &Path, port: u16) -> String {
    let place = place.display();
    let mut text = format!(
        "ListenAddress 127.0.0.1:{port}\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin yes\nPubkeyAuthentication yes\nPrintMotd no\n\
         AuthorizedKeysFile {place}/authorized_keys\nForceCommand {place}/serve\nAcceptEnv GIT_PROTOCOL\n\
         MaxStartups 200\nLogLevel INFO\nSetEnv HOME={place}\n"
    );
    for kind in HOST_KEYS {
        writeln!(text, "HostKey {place}/host_{kind}").unwrap();
    }
    text
}

/// What runs in the place of the command that the client asks for, which it runs in the end as sshd would.
fn script(place: &Path) -> String {
    format!(
        r#"#!/bin/sh
world='{place}'
export world
session=$PPID
while read -r comm < /proc/$session/comm; case $comm in sshd*) false ;; esac; do
  read -r pid comm state session rest < /proc/$session/stat
done
export session
echo "$session" >> "$world/connections"
[ -e "$world/without-v2" ] && unset GIT_PROTOCOL
printf '%s %s\n' "${{GIT_PROTOCOL:--}}" "$SSH_ORIGINAL_COMMAND" >> "$world/asked"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
kind=fetch
[ -n "$GIT_PROTOCOL" ] && kind=list
case $SSH_ORIGINAL_COMMAND in git-receive-pack*) kind=push ;; esac
fault=$world/fault-$kind
if [ -e "$fault" ]; then
  read -r times < "$fault-times"
  if [ "$times" -gt 0 ]; then
    echo $((times - 1)) > "$fault-times"
    . "$fault"
  fi
fi
exec "$SHELL" -c "$SSH_ORIGINAL_COMMAND"
"#,
        place = place.display()
    )
}

/// What happens instead, or before.
fn fault_script(place: &Path, fault: &SshFault) -> String {
    let world = place.display();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    // A hook that runs when the refs have moved and nothing was said about it yet.
    let after = |what: &str| {
        let hooks = place.join("hooks");
        std::fs::create_dir_all(&hooks).unwrap();
        let hook = hooks.join("reference-transaction");
        std::fs::write(
            &hook,
            format!("#!/bin/sh\n[ \"$1\" = committed ] || exit 0\n{what}\n"),
        )
        .unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!(
            "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.hooksPath GIT_CONFIG_VALUE_0={}\n",
            quoted(&hooks.display().to_string())
        )
    };
    match fault {
        SshFault::Hang => format!("cat '{world}/hold'\n"),
        SshFault::Die { after } => {
            format!(
                "\"$SHELL\" -c \"$SSH_ORIGINAL_COMMAND\" | {{ head -c {after}; kill -9 $session; }}\nexit\n"
            )
        }
        SshFault::Stall { after } => {
            format!(
                "\"$SHELL\" -c \"$SSH_ORIGINAL_COMMAND\" | {{ head -c {after}; cat '{world}/hold'; }}\nexit\n"
            )
        }
        SshFault::DieAfter => after("kill -9 $session"),
        SshFault::HangAfter => after("cat \"$world/hold\""),
        SshFault::Drop => "kill -9 $session\nexit\n".to_owned(),
        SshFault::Say { words, status } => format!("printf %s {} >&2\nexit {status}\n", quoted(words)),
        SshFault::Greet(words) => format!("printf %s {}\n", quoted(words)),
    }
}
