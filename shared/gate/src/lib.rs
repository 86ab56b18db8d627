//! The questions asked of a push: evidence in, verdict with evidence out.
