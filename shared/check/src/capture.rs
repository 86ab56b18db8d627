use std::fmt;

use crate::{Found, HeaderName, HttpAnswer, JsonPath, Pattern, VersionSource};

/// Where an answer holds a value that later requests need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptureSource {
    /// A text or number at a place of the JSON body.
    Json(JsonPath),
    /// A header.
    Header(HeaderName),
    /// The value of the cookie of this name that the answer sets.
    Cookie(String),
    /// The only group of a regular expression over the body.
    Regex(Pattern),
}

impl CaptureSource {
    /// The value in `answer`.
    ///
    /// # Errors
    /// What is missing; reads well after "no value: ".
    pub fn find(&self, answer: &HttpAnswer) -> Result<String, String> {
        let source = match self {
            Self::Json(path) => VersionSource::Json(path.clone()),
            Self::Header(name) => VersionSource::Header(name.clone()),
            Self::Regex(pattern) => VersionSource::Regex(pattern.clone()),
            Self::Cookie(name) => {
                return cookie(answer, name)
                    .map(str::to_owned)
                    .ok_or_else(|| format!("it sets no cookie `{name}`"));
            }
        };
        match source.find(answer) {
            Found::Version(value) => Ok(value),
            Found::Missing(what) => Err(what),
        }
    }
}

/// RFC 6265, section 4.1.1: the pair comes first, attributes follow. The last of several cookies is the one that stays.
fn cookie<'a>(answer: &'a HttpAnswer, wanted: &str) -> Option<&'a str> {
    answer
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
        .rev()
        .find_map(|(_, value)| {
            let pair = value.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=')?;
            (name.trim() == wanted).then(|| value.trim())
        })
}

impl fmt::Display for CaptureSource {
    /// Reads well after "the value in ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(path) => write!(f, "`{path}` of the body"),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Cookie(name) => write!(f, "the cookie `{name}`"),
            Self::Regex(pattern) => write!(f, "`{pattern}` in the body"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_without_its_attributes() {
        let set = |value: &str| ("set-cookie".to_owned(), value.to_owned());
        let answer = HttpAnswer {
            headers: vec![
                set("lang=en; Path=/"),
                set("session=old"),
                set("session = a=b ; HttpOnly; Secure"),
                set("broken"),
            ],
            ..HttpAnswer::default()
        };
        let find = |name: &str| CaptureSource::Cookie(name.to_owned()).find(&answer);
        assert_eq!(find("session"), Ok("a=b".to_owned()));
        assert_eq!(find("lang"), Ok("en".to_owned()));
        assert_eq!(find("Path"), Err("it sets no cookie `Path`".to_owned()));
    }
}
