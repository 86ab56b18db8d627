//! Sees pushes to the environment branches, decides them by the gates, and triggers releases.
