use std::fmt;
use std::str::FromStr;

use crate::{QuantityError, text_read};

/// A span of time, in milliseconds, written with units: `500ms`, `1.5s`, `30s`, `1h30m`, `2d`.
///
/// For people ([`fmt::Display`]) what is longer than a second is written with a fraction, `1.272s`; in files that we write
/// (`Serialize`) with units alone, `1s272ms`, as ever: hashes are taken of those. Both are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration {
    millis: u64,
}

/// Largest first, as they stand in a written duration.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
const UNIT_NAMES: &str = "ms, s, m, h, d";

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self { millis: 0 };

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// From seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self {
            millis: seconds.saturating_mul(1_000),
        }
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// For the standard library's and tokio's timers.
    #[must_use]
    pub const fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.millis)
    }

    /// The sum, or the longest duration there is.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self {
            millis: self.millis.saturating_add(other.millis),
        }
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.as_std()
    }
}

impl FromStr for Duration {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const MALFORMED: QuantityError = QuantityError::Malformed { example: "30s" };
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(MALFORMED);
        }
        let mut millis: u64 = 0;
        let mut largest_left = 0;
        while !rest.is_empty() {
            let is_number = |c: char| c.is_ascii_digit() || c == '.';
            let digits = rest.find(|c| !is_number(c)).unwrap_or(rest.len());
            let (whole, fraction) = match rest[..digits].split_once('.') {
                Some((whole, fraction)) => (whole, Some(fraction)),
                None => (&rest[..digits], None),
            };
            let number: u64 = match whole.parse() {
                Ok(number) => number,
                Err(_) if whole.is_empty() => return Err(MALFORMED),
                Err(_) => return Err(QuantityError::TooLarge),
            };
            let tail = &rest[digits..];
            let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let unit = &tail[..unit_length];
            if unit.is_empty() {
                return Err(QuantityError::NoUnit {
                    example: format!("{text}s"),
                });
            }
            let index =
                UNITS
                    .iter()
                    .position(|(name, _)| *name == unit)
                    .ok_or_else(|| QuantityError::Unit {
                        unit: unit.to_owned(),
                        units: UNIT_NAMES,
                    })?;
            // `1s2h` and `1s1s` are slips of the hand: each unit once, largest first.
            if index < largest_left {
                return Err(MALFORMED);
            }
            largest_left = index + 1;
            let part = number
                .checked_mul(UNITS[index].1)
                .ok_or(QuantityError::TooLarge)?;
            millis = millis.checked_add(part).ok_or(QuantityError::TooLarge)?;
            rest = &tail[unit_length..];
            if let Some(fraction) = fraction {
                // Of seconds only, and at the end: `1.5h` and `1.5s20ms` are read in more than one way.
                let thousandths = (unit == "s" && rest.is_empty())
                    .then(|| thousandths(fraction))
                    .flatten();
                millis = millis
                    .checked_add(thousandths.ok_or(MALFORMED)?)
                    .ok_or(QuantityError::TooLarge)?;
            }
        }
        Ok(Self { millis })
    }
}

/// One to three digits behind the point.
fn thousandths(fraction: &str) -> Option<u64> {
    let good = (1..=3).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    good.then(|| format!("{fraction:0<3}").parse().ok()).flatten()
}

impl Duration {
    /// In whole units: `1h30m`, `1s500ms`, `0s`.
    fn in_units(self) -> String {
        if self.millis == 0 {
            return "0s".to_owned();
        }
        let mut text = String::new();
        let mut left = self.millis;
        for (name, size) in UNITS {
            if left >= size {
                text.push_str(&(left / size).to_string());
                text.push_str(name);
                left %= size;
            }
        }
        text
    }
}

impl fmt::Display for Duration {
    /// Exact, as people write it: `1h30m`, `1.5s`, `20ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, thousandths) = (self.millis % 60_000 / 1_000, self.millis % 1_000);
        if seconds == 0 || thousandths == 0 {
            return f.pad(&self.in_units());
        }
        let minutes = match self.millis - self.millis % 60_000 {
            0 => String::new(),
            millis => Self { millis }.in_units(),
        };
        let fraction = format!("{thousandths:03}");
        f.pad(&format!("{minutes}{seconds}.{}s", fraction.trim_end_matches('0')))
    }
}

impl serde::Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.in_units())
    }
}

text_read!(
    Duration,
    "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+\\.[0-9]{1,3}s|([0-9]+s)?([0-9]+ms)?)$"
);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_read_and_missing_ones_refused() {
        assert_eq!("500ms".parse::<Duration>().unwrap().as_millis(), 500);
        assert_eq!("1h30m".parse::<Duration>().unwrap().as_millis(), 5_400_000);
        assert_eq!(
            "30".parse::<Duration>(),
            Err(QuantityError::NoUnit {
                example: "30s".to_owned()
            })
        );
        assert!(matches!(
            "3x".parse::<Duration>(),
            Err(QuantityError::Unit { .. })
        ));
        for bad in [
            "",
            "s",
            "-1s",
            "1.5",
            "1.5m",
            ".5s",
            "1.5s20ms",
            "1.2345s",
            "1.s",
            "1..5s",
            "1s2h",
            "1s1s",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn people_read_fractions_and_files_hold_units() {
        for (millis, shown, written) in [
            (1_272, "1.272s", "1s272ms"),
            (61_500, "1m1.5s", "1m1s500ms"),
            (60_020, "1m20ms", "1m20ms"),
            (900, "900ms", "900ms"),
            (3_600_000, "1h", "1h"),
            (0, "0s", "0s"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(duration.to_string(), shown);
            assert_eq!(serde_json::to_value(duration).unwrap(), written);
            assert_eq!((shown.parse(), written.parse()), (Ok(duration), Ok(duration)));
        }
    }

    proptest! {
        #[test]
        fn printing_and_parsing_agree(millis in 0..u64::MAX / 2) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(duration.to_string().parse::<Duration>().unwrap(), duration);
            prop_assert_eq!(duration.in_units().parse::<Duration>().unwrap(), duration);
        }
    }
}
