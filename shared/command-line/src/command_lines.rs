use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};

use crate::quoted;

/// The branch that every step takes for the config branch when none is named.
const CONFIG_BRANCH: &str = "main";

/// Whoever types it, by the name that git knows them by.
const BY: &str = r#""$(git config user.name) <$(git config user.email)>""#;

/// What stands where the address of the repository is not known.
const ADDRESS: &str = "URL";

/// The commands about one environment repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLines {
    repo: String,
    config_branch: String,
}

impl CommandLines {
    /// Those about the repository at this address.
    #[must_use]
    pub fn new(repo: impl Into<String>, config_branch: impl Into<String>) -> Self {
        Self {
            repo: repo.into(),
            config_branch: config_branch.into(),
        }
    }

    /// Those about a repository whose address is not known here, such as that of a working copy.
    #[must_use]
    pub fn without_address(config_branch: impl Into<String>) -> Self {
        Self::new(ADDRESS, config_branch)
    }

    /// The address of the repository, as an argument.
    #[must_use]
    pub fn address(&self) -> String {
        quoted(&self.repo)
    }

    /// Accepts the tip of an environment's branch that was rewritten, or deleted and made again.
    #[must_use]
    pub fn accept(&self, environment: &EnvironmentName, tip: &CommitId) -> String {
        let at = self.at("pilotage-git-monitor accept");
        let why = quoted(&format!("the new history of {environment} is meant"));
        format!("{at} --env {environment} --commit {tip} --by {BY} --reason {why}")
    }

    /// Puts a branch back to where it was.
    #[must_use]
    pub fn put_back(&self, branch: &str, commit: &CommitId) -> String {
        let to = quoted(&format!("{commit}:refs/heads/{branch}"));
        format!("git push --force {} {to}", self.address())
    }

    /// Looks once, decides and triggers.
    #[must_use]
    pub fn once(&self, environment: &EnvironmentName) -> String {
        format!("{} --env {environment}", self.at("pilotage-git-monitor once"))
    }

    /// Looks again and again.
    #[must_use]
    pub fn watch(&self) -> String {
        self.at("pilotage-git-monitor run")
    }

    /// Releases one service.
    #[must_use]
    pub fn release(&self, environment: &EnvironmentName, service: &ServiceName) -> String {
        self.of_service("pilotage-release run", environment, service)
    }

    /// Writes the plan of a release into a directory.
    #[must_use]
    pub fn plan(&self, environment: &EnvironmentName, service: &ServiceName) -> String {
        let plan = self.of_service("pilotage-release plan", environment, service);
        format!("{plan} --out DIR")
    }

    /// Takes the lease for a plan.
    #[must_use]
    pub fn begin(&self, directory: &str) -> String {
        let begin = self.at("pilotage-release begin");
        format!("{begin} --dir {} --build URL", quoted(directory))
    }

    /// Gives up exactly this release.
    #[must_use]
    pub fn abandon(&self, release: &ReleaseId) -> String {
        let abandon = self.of_service("pilotage-release abandon", &release.environment, &release.service);
        let why = quoted(&format!("{release} does not come to an end"));
        format!("{abandon} --release {release} --by {BY} --reason {why}")
    }

    /// Says what runs where.
    #[must_use]
    pub fn status(&self) -> String {
        self.at("pilotage-release status")
    }

    /// Says everything that is wrong with the repository.
    #[must_use]
    pub fn check(&self) -> String {
        self.at("pilotage check")
    }

    fn of_service(&self, command: &str, environment: &EnvironmentName, service: &ServiceName) -> String {
        format!("{} --env {environment} --service {service}", self.at(command))
    }

    fn at(&self, command: &str) -> String {
        let mut line = format!("{command} --repo {}", self.address());
        if self.config_branch != CONFIG_BRANCH {
            line.push_str(&format!(" --config-branch {}", quoted(&self.config_branch)));
        }
        line
    }
}
