use std::io::{self, Read, Write};

use crate::{Listing, RefPattern, ls_refs};

/// What was listed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) listing: Listing,
    /// Whether the server answered by protocol version 2.
    pub(super) v2: bool,
}

/// Why nothing was listed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server's own error, in its words.
    Refused(String),
    /// Something that is no git.
    NotGit,
    /// The stream failed.
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// One pkt-line.
enum Packet {
    Flush,
    /// Delimiters and the like.
    Other,
    Data(Vec<u8>),
}

/// Lists over a stream to `git upload-pack` that was asked for version 2. With `known` the request goes out before the
/// server has said which version it speaks; one that speaks version 0 after all still sends its refs first.
pub(super) fn list(
    stream: &mut (impl Read + Write),
    patterns: &[RefPattern],
    known: bool,
) -> Result<Answer, Trouble> {
    let request = ls_refs::request(patterns);
    if known {
        stream.write_all(&request)?;
    }
    let first = packet(stream)?;
    let v2 = matches!(&first, Packet::Data(line) if line.trim_ascii_end() == b"version 2");
    let listing = if v2 {
        while !matches!(packet(stream)?, Packet::Flush) {}
        if !known {
            stream.write_all(&request)?;
        }
        v2_answer(stream, patterns)?
    } else {
        advertisement(stream, first, patterns)?
    };
    // This ends the conversation in both versions.
    stream.write_all(b"0000")?;
    Ok(Answer { listing, v2 })
}

fn v2_answer(stream: &mut impl Read, patterns: &[RefPattern]) -> Result<Listing, Trouble> {
    let mut bytes = Vec::new();
    loop {
        match packet(stream)? {
            Packet::Flush => break,
            Packet::Other => {}
            Packet::Data(line) => {
                bytes.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
                bytes.extend_from_slice(&line);
                // The server's error is the last thing it says.
                if line.starts_with(b"ERR ") {
                    break;
                }
            }
        }
    }
    bytes.extend_from_slice(b"0000");
    match ls_refs::answer(&bytes, patterns) {
        ls_refs::Answer::Listed(listing) => Ok(listing),
        ls_refs::Answer::Refused(words) => Err(Trouble::Refused(words)),
        ls_refs::Answer::Other => Err(Trouble::NotGit),
    }
}

/// The refs as protocol version 0 advertises them, gitprotocol-pack(5).
fn advertisement(stream: &mut impl Read, first: Packet, patterns: &[RefPattern]) -> Result<Listing, Trouble> {
    let mut listing = Listing::empty(patterns);
    let mut next = first;
    loop {
        let line = match next {
            Packet::Flush => return Ok(listing),
            Packet::Other => return Err(Trouble::NotGit),
            Packet::Data(line) => line,
        };
        let line = line
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default()
            .trim_ascii_end();
        if let Some(words) = line.strip_prefix(b"ERR ") {
            return Err(Trouble::Refused(String::from_utf8_lossy(words).into_owned()));
        }
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else {
            return Err(Trouble::NotGit);
        };
        // `shallow` lines, the place of capabilities in an empty repository, and what a tag points at, are no refs.
        if id != b"shallow" && id != b"version" && !name.ends_with(b"^{}") {
            listing.take(name, &String::from_utf8_lossy(id));
        }
        next = packet(stream)?;
    }
}

fn packet(stream: &mut impl Read) -> Result<Packet, Trouble> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = std::str::from_utf8(&length)
        .ok()
        .filter(|text| !text.starts_with('+'));
    let length = length.and_then(|text| usize::from_str_radix(text, 16).ok());
    match length {
        Some(0) => Ok(Packet::Flush),
        Some(1 | 2) => Ok(Packet::Other),
        Some(3) | None => Err(Trouble::NotGit),
        Some(length) => {
            let mut line = vec![0; length - 4];
            stream.read_exact(&mut line)?;
            Ok(Packet::Data(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    /// A server that has said all it will say.
    struct Said {
        says: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Said {
        fn new(packets: &[&str]) -> Self {
            let mut says = Vec::new();
            for text in packets {
                match *text {
                    "0000" | "0001" => says.extend_from_slice(text.as_bytes()),
                    text => says.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes()),
                }
            }
            Self {
                says: io::Cursor::new(says),
                heard: Vec::new(),
            }
        }
    }

    impl Read for Said {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn patterns() -> Vec<RefPattern> {
        RefPattern::parse_all(&["refs/heads/", "refs/tags/"]).unwrap()
    }

    fn names(packets: &[&str], known: bool) -> Result<(Vec<String>, bool), Trouble> {
        let mut server = Said::new(packets);
        let Answer { listing, v2 } = list(&mut server, &patterns(), known)?;
        assert!(server.heard.ends_with(b"0000"));
        assert_eq!(server.heard.starts_with(b"0013command"), v2 || known);
        assert_eq!(listing.unreadable, 0);
        Ok((listing.refs.keys().map(ToString::to_string).collect(), v2))
    }

    #[test]
    fn both_versions_are_understood() {
        let reference = format!("{ID} refs/heads/qa\n");
        let v2 = [
            "version 2\n",
            "agent=git/2\n",
            "ls-refs=unborn\n",
            "0000",
            &reference,
            "0000",
        ];
        let first = format!("{ID} HEAD\0multi_ack agent=git/2\n");
        let (tag, peeled) = (
            format!("{ID} refs/tags/v1\n"),
            format!("{ID} refs/tags/v1^{{}}\n"),
        );
        let v0 = [first.as_str(), &reference, &tag, &peeled, "0000"];
        let empty = format!("{} capabilities^{{}}\0agent=git/2\n", "0".repeat(40));
        for known in [false, true] {
            let qa = "refs/heads/qa".to_owned();
            assert_eq!(names(&v2, known).unwrap(), (vec![qa.clone()], true));
            assert_eq!(
                names(&v0, known).unwrap(),
                (vec![qa, "refs/tags/v1".to_owned()], false)
            );
            assert_eq!(names(&[&empty, "0000"], known).unwrap(), (vec![], false));
            assert_eq!(names(&["0000"], known).unwrap(), (vec![], false));
        }
    }

    #[test]
    fn errors_noise_and_ends_are_told_apart() {
        for packets in [&["ERR no\n"][..], &["version 2\n", "0000", "ERR no\n"]] {
            let trouble = names(packets, false).unwrap_err();
            assert!(
                matches!(&trouble, Trouble::Refused(words) if words.trim() == "no"),
                "{trouble:?}"
            );
        }
        let noise = &mut Said {
            says: io::Cursor::new(b"Welcome!\n".to_vec()),
            heard: Vec::new(),
        };
        assert!(matches!(list(noise, &patterns(), false), Err(Trouble::NotGit)));
        let reference = format!("{ID} refs/heads/qa\n");
        for packets in [
            &["version 2\n"][..],
            &["version 2\n", "0000", &reference],
            &[&reference],
            &[],
        ] {
            let trouble = names(packets, false).unwrap_err();
            assert!(matches!(trouble, Trouble::Io(_)), "{packets:?}: {trouble:?}");
        }
    }
}
