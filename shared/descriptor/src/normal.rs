//! The short forms of a valid descriptor, written out. Doing it twice changes nothing.

use crate::{Ask, Descriptor, Image, Port, Publish, Route};

pub(crate) fn normalise(descriptor: &mut Descriptor) {
    let version = descriptor.version.as_str().to_owned();
    let fill = |image: &mut Image| {
        if image.tag.is_none() && image.digest.is_none() {
            image.tag = Some(version.clone());
        }
    };
    descriptor.image.iter_mut().for_each(fill);
    descriptor
        .regression
        .iter_mut()
        .filter_map(|regression| regression.image.as_mut())
        .for_each(fill);
    if let Some(host) = descriptor.domain.clone() {
        let route = Route {
            host,
            path: "/".to_owned(),
        };
        let proxied = descriptor
            .ports
            .iter_mut()
            .find(|port| port.publish == Publish::Proxy);
        if let Some(port) = proxied.filter(|port| !port.routes.contains(&route)) {
            port.routes.insert(0, route);
        }
    }
    if let Some(check) = &mut descriptor.healthcheck {
        check.try_timeout = check.try_timeout.min(check.timeout);
    }
    let asked = |choice: Choice| asked_by_default(&descriptor.ports, choice).map(|port| port.name.clone());
    let (http, grpc, user) = (asked(Choice::Http), asked(Choice::Grpc), asked(Choice::User));
    for endpoint in descriptor
        .healthcheck
        .iter_mut()
        .flat_map(|check| &mut check.endpoints)
    {
        if endpoint.port.is_none() {
            endpoint.port = match endpoint.ask {
                Ask::Http { .. } => http.clone(),
                Ask::Grpc { .. } => grpc.clone(),
                Ask::Tcp | Ask::Exec { .. } => None,
            };
        }
    }
    for request in &mut descriptor.smoke {
        if request.port.is_none() && !request.is_url() {
            request.port = user.clone();
        }
    }
}

/// Who asks a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// An http endpoint of the health check.
    Http,
    /// A grpc endpoint of the health check.
    Grpc,
    /// A user, or a smoke request in their place.
    User,
}

/// The port that is asked when none is named: the only one; for a user the only proxied one; else the one named
/// `http` or `grpc`.
pub(crate) fn asked_by_default(ports: &[Port], choice: Choice) -> Option<&Port> {
    if let [only] = ports {
        return Some(only);
    }
    let mut proxied = ports.iter().filter(|port| port.publish == Publish::Proxy);
    if let (Choice::User, Some(only), None) = (choice, proxied.next(), proxied.next()) {
        return Some(only);
    }
    let name = if choice == Choice::Grpc { "grpc" } else { "http" };
    ports.iter().find(|port| port.name == name)
}
