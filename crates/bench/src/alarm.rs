//! Waiting to the microsecond.

use std::time::Duration;

use super::os;

/// Waits for moments more exactly than the runtime's timer, which counts milliseconds.
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: Option<Timer>,
}

#[cfg(target_os = "linux")]
struct Timer {
    timer: nix::sys::timerfd::TimerFd,
    /// The same timer in the runtime's care. It is no pipe, but is waited for and read as one is.
    rings: tokio::net::unix::pipe::Receiver,
}

#[cfg(target_os = "linux")]
impl Timer {
    fn new() -> std::io::Result<Self> {
        use std::os::fd::AsFd;

        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
        let timer = TimerFd::new(
            ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let file = timer.as_fd().try_clone_to_owned()?.into();
        Ok(Self { timer, rings: tokio::net::unix::pipe::Receiver::from_file_unchecked(file)? })
    }

    async fn wait_until(&self, due: u64) -> std::io::Result<()> {
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
        self.timer.set(
            Expiration::OneShot(Duration::from_nanos(due).into()),
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )?;
        loop {
            self.rings.readable().await?;
            match self.rings.try_read(&mut [0; 8]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                other => return other.map(drop),
            }
        }
    }
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            timer: Timer::new().ok(),
        }
    }

    /// Waits until `due`, on [`os::monotonic`]'s clock.
    pub(super) async fn wait_until(&mut self, due: u64) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && timer.wait_until(due).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_nanos(due.saturating_sub(os::monotonic()))).await;
    }
}
