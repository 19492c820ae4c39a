//! The state machine under a clock that stands still until a test moves it.

mod flight;
mod inbound;
mod latest;
mod life_cycle;
mod model;
mod pings;
mod rate;

use super::*;
use crate::Message;
use crate::clock;

const HEARTBEAT: Duration = Duration::from_secs(25);
const DISCONNECT: Duration = Duration::from_secs(5);
const PONG: Duration = Duration::from_secs(10);
const WRITE: Duration = Duration::from_secs(60);
const BLINK: Duration = Duration::from_millis(1);

/// A session and the time.
struct Bench {
    core: Core,
    limits: Limits,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let queue = QueueLimit { messages: 8, bytes: 100 };
        let limits = Limits {
            inbound: queue,
            inbound_rate: None,
            outbound: queue,
            outbound_keys: 16,
            payloads: 1,
            heartbeat_delay: HEARTBEAT,
            disconnect_delay: DISCONNECT,
            pong_timeout: PONG,
            write_timeout: WRITE,
            least_rate: 1000,
        };
        let now = clock::now();
        Self { core: Core::new(now, &limits), limits, now }
    }

    /// A session whose receiver has taken the open frame and stays.
    fn streaming(liveness: Liveness) -> Self {
        let mut bench = Self::new();
        bench.core.attach(bench.now, &bench.limits, liveness).expect("nobody is attached");
        assert_eq!(bench.step(), "o");
        bench
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn attach(&mut self) -> Result<(), Attached> {
        self.core.attach(self.now, &self.limits, Liveness::Heartbeats)
    }

    fn finish(&mut self) {
        self.core.detach(self.now, &self.limits, Detach::Finished);
    }

    fn vanish(&mut self) {
        self.core.detach(self.now, &self.limits, Detach::Vanished);
    }

    /// The receiver's next step: a frame's text, `ping`, or nothing.
    fn step(&mut self) -> String {
        match self.core.poll_frame(self.now, &self.limits) {
            None => {
                assert!(
                    self.core.next_timeout() > self.now || !self.core.is_attached(),
                    "a date that has passed"
                );
                String::new()
            }
            Some(Step::Ping) => "ping".to_owned(),
            Some(Step::Frame(frame)) => {
                String::from_utf8(frame.bytes().to_vec()).expect("frames are text")
            }
        }
    }

    /// All that a receiver which stays takes now.
    fn steps(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.step()).filter(|step| !step.is_empty())).collect()
    }

    /// The frame of a receiver that takes a single frame and goes, as a poll does; nothing means
    /// that it waits on.
    fn poll(&mut self) -> String {
        self.attach().expect("nobody is attached");
        let step = self.step();
        if !step.is_empty() {
            self.finish();
        }
        step
    }

    fn send(&mut self, text: &str) {
        let message = Message::from(text);
        assert!(self.core.is_open() && self.core.has_space(&self.limits, message.len()));
        self.core.send(message);
    }

    fn close(&mut self, code: u16, reason: &'static str) {
        self.core.close(
            self.now,
            &self.limits,
            CloseReason::new(code, reason),
            EndedBy::Application,
        );
    }

    /// Whether a payload is admitted.
    fn push(&mut self, texts: &[&str]) -> bool {
        let mut messages = texts.iter().map(|text| Message::from(*text)).collect();
        self.core.push_inbound(&self.limits, &mut messages)
    }

    fn received(&mut self) -> Vec<String> {
        let text = |message: Message| message.as_text().expect("a text message").to_owned();
        std::iter::from_fn(|| self.core.pop_inbound()).map(text).collect()
    }

    /// Code, by whom, and messages lost.
    fn end(&self) -> Option<(u16, EndedBy, usize)> {
        self.core.ended().map(|end| (end.reason.code(), end.by, end.undelivered))
    }
}
