//! Another version in the text of a descriptor, and not a byte else. Pure.

use pilotage_descriptor::{Source, Version};
use pilotage_yaml::{Limits, Node, Resolved, Style, parse};

/// Why a text is not edited; reads well after "`services/shop.yaml` ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No YAML, or no map with a version in it.
    #[error("has no `version` that can be read")]
    NoVersion,
    /// An anchor, a block, an escape: what stands there is more than the version.
    #[error("writes its `version` in a way that is not edited")]
    Unclear,
}

/// The text with this version; nothing where it has it already. Comments, quotes and everything else stay as they are; a
/// version that YAML would read as a number gets quotes.
///
/// # Errors
/// It cannot be done without touching anything else.
pub fn with_version(text: &str, version: &Version) -> Result<Option<String>, EditError> {
    let before = tree(text).ok_or(EditError::NoVersion)?;
    let old = before.get("version").ok_or(EditError::NoVersion)?;
    let scalar = old.scalar().ok_or(EditError::NoVersion)?;
    if scalar.text == version.as_str() {
        return Ok(None);
    }
    let (start, end) = (old.span.start, old.span.end);
    let written = text.get(start..end).ok_or(EditError::Unclear)?;
    let quote = match scalar.style {
        Style::Plain => "",
        Style::Quoted if written.starts_with('\'') => "'",
        Style::Quoted if written.starts_with('"') => "\"",
        Style::Quoted | Style::Block => return Err(EditError::Unclear),
    };
    if written != format!("{quote}{}{quote}", scalar.text) {
        return Err(EditError::Unclear);
    }
    let (head, tail) = (&text[..start], &text[end..]);
    [quote, "\""]
        .iter()
        .map(|quote| format!("{head}{quote}{version}{quote}{tail}"))
        .find(|edited| is_it(edited, &before, version))
        .map(Some)
        .ok_or(EditError::Unclear)
}

/// Whether a text says what `before` says, with this version as a text.
fn is_it(edited: &str, before: &Node, version: &Version) -> bool {
    let Some(after) = tree(edited) else { return false };
    let as_text = after
        .get("version")
        .and_then(Node::scalar)
        .is_some_and(|scalar| scalar.text == version.as_str() && scalar.resolved == Resolved::Str);
    let without = |node: &Node| {
        let mut json = node.to_json();
        if let Some(map) = json.as_object_mut() {
            map.remove("version");
        }
        json
    };
    as_text && without(&after) == without(before)
}

fn tree(text: &str) -> Option<Node> {
    let (tree, problems) = parse(&Source::new("descriptor", text), &Limits::default());
    tree.filter(|_| !problems.has_errors())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, version: &str) -> Result<Option<String>, EditError> {
        with_version(text, &version.parse().unwrap())
    }

    #[test]
    fn only_the_version_changes() {
        for (text, version, wanted) in [
            (
                "# shop\nversion: \"1.0.0\"   # kept\nenv: {version: x}\n",
                "1.1.0",
                "# shop\nversion: \"1.1.0\"   # kept\nenv: {version: x}\n",
            ),
            ("version: '1.0.0'\n", "1.1.0", "version: '1.1.0'\n"),
            (
                "version: v1.0.0\r\nkind: worker\r\n",
                "v1.1.0",
                "version: v1.1.0\r\nkind: worker\r\n",
            ),
            ("{version: v1, image: é}", "v2", "{version: v2, image: é}"),
            ("version: v1\n", "1.10", "version: \"1.10\"\n"),
            ("version: v1\n", "true", "version: \"true\"\n"),
            ("version: 1.0.0\n", "1.1.0", "version: 1.1.0\n"),
        ] {
            assert_eq!(edited(text, version), Ok(Some(wanted.to_owned())), "{text}");
        }
        assert_eq!(edited("version: \"1.0.0\"\n", "1.0.0"), Ok(None));
    }

    #[test]
    fn what_is_more_than_a_version_is_left_alone() {
        for text in [
            "kind: worker\n",
            "- version\n",
            "version: {a: b}\n",
            "version: [\n",
            "",
        ] {
            assert_eq!(edited(text, "2"), Err(EditError::NoVersion), "{text}");
        }
        for text in ["version: |\n  1.0.0\n", "version: \"1.\\u0030.0\"\n"] {
            assert_eq!(edited(text, "2"), Err(EditError::Unclear), "{text}");
        }
    }
}
