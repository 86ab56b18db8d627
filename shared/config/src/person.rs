use pilotage_yaml::record;

record! {
    /// A person, and the names by which others know them.
    pub struct Person: Eq, Default {
        /// Mail addresses, as they stand in commits.
        pub emails: Vec<String>,
        /// Slack member id.
        pub slack: Option<String>,
        /// JIRA account id.
        pub jira: Option<String>,
        /// Account name on the forge.
        pub forge: Option<String>,
        /// Public keys that sign their commits: lines of SSH keys or armoured GPG keys.
        pub keys: Vec<String>,
    }
}

/// Whether an address is one that a forge itself commits under. Whoever pressed the button stands nowhere in such a
/// commit, so the address is nobody's. Sources: GitHub's `web-flow`, and the noreply domains that GitHub, GitLab,
/// Bitbucket, Gitea and Forgejo document.
#[must_use]
pub fn is_forge_address(email: &str) -> bool {
    let email = email.to_ascii_lowercase();
    let Some((local, domain)) = email.split_once('@') else {
        return false;
    };
    match local {
        "noreply" | "no-reply" => {
            matches!(
                domain,
                "github.com" | "gitlab.com" | "bitbucket.org" | "localhost"
            ) || domain.starts_with("noreply.")
        }
        "gitea" | "forgejo" => matches!(domain, "localhost" | "fake.local") || domain.starts_with("noreply."),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_forge_address;

    #[test]
    fn forges_are_nobody() {
        for email in [
            "noreply@github.com",
            "NoReply@GitHub.com",
            "gitea@fake.local",
            "noreply@noreply.example.com",
        ] {
            assert!(is_forge_address(email), "{email}");
        }
        for email in [
            "ana@example.com",
            "12345+ana@users.noreply.github.com",
            "noreply@example.com",
            "noreply",
        ] {
            assert!(!is_forge_address(email), "{email}");
        }
    }
}
