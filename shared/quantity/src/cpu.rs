use std::fmt;
use std::str::FromStr;

use crate::{QuantityError, text_serde};

/// Processor time, in thousandths of a core, written `500m` or `2` (whole cores) or `1.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu {
    millicores: u64,
}

impl Cpu {
    /// From thousandths of a core.
    #[must_use]
    pub const fn from_millicores(millicores: u64) -> Self {
        Self { millicores }
    }

    /// In thousandths of a core.
    #[must_use]
    pub const fn as_millicores(self) -> u64 {
        self.millicores
    }
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const MALFORMED: QuantityError = QuantityError::Malformed { example: "500m" };
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let number = |t: &str| t.parse::<u64>().map_err(|_| QuantityError::TooLarge);
        let text = text.trim();
        let millicores = if let Some(milli) = text.strip_suffix('m') {
            if !digits(milli) {
                return Err(MALFORMED);
            }
            number(milli)?
        } else if let Some((whole, part)) = text.split_once('.') {
            if !digits(whole) || !digits(part) || part.len() > 3 {
                return Err(MALFORMED);
            }
            let thousandths = number(&format!("{part:0<3}"))?;
            number(whole)?
                .checked_mul(1_000)
                .and_then(|w| w.checked_add(thousandths))
                .ok_or(QuantityError::TooLarge)?
        } else {
            if !digits(text) {
                return Err(MALFORMED);
            }
            number(text)?.checked_mul(1_000).ok_or(QuantityError::TooLarge)?
        };
        Ok(Self { millicores })
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millicores.is_multiple_of(1_000) {
            f.pad(&(self.millicores / 1_000).to_string())
        } else {
            f.pad(&format!("{}m", self.millicores))
        }
    }
}

text_serde!(Cpu, "^([0-9]+m|[0-9]+(\\.[0-9]{1,3})?)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_and_millicores_are_the_same_thing() {
        for (text, millicores, printed) in [("500m", 500, "500m"), ("2", 2_000, "2"), ("1.5", 1_500, "1500m")]
        {
            let cpu: Cpu = text.parse().unwrap();
            assert_eq!(
                (cpu.as_millicores(), cpu.to_string().as_str()),
                (millicores, printed)
            );
        }
        for bad in [
            "",
            "m",
            "-1",
            "1.2345",
            ".5",
            "1.m",
            "two",
            "+5m",
            "99999999999999999999",
        ] {
            assert!(bad.parse::<Cpu>().is_err(), "{bad:?}");
        }
    }
}
