//! What taking a target down stopped, or would stop.

use pilotage_outcome::{Change, Effects, StepReport};

/// What was stopped so far.
pub(crate) struct Down {
    dry_run: bool,
    report: StepReport,
}

impl Down {
    /// Nothing yet.
    pub(crate) fn new(dry_run: bool) -> Self {
        Self {
            dry_run,
            report: StepReport::passed(),
        }
    }

    /// This is stopped; under `--dry-run` it would be.
    pub(crate) fn stopped(&mut self, what: impl Into<String>) {
        let action = if self.dry_run { "would stop" } else { "stopped" };
        self.report.changes.push(Change::new(action, what.into()));
    }

    /// All of it.
    pub(crate) fn report(self) -> StepReport {
        let Self { dry_run, mut report } = self;
        let count = report.changes.len();
        if count > 0 && !dry_run {
            report = report.effects(Effects::Complete);
        }
        report.summary = match (count, dry_run) {
            (0, _) => "nothing runs".to_owned(),
            (count, true) => format!("{count} would be stopped"),
            (count, false) => format!("{count} stopped"),
        };
        let text = format!("{}\n", report.summary);
        report.text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_stops_nothing_and_says_so() {
        let said = |dry_run| {
            let mut down = Down::new(dry_run);
            down.stopped("acme-qa-shop instance 1");
            let report = down.report();
            (report.text, report.changes[0].action.clone(), report.effects)
        };
        assert_eq!(
            said(false),
            ("1 stopped\n".into(), "stopped".into(), Effects::Complete)
        );
        assert_eq!(
            said(true),
            ("1 would be stopped\n".into(), "would stop".into(), Effects::None)
        );
        assert_eq!(Down::new(true).report().text, "nothing runs\n");
    }
}
