use pilotage_check::{Expectation, Patience};
use pilotage_quantity::Duration;
use pilotage_yaml::{Decode, Decoder, Fields, Node, record};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, request_path};

record! {
    /// A health check: when a new instance counts as healthy.
    pub struct Healthcheck: Eq {
        /// What is asked; all have to answer well.
        pub endpoints: Vec<Endpoint>,
        /// The hard end of the check.
        pub timeout: Duration = Duration::from_secs(60),
        /// From the start of one try to the start of the next at most; what is not well is asked again sooner at first, unless
        /// `retries` is written.
        pub interval: Duration = Duration::from_millis(500),
        /// The end of one try; never later than the end of the check.
        pub try_timeout: Duration = Duration::from_secs(3),
        /// Consecutive good answers that are needed, from every address.
        pub threshold: u32 = 1,
        /// Bad answers after which the check ends before its timeout.
        pub retries: Option<u32>,
    }
}

/// One thing that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The question.
    pub ask: Ask,
    /// The name of the port that is asked; none for `exec`.
    pub port: Option<String>,
}

/// A question to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// An HTTP GET.
    Http {
        /// Path and query.
        path: String,
        /// What the request carries, and what a good answer is.
        answer: Answer,
    },
    /// A TCP connection.
    Tcp,
    /// The gRPC health protocol.
    Grpc {
        /// The service asked about; empty asks about the whole server.
        service: String,
    },
    /// A command in the instance that has to exit 0.
    Exec {
        /// Program and arguments.
        argv: Vec<String>,
    },
}

impl Ask {
    /// The key it has in a descriptor.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp => "tcp",
            Self::Grpc { .. } => "grpc",
            Self::Exec { .. } => "exec",
        }
    }

    /// What has to come back when `version` is asked; nothing where the question is not asked over a connection of ours.
    #[must_use]
    pub fn expectation(&self, version: &str) -> Option<Expectation> {
        match self {
            Self::Http { answer, .. } => Some(Expectation::Http(answer.expectation(version))),
            Self::Tcp => Some(Expectation::Tcp),
            Self::Grpc { .. } | Self::Exec { .. } => None,
        }
    }
}

impl Healthcheck {
    /// How long and how often is asked.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience {
            interval: self.interval,
            try_timeout: self.try_timeout,
            threshold: self.threshold,
            retries: self.retries,
            ..Patience::new(self.timeout)
        }
    }
}

const CHOICES: &[&str] = &["http", "tcp", "grpc", "exec"];

impl Decode for Endpoint {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "an endpoint")?;
        let Some((choice, value)) = fields.one_of(CHOICES, cx) else {
            // The other keys are known, whatever the question was meant to be.
            for key in Answer::KEYS.into_iter().chain(["port"]) {
                fields.get(key);
            }
            fields.finish(cx);
            return None;
        };
        let endpoint = match choice {
            "http" => {
                let path = request_path(value, cx);
                let port = fields.required("port", cx);
                let answer = Answer::take(&mut fields, cx);
                http(path, port, answer)
            }
            "tcp" => String::decode(value, cx).map(|port| Self {
                ask: Ask::Tcp,
                port: Some(port),
            }),
            "grpc" => {
                let service = String::decode(value, cx);
                let port = fields.required("port", cx);
                service.and_then(|service| {
                    Some(Self {
                        ask: Ask::Grpc { service },
                        port: port?,
                    })
                })
            }
            _ => argv(value, cx).map(|argv| Self {
                ask: Ask::Exec { argv },
                port: None,
            }),
        };
        fields.finish(cx);
        endpoint
    }
}

fn http(path: Option<String>, port: Option<Option<String>>, answer: Option<Answer>) -> Option<Endpoint> {
    let answer = answer?;
    Some(Endpoint {
        ask: Ask::Http { path: path?, answer },
        port: port?,
    })
}

/// A program with its arguments; the program is not empty.
fn argv(node: &Node, cx: &mut Decoder) -> Option<Vec<String>> {
    let argv = Vec::<String>::decode(node, cx)?;
    if argv.first().is_some_and(|program| !program.is_empty()) {
        return Some(argv);
    }
    cx.error(
        "invalid-value",
        "a command names its program first",
        node.span,
        "no program here",
    );
    None
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.ask {
            Ask::Http { path, answer } => {
                map.serialize_entry("http", path)?;
                if let Some(port) = &self.port {
                    map.serialize_entry("port", port)?;
                }
                answer.serialize(&mut map)?;
            }
            Ask::Tcp => map.serialize_entry("tcp", &self.port)?,
            Ask::Grpc { service } => {
                map.serialize_entry("grpc", service)?;
                if let Some(port) = &self.port {
                    map.serialize_entry("port", port)?;
                }
            }
            Ask::Exec { argv } => map.serialize_entry("exec", argv)?,
        }
        map.end()
    }
}

impl JsonSchema for Endpoint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let port = json!({"type": "string", "description": "The name of the port that is asked; the only one when nothing is written."});
        let mut http = Map::new();
        http.insert(
            "http".to_owned(),
            json!({"type": "string", "pattern": "^/", "description": "Path and query of a GET."}),
        );
        http.insert("port".to_owned(), port.clone());
        http.extend(
            Answer::schema(generator)
                .into_iter()
                .map(|(key, schema)| (key.to_owned(), schema)),
        );
        let one = |properties: Value, key: &str| json!({"type": "object", "properties": properties, "required": [key], "additionalProperties": false});
        json_schema!({
            "description": "One thing that is asked.",
            "oneOf": [
                one(http.into(), "http"),
                one(json!({"tcp": {"type": "string", "description": "The name of a port that has to accept a connection."}}), "tcp"),
                one(json!({"grpc": {"type": "string", "description": "A service for the gRPC health protocol; empty for the whole server."}, "port": port}), "grpc"),
                one(json!({"exec": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "A command in the instance that has to exit 0."}}), "exec"),
            ],
        })
    }
}
