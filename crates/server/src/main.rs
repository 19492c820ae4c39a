//! The program `sockeye`: a SockJS gateway with its apps, the demo pages, and a command line.
//!
//! # Quick start
//!
//! ```text
//! cargo run                                 # serves the demos on http://127.0.0.1:8080
//! cargo run -- --endpoint /talk=chat        # adds an endpoint
//! cargo run -- --endpoint /app=upstream=ws://127.0.0.1:9000/app
//! cargo run -- bench                        # compares the transports
//! cargo run -- --help                       # lists the settings
//! ```
//!
//! # Modules
//!
//! | module | content |
//! |---|---|
//! | `memory` | the memory that this process may use |
//! | `log` | the log on stderr, written by a thread of its own |
//! | `host` | the check of a request's `Host` |
//! | `assets` | the embedded pages, assembled by `build.rs` from `static/` |
//! | `front` | the answer on each path: the gateway, rooms, ICE servers, pages |
//! | `server` | the listener for HTTP |
//! | `settings` | the settings of files, variables and flags |
//! | `stop` | stop signals, and the drain that they begin |
//! | `mounts` | apps at prefixes and at TCP listeners |
//! | `ice_args`, `bench_args` | flags about ICE servers; `sockeye bench` |
//! | `cli` | the other flags, start, stop, and exit codes |

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
mod settings;
mod stop;

use std::process::ExitCode;

/// glibc's allocator keeps most freed memory: of a peak of 794 MB it held 231 MB after all clients
/// had gone, jemalloc 16 MB after its ten seconds (mimalloc 933 MB). An idle WebSocket costs 4.3
/// KiB with jemalloc, 4.5 with glibc, 5.1 with mimalloc. A library leaves the choice to its
/// program.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
