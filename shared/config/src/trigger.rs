use pilotage_yaml::{Decode, Decoder, Fields, Node, words};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// How an accepted decision becomes a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trigger {
    /// The monitor starts `pilotage-release run` itself.
    #[default]
    Local,
    /// The monitor starts this program.
    Command {
        /// Program and arguments.
        command: Vec<String>,
    },
}

words! {
    /// The triggers that are one word.
    enum TriggerWord {
        /// The monitor starts `pilotage-release run` itself.
        Local = "local",
    }
}

impl Decode for Trigger {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        if node.entries().is_none() {
            let TriggerWord::Local = TriggerWord::decode(node, cx)?;
            return Some(Self::Local);
        }
        let mut fields = Fields::of(node, cx, "a trigger")?;
        let command = fields.take("command", cx, Vec::<String>::decode, || None);
        fields.finish(cx);
        let command = command?;
        if command.first().is_some_and(|program| !program.is_empty()) {
            return Some(Self::Command { command });
        }
        cx.error(
            "invalid-value",
            "a command names its program first",
            node.span,
            "no program here",
        );
        None
    }
}

impl Serialize for Trigger {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Local => serializer.serialize_str(TriggerWord::Local.as_str()),
            Self::Command { command } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("command", command)?;
                map.end()
            }
        }
    }
}

impl JsonSchema for Trigger {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Trigger".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How an accepted decision becomes a release.",
            "oneOf": [
                {"const": "local", "description": "The monitor starts `pilotage-release run` itself."},
                {
                    "type": "object",
                    "properties": {"command": {
                        "type": "array",
                        "items": {"type": "string"},
                        "minItems": 1,
                        "description": "The program that the monitor starts, with its arguments.",
                    }},
                    "required": ["command"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
