use pilotage_name::EnvironmentName;
use pilotage_yaml::record;

record! {
    /// A freeze: a time in which nothing is released.
    pub struct Freeze: Eq {
        /// Where; everywhere when empty.
        pub environments: Vec<EnvironmentName>,
        /// Its first moment, such as `2026-12-23T18:00:00Z` (RFC 3339).
        pub from: String,
        /// Its end, which is no part of it.
        pub to: String,
        /// Why, for whoever waits.
        pub reason: String,
    }
}
