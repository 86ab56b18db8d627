use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::{Port, Publish, State};

impl Rules<'_> {
    /// Ports, routes and the domain.
    pub(super) fn ports(&self, found: &mut Diagnostics) {
        let ports = &self.descriptor.ports;
        for (index, port) in ports.iter().enumerate() {
            let earlier = &ports[..index];
            if let Some(other) = earlier.iter().position(|other| other.name == port.name) {
                let message = format!("two ports have the name `{}`", port.name);
                self.twice(
                    found,
                    "duplicate-port",
                    message,
                    &format!("ports[{other}].name"),
                    &format!("ports[{index}].name"),
                );
            }
            if let Some(other) = earlier.iter().position(|other| other.port == port.port) {
                let message = format!("two ports have the number {}", port.port);
                self.twice(
                    found,
                    "duplicate-port",
                    message,
                    &format!("ports[{other}].port"),
                    &format!("ports[{index}].port"),
                );
            }
            if let Some(other) = earlier.iter().position(|other| same_host_port(other, port)) {
                let message = "two ports are published on one port of the host";
                self.twice(
                    found,
                    "duplicate-port",
                    message,
                    &format!("ports[{other}].publish"),
                    &format!("ports[{index}].publish"),
                );
            }
            if !port.routes.is_empty() && port.publish != Publish::Proxy {
                let message = format!(
                    "the port `{}` has routes, but it is not published through the proxy",
                    port.name
                );
                let span = self.key(&format!("ports[{index}].routes"));
                let error = self.error("routes-without-proxy", message, span, "nothing routes here");
                found.push(error.help("write `publish: proxy` beside it, or remove `routes`"));
            }
            let reached =
                !port.routes.is_empty() || self.descriptor.domain.is_some() || !self.knows("domain");
            if self.whole
                && port.publish == Publish::Proxy
                && !reached
                && self.descriptor.state == State::Active
            {
                let message = format!("no request reaches the port `{}` through the proxy", port.name);
                let span = self.value(&format!("ports[{index}].publish"));
                let warning = self.warning("no-route", message, span, "published, but without a route");
                found.push(warning.help("add `domain: shop.example.com`, or `routes` to this port"));
            }
        }
        self.routes(found);
        self.domain(found);
    }

    fn routes(&self, found: &mut Diagnostics) {
        let mut seen: Vec<(&crate::Route, String)> = Vec::new();
        for (port, entry) in self.descriptor.ports.iter().enumerate() {
            for (index, route) in entry.routes.iter().enumerate() {
                let path = format!("ports[{port}].routes[{index}]");
                match seen.iter().find(|(other, _)| *other == route) {
                    Some((_, first)) => {
                        let message = format!("the route `{}{}` stands twice", route.host, route.path);
                        self.twice(found, "duplicate-route", message, first, &path);
                    }
                    None => seen.push((route, path)),
                }
            }
        }
    }

    fn domain(&self, found: &mut Diagnostics) {
        let Some(domain) = &self.descriptor.domain else {
            return;
        };
        if !self.knows("ports") || self.descriptor.kind != crate::Kind::Service {
            return;
        }
        let proxied: Vec<&Port> = self
            .descriptor
            .ports
            .iter()
            .filter(|port| port.publish == Publish::Proxy)
            .collect();
        match proxied.as_slice() {
            [_] => {}
            [] => {
                let message = "`domain` needs a port that is published through the proxy";
                let error = self.error(
                    "domain-without-port",
                    message,
                    self.value("domain"),
                    "no port takes these requests",
                );
                found.push(match self.descriptor.ports.as_slice() {
                    [] => error.help("add a port: `ports: [{name: http, port: 8080, publish: proxy}]`"),
                    [only] => error.help(format!("write `publish: proxy` at the port `{}`", only.name)),
                    _ => error.help("write `publish: proxy` at the port that takes them"),
                });
            }
            several => {
                let names: Vec<&str> = several.iter().map(|port| port.name.as_str()).collect();
                let message = format!(
                    "`domain` is short for a route on the only port with `publish: proxy`, but `{}` have it",
                    names.join("` and `")
                );
                let error = self.error(
                    "domain-ambiguous",
                    message,
                    self.value("domain"),
                    "for which of them?",
                );
                found.push(error.help(format!(
                    "remove `domain`, and write `routes: [{{host: {domain}}}]` at the port that takes these requests"
                )));
            }
        }
    }

    /// Something that may stand once stands at two paths.
    pub(super) fn twice(
        &self,
        found: &mut Diagnostics,
        code: &str,
        message: impl Into<String>,
        first: &str,
        second: &str,
    ) {
        let error = self.error(code, message, self.value(second), "again here").also(
            self.source,
            self.value(first),
            "first here",
        );
        found.push(error.help("change or remove one of them"));
    }
}

fn same_host_port(a: &Port, b: &Port) -> bool {
    match (a.publish, b.publish) {
        (Publish::Host { host: a, bind: at }, Publish::Host { host: b, bind: other }) => {
            a == b && (at == other || at.is_unspecified() || other.is_unspecified())
        }
        _ => false,
    }
}
