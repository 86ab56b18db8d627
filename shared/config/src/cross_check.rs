use std::collections::BTreeMap;

use pilotage_descriptor::{Ask, Descriptor, Host, Image, Parsed, Publish, SecretSource, State};
use pilotage_diagnostic::{nearest, printable};
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_yaml::{Diagnostic, Diagnostics, Source, Span};

use crate::{Config, Environment, Target};

impl Config {
    /// What the resolved descriptors of one environment mean together and against this configuration: routes, host
    /// ports and orders that collide, and what the environment does not allow. Problems stand in the descriptors.
    #[must_use]
    pub fn cross_check(
        &self,
        environment: &EnvironmentName,
        descriptors: &[(ServiceName, Source, Descriptor)],
    ) -> Diagnostics {
        let files: Vec<File<'_>> = descriptors
            .iter()
            .map(|(service, source, descriptor)| File {
                environment,
                service,
                source,
                descriptor,
            })
            .collect();
        let mut found = Diagnostics::new();
        let active: Vec<&File<'_>> = files
            .iter()
            .filter(|file| file.descriptor.state == State::Active)
            .collect();
        routes(&active, &mut found);
        self.host_ports(&active, &mut found);
        for file in &active {
            if let Some(known) = self.environment(environment) {
                allowed(known, file, &mut found);
            }
            self.fits_target(file, &mut found);
        }
        order(&files, &mut found);
        found.sorted()
    }

    fn host_ports(&self, files: &[&File<'_>], found: &mut Diagnostics) {
        let mut seen: BTreeMap<(&str, u16), (&File<'_>, String)> = BTreeMap::new();
        for file in files {
            let (target, kind) = self.target_of(file.environment, file.service);
            for (index, port) in file.descriptor.ports.iter().enumerate() {
                let Publish::Host { host, .. } = port.publish else {
                    continue;
                };
                let path = format!("ports[{index}].publish");
                if let Target::Process(process) = kind
                    && process.listen.port() == host
                {
                    let message = format!(
                        "the port {host} of the host is taken by the front door of the target `{target}`"
                    );
                    found.push(
                        file.error("duplicate-port", message, &path, "taken")
                            .help("publish on another port"),
                    );
                }
                match seen.get(&(target, host)) {
                    Some((other, first)) if other.service != file.service => {
                        let message = format!(
                            "`{}` and `{}` take one port of the host, {host}",
                            other.service, file.service
                        );
                        let error = file.error("duplicate-port", message, &path, "again here");
                        found.push(
                            error
                                .also(
                                    other.source,
                                    other.place(first),
                                    format!("taken by `{}`", other.service),
                                )
                                .help("publish one of them on another port"),
                        );
                    }
                    Some(_) => {}
                    None => {
                        seen.insert((target, host), (file, path));
                    }
                }
            }
        }
    }

    fn fits_target(&self, file: &File<'_>, found: &mut Diagnostics) {
        let (name, target) = self.target_of(file.environment, file.service);
        if file.descriptor.image.is_none() && matches!(target, Target::Docker(_) | Target::Kubernetes(_)) {
            let message = format!(
                "the target `{}` runs images, and this descriptor names none",
                printable(name)
            );
            found.push(
                file.error("no-image", message, "", "no `image` here")
                    .help("add `image: registry.example.com/shop`"),
            );
        }
    }
}

/// One resolved descriptor with its text.
struct File<'a> {
    environment: &'a EnvironmentName,
    service: &'a ServiceName,
    source: &'a Source,
    descriptor: &'a Descriptor,
}

impl File<'_> {
    /// Where a path stands. The text is read again: only problems need it.
    fn place(&self, path: &str) -> Span {
        let parsed: Parsed = pilotage_descriptor::parse(self.source);
        parsed.place(self.environment, path)
    }

    fn error(
        &self,
        code: &str,
        message: impl Into<String>,
        path: &str,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source, self.place(path), label)
    }

    /// A route that came from `domain` stands there.
    fn route_path(&self, port: usize, route: usize, host: &Host) -> String {
        if self.descriptor.domain.as_ref() == Some(host) && route == 0 {
            "domain".to_owned()
        } else {
            format!("ports[{port}].routes[{route}]")
        }
    }
}

fn routes(files: &[&File<'_>], found: &mut Diagnostics) {
    let mut seen: BTreeMap<(&Host, &str), (&File<'_>, String)> = BTreeMap::new();
    for file in files {
        for (port, entry) in file.descriptor.ports.iter().enumerate() {
            for (index, route) in entry.routes.iter().enumerate() {
                let path = file.route_path(port, index, &route.host);
                // `/shop/` and `/shop` are one prefix to a proxy.
                let prefix = route.path.trim_end_matches('/');
                match seen.get(&(&route.host, prefix)) {
                    Some((other, first)) if other.service != file.service => {
                        let message = format!(
                            "`{}` and `{}` both take the route `{}{}`",
                            other.service, file.service, route.host, route.path
                        );
                        let error = file.error("duplicate-route", message, &path, "again here");
                        found.push(
                            error
                                .also(
                                    other.source,
                                    other.place(first),
                                    format!("taken by `{}`", other.service),
                                )
                                .help("change the host or the path of one of them"),
                        );
                    }
                    Some(_) => {}
                    None => {
                        seen.insert((&route.host, prefix), (file, path));
                    }
                }
            }
        }
    }
}

/// What the environment does not grant.
fn allowed(environment: &Environment, file: &File<'_>, found: &mut Diagnostics) {
    let allow = &environment.allow;
    let name = &environment.name;
    let mut refuse = |what: String, path: &str, grant: String| {
        let error = file.error(
            "not-allowed",
            format!("the environment `{name}` does not allow {what}"),
            path,
            "not allowed",
        );
        found.push(error.help(format!(
            "remove it, or let the config branch grant it: `allow: {{{grant}}}` at `{name}` in pilotage.yaml"
        )));
    };
    let mut image = |image: &Image, path: &str| {
        if !allow.image(&image.name) {
            refuse(
                format!("the image `{}`", printable(&image.name)),
                path,
                format!("images: [\"{}\"]", printable(&image.name)),
            );
        }
    };
    if let Some(own) = &file.descriptor.image {
        image(own, "image");
    }
    if let Some(suite) = &file.descriptor.regression {
        if let Some(own) = &suite.image {
            image(own, "regression.image");
        }
        if !suite.command.is_empty() && !allow.commands {
            refuse(
                "commands of a suite".to_owned(),
                "regression.command",
                "commands: true".to_owned(),
            );
        }
    }
    for (index, port) in file.descriptor.ports.iter().enumerate() {
        if let Publish::Host { host, .. } = port.publish
            && !allow.host_port(host)
        {
            refuse(
                format!("the port {host} of the host"),
                &format!("ports[{index}].publish"),
                format!("host_ports: [{host}]"),
            );
        }
    }
    for (index, endpoint) in file
        .descriptor
        .healthcheck
        .iter()
        .flat_map(|check| &check.endpoints)
        .enumerate()
    {
        if matches!(endpoint.ask, Ask::Exec { .. }) && !allow.commands {
            refuse(
                "commands in the instance".to_owned(),
                &format!("healthcheck.endpoints[{index}].exec"),
                "commands: true".to_owned(),
            );
        }
    }
    for (index, request) in file.descriptor.smoke.iter().enumerate() {
        if request.is_url() && !allow.url(&request.path) {
            let path = format!("smoke[{index}].{}", request.method);
            refuse(
                format!("requests to `{}`", printable(&request.path)),
                &path,
                format!("urls: [\"{}\"]", printable(&request.path)),
            );
        }
    }
    for (variable, secret) in &file.descriptor.secrets {
        if let SecretSource::File(path) = secret
            && !allow.secret_file(path)
        {
            let place = format!("secrets[\"{variable}\"].file");
            refuse(
                format!("secrets from the file `{}`", printable(path)),
                &place,
                format!("secret_files: [\"{}\"]", printable(path)),
            );
        }
    }
}

/// `after` names services that exist, in no circle.
fn order(files: &[File<'_>], found: &mut Diagnostics) {
    let by_name: BTreeMap<&ServiceName, &File<'_>> = files.iter().map(|file| (file.service, file)).collect();
    for file in files {
        for (index, before) in file.descriptor.after.iter().enumerate() {
            if by_name.contains_key(before) {
                continue;
            }
            let path = format!("after[{index}]");
            let message = format!("there is no service `{before}` in `{}`", file.environment);
            let known = by_name.keys().map(|name| name.as_str());
            found.push(match nearest(before.as_str(), known) {
                Some(near) => file
                    .error(
                        "unknown-service",
                        message,
                        &path,
                        format!("did you mean `{near}`?"),
                    )
                    .help(format!("write `{near}`")),
                None => file
                    .error("unknown-service", message, &path, "no such service")
                    .help(format!(
                        "remove it, or add `{}` to this branch",
                        pilotage_descriptor::path_of(before)
                    )),
            });
        }
    }
    // Depth first; a service that is met again on the way to itself closes a circle.
    let mut done: Vec<&ServiceName> = Vec::new();
    for file in files {
        let mut way: Vec<(&ServiceName, usize)> = vec![(file.service, 0)];
        while let Some((name, next)) = way.pop() {
            let after = by_name
                .get(name)
                .map_or(&[][..], |file| file.descriptor.after.as_slice());
            let Some(before) = after.get(next) else {
                done.push(name);
                continue;
            };
            way.push((name, next + 1));
            if let Some(first) = way.iter().position(|(other, _)| *other == before) {
                if way.len() - first > 1 {
                    let circle: Vec<&str> = way[first..]
                        .iter()
                        .map(|(name, _)| name.as_str())
                        .chain([before.as_str()])
                        .collect();
                    let message = format!("these services wait for each other: {}", circle.join(" after "));
                    if let Some(file) = by_name.get(name) {
                        let error =
                            file.error("circle", message, &format!("after[{next}]"), "closes the circle");
                        found.push(error.help("remove one of the `after` entries"));
                    }
                }
            } else if !done.contains(&before) {
                way.push((before, 0));
            }
        }
    }
}
