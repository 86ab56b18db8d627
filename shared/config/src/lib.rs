//! pilotage.yaml: environments, targets, policies and people.
