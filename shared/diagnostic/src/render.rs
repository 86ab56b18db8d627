use crate::Diagnostic;

/// Placeholder while the body is written.
#[must_use]
pub fn render_terminal(diagnostics: &[Diagnostic], color: bool) -> String {
    let _ = color;
    diagnostics.iter().map(|d| d.line() + "\n").collect()
}
