/// What YAML 1.2's core schema (§10.3.2) reads in a scalar. A quoted or block scalar is always a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number: decimal, `0o17` or `0x1f`.
    Int,
    /// A number with a point or an exponent, `.inf` or `.nan`.
    Float,
    /// Anything else.
    Str,
}

impl Resolved {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool => "a boolean",
            Self::Int | Self::Float => "a number",
            Self::Str => "a text",
        }
    }

    /// Reads a plain scalar.
    pub(crate) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Self::Bool,
            _ if is_integer(text) => Self::Int,
            _ if is_float(text) => Self::Float,
            _ => Self::Str,
        }
    }
}

/// How a plain scalar is read that is no text, or that YAML 1.1 readers (PyYAML, Ruby, SnakeYAML) take for something
/// else: `yes`, `off`, `1_000`, `0b11`, `22:30`. In a text's place it has to be quoted.
pub(crate) fn misread(text: &str) -> Option<&'static str> {
    match Resolved::of_plain(text) {
        Resolved::Str if is_old_boolean(text) => Some("as a boolean by many programs"),
        Resolved::Str if is_old_number(text) => Some("as a number by many programs"),
        Resolved::Str => None,
        Resolved::Null => Some("as null"),
        Resolved::Bool => Some("as a boolean"),
        Resolved::Int | Resolved::Float => Some("as a number"),
    }
}

/// The value of a scalar that is a whole number; `None` beyond 128 bits.
pub(crate) fn integer(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0o") {
        return i128::from_str_radix(digits, 8).ok();
    }
    match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn is_integer(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0o") {
        return all(digits, |b| (b'0'..=b'7').contains(&b));
    }
    match text.strip_prefix("0x") {
        Some(digits) => all(digits, |b| b.is_ascii_hexdigit()),
        None => all(unsigned(text), |b| b.is_ascii_digit()),
    }
}

fn is_float(text: &str) -> bool {
    if matches!(text, ".nan" | ".NaN" | ".NAN") || matches!(unsigned(text), ".inf" | ".Inf" | ".INF") {
        return true;
    }
    let (number, exponent) = match unsigned(text).split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned(text), None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| all(unsigned(exponent), |b| b.is_ascii_digit()))
}

fn is_old_boolean(text: &str) -> bool {
    matches!(
        text,
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF"
    )
}

/// Underscores between digits, binary, hexadecimal and base 60, as <https://yaml.org/type/int.html> had them.
fn is_old_number(text: &str) -> bool {
    let text = unsigned(text);
    if let Some(digits) = text.strip_prefix("0b") {
        return all(digits, |b| matches!(b, b'0' | b'1' | b'_'));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |b| b.is_ascii_hexdigit() || b == b'_');
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let mut base_60 = parts.peekable();
    if base_60.peek().is_some() {
        return all(first, |b| b.is_ascii_digit() || b == b'_')
            && base_60.all(|part| {
                part.len() <= 2
                    && all(part, |b| b.is_ascii_digit())
                    && part.parse::<u8>().is_ok_and(|n| n < 60)
            });
    }
    let without: String = text.chars().filter(|c| *c != '_').collect();
    without.len() < text.len() && (is_integer(&without) || is_float(&without))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn all(text: &str, good: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_read_by_the_core_schema() {
        for (resolved, texts) in [
            (Resolved::Null, &["", "~", "null", "NULL"][..]),
            (Resolved::Bool, &["true", "FALSE"]),
            (Resolved::Int, &["0", "-12", "+3", "007", "0o17", "0x1F"]),
            (
                Resolved::Float,
                &["1.10", "1.", ".5", "-1e3", "1.5E-2", ".inf", "-.INF", ".nan"],
            ),
            (
                Resolved::Str,
                &[
                    "nULL", "tRue", "yes", "1.2.3", ".", "-", "+", "e3", "1e", "0o8", "0x", "-0x1", "1_0",
                    "a", "-.nan", ".e3", "1 2", "١",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(Resolved::of_plain(text), resolved, "{text:?}");
            }
        }
    }

    #[test]
    fn what_others_read_differently_is_known() {
        for text in [
            "yes", "Off", "1_000", "0b11", "-0x1f", "22:30", "1:30:00", "1_0.5", "1.10", "~",
        ] {
            assert!(misread(text).is_some(), "{text:?}");
        }
        for text in [
            "y",
            "1.2.3",
            "db:5432",
            "8080:80",
            "1:2:",
            "0b12",
            "_1",
            "sha256:12",
            "30s",
            "2024-01-01",
        ] {
            assert_eq!(misread(text), None, "{text:?}");
        }
    }

    #[test]
    fn integers_have_values() {
        assert_eq!(integer("0x1F"), Some(31));
        assert_eq!(integer("0o17"), Some(15));
        assert_eq!(integer("-012"), Some(-12));
        assert_eq!(integer(&"9".repeat(60)), None);
    }
}
