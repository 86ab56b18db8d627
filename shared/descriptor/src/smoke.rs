use std::collections::BTreeMap;

use pilotage_check::{Expression, HeaderName, JsonPath, Rule};
use pilotage_quantity::Duration;
use pilotage_yaml::{Decode, Decoder, Fields, Node, words};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::answer::{Answer, is_request_path};
use crate::capture::captures;
use crate::placeholder::placeholders;
use crate::{Capture, rule};

/// One request of the smoke test and what its answer has to be. Path, header values, body and expected texts may hold
/// `{{name}}`, a value that an earlier request captured.
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
    /// What the body has to match.
    pub matches: Option<Expression>,
    /// What headers of the answer have to be.
    pub answer_headers: Vec<(HeaderName, Rule)>,
    /// What places of a JSON body have to be.
    pub json: Vec<(JsonPath, Rule)>,
    /// How long the whole answer may take.
    pub within: Option<Duration>,
    /// Values of the answer that later requests need.
    pub captures: BTreeMap<String, Capture>,
    /// Whether it may change something; needed for every method but GET, HEAD and OPTIONS.
    pub changes: bool,
    /// How many redirects are followed.
    pub redirects: u32,
    /// Further tries after a bad answer or none.
    pub retries: u32,
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

impl Method {
    /// As it stands in a request line.
    #[must_use]
    pub fn token(self) -> String {
        self.as_str().to_ascii_uppercase()
    }

    /// Whether it changes nothing (RFC 9110, section 9.2.1).
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options)
    }

    /// Whether doing it twice is doing it once (RFC 9110, section 9.2.2).
    #[must_use]
    pub const fn is_idempotent(self) -> bool {
        !matches!(self, Self::Post | Self::Patch)
    }
}

/// More redirects than this are a circle.
pub(crate) const MOST_REDIRECTS: u32 = 20;

const METHODS: &[&str] = &["get", "head", "post", "put", "patch", "delete", "options"];

impl SmokeRequest {
    /// The name, else the request line: `GET /`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => format!("{} {}", self.method.token(), self.path),
        }
    }

    /// The captured values it needs, by the keys of the file whose texts name them.
    pub fn needs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let method = self.method.as_str();
        let sent = std::iter::once((method, self.path.as_str()))
            .chain(
                self.answer
                    .headers
                    .values()
                    .map(|value| ("headers", value.as_str())),
            )
            .chain(self.body.as_deref().map(|body| ("body", body)));
        let expected = (self
            .answer
            .contains
            .as_deref()
            .map(|text| ("contains", text))
            .into_iter())
        .chain(
            self.answer_headers
                .iter()
                .filter_map(|(_, rule)| Some(("answer_headers", text_of(rule)?))),
        )
        .chain(
            self.json
                .iter()
                .filter_map(|(_, rule)| Some(("json", text_of(rule)?))),
        );
        sent.chain(expected)
            .flat_map(|(key, text)| placeholders(text).map(move |(_, name)| (key, name)))
    }

    /// Whether the request goes to a URL of its own instead of the service.
    #[must_use]
    pub fn is_url(&self) -> bool {
        !self.path.starts_with('/')
    }
}

/// The text of a rule that may hold placeholders.
fn text_of(rule: &Rule) -> Option<&str> {
    match rule {
        Rule::Is(Value::String(text)) | Rule::Contains(text) => Some(text),
        Rule::Is(_) | Rule::Matches(_) | Rule::Exists(_) => None,
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
        let matches = fields.take(
            "matches",
            cx,
            |node, cx| rule::expression(node, cx).map(Some),
            || Some(None),
        );
        let answer_headers = fields.take("answer_headers", cx, rule::headers, || Some(Vec::new()));
        let json = fields.take("json", cx, rule::json, || Some(Vec::new()));
        let within = fields.required("within", cx);
        let captures = fields.take("captures", cx, captures, || Some(BTreeMap::new()));
        let changes = fields.or_else("unsafe", cx, || false);
        let redirects = fields.or_else("redirects", cx, || 0);
        let retries = fields.or_else("retries", cx, || 0);
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
            matches: matches?,
            answer_headers: answer_headers?,
            json: json?,
            within: within?,
            captures: captures?,
            changes: changes?,
            redirects: redirects?,
            retries: retries?,
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
            !host.is_empty()
                && !host.contains(['@', '{', '}', '\\'])
                && text.chars().all(|c| c.is_ascii_graphic())
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
        if let Some(expression) = &self.matches {
            map.serialize_entry("matches", expression)?;
        }
        if !self.answer_headers.is_empty() {
            map.serialize_entry("answer_headers", &rules(&self.answer_headers))?;
        }
        if !self.json.is_empty() {
            map.serialize_entry("json", &rules(&self.json))?;
        }
        if let Some(within) = &self.within {
            map.serialize_entry("within", within)?;
        }
        if !self.captures.is_empty() {
            map.serialize_entry("captures", &self.captures)?;
        }
        if self.changes {
            map.serialize_entry("unsafe", &true)?;
        }
        for (key, count) in [("redirects", self.redirects), ("retries", self.retries)] {
            if count > 0 {
                map.serialize_entry(key, &count)?;
            }
        }
        map.end()
    }
}

fn rules<K: std::fmt::Display>(rules: &[(K, Rule)]) -> BTreeMap<String, &Rule> {
    rules.iter().map(|(key, rule)| (key.to_string(), rule)).collect()
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
        let rule = generator.subschema_for::<Rule>();
        let capture = generator.subschema_for::<Capture>();
        let within = generator.subschema_for::<Duration>();
        for (key, schema) in [
            (
                "matches",
                json!({"type": "string", "minLength": 1, "description": "A regular expression that the body has to match."}),
            ),
            (
                "answer_headers",
                json!({"type": "object", "additionalProperties": rule, "description": "What headers of the answer have to be."}),
            ),
            (
                "json",
                json!({"type": "object", "additionalProperties": rule, "description": "What places of a JSON body have to be, by their paths."}),
            ),
            (
                "captures",
                json!({"type": "object", "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,39}$"}, "additionalProperties": capture, "description": "Values of the answer that later requests use as `{{name}}`."}),
            ),
            (
                "unsafe",
                json!({"type": "boolean", "description": "Whether it may change something; needed for every method but GET, HEAD and OPTIONS."}),
            ),
            (
                "redirects",
                json!({"type": "integer", "minimum": 0, "description": "How many redirects are followed; none when nothing is written."}),
            ),
            (
                "retries",
                json!({"type": "integer", "minimum": 0, "maximum": u32::MAX, "description": "Further tries after a bad answer or none."}),
            ),
        ] {
            properties.insert(key.to_owned(), schema);
        }
        let mut within = within.to_value();
        if let Value::Object(within) = &mut within {
            within.insert(
                "description".to_owned(),
                "How long the whole answer may take.".into(),
            );
        }
        properties.insert("within".to_owned(), within);
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
