//! Applications that run over a [`Session`](crate::Session): to be mounted, and to be read as examples.
//!
//! None of them knows which transport carries a session.

mod broadcast;
mod chat;
mod echo;
#[cfg(feature = "ice")]
pub mod ice;
mod line_echo;
mod relay;
pub mod rooms;
#[cfg(feature = "bench")]
mod stamp;
#[cfg(feature = "upstream")]
mod upstream;

use std::pin::Pin;

pub use self::broadcast::broadcast;
pub use self::chat::{Chat, ChatConfig};
pub use self::echo::echo;
pub use self::line_echo::line_echo;
pub use self::relay::relay;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub use self::stamp::stamp;
#[cfg(feature = "upstream")]
pub use self::upstream::{Upstream, UpstreamConfig, UpstreamError};

/// A session being served: what a handler that holds shared state returns.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;
