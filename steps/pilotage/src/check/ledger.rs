//! Whether the record can be believed, as far as reading it tells.

use pilotage_decision::Desk;
use pilotage_diagnostic::Diagnostic;
use pilotage_name::EnvironmentName;

/// Events that are not believed, and chains that cannot be read.
pub(super) fn doubts(desk: &mut Desk, environments: &[EnvironmentName]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for environment in environments {
        match desk.ledger().monitor(environment) {
            Ok(monitor) if !monitor.unbelieved.is_empty() => found.push(unbelieved(
                &format!("the decisions of {environment}"),
                monitor.unbelieved.len(),
            )),
            Ok(_) => {}
            Err(error) => found.push(unreadable(&format!("the decisions of {environment}"), &error)),
        }
        match desk.ledger().releases(environment) {
            Ok(chains) => {
                for (service, chain) in chains {
                    let what = format!("the releases of {service} in {environment}");
                    match chain {
                        Ok(chain) => match chain.unbelieved().count() {
                            0 => {}
                            count => found.push(unbelieved(&what, count)),
                        },
                        Err(error) => found.push(unreadable(&what, &error)),
                    }
                }
            }
            Err(error) => found.push(unreadable(&format!("the releases of {environment}"), &error)),
        }
    }
    found
}

fn unbelieved(what: &str, count: usize) -> Diagnostic {
    Diagnostic::warning(
        "unbelieved-events",
        format!("{count} commits of {what} are not signed by a key of the ledger and count for nothing"),
    )
    .help("find out who wrote them; `ledger: {keys: […]}` in pilotage.yaml names the keys that count")
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::warning("unreadable-ledger", format!("{what} cannot be read: {error}"))
}
