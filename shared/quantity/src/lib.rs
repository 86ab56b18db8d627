//! Quantities that carry their unit: durations, cpu and memory.
