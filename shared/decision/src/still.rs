//! Why nothing is decided in an environment, and what goes on from there. Pure.

use pilotage_command_line::CommandLines;
use pilotage_config::Environment;
use pilotage_ledger::EnvironmentRecord;
use pilotage_name::CommitId;

/// Why nothing is decided in an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// What is so, and since when, in one sentence.
    pub why: String,
    /// What goes on from there.
    pub needs: String,
}

impl Still {
    /// What the record knows of an environment whose branch is at `tip` now; none where nothing stands still.
    #[must_use]
    pub fn of(
        environment: &Environment,
        record: &EnvironmentRecord,
        tip: Option<&CommitId>,
        commands: &CommandLines,
    ) -> Option<Self> {
        let (name, branch) = (&environment.name, &environment.branch);
        let frozen = record.frozen.as_ref();
        let since = frozen.map(|frozen| format!(" since {}", frozen.since.strftime("%Y-%m-%d %H:%M:%S UTC")));
        let since = since.unwrap_or_default();
        match (tip, &record.seen, frozen) {
            (None, None, _) => Some(Self {
                why: format!("the branch `{branch}` of {name} is not there yet"),
                needs: format!("a first push of the branch `{branch}`"),
            }),
            (None, Some(seen), _) => Some(Self {
                why: format!(
                    "{name} is frozen{since}: its branch `{branch}` is gone; what runs keeps running"
                ),
                needs: format!(
                    "the branch back, and then a person who accepts it: `{}`, `{}`",
                    commands.put_back(branch, seen),
                    commands.accept(name, seen)
                ),
            }),
            (Some(tip), _, Some(frozen)) => Some(Self {
                why: format!("{name} is frozen{since}: {}", frozen.reason),
                needs: format!("a person who looked at it: `{}`", commands.accept(name, tip)),
            }),
            (Some(_), _, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use pilotage_ledger::Frozen;

    use super::*;

    fn commit(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    fn still(record: &EnvironmentRecord, tip: Option<&CommitId>) -> Option<Still> {
        let text = "apiVersion: pilotage/v1\nproject: acme\ntargets: {box: {docker: {}}}\n\
                    environments: {qa: {target: box, branch: testing}}\n";
        let source = pilotage_diagnostic::Source::new("pilotage.yaml", text);
        let config = pilotage_config::parse(&source).0.unwrap();
        let commands = CommandLines::new("/srv/env.git", "main");
        Still::of(
            config.environment(&"qa".parse().unwrap()).unwrap(),
            record,
            tip,
            &commands,
        )
    }

    #[test]
    fn a_branch_that_is_gone_and_one_that_was_rewritten_say_how_it_goes_on() {
        let mut record = EnvironmentRecord::default();
        let missing = still(&record, None).unwrap();
        assert_eq!(missing.why, "the branch `testing` of qa is not there yet");

        record.seen = Some(commit('a'));
        assert_eq!(still(&record, Some(&commit('a'))), None);
        record.frozen = Some(Frozen {
            reason: "the branch was rewritten".to_owned(),
            since: "2026-01-02T03:04:05Z".parse().unwrap(),
            was: Some(commit('a')),
            now: Some(commit('b')),
        });
        let rewritten = still(&record, Some(&commit('b'))).unwrap();
        assert_eq!(
            rewritten.why,
            "qa is frozen since 2026-01-02 03:04:05 UTC: the branch was rewritten"
        );
        assert!(
            rewritten.needs.contains(&format!(
                "accept --repo /srv/env.git --env qa --commit {} ",
                commit('b')
            )),
            "{rewritten:?}"
        );
        let gone = still(&record, None).unwrap();
        assert!(
            gone.needs.contains(&format!(
                "git push --force /srv/env.git {}:refs/heads/testing`",
                commit('a')
            )) && gone.needs.contains(&format!("--commit {} ", commit('a'))),
            "{gone:?}"
        );
    }
}
