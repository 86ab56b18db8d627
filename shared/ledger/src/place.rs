//! The refs of the ledger. They are made of typed names only, so no text from outside gets into a ref name.

use pilotage_gitrepo::{Error, RefName};
use pilotage_name::{EnvironmentName, ServiceName};

/// The chain of one service.
pub(crate) fn release(environment: &EnvironmentName, service: &ServiceName) -> Result<RefName, Error> {
    format!("refs/pilotage/release/{environment}/{service}").parse()
}

/// All release chains of an environment, as a prefix.
pub(crate) fn releases(environment: &EnvironmentName) -> String {
    format!("refs/pilotage/release/{environment}/")
}

/// The chain of an environment's decisions.
pub(crate) fn monitor(environment: &EnvironmentName) -> Result<RefName, Error> {
    format!("refs/pilotage/monitor/{environment}").parse()
}

/// The service whose chain a ref is, when it is one of this environment.
pub(crate) fn service_of(name: &RefName, environment: &EnvironmentName) -> Option<ServiceName> {
    name.as_str().strip_prefix(&releases(environment))?.parse().ok()
}

/// Whether a ref belongs to the ledger.
pub(crate) fn is_chain(name: &RefName) -> bool {
    name.as_str().starts_with("refs/pilotage/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_that_is_no_chain_of_the_environment_is_passed_over() {
        let qa: EnvironmentName = "qa".parse().unwrap();
        let service = |text: &str| service_of(&text.parse().unwrap(), &qa).map(|s| s.to_string());
        assert_eq!(service("refs/pilotage/release/qa/shop"), Some("shop".to_owned()));
        for other in [
            "refs/pilotage/release/qa/Shop",
            "refs/pilotage/release/qa/a/b",
            "refs/pilotage/release/qa2/shop",
        ] {
            assert_eq!(service(other), None, "{other}");
        }
    }
}
