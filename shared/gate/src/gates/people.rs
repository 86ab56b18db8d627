//! Who brought the change, and how well that is known.
//!
//! The committer of each commit that brought a change is asked, not its author: a merge is answered for by whoever
//! merged. A name in a commit is a claim; a signature by a key of the config branch proves it. The attestation of a
//! forge will stand between the two.

use std::collections::BTreeSet;

use pilotage_config::{Config, PeopleRule, Proof, is_forge_address};

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::{Carried, Change, Evidence, SignatureSeen};
use crate::person::person_of;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "people";
    let evidence = case.evidence;
    if evidence.newest().is_none() {
        let ruled = case.config.policy_of(&evidence.environment).people.is_some();
        return (ruled && evidence.is_unanswered()).then(|| unanswered(GATE));
    }
    let Some(rule) = &case.config.policy_of(&evidence.environment).people else {
        return Some(GateResult::new(GATE, Answer::Pass).because("no policy says who may release here"));
    };
    if let Some(accepted) = evidence.accepted_again() {
        let said = format!(
            "what is asked is what was accepted at {}",
            accepted.commit.short()
        );
        return Some(GateResult::new(GATE, Answer::Pass).because(said));
    }
    let listed = listed(case.config, rule);
    let answers: Vec<Brought> = evidence
        .brought
        .iter()
        .map(|change| judge(case.config, evidence, rule, &listed, change))
        .collect();

    let answer = if answers.iter().any(|a| a.answer == Answer::Refuse) {
        Answer::Refuse
    } else if answers.iter().any(|a| a.answer == Answer::Wait) {
        Answer::Wait
    } else {
        Answer::Pass
    };
    let mut result = GateResult::new(GATE, answer);
    for brought in answers {
        let rests_on_it = answer == Answer::Pass || brought.answer != Answer::Pass;
        result = if rests_on_it {
            result.because(brought.said)
        } else {
            result.aside(brought.said)
        };
        if let Some(needs) = brought.needs
            && !result.satisfy.contains(&needs)
        {
            result = result.needs(needs);
        }
    }
    Some(result)
}

/// Where no commit answers for what is asked, there is no evidence, and no evidence is never a pass.
pub(super) fn unanswered(gate: &str) -> GateResult {
    GateResult::new(gate, Answer::Wait)
        .because("no commit of the range says who brought what is asked")
        .needs("a commit that changes the descriptor, by somebody who may")
}

/// Whether the policy lets the committer of this commit speak for the environment.
pub(super) fn may_speak(case: &Case<'_>, change: &Change) -> bool {
    let Some(rule) = &case.config.policy_of(&case.evidence.environment).people else {
        return true;
    };
    let listed = listed(case.config, rule);
    judge(case.config, case.evidence, rule, &listed, change).answer == Answer::Pass
}

fn listed<'a>(config: &'a Config, rule: &PeopleRule) -> BTreeSet<&'a str> {
    let members = config.members(&rule.who).into_iter();
    members.map(|(name, _)| name.as_str()).collect()
}

/// Who brought the newest change, and how well that is known; nobody where the commit names nobody in `people`.
#[must_use]
pub fn brought_by(config: &Config, evidence: &Evidence) -> Option<(String, Proof)> {
    let newest = evidence.newest()?;
    let (person, proof) = identify(config, newest).ok()?;
    let proof = carried(evidence, newest, &person).map_or(proof, |carried| carried.proof.max(proof));
    Some((person, proof))
}

/// Why a commit names nobody in `people`.
enum Unknown {
    BadSignature(String),
    Forge,
    Stranger,
}

fn identify(config: &Config, change: &Change) -> Result<(String, Proof), Unknown> {
    match &change.signature {
        SignatureSeen::Bad { reason } => Err(Unknown::BadSignature(reason.clone())),
        SignatureSeen::Good { person } => Ok((person.clone(), Proof::Signed)),
        SignatureSeen::None | SignatureSeen::UnknownKey => match person_of(config, &change.committer.email) {
            Some((person, _)) => Ok((person.clone(), Proof::Claimed)),
            None if is_forge_address(&change.committer.email) => Err(Unknown::Forge),
            None => Err(Unknown::Stranger),
        },
    }
}

/// The best proof that the same person gave for the same content in an environment below.
fn carried<'a>(evidence: &'a Evidence, change: &Change, person: &str) -> Option<&'a Carried> {
    let same =
        |carried: &&Carried| carried.person == person && Some(&carried.content) == change.content.as_ref();
    evidence
        .carried
        .iter()
        .filter(same)
        .max_by_key(|carried| carried.proof)
}

struct Brought {
    answer: Answer,
    said: String,
    needs: Option<String>,
}

fn judge(
    config: &Config,
    evidence: &Evidence,
    rule: &PeopleRule,
    listed: &BTreeSet<&str>,
    change: &Change,
) -> Brought {
    let commit = change.commit.short();
    let committer = format!("{} <{}>", change.committer.name, change.committer.email);
    let allowed = rule.who.join(", ");
    let refuse = |said: String, needs: String| Brought {
        answer: Answer::Refuse,
        said,
        needs: Some(needs),
    };
    let undo = if evidence.is_new() {
        let path = pilotage_descriptor::path_of(&evidence.service);
        format!(
            "{path} removed from the branch, and after that a commit by one of {allowed} that brings it back: nothing of {} was \
             ever accepted in {}, so there is nothing to go back to, and what stands there stays {commit}'s",
            evidence.service, evidence.environment
        )
    } else {
        format!("a commit that takes the change of {commit} back, so that nothing differs any more")
    };

    let (person, proof) = match identify(config, change) {
        Ok(known) => known,
        Err(Unknown::BadSignature(reason)) => {
            return refuse(
                format!("{commit} by {committer} has a bad signature: {reason}"),
                undo,
            );
        }
        Err(Unknown::Forge) => {
            return Brought {
                answer: Answer::Wait,
                said: format!("{commit} was committed by the forge itself ({committer}), which names no person"),
                needs: Some(
                    "an attestation by the forge of who merged, or a merge made and pushed by a listed person".to_owned(),
                ),
            };
        }
        Err(Unknown::Stranger) => {
            return refuse(
                format!("{commit} was brought by {committer}, who is nobody in `people` of pilotage.yaml"),
                undo,
            );
        }
    };
    if !listed.contains(person.as_str()) {
        return refuse(
            format!("{commit} was brought by {person} ({committer}), who is not one of {allowed}"),
            undo,
        );
    }
    let carried = carried(evidence, change, &person).filter(|carried| carried.proof > proof);
    let how = match (carried, proof) {
        (Some(carried), _) => {
            format!(
                "proved for the same content in {} at {}",
                carried.environment,
                carried.commit.short()
            )
        }
        (None, Proof::Signed) => "signed".to_owned(),
        (None, Proof::Attested) => "attested by the forge".to_owned(),
        (None, Proof::Claimed) => "as the commit claims".to_owned(),
    };
    let proof = carried.map_or(proof, |carried| carried.proof);
    if proof >= rule.proof {
        return Brought {
            answer: Answer::Pass,
            said: format!("{commit} was brought by {person} ({how}), who is one of {allowed}"),
            needs: None,
        };
    }
    match rule.proof {
        Proof::Attested => Brought {
            answer: Answer::Wait,
            said: format!(
                "{commit} claims to be by {person}; the policy asks for the forge's attestation, which is not there"
            ),
            needs: Some(
                "the forge's attestation of who pushed or merged, or a commit signed with a key in `people`"
                    .to_owned(),
            ),
        },
        Proof::Signed | Proof::Claimed => refuse(
            format!(
                "{commit} claims to be by {person}, but is not signed with a key that `people` gives to {person}"
            ),
            undo,
        ),
    }
}
