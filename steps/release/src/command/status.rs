use std::collections::BTreeMap;

use pilotage_decision::fault::of_ledger;
use pilotage_decision::{Desk, descriptors};
use pilotage_ledger::{LinuxMachine, Liveness, liveness};
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::RepoArgs;
use serde_json::json;

use crate::records::Records;
use crate::status::{Row, table};

/// What runs where.
pub(super) async fn status(records: &Records, repo: &RepoArgs) -> Result<StepReport, Fault> {
    let (asked, services) = (repo.environment.clone(), repo.service.clone());
    let (project, rows, frozen) = records
        .with(move |desk| {
            let environments = match asked {
                Some(environment) => {
                    // A branch that is gone still has a past; an environment that pilotage.yaml does not know has none.
                    if desk.sight().config.environment(&environment).is_none() {
                        desk.sight().tip(&environment).map_err(Fault::from)?;
                    }
                    vec![environment]
                }
                None => desk.sight().environments(),
            };
            desk.ledger().refresh(&environments).map_err(of_ledger)?;
            let mut rows = Vec::new();
            let mut frozen = Vec::new();
            for environment in environments {
                rows.extend(rows_of(desk, &environment)?);
                let monitor = desk.ledger().known_monitor(&environment).map_err(of_ledger)?;
                frozen.extend(monitor.environment.frozen.as_ref().map(|frozen| {
                    format!(
                        "{environment} is frozen since {}: {}; nothing is released there until the branch is back or its tip is accepted \
                         (`pilotage-git-monitor accept --env {environment}`)",
                        frozen.since.strftime("%Y-%m-%d %H:%M:%SZ"),
                        pilotage_diagnostic::printable(&frozen.reason)
                    )
                }));
            }
            if let Some(stranger) = services
                .iter()
                .find(|service| rows.iter().all(|row| row.service != **service))
            {
                return Err(unknown(stranger, &rows));
            }
            rows.retain(|row| services.is_empty() || services.contains(&row.service));
            Ok((desk.sight().config.project.clone(), rows, frozen))
        })
        .await?;
    let summary = format!("{} services", rows.len());
    let mut text = table(&rows);
    for line in &frozen {
        text.push_str(&format!("{line}\n"));
    }
    let report = StepReport::passed().project(project).summary(summary).text(text);
    Ok(report.result(json!({"services": rows, "frozen": frozen})))
}

/// A service that neither a branch nor the ledger knows is a slip of the hand; an empty table would say "nothing runs".
fn unknown(stranger: &ServiceName, rows: &[Row]) -> Fault {
    let known = rows.iter().map(|row| row.service.as_str());
    let fault = Fault::usage(format!("there is no service `{stranger}`"));
    match pilotage_diagnostic::nearest(stranger.as_str(), known) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("`pilotage-release status` without --service lists them all"),
    }
}

fn rows_of(desk: &mut Desk, environment: &EnvironmentName) -> Result<Vec<Row>, Fault> {
    let described = match desk.sight().tips.get(environment) {
        Some(tip) => descriptors::list(desk.cache(), tip).map_err(Fault::from)?.found,
        None => BTreeMap::new(),
    };
    let mut rows: BTreeMap<ServiceName, Row> = described
        .keys()
        .map(|service| (service.clone(), Row::never(environment.clone(), service.clone())))
        .collect();
    // Where this machine cannot be asked about itself, nobody is known to be gone.
    let machine = LinuxMachine::read().ok();
    for (service, chain) in desk.ledger().known_releases(environment).map_err(of_ledger)? {
        let row = match chain {
            Ok(chain) => {
                let holder = match (&chain.state().running, &machine) {
                    (Some(running), Some(machine)) => liveness(&running.begun.holder, machine),
                    _ => Liveness::Unknown,
                };
                Row::of(chain.state(), described.contains_key(&service), &holder)
            }
            Err(error) => Row::unreadable(environment.clone(), service.clone(), error.to_string()),
        };
        rows.insert(service, row);
    }
    Ok(rows.into_values().collect())
}
