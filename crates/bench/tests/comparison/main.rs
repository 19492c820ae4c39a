//! `sockeye bench` and its load driver, against servers that are good, and against some that are not.

mod bytes;
mod driver;
mod network;
mod servers;
mod tool;
