//! Who commits the first files: as given, as git's variables say, or as git itself is configured.

use std::process::Stdio;

use pilotage_diagnostic::printable;
use pilotage_outcome::Fault;
use pilotage_step::{Context, child_environment};

use super::Manager;

/// Finds the release manager.
pub(super) async fn find(given: Option<&str>, cx: &Context) -> Result<Manager, Fault> {
    if let Some(given) = given {
        return parse(given);
    }
    let variables = ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"].map(|name| cx.env.get(name));
    let (name, email) = match variables {
        [Some(name), Some(email)] => (name.to_owned(), email.to_owned()),
        _ => (ask_git("user.name", cx).await, ask_git("user.email", cx).await),
    };
    // Whatever cannot stand in a commit or in `people` is as good as nothing.
    Ok(parse(&format!("{name} <{email}>")).unwrap_or_else(|_| Manager {
        name: "Release Manager".to_owned(),
        email: "you@example.com".to_owned(),
        known: false,
    }))
}

/// `Name <email>`, as git writes it.
fn parse(text: &str) -> Result<Manager, Fault> {
    let wrong = || {
        Fault::usage(format!(
            "--committer: `{}` is no name with an address",
            printable(text)
        ))
        .help("write for example `--committer 'Ana Costa <ana@example.com>'`")
    };
    let (name, email) = text
        .trim()
        .strip_suffix('>')
        .and_then(|text| text.split_once('<'))
        .ok_or_else(wrong)?;
    let name = name.trim();
    let plain = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_control() || "<>".contains(c));
    if !plain(name) || !pilotage_descriptor::is_email(email) || pilotage_config::is_forge_address(email) {
        return Err(wrong());
    }
    Ok(Manager {
        name: name.to_owned(),
        email: email.to_owned(),
        known: true,
    })
}

/// One value of git's configuration; empty when git has none, or is not there.
async fn ask_git(key: &str, cx: &Context) -> String {
    let asked = tokio::process::Command::new("git")
        .args(["config", "--get", key])
        .env_clear()
        .envs(child_environment(
            &cx.env,
            &["XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"],
        ))
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    match asked {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committer_is_a_name_with_an_address() {
        let ana = parse("Ana Costa <ana@example.com>").unwrap();
        assert_eq!(
            (ana.name.as_str(), ana.email.as_str()),
            ("Ana Costa", "ana@example.com")
        );
        for wrong in [
            "Ana",
            "<ana@example.com>",
            "Ana <ana>",
            "Ana <noreply@github.com>",
            "A\nb <a@example.com>",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
