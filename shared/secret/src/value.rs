use std::fmt;
use std::sync::Arc;

/// A secret text: a token, a password, a key. It has no `Display` and no `Serialize`, and its `Debug` is `[secret]`;
/// the only way to the text is [`Secret::expose`], which is easy to search for in a review.
///
/// Equality is not offered either: comparing secrets byte by byte takes a time that depends on their content.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a text. Register it with a [`Redactor`](crate::Redactor) as well.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The text itself, for the one place that sends it where it belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_not_even_the_length() {
        #[derive(Debug)]
        struct Credentials {
            #[expect(dead_code, reason = "read by Debug only")]
            password: Secret,
        }
        let short = format!("{:?}", Secret::new("x"));
        assert_eq!(short, format!("{:?}", Secret::new("a much longer text")));
        let held = Credentials {
            password: Secret::new("hunter2"),
        };
        assert_eq!(format!("{held:?}"), "Credentials { password: [secret] }");
    }
}
