use std::collections::BTreeMap;

use pilotage_name::EnvironmentName;
use pilotage_yaml::record;

use crate::Mode;

record! {
    /// What holds for one service.
    pub struct ServiceRules: Eq, Default {
        /// Names under `people` or `groups`, who are told.
        pub owners: Vec<String>,
        /// Where it lands, instead of the environment's target.
        pub target: Option<String>,
        /// Its mode, instead of the environment's.
        pub mode: Option<Mode>,
        /// The same by environment, which wins.
        pub environments: BTreeMap<EnvironmentName, ServicePlace>,
    }
}

record! {
    /// What holds for one service in one environment.
    pub struct ServicePlace: Eq, Default {
        /// Where it lands.
        pub target: Option<String>,
        /// Its mode.
        pub mode: Option<Mode>,
    }
}
