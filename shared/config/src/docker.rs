use std::collections::BTreeMap;
use std::path::PathBuf;

use pilotage_yaml::{Decode, Decoder, Fields, Node, record, words};
use schemars::JsonSchema;
use serde::Serialize;

record! {
    /// A Docker host and its proxy.
    pub struct DockerTarget: Eq {
        /// The engine's address, `unix:///PATH` or `tcp://HOST:PORT`; the local socket when nothing is written.
        pub host: Option<String>,
        /// The certificates for an engine that is asked over TLS.
        pub tls: Option<DockerTls>,
        /// Who we are to private registries, by `HOST` or `HOST:PORT` as it stands in an image's name.
        pub registries: BTreeMap<String, Registry>,
        /// How a container is given its secrets.
        pub secrets: SecretDelivery = SecretDelivery::Files,
        /// How many processes and threads an instance may have.
        pub pids: u32 = DockerTarget::PIDS,
        /// What routes users' requests.
        pub proxy: Option<Proxy>,
    }
}

impl DockerTarget {
    /// Enough for most programs, and few enough that one that forks without end harms itself only.
    const PIDS: u32 = 4096;
}

/// The engine of this machine, with nothing said about it.
impl Default for DockerTarget {
    fn default() -> Self {
        Self {
            host: None,
            tls: None,
            registries: BTreeMap::new(),
            secrets: SecretDelivery::Files,
            pids: Self::PIDS,
            proxy: None,
        }
    }
}

record! {
    /// Certificates for an engine on another machine, as PEM files on the deploying machine.
    pub struct DockerTls: Eq {
        /// Whom to believe.
        pub ca: PathBuf,
        /// Who we are.
        pub cert: PathBuf,
        /// The key to it.
        pub key: PathBuf,
    }
}

record! {
    /// Who we are to a registry.
    pub struct Registry: Eq {
        /// The user.
        pub user: String,
        /// The password or token.
        pub password: Password,
    }
}

words! {
    /// How a container is given its secrets.
    pub enum SecretDelivery {
        /// As files below `/run/secrets`; the variable `<NAME>_FILE` says where. An engine shows them to nobody.
        Files = "files",
        /// As environment variables, which everybody who may ask the engine can read.
        Variables = "variables",
    }
}

/// Where a password comes from; never the password itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Password {
    /// An environment variable of the deploying step.
    Env(String),
    /// A file on the deploying machine, by absolute path.
    File(String),
}

impl Decode for Password {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a password")?;
        let choice = fields.one_of(&["env", "file"], cx);
        fields.finish(cx);
        let (kind, value) = choice?;
        let text = String::decode(value, cx)?;
        Some(match kind {
            "env" => Self::Env(text),
            _ => Self::File(text),
        })
    }
}

/// What routes users' requests on a Docker host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Proxy {
    /// HAProxy, steered through its runtime API.
    Haproxy(Haproxy),
}

record! {
    /// The way to an HAProxy.
    pub struct Haproxy: Eq {
        /// The runtime API: a socket's path or `host:port`.
        pub api: String,
    }
}

impl Decode for Proxy {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a proxy")?;
        let choice = fields.one_of(&["haproxy"], cx);
        fields.finish(cx);
        Haproxy::decode(choice?.1, cx).map(Self::Haproxy)
    }
}
