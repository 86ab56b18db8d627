use pilotage_yaml::{Decode, Decoder, Fields, Node};
use schemars::JsonSchema;
use serde::Serialize;

/// Where the content of a file in the instance comes from.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileSource {
    /// A file of the environment branch, by its path in the repository.
    From(String),
    /// The content itself.
    Content(String),
    /// The content, sealed for the environment (age, armoured).
    Sealed(String),
}

/// The keys of which a file has one.
pub(crate) const CHOICES: &[&str] = &["from", "content", "sealed"];

impl Decode for FileSource {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a file")?;
        let choice = fields.one_of(CHOICES, cx);
        fields.finish(cx);
        let (key, value) = choice?;
        let text = String::decode(value, cx)?;
        Some(match key {
            "from" => Self::From(text),
            "content" => Self::Content(text),
            _ => Self::Sealed(text),
        })
    }
}

impl std::fmt::Debug for FileSource {
    /// Sealed text is left out: it is of no use to a reader and long.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From(path) => f.debug_tuple("From").field(path).finish(),
            Self::Content(text) => f.debug_tuple("Content").field(text).finish(),
            Self::Sealed(_) => f.write_str("Sealed(..)"),
        }
    }
}

/// Why a path in the instance is refused; `None` when it is absolute and clean.
pub(crate) fn unclean_absolute(path: &str) -> Option<&'static str> {
    match path.strip_prefix('/') {
        None => Some("a file in the instance has an absolute path, such as `/etc/shop/app.yaml`"),
        Some(rest) => unclean(rest),
    }
}

/// Why a path in the repository is refused; `None` when it is relative and clean.
pub(crate) fn unclean_relative(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some(
            "a file of the repository has a path from the repository's root, such as `files/shop/app.yaml`",
        );
    }
    unclean(path)
}

fn unclean(path: &str) -> Option<&'static str> {
    let mut parts = path.split('/');
    if path.is_empty() {
        Some("a path of a file cannot be empty")
    } else if parts.clone().any(|part| part == "..") {
        Some("`..` may not stand in a path")
    } else if parts.any(|part| part.is_empty() || part == ".") {
        Some("write the path without `.`, without `//` and without a `/` at its end")
    } else if path.chars().any(|c| c.is_control() || c == '\\') {
        Some("control characters and backslashes may not stand in a path")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clean_paths_pass() {
        for good in ["/etc/app.yaml", "/a"] {
            assert_eq!(unclean_absolute(good), None, "{good}");
        }
        for bad in ["", "/", "etc/a", "/a/", "//a", "/a/../b", "/a/./b", "/a\nb"] {
            assert!(unclean_absolute(bad).is_some(), "{bad:?}");
        }
        assert_eq!(unclean_relative("files/shop/app.yaml"), None);
        for bad in ["", "/files/a", "../a", "a/..", "a//b", "./a", "a/"] {
            assert!(unclean_relative(bad).is_some(), "{bad:?}");
        }
    }
}
