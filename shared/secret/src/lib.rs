//! A value that cannot be printed, and the redactor that keeps it out of any text.
