//! A named source text, byte spans in it, labelled messages, and their renderings.
//!
//! A [`Diagnostic`] is plain data: it goes to a terminal through [`render_terminal`], to one line of a log through
//! [`Diagnostic::line`] and to a report through [`DiagnosticData`]. The texts it carries are usually hostile (they come
//! from git or from a file), so every rendering escapes control and bidirectional characters through [`printable`];
//! the JSON twin keeps them as they are, because JSON escapes them itself.
//!
//! ```
//! use pilotage_diagnostic::{Diagnostic, Source, Span};
//!
//! let source = Source::new("services/shop.yaml", "replicas: many\n");
//! let problem = Diagnostic::error("wrong-type", "`replicas` is no number")
//!     .at(&source, Span::new(10, 14), "expected a whole number")
//!     .help("write a number, such as `2`");
//! assert_eq!(problem.line(), "services/shop.yaml:1:11: error[wrong-type]: `replicas` is no number");
//! ```

mod data;
mod diagnostic;
mod diagnostics;
mod excerpt;
mod nearest;
mod printable;
mod render;
mod source;

pub use data::{DiagnosticData, PlaceData};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use diagnostics::Diagnostics;
pub use nearest::nearest;
pub use printable::{printable, printable_lines};
pub use render::render_terminal;
pub use source::{Source, Span};
