//! Who listens on an address of this machine, as the kernel says it (proc_pid_net(5)).

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    /// The user who opened it.
    pub(super) user: u32,
    inode: u64,
}

/// Whether a process holds a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// We may not look into it.
    Unknown,
}

impl Listener {
    /// Whether the process `pid` holds this socket.
    pub(super) fn held_by(self, pid: u32) -> Holds {
        let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Holds::No,
            Err(_) => return Holds::Unknown,
        };
        let socket = format!("socket:[{}]", self.inode);
        let held = entries
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|link| link.as_os_str() == socket.as_str());
        if held { Holds::Yes } else { Holds::No }
    }
}

/// The sockets that a connection to `address` reaches now; none when nobody listens.
pub(super) fn listeners(address: SocketAddr) -> Vec<Listener> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    reached(tables.iter().flat_map(|table| table.lines()), address)
}

/// The kernel leads a connection to whoever listens most exactly: on the address, on all of its family, on all.
fn reached<'l>(lines: impl Iterator<Item = &'l str>, address: SocketAddr) -> Vec<Listener> {
    let asked = address.ip().to_canonical();
    let rank = |local: IpAddr| match local.to_canonical() {
        local if local == asked => Some(0),
        IpAddr::V4(local) if local.is_unspecified() && asked.is_ipv4() => Some(1),
        IpAddr::V6(local) if local.is_unspecified() => Some(2),
        _ => None,
    };
    let found: Vec<(u8, Listener)> = lines
        .filter_map(parse)
        .filter(|(local, _)| local.port() == address.port())
        .filter_map(|(local, listener)| Some((rank(local.ip())?, listener)))
        .collect();
    let best = found.iter().map(|(rank, _)| *rank).min();
    found
        .into_iter()
        .filter(|(rank, _)| Some(*rank) == best)
        .map(|(_, listener)| listener)
        .collect()
}

/// One line of a table: `sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode …`; only sockets that
/// listen, which is state 0A.
fn parse(line: &str) -> Option<(SocketAddr, Listener)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let address = SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    let listener = Listener {
        user: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    };
    Some((address, listener))
}

/// Words of 32 bits in the machine's byte order, each as eight hexadecimal digits.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| -> Option<[u8; 4]> {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_listeners_are_ours_and_no_others() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let address = SocketAddr::from(([127, 0, 0, 1], listener.local_addr().unwrap().port()));
            let found = listeners(address);
            assert_eq!(found.len(), 1, "{bind}");
            assert_eq!(found[0].held_by(std::process::id()), Holds::Yes);
            assert_ne!(found[0].held_by(1), Holds::Yes);
            drop(listener);
            assert!(listeners(address).is_empty(), "{bind}");
        }
    }

    /// As a little-endian machine prints them.
    #[cfg(target_endian = "little")]
    #[test]
    fn the_most_exact_listener_is_reached() {
        let line = |local: &str, state: &str, inode: u32| {
            format!(
                "   0: {local}:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000  1000        0 {inode} 1 0 100 0 0 10 0"
            )
        };
        let (loopback, every, every6, mapped) = (
            "0100007F",
            "00000000",
            "00000000000000000000000000000000",
            "0000000000000000FFFF00000100007F",
        );
        let found = |table: &[String]| -> Vec<u64> {
            let address = "127.0.0.1:8080".parse().unwrap();
            reached(table.iter().map(String::as_str), address)
                .iter()
                .map(|listener| listener.inode)
                .collect()
        };
        let table = [
            line(every, "0A", 1),
            line(every6, "0A", 2),
            line(loopback, "0A", 3),
            line(mapped, "0A", 4),
        ];
        assert_eq!(found(&table), [3, 4]);
        assert_eq!(found(&table[..2]), [1]);
        assert_eq!(found(&table[1..2]), [2]);
        let others = [
            line(loopback, "01", 5),
            line("0200007F", "0A", 6),
            "sl local".to_owned(),
        ];
        assert!(found(&others).is_empty());
    }
}
