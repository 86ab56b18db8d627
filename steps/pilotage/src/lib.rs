//! The front door for people: init, check, why, schema, and every step by name.
