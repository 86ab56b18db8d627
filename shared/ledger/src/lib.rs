//! The record of decisions and releases, kept in git itself.
