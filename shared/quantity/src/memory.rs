use std::fmt;
use std::str::FromStr;

use crate::{QuantityError, text_serde};

/// Memory, in bytes, written with a unit: `256Mi`, `1Gi`, `500M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory {
    bytes: u64,
}

const UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];
const UNIT_NAMES: &str = "k, M, G, T, Ki, Mi, Gi, Ti";

impl Memory {
    /// From bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }

    /// In bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.bytes
    }
}

impl FromStr for Memory {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        if digits == 0 {
            return Err(QuantityError::Malformed { example: "256Mi" });
        }
        let number: u64 = text[..digits].parse().map_err(|_| QuantityError::TooLarge)?;
        let unit = &text[digits..];
        if unit.is_empty() {
            return Err(QuantityError::NoUnit {
                example: format!("{text}Mi"),
            });
        }
        let (_, size) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| QuantityError::Unit {
                unit: unit.to_owned(),
                units: UNIT_NAMES,
            })?;
        Ok(Self {
            bytes: number.checked_mul(*size).ok_or(QuantityError::TooLarge)?,
        })
    }
}

impl fmt::Display for Memory {
    /// In the largest unit that divides it; a size that no unit divides prints as the bytes it is, in `k` rounded up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .iter()
            .find(|(_, size)| self.bytes >= *size && self.bytes.is_multiple_of(*size));
        match exact {
            Some((name, size)) => f.pad(&format!("{}{name}", self.bytes / size)),
            None => f.pad(&format!("{}k", self.bytes.div_ceil(1_000))),
        }
    }
}

text_serde!(Memory, "^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_and_decimal_units_differ() {
        assert_eq!("256Mi".parse::<Memory>().unwrap().as_bytes(), 268_435_456);
        assert_eq!("500M".parse::<Memory>().unwrap().to_string(), "500M");
        assert_eq!(
            "256".parse::<Memory>(),
            Err(QuantityError::NoUnit {
                example: "256Mi".to_owned()
            })
        );
        for bad in ["", "Mi", "1.5Gi", "256mb", "256MB", "-1Mi", "99999999999Ti"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad:?}");
        }
    }
}
