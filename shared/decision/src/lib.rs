//! Collects the evidence of a push from git and the ledger, and asks the gates.
