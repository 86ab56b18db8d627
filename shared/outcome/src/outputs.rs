use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The key of an output line: `[a-z][a-z0-9_]*`, so that every CI and every shell can use it as a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputKey(String);

impl OutputKey {
    /// The key for `text`: upper case becomes lower case, whatever else a key may not hold becomes `_`, and a key that
    /// would not begin with a letter gets `x` in front. `port.http-admin` becomes `port_http_admin`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut key: String = text
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
                _ => '_',
            })
            .collect();
        if !key.starts_with(|c: char| c.is_ascii_lowercase()) {
            key.insert(0, 'x');
        }
        Self(key)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OutputKey {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, OutputError> {
        let letters = text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if letters && text.starts_with(|c: char| c.is_ascii_lowercase()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(OutputError::Key(text.to_owned()))
        }
    }
}

impl fmt::Display for OutputKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for OutputKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a text holds no output lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// A key outside the grammar.
    #[error("`{0}` is no output key: use lower-case letters, digits and `_`, a letter first")]
    Key(String),
    /// A line without `=`.
    #[error("line {0} has no `=`")]
    Line(usize),
    /// A `%` that is not followed by two hexadecimal digits, or that stands for bytes which are no text.
    #[error("line {0}: the value is not percent-encoded")]
    Encoding(usize),
}

/// Output lines, one `key=value` each in order of the keys. In values `%`, newline, carriage return and NUL stand
/// percent-encoded, so that a line is always a value and a reader that knows nothing of it sees plain text.
pub fn to_outputs<'a>(outputs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (key, value) in outputs {
        text.push_str(key);
        text.push('=');
        for c in value.chars() {
            match c {
                '%' => text.push_str("%25"),
                '\n' => text.push_str("%0A"),
                '\r' => text.push_str("%0D"),
                '\0' => text.push_str("%00"),
                c => text.push(c),
            }
        }
        text.push('\n');
    }
    text
}

/// Reads output lines back. Empty lines are passed over; a key that stands twice keeps its last value.
///
/// # Errors
///
/// A line that [`to_outputs`] cannot have written.
pub fn parse_outputs(text: &str) -> Result<BTreeMap<OutputKey, String>, OutputError> {
    let mut outputs = BTreeMap::new();
    for (index, line) in text.split('\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(OutputError::Line(index + 1))?;
        let value = percent_decoded(value).ok_or(OutputError::Encoding(index + 1))?;
        outputs.insert(key.parse()?, value);
    }
    Ok(outputs)
}

fn percent_decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_brought_into_the_grammar() {
        for (text, key) in [
            ("version", "version"),
            ("port.http-admin", "port_http_admin"),
            ("Digest", "digest"),
            ("9lives", "x9lives"),
            ("", "x"),
            ("é", "x_"),
        ] {
            assert_eq!(OutputKey::new(text).as_str(), key, "{text:?}");
            assert!(OutputKey::new(text).as_str().parse::<OutputKey>().is_ok());
        }
        for bad in ["", "A", "1a", "_a", "a-b", "a b", "a=b"] {
            assert!(bad.parse::<OutputKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_survive_the_way_there_and_back() {
        for value in [
            "",
            "1.4.2",
            "100%",
            "two\nlines\r\n",
            "a=b",
            "%0A",
            "é\u{2028}x",
            "\0",
        ] {
            let text = to_outputs([("key", value)]);
            assert_eq!(text.lines().count(), 1, "{text:?}");
            assert_eq!(parse_outputs(&text).unwrap()["key"], value);
        }
    }

    #[test]
    fn lines_nobody_wrote_are_refused() {
        assert_eq!(parse_outputs("\nnothing"), Err(OutputError::Line(2)));
        assert_eq!(parse_outputs("a=%2"), Err(OutputError::Encoding(1)));
        assert_eq!(parse_outputs("a=%ff"), Err(OutputError::Encoding(1)));
        assert_eq!(parse_outputs("B=1"), Err(OutputError::Key("B".to_owned())));
    }
}
