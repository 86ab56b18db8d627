use crate::{Node, Value};

impl Node {
    /// The node at a path such as `healthcheck.endpoints[0].port`; a key that holds a dot or a bracket is written
    /// `files["/etc/app.yaml"].from`. `None` when there is no such node, or the path is none.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        let mut rest = path;
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix("[\"") {
                let end = quoted.find("\"]")?;
                node = node.get(&quoted[..end])?;
                rest = &quoted[end + 2..];
            } else if let Some(bracket) = rest.strip_prefix('[') {
                let end = bracket.find(']')?;
                let Value::Sequence(items) = &node.value else {
                    return None;
                };
                node = items.get(bracket[..end].parse::<usize>().ok()?)?;
                rest = &bracket[end + 1..];
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                node = node.get(&rest[..end])?;
                rest = &rest[end..];
            }
            rest = match rest.strip_prefix('.') {
                // A path does not end in a dot.
                Some("") => return None,
                Some(after) => after,
                None => rest,
            };
        }
        Some(node)
    }
}
