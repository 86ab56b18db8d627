//! The world the tests run in: git servers, stateful fakes, the demo's service.

pub mod command;
pub mod contract;
pub mod docker;
pub mod gitserver;
pub mod grpc;
pub mod play;
pub mod slack;
pub mod smtp;
pub mod sshserver;
