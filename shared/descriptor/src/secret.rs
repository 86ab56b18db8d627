use pilotage_name::ServiceName;
use pilotage_yaml::{Decode, Decoder, Fields, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Where a secret comes from; never the secret itself.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// Sealed for the environment (age, armoured).
    Sealed(String),
    /// An environment variable of the deploying step, `PILOTAGE_SECRET_<SERVICE>_*`.
    Env(String),
    /// A file on the machine of the deploying step, by absolute path.
    File(String),
    /// A secret that the target itself holds.
    Secret {
        /// The secret's name on the target.
        name: String,
        /// The key in it.
        key: String,
    },
}

/// The keys of which a secret has one.
pub(crate) const CHOICES: &[&str] = &["sealed", "env", "file", "secret"];

impl SecretSource {
    /// What the name of an environment variable of this service's secrets begins with.
    #[must_use]
    pub fn env_prefix(service: &ServiceName) -> String {
        let service = service.as_str().to_ascii_uppercase().replace('-', "_");
        format!("PILOTAGE_SECRET_{service}_")
    }
}

impl Decode for SecretSource {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a secret")?;
        let choice = fields.one_of(CHOICES, cx);
        let key = match choice {
            Some(("secret", _)) => fields.required::<String>("key", cx),
            _ => None,
        };
        fields.finish(cx);
        let (choice, value) = choice?;
        let text = String::decode(value, cx)?;
        Some(match choice {
            "sealed" => Self::Sealed(text),
            "env" => Self::Env(text),
            "file" => Self::File(text),
            _ => Self::Secret {
                name: text,
                key: key?,
            },
        })
    }
}

impl std::fmt::Debug for SecretSource {
    /// Sealed text is left out: it is of no use to a reader and long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sealed(_) => f.write_str("Sealed(..)"),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Secret { name, key } => f
                .debug_struct("Secret")
                .field("name", name)
                .field("key", key)
                .finish(),
        }
    }
}

impl Serialize for SecretSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Sealed(text) => map.serialize_entry("sealed", text)?,
            Self::Env(name) => map.serialize_entry("env", name)?,
            Self::File(path) => map.serialize_entry("file", path)?,
            Self::Secret { name, key } => {
                map.serialize_entry("secret", name)?;
                map.serialize_entry("key", key)?;
            }
        }
        map.end()
    }
}

impl JsonSchema for SecretSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretSource".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, description: &str| {
            serde_json::json!({
                "type": "object",
                "description": description,
                "properties": {key: {"type": "string"}},
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "description": "Where a secret comes from; never the secret itself.",
            "oneOf": [
                one("sealed", "Sealed for the environment (age, armoured)."),
                one("env", "An environment variable of the deploying step, `PILOTAGE_SECRET_<SERVICE>_*`."),
                one("file", "A file on the machine of the deploying step, by absolute path."),
                {
                    "type": "object",
                    "description": "A secret that the target itself holds.",
                    "properties": {"secret": {"type": "string"}, "key": {"type": "string"}},
                    "required": ["secret", "key"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
