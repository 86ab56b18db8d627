use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::QuantityError;

/// Processor time, in thousandths of a core, written `500m`, or as a number of cores: `2`, `0.5`. The plain number is the
/// spelling that people bring along from Kubernetes, and its unit is always the core.
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

impl Serialize for Cpu {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrNumber)
    }
}

struct TextOrNumber;

impl Visitor<'_> for TextOrNumber {
    type Value = Cpu;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount of CPU such as `500m` or a number of cores")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cpu, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, cores: u64) -> Result<Cpu, E> {
        self.visit_str(&cores.to_string())
    }

    fn visit_i64<E: Error>(self, cores: i64) -> Result<Cpu, E> {
        self.visit_str(&cores.to_string())
    }

    fn visit_f64<E: Error>(self, cores: f64) -> Result<Cpu, E> {
        self.visit_str(&cores.to_string())
    }
}

impl schemars::JsonSchema for Cpu {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cpu".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // Not `type: [string, number]` with both rules: editors explain the branches of `anyOf` one by one.
        schemars::json_schema!({
            "anyOf": [
                {"type": "string", "pattern": "^([0-9]+m|[0-9]+(\\.[0-9]{1,3})?)$"},
                {"type": "number", "minimum": 0},
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_number_is_a_number_of_cores() {
        use serde::de::IntoDeserializer;
        use serde::de::value::Error;
        let of = |cores: f64| -> Result<Cpu, Error> { Cpu::deserialize(cores.into_deserializer()) };
        let whole: Result<Cpu, Error> = Cpu::deserialize(2_u64.into_deserializer());
        let text: Result<Cpu, Error> = Cpu::deserialize("500m".into_deserializer());
        assert_eq!(whole.unwrap().as_millicores(), 2_000);
        assert_eq!(of(0.5).unwrap(), text.unwrap());
        for bad in [-1.0, 0.000_1, f64::INFINITY] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

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
