//! Asks a service's endpoints until they answer well, as the version asked for, or the time is spent.
