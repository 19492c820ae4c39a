//! The library as applications and clients meet it. A folder for each point of view; all are one
//! program, because linking is most of what a program of tests costs.

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "client")]
mod client;
#[cfg(all(feature = "axum", feature = "client", feature = "test-util"))]
mod examples;
mod peer_watch;
mod protocol;
mod races;
#[cfg(feature = "client")]
mod serve;
mod session;
mod tcp;
