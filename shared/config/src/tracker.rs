use pilotage_yaml::{record, words};

record! {
    /// Where tickets are kept.
    pub struct Trackers: Eq, Default {
        /// JIRA.
        pub jira: Option<Jira>,
    }
}

record! {
    /// A JIRA site.
    pub struct Jira: Eq {
        /// Its base URL.
        pub url: String,
    }
}

record! {
    /// A forge, which hosts the environment repository; pull requests are approved there.
    pub struct Forge: Eq {
        /// Whose API it speaks.
        pub kind: ForgeKind,
        /// Its base URL.
        pub url: String,
        /// The repository on it, `owner/name`.
        pub repository: String,
    }
}

words! {
    /// Whose API a forge speaks.
    pub enum ForgeKind {
        /// Gitea or Forgejo.
        Gitea = "gitea",
        /// GitHub.
        Github = "github",
        /// GitLab.
        Gitlab = "gitlab",
        /// Bitbucket.
        Bitbucket = "bitbucket",
    }
}
