//! A value that cannot be printed, and the redactor that keeps it out of any text.
//!
//! What leaves a step (logs, reports, a child's output) goes through one [`Redactor`], which knows every value that was
//! read as a secret. It finds a value as it is, percent-encoded, JSON-escaped and inside base64, and replaces it by a
//! mask. This is the second line of defence: the first is that [`Secret`] has no way to be printed.

mod pattern;
mod redactor;
mod stream;
mod value;

pub use redactor::{Coverage, Redactor};
pub use stream::StreamRedactor;
pub use value::Secret;
