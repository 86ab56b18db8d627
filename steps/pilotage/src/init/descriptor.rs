//! The text of a service's descriptor. Pure.

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
        Destination::Docker => format!("# The version is its tag.\nimage: registry.example.com/{service}\n"),
    };
    let way: Vec<&str> = layout.environments.iter().map(|name| name.as_str()).collect();
    let width = way.iter().map(|name| name.len()).max().unwrap_or_default();
    let overlays: String = layout
        .environments
        .iter()
        .map(|environment| {
            let greeting = format!("env: {{GREETING: \"hello from {environment}\"}}");
            let key = format!("{environment}:");
            let domain = match Some(environment) == layout.environments.last() {
                true => String::new(),
                false => format!("domain: {}, ", layout.host(one, Some(environment))),
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
# Where users reach it: a route of the only proxied port.
domain: {host}
ports:
  - {{name: http, port: {port}, publish: proxy}}

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
        host = layout.host(one, None),
    )
}
