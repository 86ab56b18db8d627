//! The part of XML 1.0 that reports are written in, read in pieces. Whatever a document holds, what is kept of it at
//! once is bounded: depth, names, attributes and, by their reader's choice, texts.

use std::io::{self, Read};

/// Open elements at once.
const DEEPEST: usize = 64;
/// The length of a name.
const LONGEST_NAME: usize = 200;
/// Attributes kept of one tag.
const ATTRIBUTES: usize = 40;
/// The length that is kept of an attribute.
const LONGEST_ATTRIBUTE: usize = 4 * 1024;
/// `&#x10FFFF;` without its ampersand and its semicolon, and room for zeros.
const LONGEST_REFERENCE: usize = 12;

/// Why a document cannot be read further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{what}, at byte {at}")]
    Malformed { what: String, at: u64 },
}

/// A text of which the beginning is kept, as UTF-8.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    limit: usize,
    cut: bool,
}

impl Kept {
    pub(crate) fn upto(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            cut: false,
        }
    }

    fn push(&mut self, byte: u8) {
        if self.bytes.len() < self.limit {
            self.bytes.push(byte);
        } else {
            self.cut = true;
        }
    }

    /// The text, without what cannot be read and without half a character at the cut.
    pub(crate) fn take(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.bytes);
        if std::mem::take(&mut self.cut) {
            let whole = (0..4)
                .map(|back| bytes.len().saturating_sub(back))
                .find(|end| std::str::from_utf8(&bytes[end.saturating_sub(4)..*end]).is_ok())
                .unwrap_or(bytes.len());
            bytes.truncate(whole);
            bytes.extend_from_slice("…".as_bytes());
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }
}

/// The next thing of a document; text is told to whoever asks for the next thing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// A start tag; an empty element is followed by its end.
    Open(Tag),
    /// An end tag.
    Close,
    /// The end of the document.
    End,
}

/// A start tag.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tag {
    /// Without a prefix.
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    pub(crate) fn attribute(&mut self, name: &str) -> Option<String> {
        let found = self.attributes.iter_mut().find(|(key, _)| key == name)?;
        Some(std::mem::take(&mut found.1))
    }
}

/// How the bytes of a text are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Utf8,
    /// ISO 8859-1, and near enough to it.
    Latin1,
}

/// Reads a document token by token.
pub(crate) struct Scanner<R> {
    input: R,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
    /// Bytes read before the buffer.
    before: u64,
    open: Vec<Vec<u8>>,
    /// An empty element's end is due.
    closing: bool,
    begun: bool,
    encoding: Encoding,
}

impl<R: Read> Scanner<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; 64 * 1024].into_boxed_slice(),
            at: 0,
            filled: 0,
            before: 0,
            open: Vec::new(),
            closing: false,
            begun: false,
            encoding: Encoding::Utf8,
        }
    }

    /// The next token; the text before it goes to `text`.
    pub(crate) fn next(&mut self, text: &mut Kept) -> Result<Token, XmlError> {
        if !self.begun {
            self.mark()?;
        }
        if std::mem::take(&mut self.closing) {
            self.open.pop();
            return Ok(Token::Close);
        }
        loop {
            let Some(byte) = self.byte()? else {
                return match self.open.last() {
                    None if self.begun => Ok(Token::End),
                    None => Err(self.malformed("it is empty")),
                    Some(name) => {
                        let name = String::from_utf8_lossy(name).into_owned();
                        Err(self.malformed(format!("it ends within `{name}`")))
                    }
                };
            };
            match byte {
                b'<' => {
                    if let Some(token) = self.markup(text)? {
                        return Ok(token);
                    }
                }
                _ if self.open.is_empty() => {
                    if !byte.is_ascii_whitespace() {
                        return Err(self.malformed("it is no XML"));
                    }
                }
                b'&' => self.reference(text)?,
                byte => self.push(text, byte),
            }
        }
    }

    /// The byte order mark and the encoding it tells.
    fn mark(&mut self) -> Result<(), XmlError> {
        match self.peek()? {
            Some(0xEF) => {
                for _ in 0..3 {
                    self.byte()?;
                }
            }
            Some(0xFE | 0xFF) => return Err(self.malformed("it is UTF-16; reports are read as UTF-8")),
            Some(_) | None => {}
        }
        Ok(())
    }

    fn malformed(&self, what: impl Into<String>) -> XmlError {
        XmlError::Malformed {
            what: what.into(),
            at: self.before + self.at as u64,
        }
    }

    fn peek(&mut self) -> Result<Option<u8>, XmlError> {
        if self.at == self.filled {
            self.before += self.filled as u64;
            self.at = 0;
            self.filled = loop {
                match self.input.read(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            if self.filled == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.buffer[self.at]))
    }

    fn byte(&mut self) -> Result<Option<u8>, XmlError> {
        let byte = self.peek()?;
        self.at += usize::from(byte.is_some());
        Ok(byte)
    }

    fn needed(&mut self) -> Result<u8, XmlError> {
        match self.byte()? {
            Some(byte) => Ok(byte),
            None => Err(self.malformed("it ends within a tag")),
        }
    }

    fn push(&self, text: &mut Kept, byte: u8) {
        match (self.encoding, byte) {
            (Encoding::Latin1, 0x80..) => {
                text.push(0xC0 | (byte >> 6));
                text.push(0x80 | (byte & 0x3F));
            }
            _ => text.push(byte),
        }
    }

    /// What stands behind `&`. A reference that XML does not know stays as it was written.
    fn reference(&mut self, text: &mut Kept) -> Result<(), XmlError> {
        let mut name = Vec::new();
        let mut ended = false;
        while name.len() < LONGEST_REFERENCE {
            match self.peek()? {
                Some(b';') => {
                    self.byte()?;
                    ended = true;
                    break;
                }
                Some(byte) if byte.is_ascii_alphanumeric() || byte == b'#' => {
                    self.byte()?;
                    name.push(byte);
                }
                Some(_) | None => break,
            }
        }
        let known = match name.as_slice() {
            _ if !ended => None,
            b"amp" => Some('&'),
            b"lt" => Some('<'),
            b"gt" => Some('>'),
            b"quot" => Some('"'),
            b"apos" => Some('\''),
            [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
            [b'#', digits @ ..] => number(digits, 10),
            _ => None,
        };
        match known {
            Some(character) => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    text.push(byte);
                }
            }
            None => {
                text.push(b'&');
                for byte in name {
                    text.push(byte);
                }
                if ended {
                    text.push(b';');
                }
            }
        }
        Ok(())
    }

    /// What stands behind `<`; nothing where no token does.
    fn markup(&mut self, text: &mut Kept) -> Result<Option<Token>, XmlError> {
        match self.peek()? {
            Some(b'?') => {
                self.instruction()?;
                Ok(None)
            }
            Some(b'!') => {
                self.byte()?;
                self.declaration(text)?;
                Ok(None)
            }
            Some(b'/') => {
                self.byte()?;
                let (name, end) = self.name()?;
                let end = self.blank(end)?;
                let fits = self.open.pop().is_some_and(|open| open == name);
                if !fits || end != b'>' {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    return Err(self.malformed(format!("`</{name}>` ends nothing that began there")));
                }
                Ok(Some(Token::Close))
            }
            _ => self.start().map(Some),
        }
    }

    /// `<?xml version="1.0" encoding="…"?>`, or another instruction, which nobody reads.
    fn instruction(&mut self) -> Result<(), XmlError> {
        let mut head = Kept::upto(200);
        let mut last = 0;
        loop {
            let byte = self.needed()?;
            if last == b'?' && byte == b'>' {
                break;
            }
            head.push(byte);
            last = byte;
        }
        let head = head.take().to_ascii_lowercase();
        if let Some((_, rest)) = head.split_once("encoding")
            && head.starts_with("?xml")
        {
            let name: String = rest
                .chars()
                .skip_while(|c| matches!(c, ' ' | '=' | '"' | '\''))
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            let latin = ["iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "cp1252"];
            if latin.contains(&name.as_str()) {
                self.encoding = Encoding::Latin1;
            }
        }
        Ok(())
    }

    /// A comment or a CDATA section; a document type is refused.
    fn declaration(&mut self, text: &mut Kept) -> Result<(), XmlError> {
        let mut kind = Vec::new();
        while kind.len() < 7 {
            kind.push(self.needed()?);
            match kind.as_slice() {
                b"--" => return self.until(b"-->", None),
                b"[CDATA[" if !self.open.is_empty() => return self.until(b"]]>", Some(text)),
                _ => {}
            }
        }
        Err(self.malformed("it declares a document type or entities, which no report needs"))
    }

    /// Reads on to `end`; what stands before it goes to `text`.
    fn until(&mut self, end: &[u8; 3], mut text: Option<&mut Kept>) -> Result<(), XmlError> {
        let mut window: [u8; 3] = [0; 3];
        let mut held = 0;
        loop {
            let byte = self.needed()?;
            if held == 3 {
                if let Some(text) = text.as_deref_mut() {
                    self.push(text, window[0]);
                }
                window.rotate_left(1);
                held = 2;
            }
            window[held] = byte;
            held += 1;
            if held == 3 && window == *end {
                return Ok(());
            }
        }
    }

    /// A name without its prefix, and the byte behind it.
    fn name(&mut self) -> Result<(Vec<u8>, u8), XmlError> {
        let mut name = Vec::new();
        loop {
            let byte = self.needed()?;
            match byte {
                b':' => name.clear(),
                b'.' | b'-' | b'_' | 0x80.. => name.push(byte),
                _ if byte.is_ascii_alphanumeric() => name.push(byte),
                _ if name.is_empty() => return Err(self.malformed("it has a tag without a name")),
                _ => return Ok((name, byte)),
            }
            if name.len() > LONGEST_NAME {
                return Err(self.malformed(format!("it has a name of more than {LONGEST_NAME} bytes")));
            }
        }
    }

    /// The first byte that is no white space, from `byte` on.
    fn blank(&mut self, mut byte: u8) -> Result<u8, XmlError> {
        while byte.is_ascii_whitespace() {
            byte = self.needed()?;
        }
        Ok(byte)
    }

    fn start(&mut self) -> Result<Token, XmlError> {
        if self.begun && self.open.is_empty() {
            return Err(self.malformed("it goes on behind its end"));
        }
        self.begun = true;
        let (name, end) = self.name()?;
        let mut tag = Tag {
            name: String::from_utf8_lossy(&name).into_owned(),
            attributes: Vec::new(),
        };
        if self.open.len() == DEEPEST {
            return Err(self.malformed(format!("more than {DEEPEST} elements stand in one another")));
        }
        self.open.push(name);
        let mut next = self.blank(end)?;
        loop {
            match next {
                b'>' => return Ok(Token::Open(tag)),
                b'/' => {
                    if self.needed()? != b'>' {
                        return Err(self.malformed("it has a tag with a `/` in its middle"));
                    }
                    self.closing = true;
                    return Ok(Token::Open(tag));
                }
                byte => {
                    // The name has begun with the byte that was read already.
                    self.at -= 1;
                    debug_assert_eq!(self.buffer[self.at], byte);
                    next = self.attribute(&mut tag)?;
                }
            }
        }
    }

    fn attribute(&mut self, tag: &mut Tag) -> Result<u8, XmlError> {
        let (name, end) = self.name()?;
        if self.blank(end)? != b'=' {
            return Err(self.malformed("it has an attribute without a value"));
        }
        let first = self.needed()?;
        let quote = self.blank(first)?;
        if !matches!(quote, b'"' | b'\'') {
            return Err(self.malformed("it has an attribute without quotes"));
        }
        let mut value = Kept::upto(LONGEST_ATTRIBUTE);
        loop {
            match self.needed()? {
                byte if byte == quote => break,
                b'<' => return Err(self.malformed("it has a `<` in an attribute")),
                b'&' => self.reference(&mut value)?,
                byte => self.push(&mut value, byte),
            }
        }
        if tag.attributes.len() < ATTRIBUTES {
            let name = String::from_utf8_lossy(&name).into_owned();
            tag.attributes.push((name, value.take()));
        }
        let behind = self.needed()?;
        self.blank(behind)
    }
}

fn number(digits: &[u8], radix: u32) -> Option<char> {
    let text = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(text, radix).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document in one line: `(name a=b text )`.
    fn told(document: &[u8]) -> Result<String, String> {
        let mut scanner = Scanner::new(document);
        let mut told = String::new();
        loop {
            let mut text = Kept::upto(20);
            let token = scanner.next(&mut text).map_err(|error| error.to_string())?;
            told.push_str(text.take().trim());
            match token {
                Token::Open(tag) => {
                    told.push_str(&format!("({}", tag.name));
                    for (key, value) in &tag.attributes {
                        told.push_str(&format!(" {key}={value}"));
                    }
                    told.push(' ');
                }
                Token::Close => told.push(')'),
                Token::End => return Ok(told),
            }
        }
    }

    #[test]
    fn documents_are_read() {
        for (document, read) in [
            ("<a/>", "(a )"),
            (
                "<?xml version='1.0'?>\n<!-- x --><a b='1' c = \"2\" ><d/>t</a >\n",
                "(a b=1 c=2 (d )t)",
            ),
            ("<a>&lt;&amp;&#65;&#x42;&nbsp;&x</a>", "(a <&AB&nbsp;&x)"),
            ("<a><![CDATA[<b>]]&amp;]]]></a>", "(a <b>]]&amp;])"),
            ("<x:a xmlns:x='u' x:b='1'><x:c/></x:a>", "(a x=u b=1 (c ))"),
            ("<a b='x&quot;y&#10;z'/>", "(a b=x\"y\nz )"),
            ("<a>0123456789012345678901</a>", "(a 01234567890123456789…)"),
            ("\u{feff}<a>\u{e9}</a>", "(a \u{e9})"),
        ] {
            assert_eq!(told(document.as_bytes()).as_deref(), Ok(read), "{document}");
        }
        let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>";
        assert_eq!(told(latin).as_deref(), Ok("(a \u{e9})"));
        assert_eq!(told(b"<a>\xff\xfe</a>").as_deref(), Ok("(a \u{fffd}\u{fffd})"));
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let text = "0123456789012345678\u{e9}x";
        assert_eq!(
            told(format!("<a>{text}</a>").as_bytes()).as_deref(),
            Ok("(a 0123456789012345678…)")
        );
    }

    #[test]
    fn what_is_no_xml_is_told_with_its_place() {
        let deep = "<a>".repeat(65);
        for (document, reason) in [
            ("", "it is empty, at byte 0"),
            ("  \n", "it is empty, at byte 3"),
            ("hello", "it is no XML, at byte 1"),
            ("<a>", "it ends within `a`, at byte 3"),
            ("<a><b></a>", "`</a>` ends nothing that began there, at byte 10"),
            ("<a/><b/>", "it goes on behind its end, at byte 5"),
            ("<a/>x", "it is no XML, at byte 5"),
            ("<a", "it ends within a tag, at byte 2"),
            ("<a b>", "it has an attribute without a value, at byte 5"),
            ("<a b=1/>", "it has an attribute without quotes, at byte 6"),
            ("<a b='<'/>", "it has a `<` in an attribute, at byte 7"),
            ("<a /b>", "it has a tag with a `/` in its middle, at byte 5"),
            ("< a/>", "it has a tag without a name, at byte 2"),
            ("<a><![CDATA[x</a>", "it ends within a tag, at byte 17"),
            (&deep, "more than 64 elements stand in one another, at byte 195"),
        ] {
            assert_eq!(told(document.as_bytes()), Err(reason.to_owned()), "{document}");
        }
        assert!(told(b"\xff\xfe<\0a\0").unwrap_err().starts_with("it is UTF-16"));
    }

    #[test]
    fn an_entity_bomb_is_refused_before_it_is_read() {
        let bomb = "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
        assert!(
            told(bomb.as_bytes())
                .unwrap_err()
                .contains("declares a document type")
        );
        assert!(told(b"<a><!ENTITY b 'c'></a>").is_err());
    }
}
