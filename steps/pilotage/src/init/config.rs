//! The text of pilotage.yaml. Pure.

use pilotage_name::EnvironmentName;

use super::{Destination, Layout};

/// The text of pilotage.yaml.
pub(super) fn text(layout: &Layout) -> String {
    let project = &layout.project;
    let mut text = format!(
        "\
# What Pilotage releases of {project}, where to, and who may. Policy is read from this branch and from nowhere else.
# All fields: `pilotage schema config`. After a change: `pilotage check`.
apiVersion: pilotage/v1
project: {project}

targets:
"
    );
    text.push_str(&target(layout));
    text.push_str(
        "
# One branch each, in the order in which a change goes through them: a merge takes a release further.
# `first: deploy` releases what a branch asks for when Pilotage sees it for the first time; `adopt` takes it as running.
environments:
",
    );
    let width = layout
        .environments
        .iter()
        .map(|name| name.as_str().len())
        .max()
        .unwrap_or_default();
    let mut from: Option<&EnvironmentName> = None;
    for name in &layout.environments {
        let from_this = from.map(|from| format!(", from: {from}")).unwrap_or_default();
        let policy = if layout.last() == Some(name) {
            ", policy: careful"
        } else {
            ""
        };
        let key = format!("{name}:");
        text.push_str(&format!(
            "  {key:<width$} {{target: {}{from_this}{policy}, first: deploy}}\n",
            target_name(layout),
            width = width + 1
        ));
        from = Some(name);
    }
    if let Some(last) = layout.last() {
        text.push_str(&policy(layout, last));
    }
    text.push_str(
        "
# git-monitor starts each release itself.
trigger: local
",
    );
    text
}

fn target_name(layout: &Layout) -> &'static str {
    match layout.destination {
        Destination::Process { .. } => "here",
        Destination::Docker { .. } => "box",
    }
}

fn target(layout: &Layout) -> String {
    match &layout.destination {
        Destination::Process {
            state,
            command,
            artifacts,
            listen,
        } => {
            let command: Vec<String> = command.iter().map(|word| quoted(word)).collect();
            let artifact = artifacts.folder().join("{service}/{version}");
            format!(
                "  # Plain processes on this machine, to try things out. For Docker write instead
  #   here: {{docker: {{}}}}
  # and name an `image` in every descriptor.
  here:
    process:
      # Instances, routes and logs.
      state: {}
      # What is started: its digest is the identity of a release.
      artifact: {}
      # How it is started. Also filled in: {{service}}, {{version}}, {{environment}}, {{port.NAME}}.
      command: [{}]
      # The front door, which leads requests to the instance that serves: an address that nobody else listens on.
      listen: {}
",
                quoted(&state.to_string_lossy()),
                quoted(&artifact.to_string_lossy()),
                command.join(", "),
                quoted(&listen.to_string())
            )
        }
        Destination::Docker { engine, .. } => {
            let engine = engine
                .as_ref()
                .map(|engine| format!("host: {}", quoted(engine)))
                .unwrap_or_default();
            format!(
                "  # A Docker engine. Each environment has a network there, {}-<environment>, on which every container finds a
  # service by its name. For private images: `registries: {{HOST: {{user: NAME, password: {{env: VARIABLE}}}}}}`.
  box: {{docker: {{{engine}}}}}
",
                layout.project
            )
        }
    }
}

fn policy(layout: &Layout, last: &EnvironmentName) -> String {
    let manager = &layout.manager;
    let name = key(&manager.email);
    let stand_in = match manager.known {
        true => "",
        false => "  # Nobody said who: put your own name and address here.\n",
    };
    format!(
        "
# Who may bring a change to {last}. `claimed` believes the name that a commit gives for its committer: fair among people
# who share a machine, and nowhere else. Strict is
#   proof: signed                  with `keys: [\"ssh-ed25519 …\"]` at each person
#   ledger: {{repository: URL}}      which only Pilotage can write, below
# and a target that is not plain processes. Until then `pilotage check` warns of each.
policies:
  careful:
    people: {{who: [release-managers], proof: claimed}}
    skip: forbid

people:
{stand_in}  {name}: {{emails: [{}]}}

groups:
  release-managers: [{name}]

# Where the record of decisions and releases is kept: hidden refs of this repository, unless
# ledger: {{repository: \"https://git.example.com/{}/ledger.git\"}}
",
        quoted(&manager.email),
        layout.project
    )
}

/// A short name for a person: what stands before the @, in letters, digits and hyphens.
fn key(email: &str) -> String {
    let local = email.split('@').next().unwrap_or_default().to_ascii_lowercase();
    let plain: String = local
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    // Words that YAML would not read as a string, and the name of the group.
    let word = plain.starts_with(|c: char| c.is_ascii_alphabetic())
        && ![
            "true",
            "false",
            "null",
            "yes",
            "no",
            "on",
            "off",
            "y",
            "n",
            "release-managers",
        ]
        .contains(&plain);
    if word {
        plain.to_owned()
    } else {
        format!("person-{plain}")
    }
}

/// A string as YAML reads it back whatever is in it: JSON's form is one of YAML's.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn people_have_short_names() {
        for (email, name) in [
            ("Ana.Costa@example.com", "ana-costa"),
            ("ana@example.com", "ana"),
            ("1@example.com", "person-1"),
            ("null@example.com", "person-null"),
            ("release-managers@example.com", "person-release-managers"),
        ] {
            assert_eq!(key(email), name);
        }
    }
}
