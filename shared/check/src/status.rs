use std::fmt;
use std::str::FromStr;

use crate::GrammarError;

/// The HTTP statuses that are good, written `200`, `200-299` or `200,204,300-302`. Never empty; bounds are inclusive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatusSet {
    /// Sorted, disjoint and not adjacent, so that equal sets are equal values.
    ranges: Vec<(u16, u16)>,
}

const LOWEST: u16 = 100;
const HIGHEST: u16 = 599;

impl StatusSet {
    /// Whether `status` is one of them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.ranges
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status))
    }

    /// One status; `None` outside 100-599.
    #[must_use]
    pub fn one(status: u16) -> Option<Self> {
        (LOWEST..=HIGHEST).contains(&status).then(|| Self {
            ranges: vec![(status, status)],
        })
    }

    fn from_ranges(mut ranges: Vec<(u16, u16)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Self { ranges: merged }
    }
}

impl Default for StatusSet {
    /// `200-299`: what RFC 9110 calls successful.
    fn default() -> Self {
        Self {
            ranges: vec![(200, 299)],
        }
    }
}

impl FromStr for StatusSet {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        if text.trim().is_empty() {
            return Err(GrammarError::Empty);
        }
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let part = part.trim();
            let malformed = || GrammarError::Status {
                part: part.to_owned(),
            };
            let status = |t: &str| -> Result<u16, GrammarError> {
                let t = t.trim();
                if t.len() != 3 || !t.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(malformed());
                }
                let status = t.parse().map_err(|_| malformed())?;
                if (LOWEST..=HIGHEST).contains(&status) {
                    Ok(status)
                } else {
                    Err(malformed())
                }
            };
            let (from, to) = match part.split_once('-') {
                Some((from, to)) => (status(from)?, status(to)?),
                None => (status(part)?, status(part)?),
            };
            if from > to {
                return Err(malformed());
            }
            ranges.push((from, to));
        }
        Ok(Self::from_ranges(ranges))
    }
}

impl fmt::Display for StatusSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .ranges
            .iter()
            .map(|(from, to)| {
                if from == to {
                    from.to_string()
                } else {
                    format!("{from}-{to}")
                }
            })
            .collect();
        f.pad(&parts.join(","))
    }
}

impl serde::Serialize for StatusSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.ranges.as_slice() {
            [(from, to)] if from == to => serializer.serialize_u16(*from),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> serde::Deserialize<'de> for StatusSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = StatusSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status such as 200, or a set such as `200-299`")
            }

            fn visit_u64<E: serde::de::Error>(self, status: u64) -> Result<StatusSet, E> {
                status.to_string().parse().map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, status: i64) -> Result<StatusSet, E> {
                status.to_string().parse().map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StatusSet, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl schemars::JsonSchema for StatusSet {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusSet".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One HTTP status, or a set of them such as `200-299` or `200,204`.",
            "anyOf": [
                {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
                {"type": "string", "pattern": "^ *[1-5][0-9]{2}( *- *[1-5][0-9]{2})?( *, *[1-5][0-9]{2}( *- *[1-5][0-9]{2})?)* *$"},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_read_and_printed_in_one_form() {
        for (text, printed) in [
            ("200", "200"),
            ("200-299", "200-299"),
            (" 204 , 200", "200,204"),
            ("200,201,202", "200-202"),
            ("300-399,200-310", "200-399"),
        ] {
            assert_eq!(text.parse::<StatusSet>().unwrap().to_string(), printed);
        }
        for bad in [
            "",
            "2xx",
            "200-",
            "299-200",
            "99",
            "600",
            "+20",
            "200,,204",
            "0200",
            "200-250-299",
        ] {
            assert!(bad.parse::<StatusSet>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn json_has_a_number_for_one_status_and_a_text_for_more() {
        for (json, set) in [("204", "204"), ("\"200-299\"", "200-299"), ("\"200\"", "200")] {
            assert_eq!(
                serde_json::from_str::<StatusSet>(json).unwrap(),
                set.parse().unwrap()
            );
        }
        assert_eq!(
            serde_json::to_string(&StatusSet::one(204).unwrap()).unwrap(),
            "204"
        );
        assert_eq!(
            serde_json::to_string(&StatusSet::default()).unwrap(),
            "\"200-299\""
        );
        assert!(serde_json::from_str::<StatusSet>("20").is_err());
    }

    proptest! {
        #[test]
        fn printing_keeps_the_set(parts in prop::collection::vec((100u16..600, 0u16..50), 1..6)) {
            let text: Vec<String> =
                parts.iter().map(|(from, more)| format!("{from}-{}", (from + more).min(599))).collect();
            let set: StatusSet = text.join(",").parse().unwrap();
            prop_assert_eq!(&set.to_string().parse::<StatusSet>().unwrap(), &set);
            for status in 100..600 {
                let wanted = parts.iter().any(|(from, more)| (*from..=from + more).contains(&status));
                prop_assert_eq!(set.contains(status), wanted);
            }
        }
    }
}
