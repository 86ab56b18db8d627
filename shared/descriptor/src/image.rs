use std::fmt;

use pilotage_yaml::{Decode, Decoder, Fields, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::version::is_tag;

/// A container image, written as `registry/name`, `registry/name:tag` or `registry/name@sha256:…`, or as a map
/// `{name, tag | digest}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Registry and repository, such as `registry.example.com/shop`.
    pub name: String,
    /// The tag. In a resolved descriptor it is the version when neither tag nor digest was written.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits; then there is no tag.
    pub digest: Option<String>,
}

const NAME_RULE: &str =
    "use lower-case letters, digits, `.`, `_`, `-` and `/`, such as `registry.example.com/team/shop`";
const TAG_RULE: &str = "use 1 to 128 letters, digits, `_`, `.` or `-`";
const DIGEST_RULE: &str = "use `sha256:` and 64 lower-case hexadecimal digits";

impl fmt::Display for Image {
    /// As an engine takes it: `name@digest`, `name:tag` or `name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(f, "{}@{digest}", self.name),
            (None, Some(tag)) => write!(f, "{}:{tag}", self.name),
            (None, None) => f.write_str(&self.name),
        }
    }
}

impl Image {
    fn of_text(text: &str) -> Result<Self, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let slash = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[slash..].split_once(':') {
            Some((last, tag)) => (&rest[..slash + last.len()], Some(tag)),
            None => (rest, None),
        };
        if tag.is_some() && digest.is_some() {
            return Err(
                "it has a tag and a digest; the digest alone says which image runs, so remove the tag"
                    .to_owned(),
            );
        }
        if !is_name(name) {
            return Err(NAME_RULE.to_owned());
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(format!("in the tag, {TAG_RULE}"));
        }
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(format!("for the digest, {DIGEST_RULE}"));
        }
        Ok(Self {
            name: name.to_owned(),
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }
}

impl Decode for Image {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        if node.entries().is_none() {
            let text = String::decode(node, cx)?;
            return match Self::of_text(&text) {
                Ok(image) => Some(image),
                Err(reason) => {
                    cx.invalid_value(node, "image", &text, reason);
                    None
                }
            };
        }
        let mut fields = Fields::of(node, cx, "an image")?;
        let name = fields.take(
            "name",
            cx,
            |node, cx| checked(node, cx, "image name", is_name, NAME_RULE),
            || None,
        );
        let tag = fields.take(
            "tag",
            cx,
            |node, cx| checked(node, cx, "tag", is_tag, TAG_RULE).map(|text| Some((text, node.name_span()))),
            || Some(None),
        );
        let digest = fields.take(
            "digest",
            cx,
            |node, cx| {
                checked(node, cx, "digest", is_digest, DIGEST_RULE).map(|text| Some((text, node.name_span())))
            },
            || Some(None),
        );
        fields.finish(cx);
        if let (Some(Some((_, tag))), Some(Some((_, digest)))) = (&tag, &digest) {
            let error = pilotage_yaml::Diagnostic::error(
                "conflicting-keys",
                "an image has a tag or a digest, never both",
            )
            .at(cx.source(), *digest, "the digest says exactly which image runs")
            .also(cx.source(), *tag, "so the tag says nothing")
            .help("remove `tag`, or remove `digest` to follow the tag");
            cx.report(error);
            return None;
        }
        Some(Self {
            name: name?,
            tag: tag?.map(|(text, _)| text),
            digest: digest?.map(|(text, _)| text),
        })
    }
}

fn checked(node: &Node, cx: &mut Decoder, noun: &str, good: fn(&str) -> bool, rule: &str) -> Option<String> {
    let text = String::decode(node, cx)?;
    if good(&text) {
        return Some(text);
    }
    cx.invalid_value(node, noun, &text, rule);
    None
}

/// The grammar of a reference's name: a registry with an optional port, then path components (distribution
/// specification).
fn is_name(text: &str) -> bool {
    let component = |part: &str| {
        let alphanumeric = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        alphanumeric(part.bytes().next())
            && alphanumeric(part.bytes().last())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
    };
    let registry = |part: &str| {
        let (host, port) = part.split_once(':').unwrap_or((part, "0"));
        component(&host.to_ascii_lowercase())
            && !port.is_empty()
            && port.len() <= 5
            && port.bytes().all(|b| b.is_ascii_digit())
    };
    let (first, rest) = match text.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    };
    let first = if rest.is_some() {
        registry(first)
    } else {
        component(first)
    };
    text.len() <= 255 && first && rest.is_none_or(|rest| rest.split('/').all(component))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        if let Some(tag) = &self.tag {
            map.serialize_entry("tag", tag)?;
        }
        if let Some(digest) = &self.digest {
            map.serialize_entry("digest", digest)?;
        }
        map.end()
    }
}

impl JsonSchema for Image {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Image".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A container image. Without tag and digest the tag is the version.",
            "anyOf": [
                {"type": "string", "pattern": "^[^\\s@:]+(:[0-9]+/[^\\s@:]+)?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})?$"},
                {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "description": "Registry and repository."},
                        "tag": {"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"},
                        "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
                    },
                    "required": ["name"],
                    "not": {"required": ["tag", "digest"]},
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let image = |text: &str| Image::of_text(text).map(|i| (i.name, i.tag, i.digest));
        let named = |name: &str, tag: Option<&str>| Ok((name.to_owned(), tag.map(str::to_owned), None));
        assert_eq!(image("shop"), named("shop", None));
        assert_eq!(image("shop:1.0"), named("shop", Some("1.0")));
        assert_eq!(
            image("localhost:5000/team/shop"),
            named("localhost:5000/team/shop", None)
        );
        assert_eq!(
            image("localhost:5000/shop:1"),
            named("localhost:5000/shop", Some("1"))
        );
        let digest = format!("sha256:{}", "0".repeat(64));
        assert_eq!(
            image(&format!("r/shop@{digest}")),
            Ok(("r/shop".to_owned(), None, Some(digest.clone())))
        );
        assert!(image(&format!("r/shop:1@{digest}")).is_err());
        for bad in [
            "",
            "Shop",
            "shop:",
            "shop@",
            "shop@sha256:12",
            "a//b",
            "/a",
            "a/",
            "a b",
            "-v",
            "--privileged/x",
            "a/../b",
            "http://r/x",
        ] {
            assert!(image(bad).is_err(), "{bad:?}");
        }
    }
}
