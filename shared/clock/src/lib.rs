//! The wall clock, as a port: what time it is is asked, never assumed.
