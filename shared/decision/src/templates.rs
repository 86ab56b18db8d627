//! The message templates of the config branch.

use std::collections::BTreeMap;

use pilotage_gitrepo::{File, Repository};

use crate::error::Error;
use crate::sight::Sight;

/// The largest template, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The templates that pilotage.yaml names, as they stand in the config branch, by the file names that `pilotage-notify
/// --templates` reads: `<event>.slack` and `<event>.txt`. One whose path ends in neither is for both.
///
/// # Errors
/// The repository cannot be read, or a template is no readable text.
pub fn templates(repository: &Repository, sight: &Sight) -> Result<BTreeMap<String, String>, Error> {
    let mut templates = BTreeMap::new();
    for (event, path) in &sight.config.templates {
        let text = match repository.blob(&sight.config_commit, path, LARGEST)? {
            File::Blob(blob) => String::from_utf8(blob.bytes).ok(),
            File::Missing | File::NotRegular(_) | File::TooLarge { .. } => None,
        };
        let Some(text) = text else {
            return Err(Error::Template { path: path.clone() });
        };
        let endings: &[&str] = match path.rsplit_once('.') {
            Some((_, "slack")) => &["slack"],
            Some((_, "txt")) => &["txt"],
            _ => &["slack", "txt"],
        };
        for ending in endings {
            templates.insert(format!("{event}.{ending}"), text.clone());
        }
    }
    Ok(templates)
}
