use std::fmt;
use std::str::FromStr;

use crate::{GrammarError, text_serde};

/// Where a value stands in a JSON document: the part of RFC 9535 that names one place, `$.build.version`,
/// `$.parts[0]['x-version']`. Indexes count from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Member(String),
    Index(usize),
}

impl JsonPath {
    /// The value at this place.
    #[must_use]
    pub fn find<'v>(&self, document: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        self.steps.iter().try_fold(document, |value, step| match step {
            Step::Member(name) => value.as_object()?.get(name),
            Step::Index(index) => value.as_array()?.get(*index),
        })
    }
}

impl FromStr for JsonPath {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        if text.is_empty() {
            return Err(GrammarError::Empty);
        }
        let mut reader = Reader {
            characters: text.chars().collect(),
            at: 0,
        };
        if !reader.take('$') {
            return Err(reader.expected("`$`"));
        }
        let mut steps = Vec::new();
        while let Some(next) = reader.peek() {
            steps.push(match next {
                '.' => reader.member()?,
                '[' => reader.bracket()?,
                _ => return Err(reader.expected("`.` or `[`")),
            });
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }
}

struct Reader {
    characters: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
        self.characters[start..self.at].iter().collect()
    }

    fn expected(&self, expected: &'static str) -> GrammarError {
        GrammarError::Path {
            at: self.at + 1,
            expected,
        }
    }

    fn member(&mut self) -> Result<Step, GrammarError> {
        self.at += 1;
        let name = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if name.is_empty() {
            return Err(self.expected("a name"));
        }
        Ok(Step::Member(name))
    }

    fn bracket(&mut self) -> Result<Step, GrammarError> {
        self.at += 1;
        let step = match self.peek() {
            Some(quote @ ('\'' | '"')) => {
                self.at += 1;
                let name = self.take_while(|c| c != quote);
                if !self.take(quote) {
                    return Err(self.expected("the closing quote"));
                }
                Step::Member(name)
            }
            _ => {
                let digits = self.take_while(|c| c.is_ascii_digit());
                let Ok(index) = digits.parse() else {
                    return Err(self.expected("an index or a quoted name"));
                };
                Step::Index(index)
            }
        };
        if self.take(']') {
            Ok(step)
        } else {
            Err(self.expected("`]`"))
        }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

text_serde!(
    JsonPath,
    "A place in a JSON document, such as `$.build.version` or `$.parts[0]`."
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_its_place() {
        let document = json!({"a": {"b": [{"v": "1"}, {"x y": 2}]}, "0": "zero"});
        for (path, found) in [
            ("$", Some(document.clone())),
            ("$.a.b[0].v", Some(json!("1"))),
            ("$['a'][\"b\"][1]['x y']", Some(json!(2))),
            ("$.0", Some(json!("zero"))),
            ("$.a.c", None),
            ("$.a.b[2]", None),
            ("$.a[0]", None),
            ("$[0]", None),
        ] {
            let path: JsonPath = path.parse().unwrap();
            assert_eq!(path.find(&document), found.as_ref(), "{path}");
        }
    }

    #[test]
    fn what_is_outside_the_subset_is_placed() {
        for (path, at) in [
            ("version", 1),
            ("$version", 2),
            ("$.", 3),
            ("$..version", 3),
            ("$.*", 3),
            ("$[", 3),
            ("$[-1]", 3),
            ("$['a", 5),
            ("$[0", 4),
            ("$[99999999999999999999999]", 26),
            ("$.é*", 4),
        ] {
            match path.parse::<JsonPath>() {
                Err(GrammarError::Path { at: found, .. }) => assert_eq!(found, at, "{path}"),
                other => panic!("{path}: {other:?}"),
            }
        }
        assert_eq!("".parse::<JsonPath>(), Err(GrammarError::Empty));
    }
}
