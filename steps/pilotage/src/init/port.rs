//! A port for the front door that nobody else on this machine listens on.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

/// The first port that is looked at, and how many there are.
const FIRST: u16 = 18080;
const COUNT: u16 = 1000;

/// An address of this machine that is free. Where the search starts depends on the repository's folder: another one, whose
/// front door may not run yet, starts elsewhere.
pub(super) fn free(directory: &Path) -> SocketAddr {
    choose(start(directory), |address| TcpListener::bind(address).is_ok())
}

fn start(directory: &Path) -> u16 {
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    u16::try_from(hasher.finish() % u64::from(COUNT)).unwrap_or_default()
}

/// The first free address from `start` on, once around. Where none is, the first: whoever starts it says why it is not.
fn choose(start: u16, is_free: impl Fn(SocketAddr) -> bool) -> SocketAddr {
    let address = |index: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + (start + index) % COUNT));
    (0..COUNT)
        .map(address)
        .find(|address| is_free(*address))
        .unwrap_or_else(|| address(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_free_port_is_taken_once_around() {
        let port = |start, taken: &[u16]| choose(start, |address| !taken.contains(&address.port())).port();
        assert_eq!(port(0, &[]), 18080);
        assert_eq!(port(0, &[18080, 18081]), 18082);
        assert_eq!(port(999, &[19079]), 18080);
        assert_eq!(choose(7, |_| false).port(), 18087, "somebody has to say why");
    }

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let first = free(Path::new("/srv/acme"));
        let _taken = TcpListener::bind(first).unwrap();
        assert_ne!(free(Path::new("/srv/acme")), first);
    }

    #[test]
    fn two_repositories_begin_elsewhere() {
        let starts = ["/srv/acme", "/srv/umbrella", "/srv/globex"].map(|folder| start(Path::new(folder)));
        assert!(starts[0] != starts[1] && starts[1] != starts[2], "{starts:?}");
    }
}
