//! The front door of a process target: one small process that listens where users ask, reads the host and path of each
//! request, and leads it to the instance that serves. It outlives every deploy; a deploy tells it nothing, it reads the
//! route files, whose replacement is the switch.

mod control;
mod head;
mod routes;
mod serve;

pub(crate) use control::{Ask, ask};
pub(crate) use serve::{FrontError, serve};
