//! Handlers for [`sockeye`], ready to mount: echo, chat, rooms for calls, and a WebSocket backend
//! behind the gateway.
//!
//! An app is a [`Handler`](sockeye::Handler) like your own. It works on every transport, and never
//! learns which transport carries a session.
//!
//! # Quick start
//!
//! ```
//! use sockeye::{Gateway, hub::Hub};
//! use sockeye_apps::{Chat, ChatConfig};
//!
//! let chat = Chat::new(&Hub::new(), ChatConfig::default());
//! let gateway = Gateway::new()
//!     .endpoint("/chat", chat.handler())
//!     .endpoint("/echo", sockeye_apps::echo);
//! assert!(gateway.serves("/chat/info"));
//! ```
//!
//! The gateway is a tower service: [`sockeye`] shows how to serve it.
//!
//! # Apps
//!
//! | app | feature | behaviour |
//! |---|---|---|
//! | [`echo`], [`line_echo`] | | sends each message back to its sender |
//! | [`broadcast`](broadcast()) | | sends each message to all sessions |
//! | [`relay`](relay()) | | sends each message to all other sessions |
//! | [`Chat`] | | rooms with names and histories; a protocol in JSON, and lines over TCP |
//! | [`rooms`] | | signaling for calls, in rooms |
//! | `rooms::http` | `rooms-http` | the list of rooms as JSON and as a page |
//! | `ice` | `ice` | ICE servers for peer connections, with TURN credentials that expire |
//! | `Upstream` | `upstream` | a plain WebSocket application behind the gateway |
//!
//! # Modules
//!
//! Each file uses only files below it; `tests/tree/circles.rs` of the workspace checks that.
//!
//! | folder | from the bottom up |
//! |---|---|
//! | `chat` | `config`, `error`, `label`, `request` and `event` (the messages each way), `room`, `directory`, `state`, `seat` (a session in a room), `lines` |
//! | `rooms` | `config`, `name`, `number`, `error`, `signal`, `incoming` and `outgoing`, `mailbox`, `room` (sans-IO), `directory`, `conversation` (a session), `http` |
//! | `ice` | `url`, `config`, `limiter` |
//! | `upstream` | `config`, `error`, `socket`, `connect`, `relay` |

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::disallowed_methods, clippy::missing_errors_doc, clippy::missing_panics_doc)]

/// The programs of the page run as they stand there.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod broadcast;
mod chat;
mod clock;
mod echo;
#[cfg(test)]
mod flood;
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
