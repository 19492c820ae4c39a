//! The wire protocol (SockJS 0.3.x), statement by statement: bytes, HTTP chunks, headers that must
//! be there and headers that must not.
//!
//! Modules follow the sections of the protocol; [`statements`] lists every statement with the tests
//! that prove it, and fails when one of them is missing. Tests talk to the endpoints of
//! `examples/conformance` through the byte-level clients in `tests/common`.
//!
//! Where this server differs on purpose from the reference, sockjs-node 0.3.24, or from the public
//! suite:
//!
//! * **Lone surrogates are replaced by U+FFFD.** Messages are UTF-8 here, which has no place for
//!   them; refusing the payload would lose what else is in it.
//! * **Each endpoint has sessions of its own.** In sockjs-node one table serves all services of a
//!   process, and a session can be read through the prefix of another.
//! * **Any content type is taken on `xhr_send`.** The type never changes what the body means, and
//!   clients, proxies and browsers vary it.
//! * **HEAD is answered as GET** on greeting, iframe page and info, as HTTP asks of every server;
//!   there it is 405 in sockjs-node. Elsewhere it is 405 here too: it would open a session, or take
//!   its messages and throw them away.
//! * **A receiver for a session that has expired or ended is told so, once.** It gets the close
//!   frame, `c[1002,"Connection interrupted"]` where there was none, and then the id is free.
//!   sockjs-node opens a new session instead, and the client never learns that it lost messages. An
//!   id is remembered for 60 s, and 10,000 of them by each endpoint, unless it is configured
//!   otherwise; one never seen gets `o`, as it must.
//! * **A second receiver waits a moment before it is told 2010**: 50 ms, unless it is configured
//!   otherwise. The first one's connection may have ended on another thread, unnoticed; sockjs-node
//!   has one thread, and answers at once.
//! * **Heartbeats are `h` and pings on a framed WebSocket**, where sockjs-node only pings: a script
//!   can see the one, and the other is answered without it. Raw WebSockets are pinged, too, which
//!   sockjs-node does not do.
//! * **Heartbeats count from the last frame**, not from when the receiver came: a busy session
//!   needs none.
//! * **What is over a limit is answered**: 413 and close code 1009 for sizes, 503 for room, 408 for
//!   a body that does not arrive. sockjs-node has no such limits.
//! * **Sends to an unknown session are 404 whatever they hold**: sockjs-node reads the payload
//!   first, and answers a bad one with 500. A body without a session would fill the memory.
//! * **Elements of an array that are no strings are refused**, as the protocol knows none;
//!   sockjs-node delivers them as they are.
//! * **Bytes that are no UTF-8 are malformed JSON**, where sockjs-node replaces them, and delivers
//!   text that no client has sent.
//! * **A binary WebSocket message closes its session with 1003**, unless the WebSocket is raw and
//!   the endpoint takes binary. The protocol has no place for it.
//! * **`<` is escaped in htmlfile**, so that no message can end the script element in which it is
//!   sent.
//! * **Close reasons are escaped as messages are**, because they stand in scripts too.
//! * **A cookie's value is echoed only if it can be one**, and is `dummy` otherwise.
//! * **Answers that change carry `X-Accel-Buffering: no`**, without which nginx holds frames back.
//! * **An empty callback name is a missing one.**
//! * **A WebSocket on the bare prefix is a raw one**, for clients that know of no `/websocket`.
//! * **The handshake that came before RFC 6455 (hixie-76) is not spoken.** No browser since 2012
//!   uses it, and one test of the public suite (`Websocket.test_haproxy`) fails for it.

#[path = "../../../examples/conformance/endpoints.rs"]
mod endpoints;

mod bodies;
mod cors;
mod delays;
mod frames;
mod http;
mod lifecycle;
mod limits;
mod memory;
mod origins;
mod pages;
mod routes;
mod send;
mod statements;
mod support;
mod websocket;
mod written;
