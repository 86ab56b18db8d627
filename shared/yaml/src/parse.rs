use std::collections::HashMap;
use std::collections::hash_map;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};

use crate::decoder::{Problems, shorten};
use crate::{Diagnostic, Diagnostics, Entry, Limits, Node, Resolved, Scalar, Source, Span, Style, Value};

/// Reads the one document of `source`.
///
/// Every problem is told; those that leave the tree whole (a duplicate key, of which the first counts, an anchor, a tag,
/// a merge key, a second document) still give it, so that decoding can tell the rest. There is no tree after a syntax
/// error, an alias, a limit, or when the file is empty. A tree with errors told must not be used for anything else than
/// telling more of them.
#[must_use]
pub fn parse(source: &Source, limits: &Limits) -> (Option<Node>, Diagnostics) {
    let mut loader = Loader::new(source, *limits);
    if !loader.text_is_acceptable() {
        return (None, loader.problems.finish());
    }
    loader.load();
    let node = loader.root.take().filter(|_| !loader.broken);
    if node.is_none() && !loader.broken {
        loader
            .problems
            .push(Diagnostic::error("yaml-empty", "the file is empty").at(
                source,
                Span::at(0),
                "expected a map here",
            ));
    }
    (node, loader.problems.finish())
}

/// Builds the tree from the parser's events with a stack of its own: no input can overflow the call stack.
struct Loader<'s> {
    text: &'s str,
    limits: Limits,
    problems: Problems,
    open: Vec<Open>,
    nodes: usize,
    root: Option<Node>,
    /// The tree lacks something.
    broken: bool,
    /// An anchor or an alias was told of already.
    aliased: bool,
}

/// A list or map whose end was not met yet.
struct Open {
    start: usize,
    /// The end of the last thing in it.
    end: usize,
    inside: Inside,
}

enum Inside {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        keys: HashMap<String, Span>,
        /// The key whose value comes next; `None` in it when the key was refused and its value is dropped.
        key: Option<Option<(String, Span)>>,
    },
}

impl<'s> Loader<'s> {
    fn new(source: &'s Source, limits: Limits) -> Self {
        Self {
            text: source.text(),
            limits,
            problems: Problems::of(source),
            open: Vec::new(),
            nodes: 0,
            root: None,
            broken: false,
            aliased: false,
        }
    }

    fn error(&mut self, code: &str, message: impl Into<String>, span: Span, label: &str, help: &str) {
        let error = Diagnostic::error(code, message).at(&self.problems.source, span, label);
        self.problems
            .push(if help.is_empty() { error } else { error.help(help) });
    }

    /// Checks size and characters before anything is parsed.
    fn text_is_acceptable(&mut self) -> bool {
        if self.text.len() > self.limits.bytes {
            let (length, most) = (self.text.len(), self.limits.bytes);
            self.error(
                "yaml-too-large",
                format!("the file has {length} bytes, at most {most} are allowed"),
                Span::at(0),
                "",
                "",
            );
            return false;
        }
        let bytes = self.text.as_bytes();
        for (at, c) in self.text.char_indices() {
            let span = Span::new(at, at + c.len_utf8());
            if c == '\r' && bytes.get(at + 1) != Some(&b'\n') {
                let help = "end lines with a line feed: a lone carriage return hides a line from reviewers";
                self.error(
                    "yaml-line-break",
                    "a carriage return without a line feed",
                    span,
                    "here",
                    help,
                );
            } else if is_forbidden(c) && !(c == '\u{feff}' && at == 0) {
                let message = format!("the character U+{:04X} may not stand in a file", u32::from(c));
                let help = "remove it, or write it as an escape in a double-quoted text";
                self.error(
                    "yaml-control-character",
                    message,
                    span,
                    "not a visible character",
                    help,
                );
            }
            if self.problems.is_full() {
                break;
            }
        }
        self.problems.is_empty()
    }

    fn load(&mut self) {
        let options = granit_parser::options! {
            disallow_directives: true,
            emit_unresolved_aliases: true,
            emit_anchor_events: true,
            emit_comments: false,
            // One more than allowed, so that the place of the excess is ours to tell.
            flow_nesting_limit: self.limits.depth() + 1,
            block_nesting_limit: self.limits.depth() + 1,
        };
        let text = self.text;
        let mut documents = 0;
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, place) = match event {
                Ok((event, place)) => (event, place),
                Err(error) => return self.syntax_error(&error),
            };
            let span = place
                .byte_range()
                .map_or_else(Span::default, |range| self.problems.source.clamp(range.into()));
            if event.tag().is_some() {
                let tag = place.tag_span().and_then(|tag| tag.byte_range());
                let help = "remove it: types follow from the keys";
                self.error(
                    "yaml-tag",
                    "tags are not allowed",
                    tag.map_or(span, Span::from),
                    "a tag",
                    help,
                );
            }
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    let help = "keep one document in a file";
                    self.error(
                        "yaml-several-documents",
                        "the file holds more than one document",
                        span,
                        "a second one starts here",
                        help,
                    );
                    return;
                }
            }
            if !self.event(event, span) {
                self.broken = true;
                return;
            }
        }
    }

    /// Takes in one event; `false` ends the work.
    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::Scalar(text, style, ..) => {
                let node = scalar(text.into_owned(), style, span);
                self.count(span) && self.complete(node)
            }
            Event::SequenceStart(..) => self.count(span) && self.begin(span, Inside::Sequence(Vec::new())),
            Event::MappingStart(..) => {
                let inside = Inside::Mapping {
                    entries: Vec::new(),
                    keys: HashMap::new(),
                    key: None,
                };
                self.count(span) && self.begin(span, inside)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Anchor(..) => {
                self.no_aliases("yaml-anchor", "anchors are not allowed", span, "an anchor");
                true
            }
            Event::Alias(..) | Event::UnresolvedAlias(..) => {
                self.no_aliases("yaml-alias", "aliases are not allowed", span, "an alias");
                self.broken = true;
                self.count(span) && self.complete(scalar(String::new(), ScalarStyle::Plain, span))
            }
            _ => true,
        }
    }

    /// Said once: whoever writes out what one of them stands for knows what to do about the others.
    fn no_aliases(&mut self, code: &str, message: &str, span: Span, label: &str) {
        if !self.aliased {
            self.aliased = true;
            let help = "write the value out where it is needed, here and wherever else there is one";
            self.error(code, message, span, label, help);
        }
    }

    fn count(&mut self, span: Span) -> bool {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let message = format!("the file has more than {} values", self.limits.nodes);
            self.error("yaml-too-large", message, span, "this is one too many", "");
            return false;
        }
        true
    }

    fn begin(&mut self, span: Span, inside: Inside) -> bool {
        if self.open.len() >= self.limits.depth() {
            self.too_deep(span);
            return false;
        }
        self.open.push(Open {
            start: span.start,
            end: span.end,
            inside,
        });
        true
    }

    fn too_deep(&mut self, span: Span) {
        let message = format!("maps and lists are nested more than {} deep", self.limits.depth());
        self.error("yaml-too-deep", message, span, "this is one too deep", "");
    }

    fn end(&mut self, span: Span) -> bool {
        let Some(open) = self.open.pop() else {
            return true;
        };
        // A flow collection ends with its bracket, a block with its last value.
        let end = if span.is_empty() { open.end } else { span.end };
        let value = match open.inside {
            Inside::Sequence(items) => Value::Sequence(items),
            Inside::Mapping { entries, .. } => Value::Mapping(entries),
        };
        self.complete(Node {
            value,
            span: Span::new(open.start, end),
            key_span: None,
        })
    }

    /// Puts a whole node where it belongs.
    fn complete(&mut self, mut node: Node) -> bool {
        let Some(open) = self.open.last_mut() else {
            // A document that holds nothing is an empty plain scalar.
            let nothing = node.span.is_empty() && node.is_null();
            self.root = Some(node).filter(|_| !nothing);
            return true;
        };
        open.end = open.end.max(node.span.end);
        let (entries, keys, key) = match &mut open.inside {
            Inside::Sequence(items) => {
                items.push(node);
                return true;
            }
            Inside::Mapping { entries, keys, key } => (entries, keys, key),
        };
        match key.take() {
            Some(Some((name, key_span))) => {
                node.key_span = Some(key_span);
                entries.push(Entry {
                    key: name,
                    key_span,
                    value: node,
                });
            }
            Some(None) => {}
            None => match accept_key(node, keys, &self.problems.source) {
                Ok(accepted) => *key = Some(Some(accepted)),
                Err(refusal) => {
                    *key = Some(None);
                    self.problems.push(*refusal);
                }
            },
        }
        true
    }

    fn syntax_error(&mut self, error: &ScanError) {
        self.broken = true;
        let start = error.marker().byte_offset().unwrap_or_default();
        let source = self.problems.source.clone();
        let span = source.clamp(Span::new(start, start + 1));
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return self.too_deep(span);
        }
        let help = help_for(error.kind());
        // The parser names the text that a tab ends, not the tab.
        let tab = source.text()[span.start..].find('\t').map(|tab| span.start + tab);
        let span = tab
            .filter(|_| help == SPACES)
            .map_or(span, |tab| Span::new(tab, tab + 1));
        // The end of a line is no place to point at by a character.
        let blank = source.slice(span).trim_matches(['\n', '\r']).is_empty();
        let span = if blank { Span::at(span.start) } else { span };
        let message = format!("this is not YAML: {}", error.info());
        self.error("yaml-syntax", message, span, "here", help);
    }
}

/// The name of a key, or why it is none.
fn accept_key(
    node: Node,
    keys: &mut HashMap<String, Span>,
    source: &Source,
) -> Result<(String, Span), Box<Diagnostic>> {
    let span = node.span;
    let Value::Scalar(scalar) = node.value else {
        return Err(Box::new(
            Diagnostic::error("yaml-key", "a key has to be a text")
                .at(source, span, "this is a list or a map")
                .help("a value that begins with `{` or `[` has to be quoted when it is a text, such as `\"{name}\"`"),
        ));
    };
    if scalar.style == Style::Plain && scalar.text.is_empty() {
        return Err(Box::new(Diagnostic::error("yaml-key", "a key is missing").at(
            source,
            span,
            "before this colon",
        )));
    }
    if scalar.style == Style::Plain && scalar.text == "<<" {
        return Err(Box::new(
            Diagnostic::error("yaml-merge-key", "merge keys are not allowed")
                .at(source, span, "a merge key")
                .help("write the keys out where they are needed"),
        ));
    }
    match keys.entry(scalar.text.clone()) {
        hash_map::Entry::Occupied(first) => {
            let message = format!("the key `{}` stands twice in one map", shorten(&scalar.text));
            Err(Box::new(
                Diagnostic::error("yaml-duplicate-key", message)
                    .at(source, span, "here it stands again")
                    .also(source, *first.get(), "here it stood first")
                    .help("keep one of them"),
            ))
        }
        hash_map::Entry::Vacant(place) => {
            place.insert(span);
            Ok((scalar.text, span))
        }
    }
}

fn scalar(text: String, style: ScalarStyle, span: Span) -> Node {
    let style = match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    };
    let resolved = match style {
        Style::Plain => Resolved::of_plain(&text),
        Style::Quoted | Style::Block => Resolved::Str,
    };
    // An empty value is announced as `~` without a place in the text.
    let text = if span.is_empty() && style == Style::Plain {
        String::new()
    } else {
        text
    };
    Node {
        value: Value::Scalar(Scalar {
            text,
            style,
            resolved,
        }),
        span,
        key_span: None,
    }
}

/// Characters outside YAML's printable set (YAML 1.2.2 §5.1), and the bidirectional controls that make a reviewer read
/// another file than the machine does (CVE-2021-42574).
fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

const SPACES: &str = "indent with spaces";

fn help_for(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => SPACES,
        ErrorKind::UnexpectedCharacter { .. } => {
            "a text that begins with a special character has to be quoted"
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "a text that holds `: ` has to be quoted, and keys of one map start in one column"
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry => {
            "keys of one map, and items of one list, start in one column"
        }
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            "close the text with the quote it began with"
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "in double quotes a backslash is written `\\\\`; in single quotes it is itself"
        }
        ErrorKind::DirectiveDisallowed => "remove the line that begins with `%`",
        _ => "",
    }
}
