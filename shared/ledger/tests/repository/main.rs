//! The ledger on real repositories.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod kept;
#[cfg(test)]
mod monitor;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod race;
#[cfg(test)]
mod releases;
#[cfg(test)]
mod signatures;
#[cfg(test)]
mod world;
