//! `sockeye bench` and its load driver, against servers that are good, and against some that are
//! not.

mod bytes;
mod driver;
mod network;

use std::net::SocketAddr;

use sockeye_bench::driver::Target;

fn target(addr: SocketAddr, prefix: &str) -> Target {
    format!("http://{addr}{prefix}").parse().expect("a URL")
}
