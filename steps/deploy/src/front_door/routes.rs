//! The routes of all services, kept fresh from their files.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pilotage_clock::Clock;

use crate::adapter::process::state::{RouteEntry, RouteFile};

/// All route files, read again when their directory has changed.
#[derive(Debug)]
pub(super) struct Routes {
    directory: PathBuf,
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The directory's time of change that `entries` belong to, once it is old enough to be told from a next change.
    settled: Option<SystemTime>,
    entries: Vec<RouteEntry>,
}

/// File systems stamp changes by a clock that ticks every few milliseconds; two changes within one tick look alike.
const TICK: Duration = Duration::from_millis(100);

impl Routes {
    pub(super) fn new(state: &Path, clock: Clock) -> Self {
        Self {
            directory: state.join("routes"),
            clock,
            known: Mutex::default(),
        }
    }

    /// Whether the directory is still there; a front door without it has nothing to do any more.
    pub(super) fn exist(&self) -> bool {
        self.directory.is_dir()
    }

    /// Where a request goes by the files as they are now.
    pub(super) fn find(&self, host: &str, path: &str) -> Found {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = fs::metadata(&self.directory)
            .and_then(|data| data.modified())
            .ok();
        if changed.is_none() || known.settled != changed {
            known.entries = self.read();
            let now = SystemTime::from(self.clock.now());
            known.settled =
                changed.filter(|changed| now.duration_since(*changed).is_ok_and(|age| age > TICK));
        }
        choose(&known.entries, host, path)
    }

    fn read(&self) -> Vec<RouteEntry> {
        let Ok(files) = fs::read_dir(&self.directory) else {
            return Vec::new();
        };
        files
            .flatten()
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| {
                let file: RouteFile = serde_json::from_slice(&fs::read(&path).ok()?)
                    .inspect_err(|error| tracing::error!("{} cannot be read: {error}", path.display()))
                    .ok()?;
                Some(file.routes)
            })
            .flatten()
            .collect()
    }
}

/// What a lookup found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It goes there.
    Address(SocketAddr),
    /// The host has routes, but none for the path.
    Host,
    /// Nobody has the host.
    Nothing,
}

/// The longest path prefix of the host wins; a prefix ends where a path segment ends.
fn choose(entries: &[RouteEntry], host: &str, path: &str) -> Found {
    let of_host = || entries.iter().filter(|entry| entry.host == host);
    let best = of_host()
        .filter(|entry| covers(&entry.path, path))
        .max_by_key(|entry| entry.path.trim_end_matches('/').len());
    match best {
        Some(entry) => Found::Address(entry.address),
        None if of_host().next().is_some() => Found::Host,
        None => Found::Nothing,
    }
}

fn covers(prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || (prefix.is_empty() && path == "*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(host: &str, path: &str, port: u16) -> RouteEntry {
        RouteEntry {
            host: host.to_owned(),
            path: path.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    fn port(entries: &[RouteEntry], host: &str, path: &str) -> Option<u16> {
        match choose(entries, host, path) {
            Found::Address(address) => Some(address.port()),
            Found::Host | Found::Nothing => None,
        }
    }

    #[test]
    fn the_longest_whole_prefix_of_the_host_wins() {
        let entries = [
            entry("a", "/", 1),
            entry("a", "/api", 2),
            entry("a", "/api/v2/", 3),
            entry("b", "/x", 4),
        ];
        for (path, expected) in [
            ("/", 1),
            ("/apix", 1),
            ("/api", 2),
            ("/api/v1", 2),
            ("/api/v2", 3),
            ("/api/v2/z", 3),
        ] {
            assert_eq!(port(&entries, "a", path), Some(expected), "{path}");
        }
        assert_eq!(choose(&entries, "b", "/y"), Found::Host);
        assert_eq!(choose(&entries, "c", "/"), Found::Nothing);
    }

    #[test]
    fn a_replaced_file_is_seen_at_once_however_fast_it_follows() {
        let state = tempfile::tempdir().unwrap();
        let directory = state.path().join("routes");
        fs::create_dir(&directory).unwrap();
        let routes = Routes::new(state.path(), Clock::system());
        for turn in 1..200 {
            let file = RouteFile {
                key: pilotage_name::ServiceKey {
                    project: "acme".parse().unwrap(),
                    environment: "qa".parse().unwrap(),
                    service: "shop".parse().unwrap(),
                },
                instance: crate::live::InstanceId(1),
                run: String::new(),
                turn: u64::from(turn),
                routes: vec![entry("a", "/", turn)],
            };
            let path = directory.join("p.e.s.json");
            crate::adapter::process::state::write(&path, &file).unwrap();
            assert_eq!(routes.find("a", "/"), Found::Address(file.routes[0].address));
        }
    }
}
