//! The head of an HTTP/1 request: where it wants to go, and how it is passed on.

/// What the front door has to know of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// In lower case, without port.
    pub(super) host: String,
    /// Without query.
    pub(super) path: String,
    /// The head as it is passed on.
    pub(super) forward: Vec<u8>,
}

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    /// No HTTP/1 request.
    Malformed,
    /// No host, or two.
    Host,
}

/// Where the head ends in `bytes`: behind the empty line.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .map(|at| at + 4)
}

/// Reads a whole head.
///
/// It is passed on with `Connection: close`: then each request has a connection of its own, the next one finds the
/// instance that serves by then, and a switch cuts nobody off. Only an upgrade keeps its connection.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, BadHead> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadHead::Malformed)?;
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let request = lines.next().unwrap_or_default();
    let mut words = request.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadHead::Malformed);
    };
    if method.is_empty() || target.is_empty() || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(BadHead::Malformed);
    }
    let mut hosts = Vec::new();
    let mut kept = Vec::new();
    let mut upgrade = false;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(BadHead::Malformed)?;
        // A space before the colon or a folded line reads differently to different servers (RFC 9112, section 5).
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err(BadHead::Malformed);
        }
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts.push(value),
            "connection" => {
                upgrade |= value
                    .split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case("upgrade"));
                continue;
            }
            "keep-alive" | "proxy-connection" => continue,
            _ => {}
        }
        kept.push(line);
    }
    // A target with scheme and host overrules the header (RFC 9112, section 3.2.2).
    let (authority, path) = match target.split_once("://") {
        Some((_, rest)) => match rest.find('/') {
            Some(slash) => (Some(&rest[..slash]), &rest[slash..]),
            None => (Some(rest), "/"),
        },
        None => (None, target),
    };
    let host = match (authority, hosts.as_slice()) {
        (Some(authority), _) => authority,
        (None, [host]) => host,
        (None, _) => return Err(BadHead::Host),
    };
    let mut forward = Vec::with_capacity(bytes.len() + 20);
    for line in std::iter::once(request).chain(kept) {
        forward.extend_from_slice(line.as_bytes());
        forward.extend_from_slice(b"\r\n");
    }
    let connection: &[u8] = if upgrade {
        b"Connection: Upgrade\r\n\r\n"
    } else {
        b"Connection: close\r\n\r\n"
    };
    forward.extend_from_slice(connection);
    Ok(Head {
        host: without_port(host).trim_end_matches('.').to_ascii_lowercase(),
        path: path.split(['?', '#']).next().unwrap_or(path).to_owned(),
        forward,
    })
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // `[::1]` holds colons that begin no port.
        Some((name, port))
            if (!name.contains(':') || name.ends_with(']')) && port.bytes().all(|b| b.is_ascii_digit()) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Head, BadHead> {
        parse(text.replace('\n', "\r\n").as_bytes())
    }

    #[test]
    fn host_and_path_are_read_and_the_connection_is_closed_behind_the_answer() {
        let head = parsed(
            "GET /a/b?c=d HTTP/1.1\nHost: Shop.Example.com:18080\nConnection: keep-alive\nAccept: */*\n\n",
        )
        .unwrap();
        assert_eq!(
            (head.host.as_str(), head.path.as_str()),
            ("shop.example.com", "/a/b")
        );
        assert_eq!(
            String::from_utf8(head.forward).unwrap(),
            "GET /a/b?c=d HTTP/1.1\r\nHost: Shop.Example.com:18080\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_upgrade_keeps_its_connection() {
        let head =
            parsed("GET /ws HTTP/1.1\nHost: a\nConnection: keep-alive, Upgrade\nUpgrade: websocket\n\n")
                .unwrap();
        assert!(
            String::from_utf8(head.forward)
                .unwrap()
                .ends_with("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        );
    }

    #[test]
    fn a_whole_url_and_an_address_with_colons_are_hosts() {
        assert_eq!(
            parsed("GET http://b.example/x HTTP/1.1\nHost: a\n\n")
                .unwrap()
                .host,
            "b.example"
        );
        assert_eq!(
            parsed("GET / HTTP/1.1\nHost: [::1]:80\n\n").unwrap().host,
            "[::1]"
        );
        assert_eq!(parsed("GET / HTTP/1.1\nHost: [::1]\n\n").unwrap().host, "[::1]");
    }

    #[test]
    fn what_reads_differently_to_different_servers_is_refused() {
        for bad in [
            "GET /\n\n",
            "GET / HTTP/2\nHost: a\n\n",
            "GET / HTTP/1.1\nHost : a\n\n",
            "GET / HTTP/1.1\nHost: a\n folded\n\n",
            "GET  / HTTP/1.1\nHost: a\n\n",
        ] {
            assert_eq!(parsed(bad), Err(BadHead::Malformed), "{bad:?}");
        }
        assert_eq!(parsed("GET / HTTP/1.1\nHost: a\nHost: b\n\n"), Err(BadHead::Host));
        assert_eq!(parsed("GET / HTTP/1.1\nAccept: x\n\n"), Err(BadHead::Host));
        assert_eq!(
            parse(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n"),
            Err(BadHead::Malformed)
        );
    }
}
