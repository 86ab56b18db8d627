use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;

/// The environment of the process, read once at the start. A variable that is empty counts as not set, because CI
/// servers hand over empty ones for parameters that nobody filled in. Cheap to clone; its `Debug` shows names only.
#[derive(Clone, Default)]
pub struct Env(Arc<BTreeMap<OsString, OsString>>);

impl Env {
    /// The environment of this process as it is now.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(std::env::vars_os().collect()))
    }

    /// An environment that holds just these; for tests.
    pub fn of<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(Arc::new(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        ))
    }

    /// The value of `name`, when it is set, not empty and UTF-8.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name)?.to_str()
    }

    /// The value of `name` as the system gave it, when it is set and not empty.
    #[must_use]
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// All variables, for handing them to a child process.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_not_set_and_debug_shows_no_value() {
        let env = Env::of([("PILOTAGE_ENV", "qa"), ("PILOTAGE_COMMIT", "")]);
        assert_eq!(env.get("PILOTAGE_ENV"), Some("qa"));
        assert_eq!(env.get("PILOTAGE_COMMIT"), None);
        assert_eq!(format!("{env:?}"), r#"{"PILOTAGE_COMMIT", "PILOTAGE_ENV"}"#);
    }
}
