use std::collections::BTreeMap;

use pilotage_command_line::CommandLines;
use pilotage_decision::fault::{of_ledger, unreadable_policy};
use pilotage_decision::{Desk, Error, Still, descriptors, holder};
use pilotage_diagnostic::{printable, printable_lines};
use pilotage_gate::Decision;
use pilotage_ledger::Monitor;
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::RepoArgs;
use serde_json::json;

use crate::records::Records;
use crate::status::{Row, table};

/// What runs where. `broken` is what is wrong with pilotage.yaml, while things are told by an earlier one.
pub(super) async fn status(
    records: &Records,
    repo: &RepoArgs,
    broken: Option<Error>,
) -> Result<StepReport, Fault> {
    let (asked, services) = (repo.environment.clone(), repo.service.clone());
    let commands = records.command_lines().clone();
    let (sight, rows, frozen) = records
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
                let monitor = desk.ledger().known_monitor(&environment).map_err(of_ledger)?;
                rows.extend(rows_of(desk, &environment, &monitor)?);
                if monitor.environment.frozen.is_some()
                    && let Some(known) = desk.sight().config.environment(&environment)
                {
                    let tip = desk.sight().tips.get(&environment);
                    let still = Still::of(known, &monitor.environment, tip, &commands);
                    frozen.extend(
                        still.map(|still| printable(&format!("{}; to go on: {}", still.why, still.needs))),
                    );
                }
            }
            if let Some(stranger) = services
                .iter()
                .find(|service| rows.iter().all(|row| row.service != **service))
            {
                return Err(unknown(stranger, &rows, &commands));
            }
            rows.retain(|row| services.is_empty() || services.contains(&row.service));
            Ok((desk.sight().clone(), rows, frozen))
        })
        .await?;
    let summary = format!("{} services", rows.len());
    let mut text = table(&rows);
    for line in &frozen {
        text.push_str(&format!("{line}\n"));
    }
    let by = sight.config_commit.short();
    let said = broken.as_ref().map(|wrong| unreadable_policy(wrong, by));
    if let Some(said) = &said {
        text.push_str(&format!("{}\n", printable_lines(said, "  ")));
    }
    let report = StepReport::passed()
        .project(sight.config.project.clone())
        .summary(summary)
        .text(text)
        .result(json!({"services": rows, "frozen": frozen, "broken": said}));
    Ok(match broken {
        Some(Error::Config { diagnostics }) => report.diagnostics(diagnostics),
        _ => report,
    })
}

/// A service that neither a branch nor the ledger knows is a slip of the hand; an empty table would say "nothing runs".
fn unknown(stranger: &ServiceName, rows: &[Row], commands: &CommandLines) -> Fault {
    let known = rows.iter().map(|row| row.service.as_str());
    let fault = Fault::usage(format!("there is no service `{stranger}`"));
    match pilotage_diagnostic::nearest(stranger.as_str(), known) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help(format!("`{}` lists them all", commands.status())),
    }
}

fn rows_of(desk: &mut Desk, environment: &EnvironmentName, monitor: &Monitor) -> Result<Vec<Row>, Fault> {
    let described = match desk.sight().tips.get(environment) {
        Some(tip) => descriptors::list(desk.cache(), tip).map_err(Fault::from)?.found,
        None => BTreeMap::new(),
    };
    let mut rows: BTreeMap<ServiceName, Row> = described
        .keys()
        .map(|service| (service.clone(), Row::never(environment.clone(), service.clone())))
        .collect();
    for (service, chain) in desk.ledger().known_releases(environment).map_err(of_ledger)? {
        let row = match chain {
            Ok(chain) => {
                let holder = holder(chain.state());
                Row::of(chain.state(), described.contains_key(&service), &holder)
            }
            Err(error) => Row::unreadable(environment.clone(), service.clone(), error.to_string()),
        };
        rows.insert(service, row);
    }
    for (service, row) in &mut rows {
        let record = monitor.services.get(service);
        let decision: Option<Decision> =
            record.and_then(|record| serde_json::from_value(record.decision.clone()).ok());
        if let Some(decision) = decision {
            row.asks(&decision);
        }
    }
    Ok(rows.into_values().collect())
}
