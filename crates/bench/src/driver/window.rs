//! The measured time, and the readings at its two ends.

use std::ops::AddAssign;
use std::time::Duration;

use super::target::{Target, Traffic};
use crate::cost::{self, Cpu};
use crate::os;

/// How long to warm up, and how long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Not counted: connections, caches and allocators settle.
    pub warm_up: Duration,
    /// Counted.
    pub measured: Duration,
    /// How long an answer may take before it counts as lost.
    pub patience: Duration,
}

/// The cost over that time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// How long it was.
    pub wall: Duration,
    /// Of the server's processor time; `None` when its process is not known.
    pub server: Option<Cpu>,
    /// Of the driver's processor time.
    pub driver: Option<Duration>,
    /// The server's resident memory at the end, in bytes.
    pub resident: Option<u64>,
    /// Bytes over the wire.
    pub traffic: Traffic,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        let both = |a: Option<Duration>, b: Option<Duration>| Some(a? + b?);
        self.server = if self.wall.is_zero() {
            other.server
        } else {
            self.server.zip(other.server).map(|(a, b)| a + b)
        };
        self.driver =
            if self.wall.is_zero() { other.driver } else { both(self.driver, other.driver) };
        self.wall += other.wall;
        self.resident = other.resident;
        self.traffic += other.traffic;
    }
}

impl Spent {
    /// The share of one core that the driver took.
    pub fn driver_share(&self) -> Option<f64> {
        Some(self.driver?.as_secs_f64() / self.wall.as_secs_f64())
    }

    /// Whether the driver had no time left while the server had: then the server could do more than
    /// the figures say.
    pub fn driver_was_bottleneck(&self) -> bool {
        let server = self.server.map(|cpu| cpu.total().as_secs_f64() / self.wall.as_secs_f64());
        self.driver_share().is_some_and(|share| share > BUSY)
            && server.is_none_or(|share| share < BUSY)
    }
}

/// Of one core, from which on a process counts as having no time left.
const BUSY: f64 = 0.95;

/// The state of things at one moment.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    at: u64,
    server: Option<Cpu>,
    driver: Option<Duration>,
    traffic: Traffic,
    pid: Option<u32>,
}

impl Reading {
    pub(super) fn now(target: &Target, pid: Option<u32>) -> Self {
        Self {
            at: os::monotonic(),
            server: pid.and_then(|pid| Cpu::of(pid).ok()),
            driver: os::thread_cpu(),
            traffic: target.traffic(),
            pid,
        }
    }

    pub(super) fn until(self, later: Self) -> Spent {
        Spent {
            wall: Duration::from_nanos(later.at - self.at),
            server: self.server.zip(later.server).map(|(before, after)| after.since(before)),
            driver: self
                .driver
                .zip(later.driver)
                .map(|(before, after)| after.saturating_sub(before)),
            resident: self.pid.and_then(|pid| cost::resident(pid).ok()),
            traffic: later.traffic.since(self.traffic),
        }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }
}
