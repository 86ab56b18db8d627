use pilotage_check::{Expectation, GrpcExpectation, HttpExpectation, Patience};
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
    /// That it is asked over TLS, and for how long the certificate has to be good; none for `exec`.
    pub tls: Option<Tls>,
}

record! {
    /// A TLS connection: the certificate has to be trusted, and good for a while.
    pub struct Tls: Eq {
        /// Whole days that the certificate has to be good for at least.
        pub min_days: u32 = 0,
    }
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
}

impl Endpoint {
    /// What has to come back when `version` is asked.
    #[must_use]
    pub fn expectation(&self, version: &str) -> Expectation {
        let min_days = self.tls.as_ref().map(|tls| tls.min_days);
        match &self.ask {
            Ask::Http { answer, .. } => Expectation::Http(HttpExpectation {
                min_days,
                ..answer.expectation(version)
            }),
            Ask::Tcp => match min_days {
                Some(min_days) => Expectation::Tls { min_days },
                None => Expectation::Tcp,
            },
            Ask::Grpc { service } => Expectation::Grpc(GrpcExpectation {
                service: service.clone(),
                min_days,
            }),
            Ask::Exec { .. } => Expectation::Exit,
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
            for key in Answer::KEYS.into_iter().chain(["port", "tls"]) {
                fields.get(key);
            }
            fields.finish(cx);
            return None;
        };
        let (ask, port) = match choice {
            "http" => {
                let path = request_path(value, cx);
                let port = fields.required("port", cx);
                let answer = Answer::take(&mut fields, cx);
                (
                    path.zip(answer).map(|(path, answer)| Ask::Http { path, answer }),
                    port,
                )
            }
            "tcp" => (Some(Ask::Tcp), String::decode(value, cx).map(Some)),
            "grpc" => {
                let service = String::decode(value, cx);
                let port = fields.required("port", cx);
                (service.map(|service| Ask::Grpc { service }), port)
            }
            _ => (argv(value, cx).map(|argv| Ask::Exec { argv }), Some(None)),
        };
        let tls = match choice {
            "exec" => Some(None),
            _ => fields.required("tls", cx),
        };
        fields.finish(cx);
        Some(Self {
            ask: ask?,
            port: port?,
            tls: tls?,
        })
    }
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
        if let Some(tls) = &self.tls {
            map.serialize_entry("tls", tls)?;
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
        let mut tls = generator.subschema_for::<Tls>().to_value();
        if let Value::Object(tls) = &mut tls {
            tls.insert(
                "description".to_owned(),
                "Ask over TLS: the certificate has to be trusted, and good for `min_days` more.".into(),
            );
        }
        http.insert("port".to_owned(), port.clone());
        http.insert("tls".to_owned(), tls.clone());
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
                one(json!({"tcp": {"type": "string", "description": "The name of a port that has to accept a connection."}, "tls": tls}), "tcp"),
                one(json!({"grpc": {"type": "string", "description": "A service for the gRPC health protocol; empty for the whole server."}, "port": port, "tls": tls}), "grpc"),
                one(json!({"exec": {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "A command in the instance that has to exit 0."}}), "exec"),
            ],
        })
    }
}
