//! The apps as their clients meet them, in one program.

#[cfg(feature = "ice")]
mod ice;
mod lines;
mod signaling;
#[cfg(feature = "upstream")]
mod upstream;
