//! The text of a service's descriptor. Pure.

use super::config::quoted;
use super::files::VERSIONS;
use super::{Destination, Layout};
use crate::args::ServicePort;

/// The text of `services/<service>.yaml`.
pub(super) fn text(layout: &Layout, one: &ServicePort) -> String {
    let ServicePort { service, port } = one;
    let image = match layout.destination {
        Destination::Process { .. } => {
            format!(
                "# For a docker or kubernetes target; the version is its tag.\n# image: registry.example.com/{service}\n"
            )
        }
        Destination::Docker { ref image, .. } => {
            let image = quoted(&image.replace("{service}", service.as_str()));
            format!("# The version is its tag.\nimage: {image}\n")
        }
    };
    let place = match layout.destination {
        Destination::Process { .. } => format!(
            "# Where users reach it: a route of the only proxied port.\n\
             domain: {}\nports:\n  - {{name: http, port: {port}, publish: proxy}}\n",
            layout.host(one, None)
        ),
        Destination::Docker { .. } => format!(
            "# Every container of the environment reaches it as http://{service}:{port}. `publish: {{host: {port}}}` opens a port of\n\
             # the engine's machine, which only one instance can have: each release is a short downtime then.\n\
             ports:\n  - {{name: http, port: {port}}}\n"
        ),
    };
    let way: Vec<&str> = layout.environments.iter().map(|name| name.as_str()).collect();
    let width = way.iter().map(|name| name.len()).max().unwrap_or_default();
    let overlays: String = layout
        .environments
        .iter()
        .map(|environment| {
            let greeting = format!("env: {{GREETING: \"hello from {environment}\"}}");
            let key = format!("{environment}:");
            let routed = matches!(layout.destination, Destination::Process { .. });
            let domain = match routed && Some(environment) != layout.environments.last() {
                true => format!("domain: {}, ", layout.host(one, Some(environment))),
                false => String::new(),
            };
            format!("  {key:<width$} {{{domain}{greeting}}}\n", width = width + 1)
        })
        .collect();
    format!(
        "\
# What {service} is. This file is the same in every branch it was merged into ({way}); what differs by environment
# stands below `environments`. All fields: `pilotage schema descriptor`. Before a push: `pilotage check`.

# Change this, commit and push: that is a release.
version: \"{version}\"
{image}
{place}
# A release is good when this answers well and as the new version; the old one serves until then.
healthcheck:
  endpoints:
    - {{http: /health, version: {{json: $.version}}}}
  timeout: 30s

env:
  GREETING: hello

# Maps merge, scalars and lists replace, null removes. Only `version` may not differ: it comes by merge.
environments:
{overlays}",
        way = way.join(" → "),
        version = VERSIONS[0],
    )
}
