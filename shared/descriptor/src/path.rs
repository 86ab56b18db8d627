use pilotage_name::{NameError, ServiceName};

/// The folder of an environment branch that holds the descriptors.
pub const FOLDER: &str = "services";

/// Where the descriptor of a service stands in an environment branch: `services/shop.yaml`.
#[must_use]
pub fn path_of(service: &ServiceName) -> String {
    format!("{FOLDER}/{service}.yaml")
}

/// The service whose descriptor a path in an environment branch is; `None` for a path that is no descriptor's
/// (another folder, another ending).
///
/// # Errors
///
/// The path stands where descriptors stand and is named wrongly: a name that is no service name, an upper-case letter
/// or the ending `.yml`.
pub fn service_of(path: &str) -> Option<Result<ServiceName, PathError>> {
    let file = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
    if file.contains('/') {
        return None;
    }
    let (stem, ending) = file.rsplit_once('.')?;
    if ending != "yaml" {
        let almost = ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml");
        return almost.then_some(Err(PathError::Ending));
    }
    Some(stem.parse().map_err(PathError::Name))
}

/// Why a file beside the descriptors is none; reads well after "`services/Shop.yaml` is no descriptor: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The ending is not `.yaml`.
    Ending,
    /// The name is no service name.
    Name(NameError),
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ending => f.write_str("rename it so that it ends in `.yaml`"),
            Self::Name(error) => write!(f, "its name is no service name: {error}"),
        }
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_is_the_service() {
        let shop: ServiceName = "shop".parse().unwrap();
        assert_eq!(path_of(&shop), "services/shop.yaml");
        assert_eq!(service_of("services/shop.yaml"), Some(Ok(shop)));
        for other in [
            "services/readme.md",
            "files/shop.yaml",
            "services/a/shop.yaml",
            "services/shop",
            "pilotage.yaml",
        ] {
            assert_eq!(service_of(other), None, "{other}");
        }
        assert_eq!(service_of("services/shop.yml"), Some(Err(PathError::Ending)));
        assert_eq!(service_of("services/shop.YAML"), Some(Err(PathError::Ending)));
        for bad in [
            "services/Shop.yaml",
            "services/$(id).yaml",
            "services/.yaml",
            "services/a b.yaml",
        ] {
            assert!(matches!(service_of(bad), Some(Err(PathError::Name(_)))), "{bad}");
        }
    }
}
