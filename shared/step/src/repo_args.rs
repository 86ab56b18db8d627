use std::ffi::OsString;
use std::path::PathBuf;

use pilotage_name::{CommitPrefix, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;
use pilotage_secret::Secret;

use crate::descriptor_args::missing;
use crate::{Context, Env};

/// The flags of a step that reads the environment repository; flatten them into its command line.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct RepoArgs {
    /// The environment repository: a path or a URL (file, http, https, ssh, or user@host:path). Credentials come from
    /// PILOTAGE_GIT_PASSWORD (or _FILE), those for ssh from --ssh-key.
    #[arg(long, value_name = "URL")]
    pub repo: Option<String>,
    /// The environment.
    #[arg(long = "env", value_name = "NAME")]
    pub environment: Option<EnvironmentName>,
    /// The service; several by commas or by giving it again.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub service: Vec<ServiceName>,
    /// The commit of the environment repository; its first seven or more digits do.
    #[arg(long, value_name = "ID")]
    pub commit: Option<CommitPrefix>,
    /// Where the copy of the repository is kept; it may be deleted at any time.
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// The user name for the repository.
    #[arg(long, value_name = "NAME", default_value = "git")]
    pub git_user: String,
    /// The private key for a repository over ssh. What opens it comes from PILOTAGE_SSH_PASSPHRASE (or _FILE).
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Option<PathBuf>,
    /// The ssh hosts that are believed, in the format of OpenSSH; nothing is taken from ~/.ssh.
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
}

/// How to show oneself to a git server.
#[derive(Clone, Debug)]
pub struct GitCredentials {
    /// The user's name; servers that take tokens accept any.
    pub user: String,
    /// The password or token.
    pub password: Secret,
}

/// How to show oneself to an ssh server, and which servers are believed.
#[derive(Clone, Debug, Default)]
pub struct SshFiles {
    /// The user, where the address names none.
    pub user: String,
    /// The file with the private key.
    pub key: Option<PathBuf>,
    /// What opens the key.
    pub passphrase: Option<Secret>,
    /// The file with the hosts that are believed.
    pub known_hosts: Option<PathBuf>,
}

impl RepoArgs {
    /// The repository.
    ///
    /// # Errors
    ///
    /// None was named (usage).
    pub fn required_repo(&self) -> Result<&str, Fault> {
        self.repo.as_deref().ok_or_else(|| missing("repo", "URL"))
    }

    /// The environment.
    ///
    /// # Errors
    ///
    /// None was named (usage).
    pub fn required_environment(&self) -> Result<&EnvironmentName, Fault> {
        self.environment.as_ref().ok_or_else(|| missing("env", "NAME"))
    }

    /// The one service.
    ///
    /// # Errors
    ///
    /// None or several were named (usage).
    pub fn required_service(&self) -> Result<&ServiceName, Fault> {
        match self.service.as_slice() {
            [] => Err(missing("service", "NAME")),
            [one] => Ok(one),
            _ => {
                Err(Fault::usage("--service was given more than once")
                    .help("this command works on one service"))
            }
        }
    }

    /// The folder for copies of repositories: `--cache-dir`, else `pilotage` in the user's cache folder, else in the
    /// folder for temporary files.
    #[must_use]
    pub fn cache_dir(&self, env: &Env) -> PathBuf {
        if let Some(dir) = &self.cache_dir {
            return dir.clone();
        }
        let base = |name: &str| {
            env.get_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        base("XDG_CACHE_HOME")
            .or_else(|| base("HOME").map(|home| home.join(".cache")))
            .or_else(|| base("TMPDIR"))
            .unwrap_or_else(|| PathBuf::from("/tmp"))
            .join("pilotage")
    }

    /// The credentials for the repository: `PILOTAGE_GIT_PASSWORD` or `PILOTAGE_GIT_PASSWORD_FILE`, with `--git-user`.
    ///
    /// # Errors
    ///
    /// As [`Context::secret`].
    pub fn credentials(&self, cx: &Context) -> Result<Option<GitCredentials>, Fault> {
        Ok(cx.secret("GIT_PASSWORD")?.map(|password| GitCredentials {
            user: self.git_user.clone(),
            password,
        }))
    }

    /// What a repository over ssh needs: `--ssh-key`, `--known-hosts`, `--git-user`, and the key's passphrase from
    /// `PILOTAGE_SSH_PASSPHRASE` or `PILOTAGE_SSH_PASSPHRASE_FILE`.
    ///
    /// # Errors
    ///
    /// As [`Context::secret`].
    pub fn ssh(&self, cx: &Context) -> Result<SshFiles, Fault> {
        Ok(SshFiles {
            user: self.git_user.clone(),
            key: self.ssh_key.clone(),
            passphrase: cx.secret("SSH_PASSPHRASE")?,
            known_hosts: self.known_hosts.clone(),
        })
    }

    /// The twins of the flags for ssh, for a step that is started to reach the same repository.
    #[must_use]
    pub fn ssh_environment(&self) -> Vec<(OsString, OsString)> {
        let twin = |long: &str, file: &Option<PathBuf>| {
            let file = file.as_ref()?;
            Some((crate::twin::variable(long).into(), file.clone().into_os_string()))
        };
        let twins = [
            twin("ssh-key", &self.ssh_key),
            twin("known-hosts", &self.known_hosts),
        ];
        twins.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_lies_where_the_user_wants_it() {
        let args = RepoArgs::default();
        let at = |env: &[(&str, &str)]| args.cache_dir(&Env::of(env.iter().copied()));
        assert_eq!(
            at(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]),
            PathBuf::from("/x/pilotage")
        );
        assert_eq!(
            at(&[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")]),
            PathBuf::from("/h/.cache/pilotage")
        );
        assert_eq!(at(&[]), PathBuf::from("/tmp/pilotage"));
        let named = RepoArgs {
            cache_dir: Some("/c".into()),
            ..RepoArgs::default()
        };
        assert_eq!(named.cache_dir(&Env::default()), PathBuf::from("/c"));
    }

    #[test]
    fn a_child_reaches_the_same_ssh_server() {
        let args = RepoArgs {
            ssh_key: Some("/run/key".into()),
            ..RepoArgs::default()
        };
        assert_eq!(
            args.ssh_environment(),
            [("PILOTAGE_SSH_KEY".into(), "/run/key".into())]
        );
    }

    #[test]
    fn one_service_is_one() {
        let of = |names: &[&str]| RepoArgs {
            service: names.iter().map(|name| name.parse().unwrap()).collect(),
            ..RepoArgs::default()
        };
        assert_eq!(of(&["shop"]).required_service().unwrap().as_str(), "shop");
        assert!(of(&[]).required_service().is_err());
        assert!(of(&["shop", "cart"]).required_service().is_err());
    }
}
