use pilotage_yaml::{record, words};

record! {
    /// A policy: what a push to an environment has to satisfy.
    pub struct Policy: Eq {
        /// Who may bring changes.
        pub people: Option<PeopleRule>,
        /// The ticket a change has to name.
        pub ticket: Option<TicketRule>,
        /// Whether the skip marker counts.
        pub skip: SkipRule = SkipRule::Allow,
    }
}

record! {
    /// The rule of who may bring changes, and how that has to be proved.
    pub struct PeopleRule: Eq {
        /// Names under `people` or `groups`.
        pub who: Vec<String>,
        /// The least grade of proof.
        pub proof: Proof = Proof::Attested,
    }
}

words! {
    /// How it is known who brought a change, weakest first.
    pub enum Proof {
        /// The commit says so; anyone can write that.
        Claimed = "claimed",
        /// The forge says so.
        Attested = "attested",
        /// A signature proves it.
        Signed = "signed",
    }
}

record! {
    /// The rule of the ticket a change has to name.
    pub struct TicketRule: Eq {
        /// The project's key in the tracker, such as `SHOP`.
        pub project: String,
        /// Statuses that let a change pass; any when empty.
        pub status: Vec<String>,
    }
}

words! {
    /// Whether the skip marker counts.
    pub enum SkipRule {
        /// It does.
        Allow = "allow",
        /// A commit that carries it is refused.
        Forbid = "forbid",
    }
}

impl Policy {
    /// The policy that asks for nothing.
    pub const NONE: Self = Self {
        people: None,
        ticket: None,
        skip: SkipRule::Allow,
    };
}
