use pilotage_config::{Config, Person};

/// Addresses that a forge puts on commits it makes itself. Whoever merged stands nowhere in such a commit, so the
/// address is nobody's. Sources: GitHub's `web-flow` committer; the noreply domains documented by GitHub, GitLab,
/// Bitbucket and Gitea.
const FORGE_ADDRESSES: [&str; 3] = [
    "noreply@github.com",
    "noreply@gitlab.com",
    "noreply@bitbucket.org",
];
const FORGE_LOCAL_PARTS: [&str; 4] = ["noreply", "no-reply", "gitea", "forgejo"];

/// Whether the address is one that a forge commits under, which names no person.
#[must_use]
pub fn is_forge_address(email: &str) -> bool {
    let email = email.to_ascii_lowercase();
    FORGE_ADDRESSES.contains(&email.as_str())
        || email.split_once('@').is_some_and(|(local, domain)| {
            FORGE_LOCAL_PARTS.contains(&local)
                && (domain.starts_with("noreply.") || domain == "localhost" || domain == "fake.local")
        })
}

/// The person whom the config branch gives this e-mail address; nobody for a forge's own address. Case does not count.
#[must_use]
pub fn person_of<'a>(config: &'a Config, email: &str) -> Option<(&'a String, &'a Person)> {
    if is_forge_address(email) {
        return None;
    }
    config.people.iter().find(|(_, person)| {
        person
            .emails
            .iter()
            .any(|known| known.eq_ignore_ascii_case(email))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert!(!is_forge_address(email), "{email}");
        }
    }
}
