//! Skeleton.
#![allow(dead_code, unused_imports)]
mod clock;
mod message;
mod protocol;
mod session;
pub use message::Message;
pub use protocol::close::CloseReason;
pub use session::*;
