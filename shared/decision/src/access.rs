//! How to reach an environment repository and its ledger: from a step's flags and environment.

use std::path::PathBuf;

use pilotage_clock::Clock;
use pilotage_command_line::CommandLines;
use pilotage_gitrepo::{Error, Limits, Remote, RemoteUrl, SshSettings};
use pilotage_http::{Credentials, HttpSettings, Proxies};
use pilotage_outcome::Fault;
use pilotage_secret::Secret;
use pilotage_step::{Context, RepoArgs, SecretName};

/// How to reach an environment repository and its ledger.
#[derive(Clone, Debug)]
pub struct Access {
    /// The repository.
    pub url: RemoteUrl,
    /// The branch that holds pilotage.yaml.
    pub config_branch: String,
    /// Where copies are kept.
    pub cache_dir: PathBuf,
    /// How HTTP is spoken.
    pub http: HttpSettings,
    /// How to show oneself over HTTP.
    pub credentials: Option<Credentials>,
    /// How to show oneself over SSH, and which hosts are believed.
    pub ssh: SshSettings,
    /// How long and how much a remote may take.
    pub limits: Limits,
    /// A private SSH key in OpenSSH's format that signs what is recorded, where the ledger wants signatures.
    pub ledger_key: Option<Secret>,
    /// The wall clock.
    pub clock: Clock,
}

/// Secrets that a step needs to reach the repository and to sign the ledger; a step that starts another one which does
/// so hands them on.
pub const SECRETS: [SecretName; 3] = [
    SecretName {
        env: "PILOTAGE_GIT_PASSWORD",
        help: "The password or token for the repository over HTTP.",
    },
    SecretName {
        env: "PILOTAGE_LEDGER_KEY",
        help: "The private SSH key in OpenSSH's format that signs what is recorded, where the ledger wants signatures.",
    },
    SecretName {
        env: "PILOTAGE_SSH_PASSPHRASE",
        help: "What opens the key of --ssh-key.",
    },
];

impl Access {
    /// From the flags of a step. The ledger's key comes from `PILOTAGE_LEDGER_KEY` (or `_FILE`).
    ///
    /// # Errors
    /// No repository is named, or its address, a proxy variable or a secret cannot be used.
    pub fn of(args: &RepoArgs, config_branch: &str, cx: &Context) -> Result<Self, Fault> {
        let repo = args.required_repo()?;
        let url: RemoteUrl = repo.parse().map_err(|error: pilotage_gitrepo::UrlError| {
            let shown = pilotage_diagnostic::printable(&without_userinfo(repo));
            Fault::usage(format!("`{shown}` cannot be used as a repository: {error}"))
        })?;
        let proxies = Proxies::from_env(|name| cx.env.get(name).map(str::to_owned))
            .map_err(|error| Fault::usage(error.to_string()))?;
        for secret in proxies.secrets() {
            cx.redactor.register(secret);
        }
        let credentials = args
            .credentials(cx)?
            .map(|known| Credentials::new(known.user, known.password));
        let ssh = args.ssh(cx)?;
        Ok(Self {
            url,
            config_branch: config_branch.to_owned(),
            cache_dir: args.cache_dir(&cx.env),
            http: HttpSettings {
                ca_files: cx.ca_files.clone(),
                proxies,
                redirects: 5,
                ..HttpSettings::default()
            },
            credentials,
            ssh: SshSettings {
                user: ssh.user,
                key: ssh.key,
                passphrase: ssh.passphrase,
                known_hosts: ssh.known_hosts,
            },
            limits: Limits::default(),
            ledger_key: cx.secret("LEDGER_KEY")?,
            clock: cx.clock.clone(),
        })
    }

    /// The commands about this repository that messages tell people to type, wherever they are.
    #[must_use]
    pub fn command_lines(&self) -> CommandLines {
        let address = match self.url.path().map(std::path::absolute) {
            Some(Ok(path)) => path.display().to_string(),
            Some(Err(_)) | None => self.url.to_string(),
        };
        CommandLines::new(address, self.config_branch.clone())
    }

    /// Prepares to reach the repository; nothing is asked yet.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn remote(&self) -> Result<Remote, Error> {
        self.remote_at(self.url.clone())
    }

    /// The same for another repository, such as that of the ledger. The credentials for HTTP go to the host only for
    /// which they were given; a key for SSH shows nothing that another host could use.
    pub(crate) fn remote_at(&self, url: RemoteUrl) -> Result<Remote, Error> {
        let same_host = self.url.http().map(|url| url.origin()) == url.http().map(|url| url.origin());
        let credentials = self.credentials.clone().filter(|_| same_host);
        Ok(Remote::open(url, &self.http, credentials, self.limits)?.with_ssh(&self.ssh))
    }
}

/// The address without what stands before an `@`: it may be a password that somebody put there by mistake.
fn without_userinfo(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => format!("{}://…{}", &url[..scheme], &url[at..]),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        assert_eq!(
            without_userinfo("https://ana:pw@x@git.example.com/r"),
            "https://…@git.example.com/r"
        );
        assert_eq!(
            without_userinfo("https://git.example.com/r"),
            "https://git.example.com/r"
        );
        assert_eq!(without_userinfo("/srv/a@b"), "/srv/a@b");
    }
}
