//! What stands in the ledger of a release that goes on: whether it is still ours, and its end.

use pilotage_ledger::{Append, Standing};

use crate::judge::Judgement;
use crate::port::Launcher;
use crate::release::ReleaseRun;
use crate::stop::Stop;

/// Whether the end of a release stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It does.
    Yes,
    /// An earlier try had written it already.
    Already,
    /// Somebody else has taken the release over; it says whom.
    Lost(String),
    /// It could not be written; it says why.
    No(String),
    /// There was no release to end: the environment is observed.
    Observed,
}

impl<L: Launcher> ReleaseRun<'_, L> {
    /// Looks whether the release is still ours. Nothing may follow when it is not, or when nobody can say.
    pub(crate) async fn verify(&self) -> Result<(), Stop> {
        let (Some(ledger), Some(lease)) = (self.ledger, &self.plan.lease) else {
            return Ok(());
        };
        match ledger.verify(lease, self.cancel).await {
            Ok(Standing::Holds) => Ok(()),
            Ok(Standing::Lost { by }) => Err(Stop::Lost {
                by,
                newer: ledger.overtaken(lease, &self.plan.commit).await,
            }),
            Err(fault) => Err(match self.cancel.reason() {
                Some(reason) => Stop::Asked(reason),
                None => Stop::Blind(fault.to_string()),
            }),
        }
    }

    /// Writes its end.
    pub(crate) async fn finish(&mut self, judgement: &Judgement) -> Written {
        let (Some(ledger), Some(lease)) = (self.ledger, &self.plan.lease) else {
            return Written::Observed;
        };
        let finished = judgement.finished(&self.plan, &self.records);
        match ledger.finish(lease, finished, self.cancel).await {
            Ok(Append::Done(lease)) => {
                self.plan.lease = Some(lease);
                Written::Yes
            }
            Ok(Append::Already(_)) => Written::Already,
            Ok(Append::Lost { by }) => Written::Lost(by),
            Err(fault) => {
                let causes = fault.causes();
                Written::No(
                    std::iter::once(fault.message)
                        .chain(causes)
                        .collect::<Vec<_>>()
                        .join(": "),
                )
            }
        }
    }
}
