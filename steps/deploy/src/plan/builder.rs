//! Putting operations together in their order.

use crate::desired::{Desired, HostAddress, Identity, Labels};
use crate::live::{Instance, InstanceId, Live, Replica, State};
use crate::operation::Operation;
use crate::plan::digest::digest;
use crate::plan::{Plan, Planned};
use crate::risk::{Risk, RiskClass};
use pilotage_name::ServiceKey;

/// How many stopped instances are kept to go back to.
pub const KEPT: usize = 2;

/// Why something goes that never served.
const LEFT: &str = "an earlier run left it, and it never served";

/// A plan in the making.
pub(super) struct Builder<'l> {
    live: &'l Live,
    pub(super) operations: Vec<Planned>,
    pub(super) risks: Vec<Risk>,
    /// Whether what is to serve was left by an earlier run and never served.
    pub(super) taken_up: bool,
}

impl<'l> Builder<'l> {
    pub(super) fn new(live: &'l Live, labels: &Labels) -> Self {
        let mut builder = Self {
            live,
            operations: Vec::new(),
            risks: Vec::new(),
            taken_up: false,
        };
        if live
            .marker
            .as_ref()
            .is_none_or(|marker| marker.fence < labels.fence)
        {
            builder.add(
                Operation::Mark { fence: labels.fence },
                "older releases change nothing from here on",
            );
        }
        builder
    }

    pub(super) fn add(&mut self, operation: Operation, why: &str) {
        self.operations.push(Planned {
            operation,
            why: why.to_owned(),
            risk: None,
        });
    }

    pub(super) fn add_risky(&mut self, operation: Operation, why: &str, risk: RiskClass) {
        self.operations.push(Planned {
            operation,
            why: why.to_owned(),
            risk: Some(risk),
        });
    }

    fn planned(&self, operation: Operation) -> bool {
        self.operations
            .iter()
            .any(|planned| planned.operation == operation)
    }

    /// Removes what earlier runs left and what never served. It comes first, so that it goes also when this run fails.
    pub(super) fn clear(&mut self, wanted: InstanceId) {
        let serving = self.live.serving.map(|serving| serving.instance);
        for instance in &self.live.instances {
            if instance.was_left() && instance.id != wanted && Some(instance.id) != serving {
                self.add(
                    Operation::Remove {
                        instance: instance.id,
                    },
                    LEFT,
                );
            }
        }
    }

    /// To serving, from the states that its replicas are in. Whoever holds a host port that the instance needs has to go
    /// first. Each replica is started and proved before the next, and all of them before the first is switched to: what
    /// serves serves in full until then, and a bad version never serves anybody.
    pub(super) fn bring_up(
        &mut self,
        replicas: &[(Replica, State)],
        id: InstanceId,
        needs: &[HostAddress],
        why: &str,
    ) {
        if replicas.iter().any(|(_, state)| !state.is_well()) {
            for holder in &self.live.instances {
                let Some(shared) = holder
                    .host_addresses()
                    .into_iter()
                    .find(|held| needs.iter().any(|need| need.collides(held)))
                else {
                    continue;
                };
                let goes = self.planned(Operation::Remove { instance: holder.id });
                if holder.id == id || !holder.holds() || goes {
                    continue;
                }
                let reason = format!("both need {shared}");
                if holder.turn == 0 {
                    self.add(Operation::Remove { instance: holder.id }, &reason);
                    continue;
                }
                self.add_risky(
                    Operation::Stop {
                        instance: holder.id,
                        undone: false,
                    },
                    &reason,
                    RiskClass::Downtime,
                );
                self.risks.push(Risk {
                    class: RiskClass::Downtime,
                    path: "ports.publish".to_owned(),
                    from: Some(format!("instance {}", holder.id)),
                    to: Some(format!("instance {id}")),
                    reason: format!("both need {shared}, so nobody serves from the stop of the old to the proof of the new"),
                });
            }
        }
        for (of, state) in replicas {
            if !state.is_well() {
                self.add(Operation::Start { of: *of }, why);
            }
            self.add(Operation::Prove { of: *of }, "nothing serves before it is proved");
        }
        for (of, _) in replicas {
            self.add(Operation::Switch { of: *of }, why);
        }
        self.add(Operation::Verify { instance: id }, "green means proof");
    }

    /// Stops what served, removes what never did, and keeps the last few to go back to.
    pub(super) fn clean_up(&mut self, serving: InstanceId, undoing: Option<u64>) {
        let others = || {
            self.live
                .instances
                .iter()
                .filter(|instance| instance.id != serving)
        };
        let mut stops = Vec::new();
        let mut removals = Vec::new();
        let mut kept: Vec<(bool, u64, InstanceId)> = Vec::new();
        for instance in others() {
            let id = instance.id;
            if instance.was_left() {
                removals.push((id, LEFT));
                continue;
            }
            // Going back takes back whatever this release made; without a fence, whatever serves now.
            let undone = undoing.is_some_and(|fence| match fence {
                0 => self.live.serving.is_some_and(|serving| serving.instance == id),
                fence => instance.labels.fence == fence,
            });
            if instance.holds() || (undone && !instance.undone) {
                stops.push((id, undone));
            }
            kept.push((!(undone || instance.undone), instance.turn, id));
        }
        kept.sort_unstable_by(|left, right| right.cmp(left));
        removals.extend(
            kept.iter()
                .skip(KEPT)
                .map(|(.., id)| (*id, "enough later ones are kept")),
        );
        for (id, undone) in stops {
            let earlier = self.planned(Operation::Stop {
                instance: id,
                undone: false,
            });
            if !earlier || undone {
                let why = if undone {
                    "it is taken back"
                } else {
                    "it serves no longer"
                };
                self.add(Operation::Stop { instance: id, undone }, why);
            }
        }
        for (id, why) in removals {
            if !self.planned(Operation::Remove { instance: id }) {
                self.add(Operation::Remove { instance: id }, why);
            }
        }
    }

    /// The plan that makes the service equal to `desired`; `instance` serves afterwards.
    pub(super) fn finish(self, desired: &Desired, instance: Option<InstanceId>) -> Plan {
        self.end(&desired.key, Some(desired), Some(&desired.identity), instance)
    }

    /// The plan that goes back to what serves or served.
    pub(super) fn finish_undo(self, key: &ServiceKey, instance: &Instance) -> Plan {
        self.end(key, None, instance.identity.as_ref(), Some(instance.id))
    }

    fn end(
        self,
        key: &ServiceKey,
        desired: Option<&Desired>,
        identity: Option<&Identity>,
        instance: Option<InstanceId>,
    ) -> Plan {
        Plan {
            service: key.clone(),
            digest: digest(key, desired, identity, self.live, &self.operations),
            operations: self.operations,
            risks: self.risks,
            instance,
            before: self.live.serving.map(|serving| serving.instance),
            taken_up: self.taken_up,
        }
    }
}
