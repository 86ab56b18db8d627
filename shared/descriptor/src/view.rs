//! The tree of one environment: the base with the overlay over it.

use pilotage_yaml::{Entry, Node, Value, merge};

use crate::{file, secret};

/// `base` with `overlay` over it: maps merge, scalars and lists replace, null removes. Two things that only look like
/// parts of one another follow the overlay's meaning:
///
/// - Where the overlay takes a file or a secret from another place (`env` instead of `sealed`), the base's place goes.
/// - A route whose host is the base's `domain` follows the overlay's `domain`, unless the overlay has `ports`.
pub(crate) fn view(base: &Node, overlay: &Node) -> Node {
    let mut base = base.clone();
    choose_again(&mut base, overlay, "files", file::CHOICES);
    choose_again(&mut base, overlay, "secrets", secret::CHOICES);
    follow_domain(&mut base, overlay);
    merge(&base, overlay)
}

fn entries_mut(node: &mut Node) -> &mut [Entry] {
    match &mut node.value {
        Value::Mapping(entries) => entries,
        Value::Scalar(_) | Value::Sequence(_) => &mut [],
    }
}

fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let entry = entries_mut(node).iter_mut().find(|entry| entry.key == key)?;
    Some(&mut entry.value)
}

fn choose_again(base: &mut Node, overlay: &Node, section: &str, choices: &[&str]) {
    let (Some(below), Some(over)) = (get_mut(base, section), overlay.get(section)) else {
        return;
    };
    for entry in entries_mut(below) {
        let Some(other) = over.get(&entry.key).and_then(Node::entries) else {
            continue;
        };
        let chosen =
            |key: &str| choices.contains(&key) && other.iter().any(|o| o.key == key && !o.value.is_null());
        let differs = other
            .iter()
            .any(|o| chosen(&o.key) && entry.value.get(&o.key).is_none());
        if differs && let Value::Mapping(entries) = &mut entry.value.value {
            entries.clear();
        }
    }
}

fn follow_domain(base: &mut Node, overlay: &Node) {
    let Some(domain) = overlay.get("domain").filter(|_| overlay.get("ports").is_none()) else {
        return;
    };
    let Some(old) = base
        .get("domain")
        .and_then(Node::scalar)
        .map(|scalar| scalar.text.clone())
    else {
        return;
    };
    let is_old = |route: &Node| {
        let host = route.get("host").and_then(Node::scalar);
        host.is_some_and(|host| host.text.eq_ignore_ascii_case(&old))
    };
    let Some(Value::Sequence(ports)) = get_mut(base, "ports").map(|ports| &mut ports.value) else {
        return;
    };
    for port in ports {
        let Some(Value::Sequence(routes)) = get_mut(port, "routes").map(|routes| &mut routes.value) else {
            continue;
        };
        if domain.is_null() {
            routes.retain(|route| !is_old(route));
        }
        for route in routes.iter_mut().filter(|route| is_old(route)) {
            if let Some(host) = get_mut(route, "host") {
                *host = domain.clone();
            }
        }
    }
}
