//! What `decide` says, gate by gate and together. Each test changes one thing of a push that is otherwise accepted.

use jiff::Timestamp;
use pilotage_command_line::CommandLines;
use pilotage_config::{Config, Proof};
use pilotage_diagnostic::Source;
use proptest::prelude::*;

use crate::gates::testing::change;
use crate::{
    Answer, Asked, Carried, Decision, Evidence, FirstSight, Held, History, Seen, SignatureSeen, Storm,
    Verdict,
};

const POLICY: &str = "
apiVersion: pilotage/v1
project: acme
targets:
  box: {docker: {}}
environments:
  qa: {target: box}
  prod: {target: box, from: qa, policy: strict}
policies:
  strict:
    people: {who: [release-managers], proof: PROOF}
    TICKET
    skip: forbid
people:
  ana: {emails: [ana@example.com]}
  ben: {emails: [ben@example.com]}
groups:
  release-managers: [ana]
trigger: local
";

fn config(proof: &str, ticket: &str) -> Config {
    let text = POLICY.replace("PROOF", proof).replace("TICKET", ticket);
    let (config, diagnostics) = pilotage_config::parse(&Source::new("pilotage.yaml", text));
    config.unwrap_or_else(|| panic!("the policy of the test is valid: {diagnostics:?}"))
}

fn at() -> Timestamp {
    "2026-01-02T12:00:00Z".parse().unwrap()
}

fn seen(number: u8, version: &str) -> Seen {
    Seen {
        commit: format!("{number:02x}").repeat(20).parse().unwrap(),
        version: version.to_owned(),
        digest: format!("digest of {version}"),
    }
}

/// ana takes shop from 1.0.0 to 1.1.0.
fn push(environment: &str) -> Evidence {
    Evidence {
        environment: environment.parse().unwrap(),
        service: "shop".parse().unwrap(),
        tip: seen(9, "").commit,
        since: Some(seen(1, "").commit),
        history: History::Linear,
        first_sight: FirstSight::Known,
        asked: Asked::Valid(seen(9, "1.1.0")),
        accepted: Some(seen(1, "1.0.0")),
        outdated: None,
        running: Some(seen(1, "1.0.0")),
        under_way: None,
        unsettled: None,
        held: None,
        rejected: vec![],
        brought: vec![change(9, "ana", "Release shop 1.1.0")],
        accountable: vec![change(9, "ana", "Release shop 1.1.0")],
        carried: vec![],
        storm: Storm {
            changing: 1,
            total: 10,
        },
        announced: None,
        unreadable: None,
    }
}

fn decide(config: &Config, evidence: Evidence, now: Timestamp) -> Decision {
    let commands = CommandLines::new("https://git.example.com/env.git", "main");
    crate::decide(config, evidence, &commands, now)
}

fn decided(evidence: Evidence) -> Decision {
    decide(&config("claimed", ""), evidence, at())
}

fn gate<'a>(decision: &'a Decision, name: &str) -> &'a crate::GateResult {
    decision
        .gates
        .iter()
        .find(|gate| gate.gate == name)
        .unwrap_or_else(|| panic!("{name} answers: {decision:?}"))
}

#[test]
fn a_plain_push_by_a_listed_person_is_accepted_and_explained() {
    let decision = decided(push("prod"));
    assert_eq!(decision.verdict, Verdict::Accept);
    assert_eq!(decision.headline(), "shop 1.1.0 in prod: accepted");
    assert_eq!(
        gate(&decision, "difference").evidence,
        ["1.0.0 runs, 1.1.0 is asked"]
    );
    assert_eq!(
        gate(&decision, "people").evidence,
        ["0909090909 was brought by ana (as the commit claims), who is one of release-managers"]
    );
    assert!(decision.notes.is_empty());
}

#[test]
fn what_was_accepted_already_is_nothing_to_do_whoever_pushed_since() {
    let mut evidence = push("prod");
    evidence.asked = Asked::Valid(seen(9, "1.0.0"));
    evidence.brought = vec![
        change(8, "mallory", "1.1.0"),
        change(9, "mallory", "Revert \"1.1.0\""),
    ];
    let decision = decided(evidence);
    assert_eq!(decision.verdict, Verdict::Nothing);
    assert_eq!(
        decision.headline(),
        "shop 1.0.0 in prod: nothing to do (difference: what is asked was accepted already, at 0101010101)"
    );
}

#[test]
fn a_release_under_way_is_superseded_by_going_back_to_what_runs() {
    let mut evidence = push("qa");
    evidence.accepted = Some(seen(5, "1.1.0"));
    evidence.asked = Asked::Valid(seen(9, "1.0.0"));
    assert_eq!(decided(evidence).verdict, Verdict::Accept);
}

#[test]
fn what_was_accepted_and_came_to_nothing_may_be_released_again() {
    let mut evidence = push("qa");
    evidence.accepted = Some(seen(9, "1.1.0"));
    evidence.brought = vec![];
    assert_eq!(
        decided(evidence.clone()).verdict,
        Verdict::Accept,
        "it was never released"
    );
    evidence.unsettled = Some("qa.shop.2 was cancelled".to_owned());
    let again = decided(evidence.clone());
    assert_eq!(again.verdict, Verdict::Accept);
    assert!(gate(&again, "difference").evidence[0].ends_with("does not run: qa.shop.2 was cancelled"));
    evidence.under_way = Some("qa.shop.3".parse().unwrap());
    assert_eq!(
        decided(evidence).verdict,
        Verdict::Nothing,
        "it is being released"
    );
}

#[test]
fn where_nobody_answers_for_what_is_asked_there_is_no_pass() {
    let mut evidence = push("prod");
    (evidence.brought, evidence.accountable) = (vec![], vec![]);
    let decision = decide(
        &config("claimed", "ticket: {project: SHOP}"),
        evidence.clone(),
        at(),
    );
    assert_eq!(decision.verdict, Verdict::Wait);
    assert_eq!(
        gate(&decision, "people").evidence,
        gate(&decision, "ticket").evidence
    );
    evidence.environment = "qa".parse().unwrap();
    assert_eq!(decided(evidence).verdict, Verdict::Accept, "no policy asks who");
}

#[test]
fn a_stranger_s_commit_keeps_refusing_after_a_clean_one() {
    let mut evidence = push("prod");
    evidence.brought = vec![
        change(7, "mallory", "1.1.0"),
        change(9, "ana", "Raise the log level"),
    ];
    let decision = decided(evidence);
    assert_eq!(decision.verdict, Verdict::Refuse);
    let people = gate(&decision, "people");
    assert!(
        people.evidence[0]
            .starts_with("0707070707 was brought by mallory <mallory@example.com>, who is nobody")
    );
    assert!(
        people.aside[0].contains("ana"),
        "the clean commit is named after the one that objects"
    );
    assert_eq!(people.satisfy.len(), 1);
    assert!(people.satisfy[0].contains("0707070707"));
}

#[test]
fn a_person_who_is_not_listed_is_refused_where_a_policy_says_so_and_nowhere_else() {
    let by_ben = |environment| {
        let mut evidence = push(environment);
        evidence.brought = vec![change(9, "ben", "Release shop 1.1.0")];
        decided(evidence)
    };
    assert_eq!(by_ben("prod").verdict, Verdict::Refuse);
    assert_eq!(by_ben("qa").verdict, Verdict::Accept);
}

#[test]
fn proof_is_graded() {
    let with = |policy: &str, signature: SignatureSeen| {
        let mut evidence = push("prod");
        evidence.brought[0].signature = signature;
        decide(&config(policy, ""), evidence, at()).verdict
    };
    let signed = || SignatureSeen::Good {
        person: "ana".to_owned(),
    };
    let bad = || SignatureSeen::Bad {
        reason: "made for another commit".to_owned(),
    };
    assert_eq!(with("signed", signed()), Verdict::Accept);
    assert_eq!(with("attested", signed()), Verdict::Accept);
    assert_eq!(with("signed", SignatureSeen::None), Verdict::Refuse);
    assert_eq!(with("signed", SignatureSeen::UnknownKey), Verdict::Refuse);
    assert_eq!(with("attested", SignatureSeen::None), Verdict::Wait);
    assert_eq!(with("claimed", bad()), Verdict::Refuse);
    // A signature proves who signed, whatever the committer line claims.
    assert_eq!(
        with(
            "claimed",
            SignatureSeen::Good {
                person: "ben".to_owned()
            }
        ),
        Verdict::Refuse
    );
}

#[test]
fn proof_carries_over_with_the_content_for_the_same_person_only() {
    let with = |blob: &str, person: &str| {
        let mut evidence = push("prod");
        evidence.carried = vec![Carried {
            environment: "qa".parse().unwrap(),
            commit: seen(4, "").commit,
            content: blob.to_owned(),
            person: person.to_owned(),
            proof: Proof::Signed,
        }];
        decide(&config("signed", ""), evidence, at())
    };
    let carried = with("content-9", "ana");
    assert_eq!(carried.verdict, Verdict::Accept);
    assert!(gate(&carried, "people").evidence[0].contains("proved for the same content in qa at 0404040404"));
    assert_eq!(with("another blob", "ana").verdict, Verdict::Refuse);
    assert_eq!(with("content-9", "ben").verdict, Verdict::Refuse);
}

#[test]
fn a_forge_is_nobody() {
    let mut evidence = push("prod");
    evidence.brought[0].committer.email = "noreply@github.com".to_owned();
    assert_eq!(decided(evidence).verdict, Verdict::Wait);
}

#[test]
fn a_skip_marker_counts_on_the_newest_commit_at_an_edge_of_its_subject() {
    let verdict = |environment, messages: &[&str]| {
        let mut evidence = push(environment);
        evidence.brought = messages.iter().map(|message| change(9, "ana", message)).collect();
        decided(evidence).verdict
    };
    assert_eq!(verdict("qa", &["[skip deploy] 1.1.0"]), Verdict::Skip);
    assert_eq!(verdict("qa", &["1.1.0 [Skip CI]"]), Verdict::Skip);
    assert_eq!(verdict("qa", &["1.1.0\n\nDeploy: skip"]), Verdict::Skip);
    assert_eq!(
        verdict("qa", &["Explain [skip ci] to newcomers"]),
        Verdict::Accept
    );
    assert_eq!(
        verdict("qa", &["1.1.0\n\nWe no longer use [skip ci]"]),
        Verdict::Accept
    );
    assert_eq!(
        verdict("qa", &["[skip ci] 1.1.0", "Raise the log level"]),
        Verdict::Accept
    );
    assert_eq!(verdict("prod", &["[skip ci] 1.1.0"]), Verdict::Refuse);
}

#[test]
fn a_broken_descriptor_is_refused_with_every_place() {
    let mut evidence = push("qa");
    let lines = [
        "services/shop.yaml:2:1: error[a]: b".to_owned(),
        "services/shop.yaml:3:1: error[c]: d".to_owned(),
    ];
    evidence.asked = Asked::Broken {
        diagnostics: vec![],
        lines: lines.to_vec(),
        more: 0,
    };
    let decision = decided(evidence.clone());
    assert_eq!(decision.verdict, Verdict::Refuse);
    assert_eq!(gate(&decision, "descriptor").evidence.len(), 2);
    assert_eq!(decision.version, None);

    evidence.asked = Asked::Broken {
        diagnostics: vec![],
        lines: lines.to_vec(),
        more: 90,
    };
    let decision = decided(evidence);
    let told = &gate(&decision, "descriptor").evidence;
    assert!(told[0].starts_with("the descriptor has 92 errors"), "{told:?}");
    assert_eq!(told.last().unwrap(), "and 90 more; `pilotage check` lists all");
}

#[test]
fn an_absent_descriptor_stops_nothing_and_says_orphan() {
    let mut evidence = push("qa");
    evidence.asked = Asked::Absent;
    let decision = decided(evidence);
    assert_eq!(decision.verdict, Verdict::Nothing);
    assert!(gate(&decision, "orphan").evidence[0].contains("1.0.0 keeps running"));
}

#[test]
fn a_rejected_version_is_held_until_a_person_commits_again() {
    let mut evidence = push("qa");
    evidence.asked = Asked::Valid(seen(5, "1.1.0"));
    evidence.accepted = Some(seen(5, "1.1.0"));
    evidence.held = Some(Held {
        rejected: seen(5, "1.1.0"),
        release: "qa.shop.2".parse().unwrap(),
        why: "never became healthy".to_owned(),
    });
    evidence.rejected = vec![seen(5, "1.1.0")];
    evidence.brought = vec![];
    let held = decided(evidence.clone());
    assert_eq!(held.verdict, Verdict::Nothing);
    assert!(gate(&held, "difference").evidence[0].starts_with("held: 1.1.0 was rejected by qa.shop.2"));

    evidence.brought = vec![change(9, "ana", "Once more, the database is back")];
    let again = decided(evidence.clone());
    assert_eq!(again.verdict, Verdict::Accept);
    assert_eq!(again.notes, ["exactly this was rejected before, at 0505050505"]);

    evidence.asked = Asked::Valid(seen(9, "1.0.0"));
    evidence.brought = vec![change(9, "ana", "Revert \"Release shop 1.1.0\"")];
    let back = decided(evidence);
    assert_eq!(
        back.verdict,
        Verdict::Accept,
        "going back to what runs ends the hold"
    );
    assert_eq!(back.notes, ["0909090909 is a revert"]);
}

#[test]
fn a_branch_that_is_set_back_to_what_was_rejected_stays_held_without_a_new_commit() {
    let mut evidence = push("qa");
    evidence.asked = Asked::Valid(seen(5, "1.1.0"));
    evidence.accepted = Some(seen(7, "1.0.0"));
    evidence.running = Some(seen(7, "1.0.0"));
    evidence.rejected = vec![seen(5, "1.1.0")];
    evidence.brought = vec![];
    evidence.accountable = vec![];
    let held = decided(evidence.clone());
    assert_eq!(held.verdict, Verdict::Nothing, "{}", held.explain());
    assert!(
        gate(&held, "difference").evidence[0].starts_with("held: exactly this 1.1.0 was rejected before")
    );

    evidence.brought = vec![change(9, "ana", "1.1.0 again, on purpose")];
    assert_eq!(decided(evidence.clone()).verdict, Verdict::Accept);

    // A rejection of what was proved to run all the same holds nothing.
    evidence.brought = vec![];
    evidence.running = Some(seen(5, "1.1.0"));
    assert_eq!(evidence.rejected_again(), None);
}

#[test]
fn a_rewritten_branch_waits_until_exactly_it_is_accepted() {
    let mut evidence = push("qa");
    let rewritten = |accepted: Option<&str>| History::Rewritten {
        from: seen(6, "").commit,
        to: seen(9, "").commit,
        accepted: accepted.map(str::to_owned),
    };
    evidence.history = rewritten(None);
    let decision = decided(evidence.clone());
    assert_eq!(decision.verdict, Verdict::Wait);
    let satisfy = &gate(&decision, "history").satisfy[0];
    let (tip, was) = (seen(9, "").commit, seen(6, "").commit);
    for command in [
        format!(
            "`pilotage-git-monitor accept --repo https://git.example.com/env.git --env qa --commit {tip} --by "
        ),
        format!("`git push --force https://git.example.com/env.git {was}:refs/heads/qa`"),
    ] {
        assert!(satisfy.contains(&command), "{satisfy}");
    }
    evidence.history = rewritten(Some("history cleaned after a leak (ana)"));
    assert_eq!(decided(evidence).verdict, Verdict::Accept);
}

#[test]
fn an_adoption_that_was_cut_off_is_an_adoption_again() {
    let mut evidence = push("qa");
    let asked = evidence.asked.valid().cloned();
    (evidence.accepted, evidence.running) = (None, asked);
    assert_eq!(decided(evidence.clone()).verdict, Verdict::Nothing);
    evidence.first_sight = FirstSight::Adopt;
    assert_eq!(decided(evidence).verdict, Verdict::Adopt);
}

#[test]
fn the_first_sight_of_an_environment_asks() {
    let verdict = |first_sight| {
        let mut evidence = push("qa");
        (
            evidence.first_sight,
            evidence.accepted,
            evidence.running,
            evidence.since,
        ) = (first_sight, None, None, None);
        decided(evidence).verdict
    };
    assert_eq!(verdict(FirstSight::Unanswered), Verdict::Wait);
    assert_eq!(verdict(FirstSight::Deploy), Verdict::Accept);
    assert_eq!(verdict(FirstSight::Adopt), Verdict::Adopt);
}

#[test]
fn a_storm_needs_a_word_that_is_large_enough() {
    let verdict = |changing, total, message: &str| {
        let mut evidence = push("qa");
        evidence.storm = Storm { changing, total };
        evidence.announced = Some(change(9, "ana", message)).filter(|said| said.trailer("Storm").is_some());
        decided(evidence).verdict
    };
    assert_eq!(verdict(20, 1_000, "x"), Verdict::Accept);
    assert_eq!(verdict(21, 1_000, "x"), Verdict::Wait);
    assert_eq!(verdict(21, 1_000, "x\n\nStorm: 21"), Verdict::Accept);
    assert_eq!(verdict(22, 1_000, "x\n\nStorm: 21"), Verdict::Wait);
    assert_eq!(verdict(21, 1_000, "x\n\nStorm: all"), Verdict::Wait);
    assert_eq!(verdict(6, 20, "x"), Verdict::Wait, "30 % of an environment");
    assert_eq!(
        verdict(2, 3, "x"),
        Verdict::Accept,
        "a percentage of three services says nothing"
    );
}

#[test]
fn a_storm_is_announced_by_who_may_release() {
    let verdict = |environment, who| {
        let mut evidence = push(environment);
        evidence.storm = Storm {
            changing: 30,
            total: 40,
        };
        evidence.announced = Some(change(7, who, "Go on\n\nStorm: 30"));
        decided(evidence).verdict
    };
    assert_eq!(verdict("prod", "ana"), Verdict::Accept);
    assert_eq!(verdict("prod", "ben"), Verdict::Wait, "known, not listed");
    assert_eq!(verdict("prod", "mallory"), Verdict::Wait);
    assert_eq!(verdict("qa", "mallory"), Verdict::Accept, "no policy says who");
}

#[test]
fn what_is_known_and_cannot_be_read_is_no_leave_to_go_on() {
    let mut evidence = push("qa");
    evidence.unreadable = Some("event.json is no JSON".to_owned());
    let decision = decided(evidence);
    assert_eq!(decision.verdict, Verdict::Wait);
    assert_eq!(
        gate(&decision, "record").evidence,
        ["what the ledger knows of shop cannot be read: event.json is no JSON"]
    );
}

#[test]
fn tickets_are_named_by_every_commit_and_a_status_waits_for_the_tracker() {
    let decided = |rule: &str, messages: &[&str]| {
        let mut evidence = push("prod");
        evidence.accountable = messages.iter().map(|message| change(9, "ana", message)).collect();
        decide(&config("claimed", rule), evidence, at())
    };
    let rule = "ticket: {project: SHOP}";
    assert_eq!(decided(rule, &["SHOP-1: go"]).verdict, Verdict::Accept);
    assert_eq!(
        decided(rule, &["SHOP-1: go", "and more"]).verdict,
        Verdict::Refuse
    );
    let waiting = decided("ticket: {project: SHOP, status: [Approved]}", &["SHOP-1: go"]);
    assert_eq!(waiting.verdict, Verdict::Wait);
    assert!(gate(&waiting, "ticket").evidence[0].contains("no tracker has answered"));
}

#[test]
fn a_freeze_holds_between_its_moments_only() {
    let freeze = "trigger: local\nfreezes:\n  - {environments: [qa], from: 2026-01-02T11:00:00Z, to: 2026-01-02T13:00:00Z, reason: stocktaking}\n";
    let text = POLICY
        .replace("PROOF", "claimed")
        .replace("TICKET", "")
        .replace("trigger: local\n", freeze);
    let (config, diagnostics) = pilotage_config::parse(&Source::new("pilotage.yaml", text));
    let config = config.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let verdict = |environment, at: &str| decide(&config, push(environment), at.parse().unwrap()).verdict;
    assert_eq!(verdict("qa", "2026-01-02T10:59:59Z"), Verdict::Accept);
    assert_eq!(verdict("qa", "2026-01-02T11:00:00Z"), Verdict::Wait);
    assert_eq!(verdict("qa", "2026-01-02T13:00:00Z"), Verdict::Accept);
    assert_eq!(verdict("prod", "2026-01-02T12:00:00Z"), Verdict::Accept);
}

#[test]
fn all_objections_are_told_at_once() {
    let mut evidence = push("prod");
    evidence.brought = vec![change(9, "mallory", "[skip ci] 1.1.0")];
    evidence.accountable = evidence.brought.clone();
    let decision = decide(&config("claimed", "ticket: {project: SHOP}"), evidence, at());
    let objecting: Vec<_> = decision.objections().map(|gate| gate.gate.as_str()).collect();
    assert_eq!(objecting, ["skip", "people", "ticket"]);
    assert!(
        decision
            .objections()
            .all(|gate| !gate.evidence.is_empty() && !gate.satisfy.is_empty())
    );
}

#[test]
fn a_downgrade_and_a_change_of_settings_are_said() {
    let mut evidence = push("qa");
    evidence.asked = Asked::Valid(seen(9, "0.9.0"));
    assert_eq!(
        decided(evidence.clone()).notes,
        ["this is a downgrade: 1.0.0 runs, 0.9.0 is asked"]
    );
    let mut same = seen(9, "1.0.0");
    same.digest = "other settings".to_owned();
    evidence.asked = Asked::Valid(same);
    assert_eq!(
        decided(evidence).notes,
        ["the version stays 1.0.0; settings change"]
    );
}

#[test]
fn an_explanation_shows_who_refuses_why_and_what_would_help() {
    let mut evidence = push("prod");
    evidence.brought = vec![change(9, "mal\u{1b}lory", "1.1.0")];
    insta::assert_snapshot!(decided(evidence).explain());
}

#[test]
fn a_decision_is_recorded_and_read_back_whole() {
    let decision = decided(push("prod"));
    let text = serde_json::to_string(&decision).unwrap();
    assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision);
}

proptest! {
    /// However the rest looks: a stranger among the accountable commits never gets a release under a people rule.
    #[test]
    fn no_stranger_gets_through(strangers in proptest::collection::vec(any::<bool>(), 1..6), total in 1u32..40, held in any::<bool>()) {
        prop_assume!(strangers.contains(&true));
        let mut evidence = push("prod");
        evidence.storm.total = total;
        evidence.brought = strangers
            .iter()
            .map(|stranger| change(9, if *stranger { "mallory" } else { "ana" }, "1.1.0"))
            .collect();
        if held {
            evidence.held = Some(Held {
                rejected: seen(5, "1.1.0"),
                release: "prod.shop.2".parse().unwrap(),
                why: "x".to_owned(),
            });
        }
        let decision = decided(evidence);
        prop_assert!(!matches!(decision.verdict, Verdict::Accept | Verdict::Adopt), "{:?}", decision.verdict);
        prop_assert!(decision.objections().all(|gate| gate.answer != Answer::Pass));
    }
}
