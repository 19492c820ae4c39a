//! Any interleaving of inputs and time against a model that is too simple to be wrong, and against
//! guarantees of the wire and the application, whatever the model thinks.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use self::flight::{FlightModel, RATED};
use super::*;

mod flight;

#[derive(Clone, Debug)]
enum Op {
    Attach(Liveness),
    Detach(Detach),
    /// Takes one step, or all that there are.
    Poll,
    PollAll,
    PollSilence,
    Expire,
    /// Behind so many bytes.
    PingLeft(usize),
    Heard,
    Pause,
    Resume,
    /// Messages of so many bytes.
    Push(Vec<usize>),
    PushLast(Vec<usize>),
    ExpectRest,
    RestIsIn,
    Pop,
    Send(usize),
    SendLatest(u8, usize),
    /// Of the frames that are on their way.
    FrameMoved,
    FrameWritten(usize),
    AllWritten,
    FrameLost(usize),
    Close(EndedBy),
    PeerClosed,
    Abort,
    Wait(Duration),
    /// Until the session's own next deadline, or just before it.
    WaitUntilDue(bool),
}

/// Choices from here on end the session.
const ENDS: u8 = 246;

/// An operation from three bytes: strategies of alternatives would take a hundred times as long,
/// and that time is better spent on runs.
fn op((choice, detail, more): (u8, u8, u8)) -> Op {
    let size = |byte: u8| if byte.is_multiple_of(8) { 60 } else { usize::from(byte % 12) };
    let sizes = || (0..1 + detail % 3).map(|index| size(more.wrapping_add(index * 7))).collect();
    match choice {
        0..26 => Op::Attach(if detail.is_multiple_of(2) {
            Liveness::Heartbeats
        } else {
            Liveness::Pings
        }),
        26..28 => Op::ExpectRest,
        28..30 => Op::RestIsIn,
        30..42 => Op::Detach(Detach::Finished),
        42..70 => Op::Poll,
        70..94 => Op::PollAll,
        94..100 => Op::PollSilence,
        100..112 => Op::Expire,
        112..127 => Op::PingLeft(if detail < 192 { 0 } else { usize::from(more) * 1_000 }),
        127..130 => Op::Heard,
        130..133 => Op::Pause,
        133..138 => Op::Resume,
        138..152 => Op::Push(sizes()),
        152..154 => Op::PushLast(sizes()),
        154..164 => Op::Pop,
        164..166 => Op::FrameMoved,
        166..180 if detail < 12 => Op::FrameLost(usize::from(detail)),
        166..180 if detail < 128 => Op::AllWritten,
        166..180 => Op::FrameWritten(usize::from(detail % 4)),
        180..190 => Op::SendLatest(detail % 2, size(more)),
        190..202 => Op::Send(size(more)),
        202..207 => Op::WaitUntilDue(true),
        207..235 => Op::WaitUntilDue(false),
        235..ENDS => Op::Wait(match detail % 6 {
            0 => BLINK,
            1 => Duration::from_secs(1),
            2 => DISCONNECT - BLINK,
            3 => DISCONNECT,
            4 => PONG,
            _ => HEARTBEAT,
        }),
        ENDS..249 => Op::Detach(Detach::Vanished),
        249..251 => Op::Close(EndedBy::Application),
        251..253 => Op::Close(EndedBy::Gateway),
        253..255 => Op::Abort,
        255 => Op::PeerClosed,
    }
}

#[test]
fn any_interleaving_behaves_as_the_model_says() {
    let config = ProptestConfig {
        cases: 10_000,
        rng_seed: RngSeed::Fixed(0x50c4),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let seen = RefCell::new(BTreeMap::new());
    // Half of the runs keep clear of the ends, which otherwise come too early for much to happen
    // before them.
    let ops = |choices: std::ops::RangeInclusive<u8>| {
        vec((choices, any::<u8>(), any::<u8>()).prop_map(op), 0..120)
    };
    let is_one_in_three = || (0..3_u8).prop_map(|number| number == 0);
    let runs = (prop_oneof![ops(0..=255), ops(0..=ENDS - 1)], is_one_in_three(), is_one_in_three());
    let outcome = TestRunner::new(config).run(&runs, |(ops, flies, rated)| {
        let mut run = Run::new(flies, rated);
        for op in ops {
            run.apply(op);
            run.check();
        }
        run.finish();
        for (what, times) in run.seen {
            *seen.borrow_mut().entry(what).or_insert(0) += times;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    // A run that never gets there proves nothing about it.
    for what in [
        "attach refused",
        "open",
        "message",
        "batch",
        "heartbeat",
        "ping",
        "close",
        "close again",
        "silence",
        "expired",
        "rest given up",
        "vanished with messages",
        "payload refused",
        "full",
        "too large",
        "popped after the end",
        "dropped by the application",
        "rest taken",
        "ping behind bytes",
        "frame lost",
        "ended when all had left",
        "stalled",
        "too slow",
        "key waits",
        "key replaced",
        "no place for a key",
        "over the rate",
    ] {
        let times = seen.borrow().get(what).copied().unwrap_or(0);
        assert!(times >= 20, "{what}: {times} times in all runs");
    }
}

/// A session, its model, and its observed outputs.
struct Run {
    bench: Bench,
    step: usize,
    seen: BTreeMap<&'static str, usize>,

    /// The messages that the application sent, and how many were handed to a receiver.
    sent: Vec<String>,
    handed: usize,
    /// The newest of each key, which wait behind those.
    latest: Vec<(u8, String)>,
    /// Whether receivers of frames tell how far these came.
    flies: bool,
    flight: FlightModel,
    /// The client's rate, and its messages with their times.
    rate: Option<Rate>,
    paced: Vec<(Instant, usize, usize)>,
    /// The client's admitted messages, in order, without those that a closing application dropped.
    admitted: Vec<String>,
    popped: usize,
    taken: u64,
    /// Messages that came after there was no more room for them.
    over: bool,
    /// The client has gone, and its last messages are still taken.
    rest_comes: bool,

    opened: bool,
    told: bool,
    /// The first close of any kind, when it was, and whether it let queued messages go out.
    closed: Option<(CloseReason, EndedBy, Instant)>,
    ended: Option<SessionEnd>,
    detached_at: Instant,
    receiver: Option<ReceiverModel>,

    /// All frames, by all receivers, and when.
    frames: Vec<(Instant, String)>,
}

struct ReceiverModel {
    /// Messages that waited for it.
    backlog: usize,
    /// When it came or took its last frame.
    last_frame: Instant,
    /// For a receiver that pings: when the last look was, and the signs since.
    pings: Option<PingModel>,
}

struct PingModel {
    looked_at: Instant,
    heard: bool,
    paused: bool,
    ping: Ping,
}

#[derive(PartialEq)]
enum Ping {
    None,
    Sent,
    /// It has left, and the peer could be heard from then on; an earlier sign may answer an earlier
    /// ping.
    HeardFrom(Instant),
}

impl Run {
    fn new(flies: bool, rated: bool) -> Self {
        let mut bench = Bench::new();
        bench.limits.outbound_keys = 1;
        let queue = QueueLimit { messages: 4, bytes: 40 };
        bench.limits.inbound = queue;
        bench.limits.outbound = queue;
        let now = bench.now;
        Self {
            bench,
            step: 0,
            seen: BTreeMap::new(),
            sent: Vec::new(),
            handed: 0,
            latest: Vec::new(),
            flies,
            flight: FlightModel::new(now),
            rate: rated.then(|| Rate::new(RATED.0, RATED.1)),
            paced: Vec::new(),
            admitted: Vec::new(),
            popped: 0,
            taken: 0,
            over: false,
            rest_comes: false,
            opened: false,
            told: false,
            closed: None,
            ended: None,
            detached_at: now,
            receiver: None,
            frames: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        self.step += 1;
        let now = self.bench.now;
        match op {
            Op::Attach(liveness) => {
                let refused = self.bench.core.attach(now, &self.bench.limits, liveness).is_err();
                assert_eq!(refused, self.receiver.is_some());
                if refused {
                    self.saw("attach refused");
                    return;
                }
                let pings = (liveness == Liveness::Pings).then_some(PingModel {
                    looked_at: now,
                    heard: false,
                    paused: false,
                    ping: Ping::None,
                });
                self.receiver =
                    Some(ReceiverModel { backlog: self.queued(), last_frame: now, pings });
            }
            Op::Detach(how) => {
                self.bench.core.detach(now, &self.bench.limits, how);
                if self.receiver.take().is_some() {
                    self.detached_at = now;
                    if how == Detach::Vanished {
                        self.saw(if self.queued() > 0 {
                            "vanished with messages"
                        } else {
                            "vanished"
                        });
                        self.end(CloseReason::INTERRUPTED, EndedBy::Peer);
                    }
                }
            }
            Op::Poll => drop(self.poll()),
            Op::PollAll => while self.poll() {},
            Op::PollSilence => {
                let silent = self.is_silent();
                if silent {
                    self.end(CloseReason::NO_PONG, EndedBy::Gateway);
                }
                let expired = self.expire();
                let over = self.bench.core.poll_silence(now).is_ok();
                assert_eq!(over, silent || expired || self.ended.is_some());
            }
            Op::Expire => {
                let expected = self.expire();
                assert_eq!(self.bench.core.expire(now), expected);
            }
            Op::PingLeft(ahead) => {
                self.bench.core.ping_left(now, &self.bench.limits, ahead);
                if let Some(pings) = self.pings()
                    && pings.ping == Ping::Sent
                {
                    // At 1,000 bytes a second the client may need so long to get there, and no
                    // longer than `WRITE`.
                    let reading = Duration::from_secs((ahead / 1_000) as u64).min(WRITE);
                    // In a pause that time is forgotten: all begins anew when it ends.
                    pings.ping = Ping::HeardFrom(if pings.paused { now } else { now + reading });
                    self.saw(if ahead > 0 { "ping behind bytes" } else { "ping ahead of all" });
                }
            }
            Op::Heard => {
                self.bench.core.heard();
                if let Some(pings) = self.pings() {
                    pings.heard = true;
                    if pings.ping != Ping::Sent {
                        pings.ping = Ping::None;
                    }
                }
            }
            Op::Pause => {
                self.bench.core.reading_paused(Pause::ROOM);
                if let Some(pings) = self.pings() {
                    pings.paused = true;
                }
            }
            Op::Resume => {
                self.bench.core.reading_resumed(now, &self.bench.limits, Pause::ROOM);
                if let Some(pings) = self.pings()
                    && std::mem::take(&mut pings.paused)
                    && let Ping::HeardFrom(from) = &mut pings.ping
                {
                    *from = now;
                }
            }
            Op::Push(sizes) => {
                let texts = self.texts("in", &sizes);
                let mut messages = texts.iter().map(|text| Message::from(text.as_str())).collect();
                let refused = match self.rate {
                    None => !self.bench.core.push_inbound(&self.bench.limits, &mut messages),
                    Some(rate) => match self.push_at_rate(rate, &mut messages) {
                        Some(refused) => refused,
                        None => return assert!(fits(&self.admitted[self.popped..], &texts)),
                    },
                };
                if self.closed.is_some() && !self.rest_comes {
                    assert!(!refused, "its client can't know yet");
                    return;
                }
                let waiting = &self.admitted[self.popped..];
                assert_eq!(refused, !fits(waiting, &texts));
                if refused {
                    self.saw("payload refused");
                } else {
                    self.taken += texts.len() as u64;
                    self.over = waiting.is_empty() && !fits(&[String::new()], &texts);
                    if self.closed.is_some() {
                        self.saw("rest taken");
                    }
                    self.admitted.extend(texts);
                }
            }
            Op::PushLast(sizes) => {
                let texts = self.texts("last", &sizes);
                self.bench.core.push_last(
                    &mut texts.iter().map(|text| Message::from(text.as_str())).collect(),
                );
                if self.closed.is_none() || self.rest_comes {
                    self.taken += texts.len() as u64;
                    self.over = true;
                    self.admitted.extend(texts);
                }
            }
            Op::ExpectRest => {
                self.bench.core.expect_rest();
                self.rest_comes = self.closed.is_none();
            }
            Op::RestIsIn => {
                self.bench.core.rest_is_in();
                self.rest_comes = false;
            }
            Op::Pop => {
                let message = self.bench.core.pop_inbound();
                let expected = self.admitted.get(self.popped);
                assert_eq!(
                    message.as_ref().and_then(Message::as_text),
                    expected.map(String::as_str)
                );
                if message.is_some() {
                    self.popped += 1;
                    if self.closed.is_some() {
                        self.saw("popped after the end");
                    }
                }
            }
            Op::Send(size) => {
                let text = self.texts("out", &[size]).remove(0);
                let message = Message::from(text.as_str());
                assert_eq!(self.bench.core.is_open(), self.closed.is_none());
                if self.closed.is_some() {
                    return;
                }
                let room = self.bench.core.has_space(&self.bench.limits, message.len());
                let too_large = text.len() > self.bench.limits.outbound.bytes;
                assert_eq!(
                    room,
                    !too_large
                        && self.latest.is_empty()
                        && fits(&self.sent[self.handed..], std::slice::from_ref(&text))
                );
                if too_large {
                    self.saw("too large");
                } else if room {
                    self.bench.core.send(message);
                    self.sent.push(text);
                } else {
                    self.saw("full");
                }
            }
            Op::SendLatest(key, size) => self.send_latest(key, size),
            Op::FrameMoved => self.frame_moved(),
            Op::FrameWritten(which) => drop(self.frame_written(which)),
            Op::AllWritten => while self.frame_written(0) {},
            Op::FrameLost(which) => self.frame_lost(which),
            Op::Close(by) => {
                let reason = self.reason();
                self.bench.core.close(now, &self.bench.limits, reason.clone(), by);
                if self.closed.is_none() {
                    self.closed = Some((reason, by, now));
                    self.rest_comes &= by != EndedBy::Application;
                    if by == EndedBy::Application && self.popped < self.admitted.len() {
                        self.saw("dropped by the application");
                        self.admitted.truncate(self.popped);
                    }
                }
            }
            Op::PeerClosed => {
                let reason = self.reason();
                self.bench.core.peer_closed(reason.clone());
                self.end(reason, EndedBy::Peer);
            }
            Op::Abort => {
                let reason = self.reason();
                self.bench.core.abort(reason.clone());
                self.end(reason, EndedBy::Gateway);
            }
            Op::Wait(time) => self.bench.wait(time),
            Op::WaitUntilDue(just_before) => {
                let due = self.bench.core.next_timeout().saturating_duration_since(now);
                self.bench.wait(if just_before { due.saturating_sub(BLINK) } else { due });
            }
        }
    }

    /// Takes the next step, which must be the expected one; false when there was none.
    fn poll(&mut self) -> bool {
        let now = self.bench.now;
        if self.is_silent() {
            self.saw("silence");
            self.end(CloseReason::NO_PONG, EndedBy::Gateway);
        }
        let handed = self.handed;
        let (expected, kind) = self.expected();
        let pinged = self.receiver.as_ref().is_some_and(|receiver| receiver.pings.is_some());
        let step = self.bench.step();
        assert_eq!(step, expected);
        if self.handed > handed {
            self.refill();
        }
        if let Some(kind) = kind {
            self.saw(kind);
        }
        if step.is_empty() || step == "ping" {
            return !step.is_empty();
        }
        if self.flies && !pinged {
            self.hand_over(&step, self.handed - handed);
        }
        self.frames.push((now, step));
        let close = kind == Some("close") || kind == Some("close again");
        if let Some(receiver) = self.receiver.as_mut() {
            receiver.last_frame = now;
        }
        if close {
            self.told = true;
            self.receiver = None;
            self.detached_at = now;
            if self.flight.messages() == 0 {
                self.end(CloseReason::NORMAL, EndedBy::Gateway);
            }
        }
        true
    }

    /// The step that a receiver is to get now, and its name.
    fn expected(&mut self) -> (String, Option<&'static str>) {
        let now = self.bench.now;
        let queued = self.queued();
        let Some(receiver) = &mut self.receiver else { return (String::new(), None) };
        let close_frame =
            |reason: &CloseReason| format!("c[{},\"{}\"]", reason.code(), reason.reason());
        if let Some(end) = &self.ended {
            return (
                close_frame(&end.reason),
                Some(if self.told { "close again" } else { "close" }),
            );
        }
        if !std::mem::replace(&mut self.opened, true) {
            return ("o".to_owned(), Some("open"));
        }
        if queued > 0 {
            let count = std::mem::take(&mut receiver.backlog).max(1);
            let messages = &self.sent[self.handed..self.handed + count];
            self.handed += count;
            let frame = format!("a[\"{}\"]", messages.join("\",\""));
            return (frame, Some(if count > 1 { "batch" } else { "message" }));
        }
        if let Some((reason, ..)) = &self.closed {
            return (close_frame(reason), Some("close"));
        }
        if now >= receiver.last_frame + HEARTBEAT {
            return ("h".to_owned(), Some("heartbeat"));
        }
        if let Some(pings) = &mut receiver.pings
            && now >= pings.looked_at + HEARTBEAT
        {
            pings.looked_at = now;
            let awaited = !pings.paused && pings.ping != Ping::None;
            if !std::mem::take(&mut pings.heard) && pings.ping != Ping::Sent && !awaited {
                pings.ping = Ping::Sent;
                return ("ping".to_owned(), Some("ping"));
            }
        }
        (String::new(), None)
    }

    fn is_silent(&self) -> bool {
        self.ended.is_none()
            && matches!(
                self.receiver.as_ref().and_then(|receiver| receiver.pings.as_ref()),
                Some(PingModel { paused: false, ping: Ping::HeardFrom(from), .. }) if self.bench.now >= *from + PONG
            )
    }

    /// Whether the session is over for want of a receiver.
    fn expire(&mut self) -> bool {
        let at = self.bench.core.expires_at();
        let since = match (&self.receiver, &self.closed) {
            (Some(_), _) if self.ended.is_some() => return false,
            // Dates move with the bytes that leave; `check_date` says how far.
            (None, _) | (_, Some(_)) if self.flies => return self.expire_at(at),
            (Some(_), None) if !self.flight.is_empty() => return self.expire_at(at),
            (None, _) => self.detached_at,
            // Each frame that is taken after the close gives the rest its time anew.
            (Some(_), Some((_, _, closed_at))) if self.ended.is_none() => {
                self.frames.last().map_or(*closed_at, |(taken_at, _)| *taken_at.max(closed_at))
            }
            (Some(_), _) => return false,
        };
        self.expire_at(Some(since + DISCONNECT))
    }

    fn expire_at(&mut self, at: Option<Instant>) -> bool {
        let due = at.is_some_and(|at| self.bench.now >= at);
        if due && self.ended.is_none() {
            let (reason, by) = self.flight.blame(self.bench.now);
            self.saw(match () {
                () if reason == CloseReason::NOT_READING => "stalled",
                () if reason == CloseReason::TOO_SLOW => "too slow",
                () if self.receiver.is_some() => "rest given up",
                () => "expired",
            });
            self.end(reason, by);
        }
        due
    }

    fn end(&mut self, reason: CloseReason, by: EndedBy) {
        if self.ended.is_some() {
            return;
        }
        let now = self.bench.now;
        let (reason, by, _) = self.closed.get_or_insert((reason, by, now)).clone();
        self.flight.lost = self.flight.messages();
        let undelivered = self.queued() + self.latest.len() + self.flight.lost;
        self.ended = Some(SessionEnd { reason, by, undelivered });
    }

    /// The invariants after every step.
    fn check(&self) {
        let core = &self.bench.core;
        assert_eq!(core.is_open(), self.closed.is_none());
        assert_eq!(core.is_attached(), self.receiver.is_some());
        assert_eq!(core.ended(), self.ended.as_ref());
        assert_eq!(core.ended_untold(), self.ended.is_some() && !self.told);
        assert_eq!(core.takes_more(), self.closed.is_none() || self.rest_comes);
        assert_eq!(core.counts(), (self.taken, self.handed as u64));
        self.check_date();
        assert_eq!(core.outbound.len(), if self.ended.is_some() { 0 } else { self.queued() });
        assert!(core.outbound.len() <= self.bench.limits.outbound.messages);
        assert!(core.inbound.len() <= self.bench.limits.inbound.messages || self.over);
    }

    /// Lets late receivers take the rest, and checks all outputs.
    fn finish(&mut self) {
        if self.receiver.is_none() {
            self.apply(Op::Attach(Liveness::Heartbeats));
        }
        while self.poll() {}
        self.check();
        self.check_rate();

        // The wire, without any model: one open frame, then all else, then closes and nothing but
        // closes, of one kind.
        let frames: Vec<&str> = self.frames.iter().map(|(_, frame)| frame.as_str()).collect();
        let closes = frames.iter().position(|frame| frame.starts_with('c')).unwrap_or(frames.len());
        assert!(frames[closes..].windows(2).all(|two| two[0] == two[1]), "{frames:?}");
        assert_eq!(
            frames[..closes].iter().filter(|frame| **frame == "o").count(),
            usize::from(closes > 0)
        );
        assert!(closes == 0 || frames[0] == "o", "{frames:?}");
        // Messages in the order in which they were sent, none twice, none missing in between.
        let mut messages = Vec::new();
        for frame in frames.iter().filter_map(|frame| frame.strip_prefix('a')) {
            messages.extend(serde_json::from_str::<Vec<String>>(frame).expect("a list of strings"));
        }
        assert_eq!(messages, self.sent[..messages.len()]);
        let lost = self.bench.core.ended().map_or(0, |end| end.undelivered);
        assert_eq!(
            messages.len() + lost + self.bench.core.outbound.len(),
            self.sent.len() + self.latest.len() + self.flight.lost,
            "none lost in silence"
        );
        // Heartbeats after silence only.
        for two in self.frames.windows(2).filter(|two| two[1].1 == "h") {
            assert!(two[1].0 - two[0].0 >= HEARTBEAT);
        }
        while self.popped < self.admitted.len() {
            self.apply(Op::Pop);
        }
        self.apply(Op::Pop);
    }

    fn queued(&self) -> usize {
        self.sent.len() - self.handed
    }

    fn pings(&mut self) -> Option<&mut PingModel> {
        self.receiver.as_mut()?.pings.as_mut()
    }

    /// Fresh texts.
    fn texts(&self, kind: &str, sizes: &[usize]) -> Vec<String> {
        let text = |(index, size): (usize, &usize)| {
            format!("{kind}{}.{index}{}", self.step, "x".repeat(*size))
        };
        sizes.iter().enumerate().map(text).collect()
    }

    /// A fresh reason.
    fn reason(&self) -> CloseReason {
        CloseReason::new(3000, format!("step {}", self.step))
    }

    fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_insert(0) += 1;
    }
}

fn fits(waiting: &[String], more: &[String]) -> bool {
    let all = || waiting.iter().chain(more);
    waiting.is_empty() || all().count() <= 4 && all().map(String::len).sum::<usize>() <= 40
}
