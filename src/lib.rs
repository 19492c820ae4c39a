//! Skeleton.
mod message;
mod protocol;
pub use message::Message;
pub use protocol::close::CloseReason;
