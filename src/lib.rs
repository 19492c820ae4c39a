//! Skeleton.
#![allow(dead_code, unused_imports)]
mod clock;
mod gateway;
mod message;
mod protocol;
mod session;
mod transport;

pub use gateway::{
    CookieConfig, EndpointConfig, Gateway, Handler, PeerAddr, Prefix, PrefixError, SameSite, Transports,
};
pub use message::Message;
pub use protocol::close::CloseReason;
pub use session::{ConnectInfo, EndedBy, SendError, Sender, Session, SessionEnd, SessionId, TrySendError};
pub use transport::Body;
