use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use pilotage_descriptor::{Descriptor, Port, Publish, Route};
use pilotage_probe::{Address, Scheme};

use crate::PortPlace;

/// Finds where the ports of one service are.
#[derive(Clone, Copy, Debug)]
pub struct Finder<'a> {
    /// The service.
    pub descriptor: &'a Descriptor,
    /// Places that were said; they win.
    pub said: &'a [PortPlace],
    /// Where the target's proxy listens, where that is known.
    pub front_door: Option<SocketAddr>,
    /// The service's name on the network that whoever asks shares with it; then every port is found there.
    pub within: Option<&'a str>,
}

/// Where a port is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// How HTTP is spoken there.
    pub scheme: Scheme,
    /// Where it is.
    pub at: Address,
    /// Whom a request asks for there: the host of its route, else the address itself.
    pub authority: String,
    /// How it was found, for people: `front door`, `--address`.
    pub found: &'static str,
}

impl Place {
    /// The same place, where TLS is known to be spoken: a route's host is then found at 443.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        if self.scheme == Scheme::Http && self.found == ROUTE {
            self.at.port = 443;
        }
        self.scheme = Scheme::Https;
        self
    }
}

/// How a port is found of which only the host of a route is known.
const ROUTE: &str = "the route's host";

/// A port that is published, and nobody says where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the descriptor does not say on which host port `{}` is found",
    pilotage_diagnostic::printable(port)
)]
pub struct NoPlace {
    /// The port's name.
    pub port: String,
}

impl Finder<'_> {
    /// Where a request for `path` finds `port`; nothing for an internal port, which has no place outside.
    ///
    /// # Errors
    /// When it cannot be known.
    pub fn find(&self, port: &Port, path: &str) -> Result<Option<Place>, NoPlace> {
        let route = route(port, path);
        let place = |scheme, at: Address, found| {
            let authority = match route {
                Some(route) => route.host.authority(),
                None => at.to_string(),
            };
            Ok(Some(Place {
                scheme,
                at,
                authority,
                found,
            }))
        };
        if let Some(said) = self.said.iter().find(|place| place.port == port.name) {
            return place(said.scheme, said.at.clone(), "--address");
        }
        if let Some(service) = self.within {
            let at = Address::new(service, port.port);
            return place(Scheme::Http, at, "the environment's network");
        }
        let http = |host: String, port, found| place(Scheme::Http, Address::new(host, port), found);
        let no_place = || NoPlace {
            port: port.name.clone(),
        };
        match (port.publish, self.front_door, route) {
            (Publish::Internal, _, _) => Ok(None),
            (Publish::Proxy, Some(door), _) => {
                http(reachable(door.ip()).to_string(), door.port(), "front door")
            }
            (Publish::Proxy, None, Some(route)) => http(route.host.to_string(), 80, ROUTE),
            (Publish::Proxy, None, None) => Err(no_place()),
            (Publish::Host { host, bind }, _, _) if !bind.is_unspecified() => {
                http(bind.to_string(), host, "the published port")
            }
            // A front door on this machine means that the host is this machine.
            (Publish::Host { host, bind }, Some(_), _) => {
                http(reachable(bind).to_string(), host, "the published port")
            }
            (Publish::Host { host, .. }, None, _) => match &self.descriptor.domain {
                Some(domain) => http(domain.to_string(), host, "the domain"),
                None => Err(no_place()),
            },
        }
    }
}

/// The route of `port` that a request for `path` takes: the longest prefix, else the first.
fn route<'p>(port: &'p Port, path: &str) -> Option<&'p Route> {
    let matches = |route: &&Route| {
        let prefix = route.path.trim_end_matches('/');
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    port.routes
        .iter()
        .filter(matches)
        .max_by_key(|route| route.path.len())
        .or_else(|| port.routes.first())
}

/// An address to connect to for one that is listened on.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use pilotage_descriptor::Source;

    use super::*;

    const SHOP: &str = "\
version: \"1\"
image: shop
domain: shop.example.com
ports:
  - {name: http, port: 80, publish: proxy, routes: [{host: shop.example.com}, {host: api.example.com, path: /api}]}
  - {name: own, port: 81, publish: {host: 8443, bind: 127.0.0.9}}
  - {name: all, port: 82, publish: {host: 8444}}
  - {name: admin, port: 83}
";

    fn found(said: &[&str], front_door: Option<&str>, port: &str, path: &str) -> String {
        let descriptor = Descriptor::read(&Source::new("shop.yaml", SHOP)).unwrap();
        let said: Vec<PortPlace> = said.iter().map(|text| text.parse().unwrap()).collect();
        let finder = Finder {
            descriptor: &descriptor,
            said: &said,
            front_door: front_door.map(|text| text.parse().unwrap()),
            within: None,
        };
        match finder.find(descriptor.port(port).unwrap(), path) {
            Ok(Some(place)) => format!(
                "{}://{} for {} by {}",
                place.scheme, place.at, place.authority, place.found
            ),
            Ok(None) => "nowhere".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn users_find_a_port_where_it_is_published() {
        let door = Some("0.0.0.0:18080");
        for (said, door, port, path, place) in [
            (
                &[][..],
                door,
                "http",
                "/",
                "http://127.0.0.1:18080 for shop.example.com by front door",
            ),
            (
                &[],
                door,
                "http",
                "/api/x",
                "http://127.0.0.1:18080 for api.example.com by front door",
            ),
            (
                &[],
                door,
                "http",
                "/apix",
                "http://127.0.0.1:18080 for shop.example.com by front door",
            ),
            (
                &[],
                None,
                "http",
                "/",
                "http://shop.example.com:80 for shop.example.com by the route's host",
            ),
            (
                &["http=https://lb"],
                door,
                "http",
                "/",
                "https://lb:443 for shop.example.com by --address",
            ),
            (
                &[],
                None,
                "own",
                "/",
                "http://127.0.0.9:8443 for 127.0.0.9:8443 by the published port",
            ),
            (
                &[],
                door,
                "all",
                "/",
                "http://127.0.0.1:8444 for 127.0.0.1:8444 by the published port",
            ),
            (
                &[],
                None,
                "all",
                "/",
                "http://shop.example.com:8444 for shop.example.com:8444 by the domain",
            ),
            (&[], door, "admin", "/", "nowhere"),
            (
                &["admin=[::1]:9"],
                door,
                "admin",
                "/",
                "http://[::1]:9 for [::1]:9 by --address",
            ),
        ] {
            assert_eq!(found(said, door, port, path), place, "{port} {path}");
        }
    }
}
