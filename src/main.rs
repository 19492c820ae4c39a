//! The `sockeye` binary: the gateway with its apps, the demo pages and a command line.

#![warn(clippy::disallowed_methods, clippy::unwrap_used)]

mod assets;
mod bench_args;
mod cli;
mod front;
mod host;
mod ice_args;
mod log;
mod mounts;
mod server;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
