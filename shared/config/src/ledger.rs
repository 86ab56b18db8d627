use pilotage_yaml::record;

record! {
    /// Where the record of decisions and releases is kept, and who may write it.
    pub struct LedgerPlace: Eq, Default {
        /// A repository of its own; hidden refs of the environment repository when nothing is written.
        pub repository: Option<String>,
        /// Public keys; with any, only events signed by one of them are believed.
        pub keys: Vec<String>,
    }
}
