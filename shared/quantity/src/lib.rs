//! Quantities that carry their unit: durations, cpu and memory.

mod cpu;
mod duration;
mod memory;

pub use cpu::Cpu;
pub use duration::Duration;
pub use memory::Memory;

/// Why a text is no quantity; the message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// A bare number: the unit is missing.
    #[error("the unit is missing: write for example `{example}`")]
    NoUnit {
        /// The same number with a common unit.
        example: String,
    },
    /// A unit that this quantity does not have.
    #[error("`{unit}` is no unit here: use one of {units}")]
    Unit {
        /// What was written.
        unit: String,
        /// What may be written.
        units: &'static str,
    },
    /// No number where one has to stand.
    #[error("expected a number with a unit, such as `{example}`")]
    Malformed {
        /// A good one.
        example: &'static str,
    },
    /// Larger than can be held.
    #[error("it is too large")]
    TooLarge,
}

macro_rules! text_serde {
    ($name:ident, $pattern:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        $crate::text_read!($name, $pattern);
    };
}
pub(crate) use text_serde;

macro_rules! text_read {
    ($name:ident, $pattern:expr) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern})
            }
        }
    };
}
pub(crate) use text_read;
