use jiff::Timestamp;
use pilotage_config::Proof;
use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What was seen of one service in one environment when the question was asked. Recorded with the decision as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// The branch's commit that the question is about.
    pub tip: CommitId,
    /// The commit of the last accepted decision; the range of the push starts after it. None at first sight.
    pub since: Option<CommitId>,
    /// How the branch moved since the monitor last saw it.
    pub history: History,
    /// Whether this environment was ever taken over by Pilotage, and what its owner said to do the first time.
    pub first_sight: FirstSight,
    /// What the descriptor at the tip asks for.
    pub asked: Asked,
    /// What the last accepted decision asked for, as far as it counts: see `outdated`.
    pub accepted: Option<Seen>,
    /// What was accepted last, where that was under another policy and has not been released since. It lets nothing
    /// through: `accepted` is then what runs, and everybody of the range since answers under today's policy.
    #[serde(default)]
    pub outdated: Option<Seen>,
    /// What runs, as the ledger has it proved.
    pub running: Option<Seen>,
    /// The release that is under way, if one is.
    #[serde(default)]
    pub under_way: Option<ReleaseId>,
    /// How the newest release ended, in words, where it left neither a proof nor a rejection: cancelled, say, or the target
    /// could not be reached. What runs is then not what was accepted.
    #[serde(default)]
    pub unsettled: Option<String>,
    /// The rejection that holds the service, if one does.
    pub held: Option<Held>,
    /// Everything that was once rejected here, newest first.
    pub rejected: Vec<Seen>,
    /// The first-parent commits of the range that change the service's files against their first parent, oldest first:
    /// what was brought to the branch, by whoever committed it there.
    pub brought: Vec<Change>,
    /// Every commit of the range that changes the service's files, on whichever side of a merge, oldest first. A merge
    /// is one of them only where its result differs from every parent.
    pub accountable: Vec<Change>,
    /// What was proved of the same content in the environments this one takes its changes from.
    pub carried: Vec<Carried>,
    /// How many services of the environment the push changes.
    pub storm: Storm,
    /// The newest commit of the branch since the last accepted decision with a `Storm` trailer, whatever it changes.
    #[serde(default)]
    pub announced: Option<Change>,
    /// Why what the ledger knows of the service cannot be read, where it cannot. The rest is then not the whole.
    #[serde(default)]
    pub unreadable: Option<String>,
}

impl Evidence {
    /// The commit that brought the newest change: the one whose skip marker counts.
    #[must_use]
    pub fn newest(&self) -> Option<&Change> {
        self.brought.last()
    }

    /// Where exactly what is asked was accepted, if it was and did not turn out to be what holds the service: whatever was
    /// brought and taken back in between answers for nothing.
    #[must_use]
    pub fn accepted_again(&self) -> Option<&Seen> {
        let asked = self.asked.valid()?;
        let rejected = self.held.as_ref().map(|held| held.rejected.digest.as_str());
        let same = |accepted: &&Seen| accepted.digest == asked.digest && rejected != Some(&asked.digest);
        self.accepted.as_ref().filter(same)
    }

    /// Whether there is nothing to go back to: nothing of the service was ever accepted here, and nothing of it runs.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.accepted.is_none() && self.running.is_none()
    }

    /// What was rejected before, where exactly that is asked again, something else runs, and nobody committed since: the
    /// branch was set back to it, for one.
    #[must_use]
    pub fn rejected_again(&self) -> Option<&Seen> {
        let asked = self.asked.valid()?;
        let runs = self
            .running
            .as_ref()
            .is_some_and(|seen| seen.digest == asked.digest);
        if runs || self.held.is_some() || !self.brought.is_empty() {
            return None;
        }
        self.rejected.iter().find(|seen| seen.digest == asked.digest)
    }

    /// Whether something is asked that neither was accepted nor runs, and no commit of the range brought it: nobody
    /// answers for it.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        let Some(asked) = self.asked.valid() else {
            return false;
        };
        let mut known = [&self.accepted, &self.running].into_iter().flatten();
        self.brought.is_empty()
            && self.held.is_none()
            && self.rejected_again().is_none()
            && known.all(|seen| seen.digest != asked.digest)
    }
}

/// How a branch moved since it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum History {
    /// The old tip is an ancestor of the new one, or the branch is seen for the first time.
    Linear,
    /// The old tip is not an ancestor of the new one: the branch was force-pushed, or deleted and made again.
    Rewritten {
        /// The tip that was seen.
        from: CommitId,
        /// The tip that stands there now.
        to: CommitId,
        /// Who accepted exactly this new tip and why, if somebody did.
        accepted: Option<String>,
    },
}

/// Whether the environment is new to Pilotage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FirstSight {
    /// Decisions were made here before.
    Known,
    /// Never seen, and nobody said what to do with what may run there already.
    Unanswered,
    /// Never seen; release what the branch asks for.
    Deploy,
    /// Never seen; take what the branch asks for as running already.
    Adopt,
}

/// What the descriptor at the tip asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Asked {
    /// A valid descriptor.
    Valid(Seen),
    /// A descriptor with errors.
    Broken {
        /// The first problems, placed; the plain form of a diagnostic.
        diagnostics: Vec<Value>,
        /// The first errors in one line each, `file:line:column: error[code]: message`.
        lines: Vec<String>,
        /// How many errors there are beside these: a decision stays readable however broken a file is.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: usize,
    },
    /// The file is gone from the branch.
    Absent,
}

impl Asked {
    /// The valid descriptor's identity, if there is one.
    #[must_use]
    pub fn valid(&self) -> Option<&Seen> {
        match self {
            Self::Valid(seen) => Some(seen),
            Self::Broken { .. } | Self::Absent => None,
        }
    }
}

/// One resolved descriptor, seen at a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// Where it was seen.
    pub commit: CommitId,
    /// The version it asks for.
    pub version: String,
    /// The digest of the resolved descriptor: equal digests are the same intent.
    pub digest: String,
}

/// A service that runs something else than git asks for, because that was rejected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// What was rejected.
    pub rejected: Seen,
    /// The release that rejected it.
    pub release: ReleaseId,
    /// Why, in words.
    pub why: String,
}

/// One commit of the range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The commit.
    pub commit: CommitId,
    /// Who wrote it.
    pub author: Identity,
    /// Who brought it to the branch.
    pub committer: Identity,
    /// When it was committed, as the commit says.
    #[schemars(with = "String")]
    pub when: Timestamp,
    /// The first line of the message.
    pub subject: String,
    /// The rest of the message.
    pub body: String,
    /// The trailers of the message, in order, keys as written.
    pub trailers: Vec<(String, String)>,
    /// Whether it has more than one parent.
    pub merge: bool,
    /// What the service's files hold at this commit, if its descriptor is there: equal texts are equal files.
    pub content: Option<String>,
    /// What its signature is worth.
    pub signature: SignatureSeen,
}

impl Change {
    /// The value of the last trailer of that name, whatever its case.
    #[must_use]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers
            .iter()
            .rev()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A name and an e-mail as a commit claims them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// What a commit's signature is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SignatureSeen {
    /// There is none.
    None,
    /// Good, by a key that the config branch gives to this person.
    Good {
        /// The person's name in `people`.
        person: String,
    },
    /// Made by a key that belongs to nobody in `people`.
    UnknownKey,
    /// It does not fit the commit, or its key was not valid.
    Bad {
        /// Why.
        reason: String,
    },
}

/// Evidence that was given for the same content in a lower environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Carried {
    /// Where it was accepted.
    pub environment: EnvironmentName,
    /// The commit it was accepted at.
    pub commit: CommitId,
    /// What the service's files held that were accepted there.
    pub content: String,
    /// Who brought it there.
    pub person: String,
    /// How well that was known.
    #[schemars(with = "String")]
    pub proof: Proof,
}

/// How much one push changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Storm {
    /// Services of the environment that this push would release.
    pub changing: u32,
    /// Services of the environment in all.
    pub total: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
