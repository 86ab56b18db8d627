use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use pilotage_gitrepo::{
    Cache, Edit, Limits, NewCommit, Person, RefName, RefUpdate, Remote, Repository, SshSettings,
};
use pilotage_http::{Credentials, HttpSettings};
use pilotage_name::CommitId;
use pilotage_secret::Secret;
use pilotage_tests::gitserver::{BareRepository, GitServer};
use pilotage_tests::sshserver::SshServer;
use tempfile::TempDir;

/// One bare repository, reachable by path, over HTTP and over SSH, and a place for caches.
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) bare: BareRepository,
    pub(crate) server: GitServer,
    sshd: OnceLock<SshServer>,
}

impl World {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bare = BareRepository::init(&directory.path().join("served/env.git"));
        let server = GitServer::start(&directory.path().join("served"));
        Self {
            directory,
            bare,
            server,
            sshd: OnceLock::new(),
        }
    }

    pub(crate) fn caches(&self) -> PathBuf {
        self.directory.path().join("caches")
    }

    pub(crate) fn http(&self) -> Remote {
        remote(&self.server.url("env.git"), None, limits())
    }

    /// The SSH server, started when it is first asked for.
    pub(crate) fn sshd(&self) -> &SshServer {
        self.sshd.get_or_init(SshServer::start)
    }

    pub(crate) fn ssh(&self) -> Remote {
        self.ssh_within(limits())
    }

    pub(crate) fn ssh_within(&self, limits: Limits) -> Remote {
        let url = self.sshd().url(self.bare.path());
        remote(&url, None, limits).with_ssh(&ssh_settings(self.sshd()))
    }

    pub(crate) fn path(&self) -> Remote {
        remote(self.bare.path().to_str().unwrap(), None, limits())
    }

    /// The same repository by every way there is.
    pub(crate) fn ways(&self) -> [(&'static str, Remote); 4] {
        let file = format!("file://{}", self.bare.path().display());
        [
            ("http", self.http()),
            ("path", self.path()),
            ("ssh", self.ssh()),
            ("file", remote(&file, None, limits())),
        ]
    }

    pub(crate) fn cache(&self, remote: &Remote) -> Cache {
        Cache::open(&self.caches(), remote).unwrap()
    }

    pub(crate) fn id(&self, expression: &str) -> CommitId {
        id(&self.bare.id(expression))
    }
}

pub(crate) fn ssh_settings(server: &SshServer) -> SshSettings {
    SshSettings {
        key: Some(server.key()),
        known_hosts: Some(server.known_hosts()),
        ..SshSettings::default()
    }
}

/// Limits that no healthy exchange on one machine comes near.
pub(crate) fn limits() -> Limits {
    Limits {
        operation: Duration::from_secs(60),
        silence: Duration::from_secs(30),
        bytes: 1 << 30,
    }
}

/// Limits for servers that are known to hang.
pub(crate) fn short() -> Limits {
    Limits {
        operation: Duration::from_millis(400),
        silence: Duration::from_millis(200),
        bytes: 1 << 30,
    }
}

pub(crate) fn remote(url: &str, credentials: Option<(&str, &str)>, limits: Limits) -> Remote {
    let settings = HttpSettings {
        system_roots: false,
        ..HttpSettings::default()
    };
    let credentials = credentials.map(|(user, password)| Credentials::new(user, Secret::new(password)));
    Remote::open(url.parse().unwrap(), &settings, credentials, limits).unwrap()
}

pub(crate) fn id(text: &str) -> CommitId {
    text.parse().unwrap()
}

pub(crate) fn name(text: &str) -> RefName {
    text.parse().unwrap()
}

pub(crate) fn ana() -> Person {
    Person {
        name: "Ana Costa".to_owned(),
        email: "ana@example.com".to_owned(),
        when: "2026-03-04T05:06:07Z".parse::<Timestamp>().unwrap(),
        offset_minutes: 60,
    }
}

/// Writes a commit with one file on top of `parent`.
pub(crate) fn write(repository: &Repository, parent: Option<&CommitId>, path: &str, text: &str) -> CommitId {
    let ana = ana();
    repository
        .write_commit(&NewCommit {
            base: parent,
            edits: &[Edit::write(path, text)],
            parents: parent.map(std::slice::from_ref).unwrap_or_default(),
            author: &ana,
            committer: &ana,
            message: text,
            sign: None,
        })
        .unwrap()
}

pub(crate) fn update(name_of: &str, expected: Option<&CommitId>, new: &CommitId) -> RefUpdate {
    RefUpdate {
        name: name(name_of),
        expected: expected.cloned(),
        new: new.clone(),
    }
}
