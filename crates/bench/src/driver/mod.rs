//! The load driver: many sessions over any transport from one thread, at a small part of
//! the server's cost.
//!
//! It writes and reads HTTP and WebSocket by hand and keeps no buffers for idle sessions, because a
//! measuring client that costs as much as the server measures itself. It checks every message all
//! the same: see [`Correctness`].
//!
//! # Layout
//!
//! - [`echo`], [`fan_out`], [`churn`], [`idle`]: the workloads, one module each, with a plan and an
//!   outcome.
//! - [`Target`]: where the load goes, and the bytes over the wire. [`Technique`]: how.
//! - `link`: a session as a client holds it, over `http` and `websocket`.

pub mod churn;
pub mod echo;
mod error;
pub mod fan_out;
mod frame;
pub(super) mod http;
pub mod idle;
mod latency;
mod ledger;
mod link;
mod message;
mod opening;
mod pacer;
pub mod probe;
mod socket;
mod target;
mod websocket;
mod window;

pub use self::error::Error;
pub use self::latency::Latencies;
pub use self::ledger::{Correctness, Ledger};
pub use self::link::{Technique, TechniqueError};
pub use self::target::{Target, TargetError, Traffic};
pub use self::window::{Spent, Timing};

/// Runs a load on this thread alone, so that its cost is that of the thread.
///
/// # Errors
///
/// When the system gives no event queue.
pub fn block_on<F: Future>(load: F) -> std::io::Result<F::Output> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(load))
}
