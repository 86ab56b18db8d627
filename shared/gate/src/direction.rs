use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which way a version moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To a later version.
    Up,
    /// To an earlier version.
    Down,
    /// The same version with other settings.
    Same,
    /// The two cannot be put in order (`1.4` and `nightly`).
    Unordered,
}

/// Compares two versions the way people write them: an optional `v`, numbers between dots compared as numbers, a
/// pre-release after `-` sorts before the version itself, what follows `+` does not count.
///
/// The order of versions with three numbers is that of Semantic Versioning 2.0 (section 11).
#[must_use]
pub fn direction(from: &str, to: &str) -> Direction {
    if from == to {
        return Direction::Same;
    }
    match (Parts::of(from), Parts::of(to)) {
        (Some(a), Some(b)) => match a.compare(&b) {
            Ordering::Less => Direction::Up,
            Ordering::Greater => Direction::Down,
            Ordering::Equal => Direction::Unordered,
        },
        _ => Direction::Unordered,
    }
}

struct Parts<'a> {
    numbers: Vec<u64>,
    pre: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Option<Self> {
        let version = version.strip_prefix('v').unwrap_or(version);
        let version = version.split_once('+').map_or(version, |(main, _)| main);
        let (main, pre) = match version.split_once('-') {
            Some((main, pre)) => (main, Some(pre)),
            None => (version, None),
        };
        let mut numbers = main
            .split('.')
            .map(|n| n.parse().ok())
            .collect::<Option<Vec<u64>>>()?;
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some(Self { numbers, pre })
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| match (self.pre, other.pre) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) => compare_pre(a, b),
            })
    }
}

fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => match (x.parse::<u64>(), y.parse::<u64>()) {
                (Ok(x), Ok(y)) => x.cmp(&y),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => x.cmp(y),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_mean_them() {
        for (from, to, expected) in [
            ("1.9.0", "1.10.0", Direction::Up),
            ("1.10.0", "1.9.9", Direction::Down),
            ("1.4.2", "1.4.2", Direction::Same),
            ("v1.4", "1.4.1", Direction::Up),
            ("1.4.0-rc.2", "1.4.0-rc.10", Direction::Up),
            ("1.4.0-rc.1", "1.4.0", Direction::Up),
            ("1.4.0", "1.4.0-rc.1", Direction::Down),
            ("1.4.0-1", "1.4.0-alpha", Direction::Up),
            ("1.4", "1.4.0", Direction::Unordered),
            ("1.4.0+a", "1.4.0+b", Direction::Unordered),
            ("nightly", "1.0.0", Direction::Unordered),
            ("2026.11.21", "2026.11.3", Direction::Down),
        ] {
            assert_eq!(direction(from, to), expected, "{from} -> {to}");
        }
    }
}
