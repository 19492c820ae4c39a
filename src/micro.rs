//! The parts that every message passes, for the micro benchmarks in `benches/micro.rs`.
//!
//! Behind the feature `micro`, and no part of the public API.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::Method;

use crate::Message;
use crate::gateway::prefix::Prefix;
use crate::gateway::route::route as find_route;
use crate::hub::{Hub, Subscription, Topic};
use crate::protocol::frame::Frame;
use crate::protocol::payload::{PayloadLimits, parse, parse_frame};
use crate::protocol::quote::quote_into;
use crate::session::testing::{Client, limits, session};
use crate::session::{Core, Limits, Liveness, Session, Step};

const PAYLOAD: PayloadLimits = PayloadLimits { message_size: 1 << 20, messages: 1024 };

/// Quotes a text as JSON with SockJS's escapes.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    out.clear();
    quote_into(text, out);
}

/// The length of the frame that carries these texts, in bytes.
pub fn frame(texts: &[&str]) -> usize {
    let mut messages: Vec<Message> = texts.iter().map(|text| Message::text(*text)).collect();
    let frame = match messages.len() {
        1 => Frame::Message(messages.remove(0)),
        _ => Frame::Messages(messages),
    };
    frame.line().len()
}

/// The number of messages in the body of an `xhr_send`.
pub fn payload(body: &[u8]) -> usize {
    parse(body, &PAYLOAD).map_or(0, |messages| messages.len())
}

/// The number of messages in a WebSocket frame of SockJS.
pub fn payload_frame(text: &str) -> usize {
    let mut messages = Vec::new();
    parse_frame(text, &PAYLOAD, &mut messages).map_or(0, |()| messages.len())
}

/// Whether a path has a route.
pub fn route(prefix: &Prefix, method: &Method, path: &str) -> bool {
    prefix.below(path).is_some_and(|below| find_route(method, below).is_ok())
}

/// The state machine of a session with a receiver, and a clock that stands still.
pub struct OneSession {
    core: Core,
    limits: Limits,
    now: Instant,
}

impl OneSession {
    /// An open session.
    pub fn new() -> Self {
        let (now, limits) = (crate::clock::now(), limits());
        let mut core = Core::new(now, &limits);
        core.attach(now, &limits, Liveness::Pings).expect("it has no receiver yet");
        let open = core.poll_frame(now, &limits);
        assert_eq!(open, Some(Step::Frame(Frame::Open)));
        Self { core, limits, now }
    }

    /// Passes a message in, to the application, back from it, and out.
    pub fn echo(&mut self, message: Message) -> bool {
        let Self { core, limits, now } = self;
        if !core.push_inbound(limits, &mut vec![message]) {
            return false;
        }
        let Some(message) = core.pop_inbound() else { return false };
        if !core.has_space(limits, message.len()) {
            return false;
        }
        core.send(message);
        matches!(core.poll_frame(*now, limits), Some(Step::Frame(Frame::Message(_))))
    }
}

impl Default for OneSession {
    fn default() -> Self {
        Self::new()
    }
}

/// Sessions that follow one topic.
pub struct Audience {
    topic: Topic,
    subscribers: Vec<(Session, Subscription, Client)>,
}

impl Audience {
    /// Subscribes `count` sessions to a topic.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime: an attachment has a timer.
    pub fn new(count: usize) -> Self {
        let topic = Hub::new().topic("audience");
        let mut subscribers = Vec::with_capacity(count);
        for _ in 0..count {
            let (session, client) = session();
            let subscription = topic.subscribe(session.sender());
            subscribers.push((session, subscription, client));
        }
        let mut audience = Self { topic, subscribers };
        audience.publish("first");
        // Each client takes its open frame and this one, and waits from then on.
        assert_eq!(audience.take(), count);
        audience
    }

    /// Publishes a message: the part of a fan-out for which its publisher waits.
    pub fn publish(&self, text: &str) {
        self.topic.publish(text);
    }

    /// Lets each client take a message, if there is one; returns how many clients did.
    pub fn take(&mut self) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let took = |(_, _, client): &mut (Session, Subscription, Client)| {
            matches!(pin!(client.next()).poll(&mut cx), Poll::Ready(Ok(_)))
        };
        self.subscribers.iter_mut().map(took).filter(|took| *took).count()
    }
}
