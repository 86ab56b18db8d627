//! One look at one environment: what moved, what is decided, what is recorded, what is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilotage_config::{First, Mode};
use pilotage_decision::{Decided, Desk, Recorded, descriptors, past};
use pilotage_diagnostic::Diagnostics;
use pilotage_gate::{Decision, FirstSight, History, Verdict};
use pilotage_ledger::{EnvironmentRecord, Frozen, Holder, Monitor};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;
use serde_json::json;

use crate::news::{is_news, told_before};
use crate::touched::{MovedToo, by_paths, to_ask_again};

/// How often a tick starts over when another monitor was faster, before it leaves the rest to the next tick.
const TRIES: u32 = 5;

/// What one look at one environment came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Every decision that said something new.
    pub(crate) decisions: Vec<Decision>,
    /// What is wrong with descriptors that were refused for it, in full.
    pub(crate) diagnostics: Diagnostics,
    /// What people should know about the environment as a whole.
    pub(crate) remarks: Vec<String>,
    /// What is to be told of the environment as a whole, by its time, where it is this look's to tell.
    pub(crate) of_all: Option<jiff::Timestamp>,
    /// Whether something here may turn without another push, so that the next look must not be skipped.
    pub(crate) pending: bool,
}

/// What one try came to.
enum Once {
    /// It is done.
    Done(Seen),
    /// Another monitor recorded first.
    Moved,
    /// It looks as if the branch were rewritten.
    Unsure,
}

impl Once {
    fn of(seen: Option<Seen>) -> Self {
        seen.map_or(Self::Moved, Self::Done)
    }
}

/// One monitor's way to decide an environment.
pub(crate) struct Look<'a> {
    /// Repository, policy and ledger.
    pub(crate) desk: &'a mut Desk,
    /// What to do in an environment that is seen for the first time, over what pilotage.yaml says.
    pub(crate) first: Option<First>,
    /// Who records.
    pub(crate) by: Holder,
}

impl Look<'_> {
    /// Decides what moved in an environment, and records and tells it.
    ///
    /// # Errors
    /// The repository or the ledger cannot be reached or read.
    pub(crate) fn at(&mut self, environment: &EnvironmentName) -> Result<Seen, Fault> {
        let mut sure = false;
        for _ in 0..TRIES {
            match self.once(environment, sure)? {
                Once::Done(seen) => return Ok(seen),
                Once::Unsure => sure = true,
                Once::Moved => {
                    sure = false;
                    tracing::debug!("another monitor was faster in {environment}; deciding again");
                }
            }
            let listed = self.desk.list().map_err(Fault::from)?;
            self.desk.look_at(&listed).map_err(Fault::from)?;
        }
        // Another monitor is at work; whatever it left over is seen at the next tick.
        Ok(Seen {
            pending: true,
            ..Seen::default()
        })
    }

    /// One try. `sure` says that a branch that went back was seen to do so before.
    fn once(&mut self, environment: &EnvironmentName, sure: bool) -> Result<Once, Fault> {
        let monitor = self
            .desk
            .ledger()
            .known_monitor(environment)
            .map_err(pilotage_decision::fault::of_ledger)?;
        let record = &monitor.environment;
        let Some(tip) = self.desk.sight().tips.get(environment).cloned() else {
            return self.branch_gone(environment, &monitor).map(Once::of);
        };
        let history = match &record.first {
            Some(_) => past::history(self.desk.cache(), record, &tip).map_err(Fault::from)?,
            None => History::Linear,
        };
        if let History::Rewritten {
            from, accepted: None, ..
        } = &history
        {
            // Branch and record are not read in one moment: another monitor may have recorded a push that the listing does
            // not show yet. A branch that is seen to go back is looked at twice.
            let known = record.frozen.as_ref();
            if known.is_none_or(|known| known.now.as_ref() != Some(&tip)) && !sure {
                return Ok(Once::Unsure);
            }
            let frozen = Frozen {
                reason: format!(
                    "the branch was rewritten: {} was its tip and is no ancestor of {}",
                    from.short(),
                    tip.short()
                ),
                since: jiff::Timestamp::UNIX_EPOCH,
                was: Some(from.clone()),
                now: Some(tip.clone()),
            };
            return self.freeze(environment, &monitor, frozen).map(Once::of);
        }
        if let Some(remark) = self.unanswered(environment, record, &tip)? {
            return Ok(Once::Done(Seen {
                remarks: vec![remark],
                ..Seen::default()
            }));
        }
        let policy_moved = record.config_commit.as_ref() != Some(&self.desk.sight().config_commit);
        let services = self.to_decide(&monitor, &tip, policy_moved)?;
        if services.is_empty()
            && record.seen.as_ref() == Some(&tip)
            && record.frozen.is_none()
            && !policy_moved
        {
            return Ok(Once::Done(Seen {
                pending: pending(&monitor),
                ..Seen::default()
            }));
        }
        let services: Vec<ServiceName> = services.into_iter().collect();
        let (decided, on) = self
            .desk
            .decide(environment, &services, &tip, self.first)
            .map_err(Fault::from)?;
        // The decisions rest on what is recorded now; what was to be decided was found by what was recorded before.
        if on.tip != monitor.tip {
            return Ok(Once::Moved);
        }
        self.conclude(environment, &tip, &monitor, decided).map(Once::of)
    }

    /// What is asked of whoever owns an environment that was never seen; none when the answer is known, or where there is
    /// nothing yet to ask about. An answer moves the config branch, or comes with a monitor that starts anew.
    fn unanswered(
        &self,
        environment: &EnvironmentName,
        record: &EnvironmentRecord,
        tip: &CommitId,
    ) -> Result<Option<String>, Fault> {
        let known = self.desk.sight().config.environment(environment);
        let answer = self.first.or_else(|| known.and_then(|known| known.first));
        if past::first_sight(record, answer) != FirstSight::Unanswered {
            return Ok(None);
        }
        let count = descriptors::list(self.desk.cache(), tip)
            .map_err(Fault::from)?
            .found
            .len();
        Ok((count > 0).then(|| {
            format!(
                "{environment} is seen for the first time, with {count} services; nothing is decided there until its owner says \
                 `first: deploy` (release what the branch asks for) or `first: adopt` (take it as running) in pilotage.yaml, or \
                 `--first deploy|adopt` once"
            )
        }))
    }

    fn to_decide(
        &self,
        monitor: &Monitor,
        tip: &CommitId,
        policy_moved: bool,
    ) -> Result<BTreeSet<ServiceName>, Fault> {
        let git = pilotage_decision::fault::of_git;
        let cache = self.desk.cache();
        let known = monitor
            .environment
            .seen
            .as_ref()
            .filter(|seen| cache.has_commit(seen));
        let Some(seen) = known else {
            // Never seen, or the old tip is gone: everything that stands in the branch, and everything that ever did.
            let listed = descriptors::list(cache, tip).map_err(Fault::from)?;
            return Ok(listed
                .found
                .into_keys()
                .chain(monitor.services.keys().cloned())
                .collect());
        };
        let mut moved = MovedToo {
            policy: policy_moved,
            files: false,
        };
        let mut services = BTreeSet::new();
        if seen != tip {
            let changed = cache.changed_paths(Some(seen), tip).map_err(git)?;
            let paths = || {
                let whole = changed.iter().filter(|change| !change.lossy);
                whole.map(|change| change.path.as_str())
            };
            moved.files = paths().any(|path| pilotage_descriptor::service_of(path).is_none());
            services = by_paths(paths(), &monitor.services);
        }
        services.extend(to_ask_again(&monitor.services, moved));
        Ok(services)
    }

    fn conclude(
        &mut self,
        environment: &EnvironmentName,
        tip: &CommitId,
        monitor: &Arc<Monitor>,
        decided: Vec<Decided>,
    ) -> Result<Option<Seen>, Fault> {
        let before = |service: &ServiceName| monitor.services.get(service).map(AsRef::as_ref);
        let mut remarks = self.misnamed(&monitor.environment, tip)?;
        let misnamed = remarks.clone();
        let waits = decided.iter().any(|one| one.decision.verdict == Verdict::Wait);
        let (unreadable, decided): (Vec<Decided>, Vec<Decided>) = decided
            .into_iter()
            .partition(|one| one.decision.evidence.unreadable.is_some());
        remarks.extend(unreadable.iter().map(|one| one.decision.headline()));
        let mut news: Vec<Decided> = decided
            .into_iter()
            .filter(|one| is_news(&one.decision, before(&one.decision.service)))
            .collect();
        for one in &mut news {
            one.decision.told = told_before(&one.decision, before(&one.decision.service));
            if one.decision.verdict == Verdict::Accept && self.is_observed(&one.decision) {
                let what = one.decision.headline();
                remarks.push(format!(
                    "{what}; it is only observed (`mode: observe`), so nothing is released"
                ));
            }
        }
        let record = self.environment_record(&monitor.environment, tip);
        let changed = (record != monitor.environment).then_some(record);
        if news.is_empty() && changed.is_none() {
            return Ok(Some(Seen {
                remarks,
                pending: waits || pending(monitor),
                ..Seen::default()
            }));
        }
        // Noted before the decision, so that a monitor that dies in between adopts the rest when it starts anew: what is
        // noted already counts as running then.
        remarks.extend(self.adopt(environment, &news)?);
        let mut data = json!({"from": monitor.environment.seen, "to": tip});
        if !misnamed.is_empty() {
            data["misnamed"] = json!(misnamed);
        }
        let goes_on = goes_on(monitor);
        if goes_on.is_some() {
            data["goes_on"] = json!(true);
        }
        match self
            .desk
            .record(environment, monitor, &news, changed, self.by.clone(), data)
            .map_err(Fault::from)?
        {
            Recorded::Moved => Ok(None),
            Recorded::Done(_) => Ok(Some(Seen {
                diagnostics: problems(&news),
                of_all: goes_on,
                decisions: news.into_iter().map(|one| one.decision).collect(),
                remarks,
                pending: waits || pending(monitor),
            })),
        }
    }

    fn is_observed(&self, decision: &Decision) -> bool {
        let config = &self.desk.sight().config;
        config.mode_of(&decision.environment, &decision.service) == Mode::Observe
    }

    /// The environment's record after a tick.
    fn environment_record(&self, before: &EnvironmentRecord, tip: &CommitId) -> EnvironmentRecord {
        let sight = self.desk.sight();
        EnvironmentRecord {
            first: before.first.clone().or_else(|| Some(tip.clone())),
            seen: Some(tip.clone()),
            frozen: None,
            accepted_push: before.accepted_push.clone(),
            untold: before.untold,
            config_commit: Some(sight.config_commit.clone()),
            policy: Some(sight.config.policy_hash()),
        }
    }

    /// Files beside the descriptors that are none, and did not stand there when the environment was seen last.
    fn misnamed(&self, before: &EnvironmentRecord, tip: &CommitId) -> Result<Vec<String>, Fault> {
        let cache = self.desk.cache();
        let refused = |commit: &CommitId| -> Result<Vec<String>, Fault> {
            let listed = descriptors::list(cache, commit).map_err(Fault::from)?;
            Ok(listed.refused.iter().map(|problem| problem.line()).collect())
        };
        let old = match before.seen.as_ref().filter(|seen| cache.has_commit(seen)) {
            Some(seen) if seen == tip => return Ok(Vec::new()),
            Some(seen) => refused(seen)?,
            None => Vec::new(),
        };
        let mut now = refused(tip)?;
        now.retain(|line| !old.contains(line));
        Ok(now)
    }

    fn branch_gone(
        &mut self,
        environment: &EnvironmentName,
        monitor: &Arc<Monitor>,
    ) -> Result<Option<Seen>, Fault> {
        let Some(was) = &monitor.environment.seen else {
            return Ok(Some(Seen {
                remarks: vec![format!("the branch of {environment} is not there yet")],
                ..Seen::default()
            }));
        };
        let frozen = Frozen {
            reason: "the branch was deleted".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
            was: Some(was.clone()),
            now: None,
        };
        self.freeze(environment, monitor, frozen)
    }

    /// Freezes the environment, once: nothing is accepted, and nothing that runs is touched.
    fn freeze(
        &mut self,
        environment: &EnvironmentName,
        monitor: &Arc<Monitor>,
        frozen: Frozen,
    ) -> Result<Option<Seen>, Fault> {
        let remark = format!("{environment} is frozen: {}", frozen.reason);
        let known = monitor.environment.frozen.as_ref();
        if known.is_some_and(|known| known.was == frozen.was && known.now == frozen.now) {
            return Ok(Some(Seen::default()));
        }
        let frozen = Frozen {
            since: known.map_or_else(|| self.desk.now(), |known| known.since),
            was: known.and_then(|known| known.was.clone()).or(frozen.was),
            ..frozen
        };
        let since = frozen.since;
        let record = EnvironmentRecord {
            // A frozen branch that moves on is news for nobody.
            untold: known.is_none() || monitor.environment.untold,
            frozen: Some(frozen),
            ..monitor.environment.clone()
        };
        let data = json!({"frozen": true});
        match self
            .desk
            .record(environment, monitor, &[], Some(record), self.by.clone(), data)
            .map_err(Fault::from)?
        {
            Recorded::Moved => Ok(None),
            Recorded::Done(_) => Ok(Some(Seen {
                remarks: vec![remark],
                of_all: Some(since),
                ..Seen::default()
            })),
        }
    }
}

/// What is wrong with the descriptors that were decided, in full: a decision repeats the first problems only.
pub(crate) fn problems(decided: &[Decided]) -> Diagnostics {
    let mut problems = Diagnostics::default();
    for one in decided {
        if let descriptors::Resolved::Broken { diagnostics } = &one.resolved {
            problems.extend(diagnostics.clone());
        }
    }
    problems
}

/// When the push was accepted after which the environment goes on, where nobody has written since: whoever writes next
/// tells of it, because the person who accepted it may not be able to.
fn goes_on(monitor: &Monitor) -> Option<jiff::Timestamp> {
    let record = &monitor.environment;
    let tick = monitor.tick.as_ref()?;
    let push = record.accepted_push.as_ref()?;
    (record.untold && record.frozen.is_none() && tick.data.get("accepted").is_some()).then_some(push.at)
}

/// Whether a recorded verdict may turn without another push.
fn pending(monitor: &Monitor) -> bool {
    monitor
        .services
        .values()
        .any(|record| crate::touched::verdict(record) == Some(Verdict::Wait))
}
