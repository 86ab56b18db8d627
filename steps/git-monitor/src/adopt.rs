//! First sight of an environment that runs already: what its branch asks for is noted as running.

use pilotage_decision::{Decided, descriptors, fault};
use pilotage_gate::Verdict;
use pilotage_ledger::{Adopted, Note, Noted};
use pilotage_name::{EnvironmentName, ServiceKey, ServiceName};
use pilotage_outcome::Fault;

use crate::tick::Look;

/// How many services that could not be noted are told by name.
const MOST_TOLD: usize = 10;

impl Look<'_> {
    /// Writes down that what the branch asks for runs already, for all services at once. A service that is being released
    /// is told and stops no other.
    ///
    /// # Errors
    /// Some could not be noted; those that were stay so, and the next look finds them and notes the rest.
    pub(crate) fn adopt(
        &mut self,
        environment: &EnvironmentName,
        decided: &[Decided],
    ) -> Result<Vec<String>, Fault> {
        let notes: Vec<(ServiceName, Note)> = decided
            .iter()
            .filter(|one| one.decision.verdict == Verdict::Adopt)
            .filter_map(|one| Some((one.decision.service.clone(), self.note(environment, one)?)))
            .collect();
        if notes.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.desk.ledger().note_all(environment, &notes);
        let (mut remarks, mut failed) = (Vec::new(), Vec::new());
        for ((service, _), answer) in notes.iter().zip(answers.map_err(fault::of_ledger)?) {
            match answer {
                Ok(Noted::Done) => {}
                Ok(Noted::HeldBy { release, holder }) => {
                    remarks.push(format!(
                        "{service} is not adopted: {release} runs, held by {holder}"
                    ));
                }
                Err(error) => failed.push((service, fault::of_ledger(error))),
            }
        }
        match failed.is_empty() {
            true => Ok(remarks),
            false => Err(not_adopted(failed, notes.len())),
        }
    }

    fn note(&self, environment: &EnvironmentName, one: &Decided) -> Option<Note> {
        let descriptors::Resolved::Valid(valid) = &one.resolved else {
            return None;
        };
        let sight = self.desk.sight();
        Some(Note::Adopted(Adopted {
            service: ServiceKey {
                project: sight.config.project.clone(),
                environment: environment.clone(),
                service: one.decision.service.clone(),
            },
            commit: one.decision.commit.clone(),
            config_commit: sight.config_commit.clone(),
            descriptor: valid.digest.clone(),
            config: valid.descriptor.config_hash(),
            version: valid.descriptor.version.to_string(),
            proof: None,
            by: "first sight".to_owned(),
            reason: "the environment's owner said that it runs already".to_owned(),
        }))
    }
}

/// One fault for all services that could not be noted, each with its reason.
fn not_adopted(mut failed: Vec<(&ServiceName, Fault)>, of: usize) -> Fault {
    let count = failed.len();
    let mut told: Vec<String> = failed
        .iter()
        .take(MOST_TOLD)
        .map(|(service, fault)| format!("{service}: {}", fault.message))
        .collect();
    if count > MOST_TOLD {
        told.push(format!("and {} more", count - MOST_TOLD));
    }
    let (_, first) = failed.swap_remove(0);
    Fault {
        message: format!(
            "{count} of {of} services are not adopted yet, the others are: {}",
            told.join("; ")
        ),
        ..first
    }
}
