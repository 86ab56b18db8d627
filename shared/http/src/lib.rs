//! The one way HTTP leaves the house: TLS, proxies, time limits, credentials.
