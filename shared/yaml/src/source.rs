use crate::{Diagnostic, Source, Span};

/// Names the bytes of a file that should be UTF-8.
///
/// # Errors
///
/// A `not-utf8` diagnostic at the first byte that is not.
pub fn source_from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Source, Box<Diagnostic>> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            // What comes before the bad byte is the same in the lossy text, and so is its place.
            let good = error.valid_up_to();
            let source = Source::new(name, String::from_utf8_lossy(bytes));
            let span = source.clamp(Span::new(good, good + 1));
            let byte = bytes.get(good).copied().unwrap_or_default();
            Err(Box::new(
                Diagnostic::error("not-utf8", "the file is not UTF-8")
                    .at(&source, span, format!("here stands the byte 0x{byte:02x}"))
                    .help("save the file as UTF-8"),
            ))
        }
    }
}
