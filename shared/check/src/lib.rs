//! An expectation, an observation, and the pure verdict between them.
