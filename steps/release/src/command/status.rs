use std::collections::BTreeMap;

use pilotage_decision::fault::of_ledger;
use pilotage_decision::{Desk, descriptors};
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::RepoArgs;
use serde_json::json;

use crate::records::Records;
use crate::status::{Row, table};

/// What runs where.
pub(super) async fn status(records: &Records, repo: &RepoArgs) -> Result<StepReport, Fault> {
    let (asked, services) = (repo.environment.clone(), repo.service.clone());
    let (project, rows) = records
        .with(move |desk| {
            let environments = match asked {
                Some(environment) => {
                    // Known to pilotage.yaml, or a usage error that names the known ones.
                    desk.sight().tip(&environment).map_err(Fault::from)?;
                    vec![environment]
                }
                None => desk.sight().environments(),
            };
            desk.ledger().refresh(&environments).map_err(of_ledger)?;
            let mut rows = Vec::new();
            for environment in environments {
                rows.extend(rows_of(desk, &environment)?);
            }
            rows.retain(|row| services.is_empty() || services.contains(&row.service));
            Ok((desk.sight().config.project.clone(), rows))
        })
        .await?;
    let summary = format!("{} services", rows.len());
    let report = StepReport::passed()
        .project(project)
        .summary(summary)
        .text(table(&rows));
    Ok(report.result(json!({"services": rows})))
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
    for (service, chain) in desk.ledger().known_releases(environment).map_err(of_ledger)? {
        let row = match chain {
            Ok(chain) => Row::of(chain.state(), described.contains_key(&service)),
            Err(error) => Row::unreadable(environment.clone(), service.clone(), error.to_string()),
        };
        rows.insert(service, row);
    }
    Ok(rows.into_values().collect())
}
