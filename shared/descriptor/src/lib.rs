//! The descriptor: what one service should be, resolved for one environment.
