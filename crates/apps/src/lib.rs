//! Handlers for [`sockeye`] that are ready to use: chat, rooms for calls, and a WebSocket backend
//! behind the gateway.
//!
//! Each is mounted like any other [`Handler`](sockeye::Handler), and none knows which transport
//! carries a session.
//!
//! ```
//! use sockeye::{Gateway, hub::Hub};
//! use sockeye_apps::{Chat, ChatConfig};
//!
//! let chat = Chat::new(&Hub::new(), ChatConfig::default());
//! let gateway = Gateway::new().endpoint("/chat", chat.handler()).endpoint("/echo", sockeye_apps::echo);
//! assert!(gateway.serves("/chat/info"));
//! ```
//!
//! | app | feature | what |
//! |---|---|---|
//! | [`echo`], [`line_echo`] | | each message back to its sender |
//! | [`broadcast`](broadcast()) | | each message to all |
//! | [`relay`](relay()) | | each message to all others |
//! | [`Chat`] | | rooms with names, histories and a protocol in JSON; in lines over TCP |
//! | [`rooms`] | | signaling for calls |
//! | [`ice`] | `ice` | ICE servers for peer connections |
//! | [`Upstream`] | `upstream` | an application that speaks plain WebSocket, behind the gateway |

#![warn(clippy::disallowed_methods, clippy::missing_errors_doc, clippy::missing_panics_doc)]

mod broadcast;
mod chat;
mod clock;
mod echo;
#[cfg(feature = "ice")]
pub mod ice;
mod line_echo;
mod relay;
pub mod rooms;
mod serving;
#[cfg(feature = "upstream")]
mod upstream;

pub use self::broadcast::broadcast;
pub use self::chat::{Chat, ChatConfig};
pub use self::echo::echo;
pub use self::line_echo::line_echo;
pub use self::relay::relay;
pub use self::serving::Serving;
#[cfg(feature = "upstream")]
pub use self::upstream::{Upstream, UpstreamConfig, UpstreamError};
