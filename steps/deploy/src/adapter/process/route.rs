//! The route file, whose replacement is the switch.

use std::fs;

use super::service::ProcessService;
use super::state::{self, Record, RouteEntry, RouteFile};
use crate::desired::Desired;
use crate::error::TargetError;
use crate::live::InstanceId;

impl ProcessService {
    pub(super) fn switch(&self, id: InstanceId, desired: &Desired) -> Result<(), TargetError> {
        let run = self.running(id)?;
        let before = self.route()?;
        let mut turn = self.record(id)?.turn;
        for other in self
            .instance_ids()?
            .into_iter()
            .filter(|(_, whole)| *whole)
            .map(|(other, _)| other)
        {
            turn = turn.max(self.record(other)?.turn);
        }
        if let Some(before) = &before {
            turn = turn.max(before.turn);
            // The old instance has to know that it served before its route no longer says so.
            if before.instance != id
                && let Some(mut record) = state::read::<Record>(&self.record_path(before.instance))?
                && record.turn < before.turn
            {
                record.turn = before.turn;
                state::write(&self.record_path(before.instance), &record)?;
            }
        }
        let routes = desired
            .descriptor
            .ports
            .iter()
            .flat_map(|port| port.routes.iter().map(move |route| (port, route)))
            .filter_map(|(port, route)| {
                Some(RouteEntry {
                    host: route.host.as_str().to_ascii_lowercase(),
                    path: route.path.clone(),
                    address: *run.addresses.get(&port.name)?,
                })
            })
            .collect();
        state::make_dir(&self.dir.state.join("routes"))?;
        state::write(
            &self.dir.route,
            &RouteFile {
                key: self.key.clone(),
                instance: id,
                run: run.id(),
                turn: turn + 1,
                routes,
            },
        )
    }

    pub(super) fn withdraw(&self) -> Result<(), TargetError> {
        let Some(route) = self.route()? else {
            return Ok(());
        };
        // The instance has to know that it served before its route no longer says so.
        if let Some(mut record) = state::read::<Record>(&self.record_path(route.instance))? {
            record.turn = record.turn.max(route.turn);
            state::write(&self.record_path(route.instance), &record)?;
        }
        fs::remove_file(&self.dir.route).map_err(TargetError::io("remove", &self.dir.route))
    }
}
