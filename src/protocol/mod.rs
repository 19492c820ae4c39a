//! Wire formats: bytes in, bytes out. No sessions, no clock, no HTTP.

pub(crate) mod close;
pub(crate) mod frame;
pub(crate) mod modified_utf8;
pub(crate) mod payload;
pub(crate) mod quote;
