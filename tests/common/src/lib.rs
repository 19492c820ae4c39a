//! Byte-level clients of the tests' own, on a plain `TcpStream`: what they accept is what the tests
//! accept.
//!
//! They share no code with the server and forgive nothing: a response whose length can't be known,
//! a header given twice, a fragmented or masked WebSocket frame, a reset where an orderly end is
//! due, each ends the test.

#![allow(missing_docs, unreachable_pub, reason = "for tests, which are read with it")]

pub mod apps;
pub mod client;
pub mod http;
pub mod log;
pub mod odd_servers;
pub mod pages;
pub mod records;
pub mod scenarios;
pub mod server;
pub mod transport;
pub mod websocket;

use std::future::Future;
use std::time::Duration;

/// How long a test waits for something that must happen. Only a failing test ever waits so long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Awaits `future`, or fails the test and names what did not happen.
#[track_caller]
pub fn within<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{caller}: waited {PATIENCE:?} in vain for {what}"),
        }
    }
}
