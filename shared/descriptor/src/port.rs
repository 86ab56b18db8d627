use std::net::{IpAddr, Ipv4Addr};

use pilotage_yaml::{Decode, Decoder, Fields, Node, record};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::Host;

record! {
    /// A port, which the service listens on.
    pub struct Port: Eq {
        /// How the rest of the descriptor calls it: lower-case letters, digits and hyphens, at most 15.
        pub name: String => name,
        /// The number inside the instance.
        pub port: u16,
        /// Who can reach it.
        pub publish: Publish = Publish::Internal,
        /// Which requests the proxy sends here; only with `publish: proxy`.
        pub routes: Vec<Route>,
    }
}

record! {
    /// A route: requests for one host and path prefix.
    pub struct Route: Eq {
        /// The request's host.
        pub host: Host,
        /// The path prefix.
        pub path: String = "/".to_owned() => route_path,
    }
}

/// Who can reach a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publish {
    /// Other services of the environment only.
    #[default]
    Internal,
    /// Users, through the target's proxy.
    Proxy,
    /// Users, on a port of the host itself.
    Host {
        /// The number on the host.
        host: u16,
        /// The address it is bound to; every address (`0.0.0.0`) when nothing was written.
        bind: IpAddr,
    },
}

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The grammar of a service name (RFC 6335, section 5.1), which Kubernetes shares.
fn name(node: &Node, cx: &mut Decoder) -> Option<String> {
    let text = String::decode(node, cx)?;
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=15).contains(&text.len())
        && text.bytes().all(inner)
        && text.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && !text.ends_with('-');
    if good {
        return Some(text);
    }
    let rule = "use at most 15 lower-case letters, digits and hyphens, a letter first and no hyphen last";
    cx.invalid_value(node, "port name", &text, rule);
    None
}

fn route_path(node: &Node, cx: &mut Decoder) -> Option<String> {
    let text = String::decode(node, cx)?;
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '"' | '\\' | '{' | '}');
    if text.starts_with('/') && text.chars().all(plain) {
        return Some(text);
    }
    cx.invalid_value(
        node,
        "path of a route",
        &text,
        "begin with `/` and leave out query and fragment",
    );
    None
}

impl Decode for Publish {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        if node.entries().is_some() {
            let mut fields = Fields::of(node, cx, "`publish`")?;
            let host = fields.take("host", cx, u16::decode, || None);
            let bind = fields.or_else("bind", cx, || ANY);
            fields.finish(cx);
            return Some(Self::Host {
                host: host?,
                bind: bind?,
            });
        }
        match PublishWord::decode(node, cx)? {
            PublishWord::Internal => Some(Self::Internal),
            PublishWord::Proxy => Some(Self::Proxy),
        }
    }
}

pilotage_yaml::words! {
    /// The publications that are one word.
    enum PublishWord {
        /// Other services of the environment only.
        Internal = "internal",
        /// Users, through the target's proxy.
        Proxy = "proxy",
    }
}

impl Serialize for Publish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Internal => serializer.serialize_str(PublishWord::Internal.as_str()),
            Self::Proxy => serializer.serialize_str(PublishWord::Proxy.as_str()),
            Self::Host { host, bind } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("host", host)?;
                if *bind != ANY {
                    map.serialize_entry("bind", bind)?;
                }
                map.end()
            }
        }
    }
}

impl JsonSchema for Publish {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Publish".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Who can reach a port.",
            "oneOf": [
                {"const": "internal", "description": "Other services of the environment only."},
                {"const": "proxy", "description": "Users, through the target's proxy."},
                {
                    "type": "object",
                    "description": "Users, on a port of the host itself.",
                    "properties": {
                        "host": {"type": "integer", "minimum": 1, "maximum": 65535, "description": "The number on the host."},
                        "bind": {"type": "string", "default": "0.0.0.0", "description": "The address it is bound to."},
                    },
                    "required": ["host"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
