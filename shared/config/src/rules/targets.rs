use pilotage_descriptor::HostPort;
use pilotage_diagnostic::{nearest, printable};
use pilotage_yaml::{Diagnostics, Span};

use super::{Rules, ticked};
use crate::{CommandTarget, DockerTarget, ProcessTarget, Target};

impl Rules<'_> {
    /// Targets can work.
    pub(super) fn targets(&self, found: &mut Diagnostics) {
        for (name, target) in &self.file.targets {
            let path = format!("targets[\"{name}\"]");
            match target {
                Target::Process(process) => self.process(found, process, &format!("{path}.process")),
                Target::Command(command) => self.command(found, command, &format!("{path}.command")),
                Target::Docker(docker) => self.docker(found, docker, &format!("{path}.docker")),
                Target::Kubernetes(_) => {}
            }
        }
    }

    fn docker(&self, found: &mut Diagnostics, docker: &DockerTarget, path: &str) {
        let host = docker.host.as_deref().unwrap_or("unix:///var/run/docker.sock");
        let socket = host
            .strip_prefix("unix://")
            .is_some_and(|path| path.starts_with('/'));
        let network = host
            .strip_prefix("tcp://")
            .is_some_and(|address| address.parse::<HostPort>().is_ok());
        if !socket && !network {
            let error = self.error(
                "invalid-engine",
                format!("`{}` is no address of a Docker engine", printable(host)),
                self.value(&format!("{path}.host")),
                "no address of an engine",
            );
            found.push(error.help("write `unix:///var/run/docker.sock`, or `tcp://box.example.com:2376`"));
        }
        if network && docker.tls.is_none() {
            let warning = self.warning(
                "engine-without-tls",
                "whoever reaches this port is root on the Docker host, and nothing proves who asks",
                self.value(&format!("{path}.host")),
                "asked in plain text",
            );
            found.push(
                warning.help("protect it with certificates and name them under `tls: {ca, cert, key}`"),
            );
        }
        if !network && docker.tls.is_some() {
            found.push(self.error(
                "tls-without-network",
                "a socket on this machine speaks no TLS",
                self.key(&format!("{path}.tls")),
                "of no use without `host: tcp://…`",
            ));
        }
    }

    fn process(&self, found: &mut Diagnostics, process: &ProcessTarget, path: &str) {
        if process.command.first().is_none_or(String::is_empty) {
            let error = self.error(
                "no-command",
                "a process target starts a program",
                self.key(&format!("{path}.command")),
                "no program here",
            );
            found.push(error.help("write for example `command: [\"{artifact}\"]`"));
        }
        for (index, argument) in process.command.iter().enumerate() {
            let known = ["artifact", "service", "version", "environment", "port"];
            self.placeholders(
                found,
                argument,
                self.value(&format!("{path}.command[{index}]")),
                &known,
                true,
            );
        }
        let span = self.value(&format!("{path}.artifact"));
        self.placeholders(found, &process.artifact, span, &["service", "version"], false);
        if !process.artifact.contains("{version}") {
            let message = "the artifact's path does not say `{version}`, so every version runs the same file";
            let warning = self.warning(
                "artifact-without-version",
                message,
                span,
                "the same for every version",
            );
            found.push(warning.help("write for example `artifact: /srv/artifacts/{service}-{version}`"));
        }
        if process.state.as_os_str().is_empty() {
            found.push(self.error(
                "no-folder",
                "a process target keeps its state in a folder",
                self.value(&format!("{path}.state")),
                "no folder",
            ));
        }
    }

    /// Braces of which nothing becomes would reach the program as they are.
    fn placeholders(&self, found: &mut Diagnostics, text: &str, span: Span, known: &[&str], ports: bool) {
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            let Some(length) = rest[start..].find('}') else {
                return;
            };
            let name = &rest[start + 1..start + length];
            rest = &rest[start + length + 1..];
            if known.contains(&name)
                || (ports && name.strip_prefix("port.").is_some_and(|port| !port.is_empty()))
            {
                continue;
            }
            let shown = printable(name);
            let error = self.error(
                "unknown-placeholder",
                format!("nothing is filled in for `{{{shown}}}`"),
                span,
                format!("in this text stands `{{{shown}}}`"),
            );
            let near = nearest(name, known.iter().copied());
            let braced: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
            let braced: Vec<&str> = braced.iter().map(String::as_str).collect();
            found.push(match near {
                Some(near) => error.help(format!("write `{{{near}}}`")),
                None => error.help(format!("what is filled in here is {}", ticked(&braced))),
            });
        }
    }

    fn command(&self, found: &mut Diagnostics, command: &CommandTarget, path: &str) {
        for (key, argv) in [("deploy", &command.deploy), ("status", &command.status)] {
            if argv.first().is_none_or(String::is_empty) {
                let message = format!(
                    "a command target needs a program to {}",
                    if key == "deploy" {
                        "deploy"
                    } else {
                        "say what runs"
                    }
                );
                let error = self.error(
                    "no-command",
                    message,
                    self.key(&format!("{path}.{key}")),
                    "no program here",
                );
                found.push(error.help(format!("write `{key}: [PROGRAM, ARGUMENT]`")));
            }
        }
    }
}
