/// Where one message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// This process's standard output.
    Console,
    /// A Slack channel by name (`#shop`), or a conversation or member by id.
    Slack(String),
    /// The channel behind the incoming webhook.
    Webhook,
    /// A mail address.
    Email(String),
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Console => f.write_str("console"),
            Self::Slack(channel) => write!(f, "slack {channel}"),
            Self::Webhook => f.write_str("slack webhook"),
            Self::Email(address) => write!(f, "email {address}"),
        }
    }
}
