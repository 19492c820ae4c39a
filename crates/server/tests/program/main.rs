//! The program from outside.

mod bench;
mod cli;
mod docs;
mod settings;
#[cfg(unix)]
mod stopping;
