/// Stages as processes of this machine.
pub mod process;
