//! Says what a release does to the people who want to know.
