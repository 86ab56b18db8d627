//! What to type after `pilotage init`. Pure.

use super::files::VERSIONS;
use super::{Artifacts, Destination, Layout};

/// A text as one word of a shell, so that a line can be pasted as it stands.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./~:@+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The next steps, for a terminal.
pub(super) fn steps(layout: &Layout) -> String {
    let repository = word(&layout.shown_directory().to_string());
    let Some((first, one)) = layout.environments.first().zip(layout.services.first()) else {
        return String::new();
    };
    let (project, service) = (&layout.project, &one.service);
    let mut text = format!(
        "\
Next:
  pilotage check --repo {repository}
  pilotage git-monitor run --repo {repository} &
  git clone -b {first} {repository} {project}-{first} && cd {project}-{first}
  $EDITOR services/{service}.yaml        # a new `version`{available}
  git commit -am \"Release {service}\" && git push
  pilotage why {service} {first} --repo {repository}
",
        available = match &layout.destination {
            Destination::Process {
                artifacts: Artifacts::Made(_),
                ..
            } => format!(": \"{}\" is there to be released", VERSIONS[1]),
            _ => String::new(),
        }
    );
    match &layout.destination {
        Destination::Process {
            listen,
            artifacts,
            state,
            ..
        } => {
            let host = layout.host(one, Some(first));
            text.push_str(&format!("  curl http://{host}:{}/\n", listen.port()));
            text.push_str(&format!(
                "  git -C {repository} show main:pilotage.yaml | pilotage deploy down --config - --target here   # the end\n\n"
            ));
            match artifacts {
                Artifacts::Made(_) => text.push_str(&format!(
                    "Releases run as plain processes of this machine, an example until you name your own program in pilotage.yaml\n\
                     (branch main). They keep what they need in {}.\n",
                    state.display()
                )),
                Artifacts::Given(folder) => text.push_str(&format!(
                    "Releases run as plain processes of this machine; a version is the file {}/<service>/<version>.\n",
                    folder.display()
                )),
            }
            text.push_str(&format!(
                "Users reach them at {listen} (`listen` in pilotage.yaml){free}.\n",
                free = if layout.chose_port {
                    ", a port that is free now"
                } else {
                    ""
                }
            ));
        }
        Destination::Docker { image, .. } => {
            text.push_str(&format!(
                "  git -C {repository} show main:pilotage.yaml | pilotage deploy down --config - --target box   # the end\n\n\
                 Releases are containers; those of {first} reach {service} as http://{service}:{port} on the network {project}-{first}.\n",
                port = one.port
            ));
            if image == super::layout::STAND_IN {
                text.push_str("Put your own images into the descriptors first.\n");
            }
        }
    }
    if let Some(last) = layout.last() {
        text.push_str(&format!(
            "`pilotage check` warns of what is fair on one machine and not in production; pilotage.yaml says how {last} becomes strict.\n"
        ));
        if !layout.manager.known {
            text.push_str(&format!(
                "git knows no name and address of yours, so {} stands in pilotage.yaml as the one who may release to {last}.\n",
                layout.manager.email
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_path_stays_one_word_whatever_it_holds() {
        assert_eq!(word("/srv/acme"), "/srv/acme");
        assert_eq!(word("O;$(id)"), "'O;$(id)'");
        assert_eq!(word("Ana's repository"), r"'Ana'\''s repository'");
    }
}
