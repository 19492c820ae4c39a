//! The `sockeye` binary: the gateway with its apps, the demo pages and a command line.

#![warn(clippy::disallowed_methods, clippy::unwrap_used)]

mod assets;
mod bench_args;
mod cli;
mod front;
mod host;
mod ice_args;
mod log;
mod memory;
mod mounts;
mod server;

use std::process::ExitCode;

/// glibc's allocator keeps most of what it once had: of a peak of 794 MB it held 231 when all
/// clients were gone, and this one 16 after its ten seconds; an idle WebSocket costs 4.3 KiB with
/// this, 4.5 with that. (mimalloc held 933 and 5.1.) A library leaves the choice to the program
/// that it is part of.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
