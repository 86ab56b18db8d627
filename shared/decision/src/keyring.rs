//! The keys that the config branch gives to people, and whose each one is.

use jiff::Timestamp;
use pilotage_config::Config;
use pilotage_gate::SignatureSeen;
use pilotage_gitrepo::{Repository, SignatureVerdict, TrustedKeys};
use pilotage_name::CommitId;

use crate::error::Error;

/// Keys with their owners.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    keys: TrustedKeys,
    owners: Vec<String>,
}

impl Keyring {
    /// The keys of everybody in `people`. A key that cannot be read proves nothing and is left out; `pilotage check`
    /// tells of it.
    #[must_use]
    pub(crate) fn of(config: &Config) -> Self {
        let readable = config
            .people
            .iter()
            .flat_map(|(name, person)| person.keys.iter().map(move |key| (name, key)));
        let readable = readable.filter(|(_, key)| TrustedKeys::parse(&[key.as_str()]).is_ok());
        let (owners, keys): (Vec<String>, Vec<&str>) =
            readable.map(|(name, key)| (name.clone(), key.as_str())).unzip();
        let keys = TrustedKeys::parse(&keys).unwrap_or_default();
        Self { keys, owners }
    }

    /// What the signature of a commit is worth at the moment `at`.
    ///
    /// # Errors
    /// The commit cannot be read.
    pub(crate) fn verify(
        &self,
        repository: &Repository,
        commit: &CommitId,
        at: Timestamp,
    ) -> Result<SignatureSeen, Error> {
        Ok(match repository.verify_signature(commit, &self.keys, at)? {
            SignatureVerdict::Good { index, .. } => match self.owners.get(index) {
                Some(person) => SignatureSeen::Good {
                    person: person.clone(),
                },
                None => SignatureSeen::UnknownKey,
            },
            SignatureVerdict::UnknownKey { .. } => SignatureSeen::UnknownKey,
            SignatureVerdict::Bad(reason) => SignatureSeen::Bad { reason },
            SignatureVerdict::None => SignatureSeen::None,
        })
    }
}
