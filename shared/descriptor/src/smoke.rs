use pilotage_yaml::{Decode, Decoder, Fields, Node, words};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, is_request_path};

/// One request of the smoke test and what its answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmokeRequest {
    /// What it is called in reports; see [`SmokeRequest::label`].
    pub name: Option<String>,
    /// The request's method.
    pub method: Method,
    /// Path and query, or a whole http(s) URL where the environment allows it.
    pub path: String,
    /// The name of the port that is asked; none when `path` is a URL.
    pub port: Option<String>,
    /// The request's body.
    pub body: Option<String>,
    /// What the request carries, and what a good answer is.
    pub answer: Answer,
}

words! {
    /// An HTTP method.
    pub enum Method {
        /// GET.
        Get = "get",
        /// HEAD.
        Head = "head",
        /// POST.
        Post = "post",
        /// PUT.
        Put = "put",
        /// PATCH.
        Patch = "patch",
        /// DELETE.
        Delete = "delete",
        /// OPTIONS.
        Options = "options",
    }
}

const METHODS: &[&str] = &["get", "head", "post", "put", "patch", "delete", "options"];

impl SmokeRequest {
    /// The name, else the request line: `GET /`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("{} {}", self.method.as_str().to_ascii_uppercase(), self.path),
        }
    }

    /// Whether the request goes to a URL of its own instead of the service.
    #[must_use]
    pub fn is_url(&self) -> bool {
        !self.path.starts_with('/')
    }
}

impl Decode for SmokeRequest {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a smoke request")?;
        let choice = fields.one_of(METHODS, cx);
        let name = fields.required("name", cx);
        let port = fields.required("port", cx);
        let body = fields.required("body", cx);
        let answer = Answer::take(&mut fields, cx);
        fields.finish(cx);
        let (method, value) = choice?;
        let path = target(value, cx);
        Some(Self {
            name: name?,
            method: method.parse().ok()?,
            path: path?,
            port: port?,
            body: body?,
            answer: answer?,
        })
    }
}

/// A path, or an http(s) URL.
fn target(node: &Node, cx: &mut Decoder) -> Option<String> {
    let text = String::decode(node, cx)?;
    let url = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let good = match url {
        Some(rest) => {
            let host = rest.split(['/', '?']).next().unwrap_or_default();
            !host.is_empty() && !host.contains('@') && text.chars().all(|c| c.is_ascii_graphic())
        }
        None => is_request_path(&text),
    };
    if good {
        return Some(text);
    }
    let reason = "begin with `/`, or write a whole http(s) URL without user and password";
    cx.invalid_value(node, "path of a request", &text, reason);
    None
}

impl Serialize for SmokeRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(self.method.as_str(), &self.path)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        if let Some(port) = &self.port {
            map.serialize_entry("port", port)?;
        }
        if let Some(body) = &self.body {
            map.serialize_entry("body", body)?;
        }
        self.answer.serialize(&mut map)?;
        map.end()
    }
}

impl JsonSchema for SmokeRequest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SmokeRequest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        for method in METHODS {
            let description = format!(
                "Path and query of a {}, or a whole URL.",
                method.to_ascii_uppercase()
            );
            properties.insert(
                (*method).to_owned(),
                json!({"type": "string", "pattern": "^(/|https?://)", "description": description}),
            );
        }
        properties.insert(
            "name".to_owned(),
            json!({"type": "string", "description": "What it is called in reports."}),
        );
        properties.insert(
            "port".to_owned(),
            json!({"type": "string", "description": "The name of the port that is asked."}),
        );
        properties.insert(
            "body".to_owned(),
            json!({"type": "string", "description": "The request's body."}),
        );
        properties.extend(
            Answer::schema(generator)
                .into_iter()
                .map(|(key, schema)| (key.to_owned(), schema)),
        );
        let one: Vec<Value> = METHODS
            .iter()
            .map(|method| json!({"required": [method]}))
            .collect();
        json_schema!({
            "type": "object",
            "description": "One request of the smoke test and what its answer has to be.",
            "properties": properties,
            "oneOf": one,
            "additionalProperties": false,
        })
    }
}
