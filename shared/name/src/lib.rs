//! The identities of the house: project, environment, service, commit and release names, each by its grammar.
