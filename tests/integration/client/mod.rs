//! The client against our gateway, against proxies that break things, and against servers that do.

mod failures;
mod fallback;
mod rig;
mod sending;
mod tls;
mod transports;
