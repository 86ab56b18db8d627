//! The frame every binary runs in: flags, logs, signals, deadline, reports, exit.
