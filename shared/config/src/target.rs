use std::net::SocketAddr;
use std::path::PathBuf;

use pilotage_yaml::{Decode, Decoder, Fields, Node, record};
use schemars::JsonSchema;
use serde::Serialize;

use crate::DockerTarget;

/// Where releases land.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A Docker host.
    Docker(DockerTarget),
    /// A namespace of a Kubernetes cluster.
    Kubernetes(KubernetesTarget),
    /// Commands that know how.
    Command(CommandTarget),
    /// Processes on this machine, for development.
    Process(ProcessTarget),
}

record! {
    /// A namespace of a Kubernetes cluster.
    pub struct KubernetesTarget: Eq, Default {
        /// The namespace; `<project>-<environment>` when nothing is written.
        pub namespace: Option<String>,
        /// A context of the kubeconfig.
        pub context: Option<String>,
        /// The ingress class of routes.
        pub ingress_class: Option<String>,
    }
}

record! {
    /// A target of commands that know how to release.
    pub struct CommandTarget: Eq, Default {
        /// Makes the target equal to the descriptor: program and arguments.
        pub deploy: Vec<String>,
        /// Prints what runs, as JSON.
        pub status: Vec<String>,
        /// Switches back.
        pub undo: Vec<String>,
    }
}

record! {
    /// A target of processes on this machine.
    pub struct ProcessTarget: Eq {
        /// The folder where instances and routes are kept.
        pub state: PathBuf,
        /// Program and arguments; `{artifact}`, `{service}`, `{version}`, `{environment}`, `{port}` and `{port.NAME}`
        /// are filled in.
        pub command: Vec<String>,
        /// The artifact's path; `{service}` and `{version}` are filled in.
        pub artifact: String,
        /// Where the front door listens.
        pub listen: SocketAddr => address,
    }
}

impl Target {
    /// What kind it is, as the file says it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Kubernetes(_) => "kubernetes",
            Self::Command(_) => "command",
            Self::Process(_) => "process",
        }
    }
}

fn address(node: &Node, cx: &mut Decoder) -> Option<SocketAddr> {
    const EXAMPLE: &str = "write for example `127.0.0.1:8080`";
    let Some(scalar) = node.scalar().filter(|_| !node.is_null()) else {
        cx.wrong_type(node, "an address with a port");
        return None;
    };
    let address = scalar.text.parse().ok();
    if address.is_none() {
        cx.invalid_value(node, "address with a port", &scalar.text, EXAMPLE);
    }
    address
}

impl Decode for Target {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a target")?;
        let choice = fields.one_of(&["docker", "kubernetes", "command", "process"], cx);
        fields.finish(cx);
        let (kind, value) = choice?;
        match kind {
            "docker" => DockerTarget::decode(value, cx).map(Self::Docker),
            "kubernetes" => KubernetesTarget::decode(value, cx).map(Self::Kubernetes),
            "command" => CommandTarget::decode(value, cx).map(Self::Command),
            _ => ProcessTarget::decode(value, cx).map(Self::Process),
        }
    }
}
