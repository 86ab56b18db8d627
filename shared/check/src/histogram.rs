use std::fmt;

/// How often each thing was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// In the order of first sight.
    counts: Vec<(String, u32)>,
    last: Option<usize>,
}

/// Different keys that are told apart; an endpoint that says something new each time fills the rest into one.
const KEYS: usize = 32;
const OTHER: &str = "other";

impl Histogram {
    /// Counts one more sight of `key`.
    pub fn add(&mut self, key: &str) {
        let known = self.counts.len() < KEYS || self.counts.iter().any(|(known, _)| known == key);
        let key = if known { key } else { OTHER };
        let index = match self.counts.iter().position(|(known, _)| known == key) {
            Some(index) => {
                self.counts[index].1 += 1;
                index
            }
            None => {
                self.counts.push((key.to_owned(), 1));
                self.counts.len() - 1
            }
        };
        self.last = Some(index);
    }

    /// What was seen and how often: the last seen first, the others by count.
    #[must_use]
    pub fn ranked(&self) -> Vec<(&str, u32)> {
        let mut ranked: Vec<(usize, &str, u32)> = self
            .counts
            .iter()
            .enumerate()
            .map(|(index, (key, count))| (index, key.as_str(), *count))
            .collect();
        ranked
            .sort_by_key(|(index, _, count)| (self.last != Some(*index), std::cmp::Reverse(*count), *index));
        ranked.into_iter().map(|(_, key, count)| (key, count)).collect()
    }

    /// Sights of everything together.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Histogram {
    /// `503 (13×), refused (1×)`; the last seen stands first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .ranked()
            .into_iter()
            .map(|(key, count)| format!("{key} ({count}×)"))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_seen_stands_first_then_the_most_frequent() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.to_string(), "");
        for key in [
            "refused", "timeout", "timeout", "503", "reset", "reset", "reset", "503",
        ] {
            histogram.add(key);
        }
        assert_eq!(
            histogram.to_string(),
            "503 (2×), reset (3×), timeout (2×), refused (1×)"
        );
        assert_eq!(histogram.total(), 8);
    }

    #[test]
    fn ever_new_keys_do_not_fill_memory() {
        let mut histogram = Histogram::default();
        for number in 0..1_000 {
            histogram.add(&number.to_string());
        }
        assert_eq!(histogram.ranked().len(), KEYS + 1);
        assert_eq!(histogram.ranked()[0], (OTHER, 968));
    }
}
