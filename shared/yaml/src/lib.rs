//! YAML text to a tree with places, and the decoder that collects every problem.
//!
//! [`parse`] turns a [`Source`] into a [`Node`] tree in which every key and value knows its bytes; [`Decode`] turns a
//! node into a type and tells *all* problems, each at its place. A struct is defined once, by [`record!`], a closed set
//! of words by [`words!`], a text with a grammar by [`FromText`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::str::FromStr;
//!
//! use pilotage_yaml::{Decode, Decoder, Fields, FromText, Limits, Node, Source, parse, record, words};
//! use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
//! use serde::Serialize;
//!
//! // A closed set of words: `Clone + Copy + Debug + Eq + Ord + Hash`, `as_str`, `ALL`, `Display`, `FromStr`, serde,
//! // schema and `Decode`.
//! words! {
//!     /// Where a port may be reached.
//!     pub enum Publish {
//!         /// By other services only.
//!         Internal = "internal",
//!         /// Through the proxy.
//!         Proxy = "proxy",
//!     }
//! }
//!
//! // A newtype with a grammar: `FromStr` and a noun make it decodable, also as a key of a map.
//! #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
//! pub struct Version(String);
//!
//! impl FromStr for Version {
//!     type Err = String;
//!     fn from_str(text: &str) -> Result<Self, String> {
//!         if text.is_empty() { Err("it is empty".into()) } else { Ok(Self(text.into())) }
//!     }
//! }
//!
//! impl FromText for Version {
//!     const NOUN: &'static str = "version";
//! }
//!
//! // An enum chosen by which key is present: decoded by hand from the fields of the map.
//! #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
//! #[serde(rename_all = "lowercase")]
//! pub enum Ask {
//!     /// An HTTP path.
//!     Http(String),
//!     /// A port by its name.
//!     Tcp(String),
//! }
//!
//! impl Decode for Ask {
//!     fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
//!         let mut fields = Fields::of(node, cx, "an endpoint")?;
//!         let ask = match fields.one_of(&["http", "tcp"], cx) {
//!             Some(("http", path)) => String::decode(path, cx).map(Self::Http),
//!             Some((_, port)) => String::decode(port, cx).map(Self::Tcp),
//!             None => None,
//!         };
//!         fields.finish(cx); // Keys nobody asked for are unknown keys.
//!         ask
//!     }
//! }
//!
//! // A struct: `Clone + Debug + PartialEq`, `Serialize`, `JsonSchema` (unknown keys denied) and `Decode`.
//! record! {
//!     /// One port.
//!     pub struct Port: Eq {                       // Further derives stand after a colon.
//!         /// Its name.
//!         pub name: String,                       // Required.
//!         /// Its number.
//!         pub port: u16,
//!         /// Who may reach it.
//!         pub publish: Publish = Publish::Internal, // Has a default.
//!     }
//! }
//!
//! record! {
//!     /// A small descriptor.
//!     pub struct Small {
//!         /// The format.
//!         pub api_version as "apiVersion": String, // The key in the file, where it is not the field's name.
//!         /// What runs.
//!         pub version: Version,
//!         /// What it is called.
//!         pub title: Option<String>,              // `Option`, `Vec` and `BTreeMap` may be left out.
//!         /// Ports.
//!         pub ports: Vec<Port>,
//!         /// Variables.
//!         pub env: BTreeMap<String, String>,
//!         /// What is asked.
//!         pub ask: Vec<Ask>,
//!         /// A foreign type: decoded by a function; also `optional(f)`, `list(f)`, `map(f)`.
//!         pub level: std::num::NonZeroU8 = std::num::NonZeroU8::MIN => level,
//!     }
//! }
//!
//! fn level(node: &Node, cx: &mut Decoder) -> Option<std::num::NonZeroU8> {
//!     let number = u8::decode(node, cx)?;
//!     let level = std::num::NonZeroU8::new(number);
//!     if level.is_none() {
//!         cx.error("invalid-value", "a level starts at 1", node.span, "this is 0");
//!     }
//!     level
//! }
//!
//! let source = Source::new("small.yaml", "\
//! apiVersion: v1
//! version: 1.10
//! ports: [{name: http, port: 8080, publish: proxi}]
//! ask: [{http: /health}, {udp: x}]
//! ");
//! let (node, mut problems) = parse(&source, &Limits::default());
//! let node = node.unwrap();
//! let mut cx = Decoder::new(&source);
//! assert_eq!(Small::decode(&node, &mut cx), None);
//! problems.extend(cx.finish());
//! let lines: Vec<String> = problems.sorted().iter().map(|problem| problem.line()).collect();
//! assert_eq!(lines, [
//!     "small.yaml:2:10: error[quote-it]: `1.10` is read as a number where a version is expected",
//!     "small.yaml:3:43: error[unknown-word]: `proxi` is not one of `internal`, `proxy`",
//!     "small.yaml:4:24: error[missing-key]: an endpoint needs one of the keys `http`, `tcp`",
//!     "small.yaml:4:25: error[unknown-key]: unknown key `udp`",
//! ]);
//! // Semantic checks place their findings by path, so that the model stays plain.
//! assert_eq!(node.at("ports[0].port").map(|port| source.slice(port.span)), Some("8080"));
//! ```

mod decode;
mod decoder;
mod fields;
mod limits;
mod merge;
mod names;
mod node;
mod parse;
mod path;
mod record;
mod scalar;
mod source;
mod text;
mod words;

pub use decode::{Decode, DecodeKey, list, map, optional};
pub use decoder::Decoder;
pub use fields::Fields;
pub use limits::Limits;
pub use merge::merge;
pub use node::{Entry, Node, Scalar, Style, Value};
pub use parse::parse;
pub use pilotage_diagnostic::{Diagnostic, Diagnostics, Source, Span};
pub use scalar::Resolved;
pub use source::source_from_bytes;
pub use text::FromText;
pub use words::UnknownWord;

/// What the macros of this crate expand to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::record::{RecordSchema, noun};
    pub use crate::words::{decode_word, words_schema};
    pub use schemars;
    pub use serde;
    pub use serde_json;
}
