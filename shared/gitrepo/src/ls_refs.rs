//! The `ls-refs` command of git's protocol version 2 (gitprotocol-v2(5)), written and read as pkt-lines.

use crate::{Listing, RefPattern};

/// Prefixes beyond this many are not worth sending: the server would answer with everything anyway.
const PREFIXES: usize = 1000;

/// The whole request. Without prefixes the server lists everything.
pub(crate) fn request(patterns: &[RefPattern]) -> Vec<u8> {
    let mut body = Vec::new();
    line(&mut body, b"command=ls-refs");
    body.extend_from_slice(b"0001");
    if patterns.len() <= PREFIXES {
        for pattern in patterns {
            line(&mut body, format!("ref-prefix {}", pattern.as_str()).as_bytes());
        }
    }
    body.extend_from_slice(b"0000");
    body
}

fn line(body: &mut Vec<u8>, text: &[u8]) {
    body.extend_from_slice(format!("{:04x}", text.len() + 4).as_bytes());
    body.extend_from_slice(text);
}

/// What an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The listing, complete.
    Listed(Listing),
    /// The server's own error, in its words.
    Refused(String),
    /// No answer of protocol version 2, or only a part of one.
    Other,
}

/// Reads an answer. Only one that is complete counts: a front end that drops the protocol header answers 200 with nothing.
pub(crate) fn answer(mut bytes: &[u8], patterns: &[RefPattern]) -> Answer {
    let mut listing = Listing::empty(patterns);
    loop {
        let Some((length, rest)) = bytes.split_at_checked(4) else {
            return Answer::Other;
        };
        let Some(length) = std::str::from_utf8(length)
            .ok()
            .and_then(|text| usize::from_str_radix(text, 16).ok())
        else {
            return Answer::Other;
        };
        match length {
            0 => return Answer::Listed(listing),
            // Delimiters have no meaning in this answer.
            1 | 2 => {
                bytes = rest;
                continue;
            }
            3 => return Answer::Other,
            _ => {}
        }
        let Some((payload, rest)) = rest.split_at_checked(length - 4) else {
            return Answer::Other;
        };
        bytes = rest;
        let payload = payload.strip_suffix(b"\n").unwrap_or(payload);
        if let Some(words) = payload.strip_prefix(b"ERR ") {
            return Answer::Refused(String::from_utf8_lossy(words).into_owned());
        }
        let mut parts = payload.splitn(3, |byte| *byte == b' ');
        let (Some(id), Some(name)) = (parts.next(), parts.next()) else {
            return Answer::Other;
        };
        let Ok(id) = std::str::from_utf8(id) else {
            return Answer::Other;
        };
        if id != "unborn" {
            listing.take(name, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<RefPattern> {
        RefPattern::parse_all(texts).unwrap()
    }

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn body(lines: &[String]) -> Vec<u8> {
        let mut body = Vec::new();
        for text in lines {
            line(&mut body, text.as_bytes());
        }
        body.extend_from_slice(b"0000");
        body
    }

    #[test]
    fn the_request_is_the_documented_one() {
        assert_eq!(
            request(&patterns(&["refs/heads/main"])),
            b"0013command=ls-refs0001001eref-prefix refs/heads/main0000"
        );
    }

    #[test]
    fn only_the_refs_asked_for_are_taken() {
        let asked = patterns(&["refs/heads/b30", "refs/pilotage/"]);
        let bytes = body(&[
            format!("{ID} refs/heads/b30\n"),
            format!("{ID} refs/heads/b300\n"),
            format!("{ID} refs/pilotage/release/qa/shop\n"),
        ]);
        let Answer::Listed(listing) = answer(&bytes, &asked) else {
            panic!("a listing")
        };
        let names: Vec<_> = listing.refs.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["refs/heads/b30", "refs/pilotage/release/qa/shop"]);
    }

    #[test]
    fn an_answer_without_its_end_is_none() {
        let asked = patterns(&["refs/heads/qa"]);
        let whole = body(&[format!("{ID} refs/heads/qa\n")]);
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end], &asked), Answer::Other, "cut at {end}");
        }
        assert_eq!(answer(b"<html>", &asked), Answer::Other);
        assert_eq!(
            answer(&body(&["ERR access denied".to_owned()]), &asked),
            Answer::Refused("access denied".to_owned())
        );
    }

    #[test]
    fn names_that_are_no_names_are_counted_and_left_out() {
        let asked = patterns(&["refs/heads/"]);
        let Answer::Listed(listing) = answer(&body(&[format!("{ID} refs/heads/a..b\n")]), &asked) else {
            panic!("a listing")
        };
        assert_eq!((listing.refs.len(), listing.unreadable), (0, 1));
    }
}
