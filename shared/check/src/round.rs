use std::net::SocketAddr;
use std::time::Duration;

use crate::{NoAnswer, Verdict};

/// One try at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which round, from 1; in one round each address is asked once.
    pub round: u32,
    /// Who was asked; `None` when the name had no address.
    pub address: Option<SocketAddr>,
    /// From the start of the wait.
    pub started: Duration,
    /// From its start to its end.
    pub took: Duration,
    /// What it came to.
    pub verdict: Verdict,
    /// Why there was no answer, where there was none.
    pub silence: Option<NoAnswer>,
    /// Whether the end of the wait cut it before its own limit; it then says nothing about the endpoint.
    pub cut: bool,
}

/// The tries of one round, sorted into those that count and those that do not.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub(crate) counted: Vec<Attempt>,
    pub(crate) set_aside: Vec<Attempt>,
}

impl Round {
    /// The tries of all addresses of one name; none at all is a failed round.
    ///
    /// Beside another address, two are set aside: one of a kind that this machine has no way to (a name with an IPv6
    /// address, asked from a host without IPv6), and, of loopback addresses, one where nobody listens: `localhost` has two
    /// addresses, and a service that listens on one of them is reached by that name.
    #[must_use]
    pub fn new(attempts: Vec<Attempt>) -> Self {
        let loopback = attempts
            .iter()
            .all(|a| a.address.is_some_and(|address| address.ip().is_loopback()));
        let absent = |a: &Attempt| match a.silence {
            Some(NoAnswer::NoRoute) => true,
            Some(NoAnswer::Refused) => loopback,
            _ => false,
        };
        if attempts.iter().all(absent) {
            return Self {
                counted: attempts,
                set_aside: Vec::new(),
            };
        }
        let (set_aside, counted) = attempts.into_iter().partition(absent);
        Self { counted, set_aside }
    }
}
