//! The program as its users meet it.

mod bench;
mod cli;
mod docs;
mod settings;
