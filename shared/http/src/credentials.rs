use pilotage_secret::Secret;

/// A user and a password (or token) for HTTP's basic authentication.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user; may be empty where a server takes the token alone.
    pub user: String,
    /// The password or token.
    pub password: Secret,
}

impl Credentials {
    /// Both together.
    #[must_use]
    pub fn new(user: impl Into<String>, password: Secret) -> Self {
        Self {
            user: user.into(),
            password,
        }
    }
}
