use std::fmt::Write;

use pilotage_diagnostic::printable;

use crate::decision::{Answer, Decision};

impl Decision {
    /// The whole decision in plain words, for a person: the verdict, every gate with what it rests on and what would
    /// satisfy it, and the notes. Ends with a newline. What came from git is made printable.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!("{}\n", printable(&self.title()));
        let width = self
            .gates
            .iter()
            .map(|gate| gate.gate.len())
            .max()
            .unwrap_or_default();
        for gate in &self.gates {
            let mark = match gate.answer {
                Answer::Pass => "pass",
                Answer::Refuse => "REFUSE",
                Answer::Wait => "WAIT",
                Answer::Skip => "skip",
                Answer::Nothing => "-",
            };
            let mut name = gate.gate.as_str();
            let mut mark = mark;
            for evidence in gate.evidence.iter().chain(&gate.aside) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "  {mark:<6}  {name:<width$}  {}", printable(evidence));
                (name, mark) = ("", "");
            }
            for needs in &gate.satisfy {
                let _ = writeln!(text, "  {:<6}  {:<width$}  needs {}", "", "", printable(needs));
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "  note    {}", printable(note));
        }
        text
    }
}
