//! Facts and actions of the operating system. Where it doesn't, the answer is `None` and the
//! measurement says so.

use std::io;
use std::time::Duration;

/// Nanoseconds of a clock that all processes of a Unix machine share, so that one may stamp a
/// message and another read the stamp; elsewhere it is this process's own.
pub fn monotonic() -> u64 {
    #[cfg(unix)]
    {
        use nix::time::{ClockId, clock_gettime};
        nanos(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("POSIX systems have this clock"))
    }
    #[cfg(not(unix))]
    {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// The processor time of this thread so far.
pub fn thread_cpu() -> Option<Duration> {
    #[cfg(unix)]
    {
        use nix::time::{ClockId, clock_gettime};
        let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
        Some(Duration::from_nanos(nanos(now)))
    }
    #[cfg(not(unix))]
    None
}

/// The processor time of a process so far, that of its ended threads included; to the nanosecond
/// where the system counts so.
pub fn process_cpu(pid: u32) -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        use nix::time::{clock_getcpuclockid, clock_gettime};
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
        let now = clock_gettime(clock_getcpuclockid(pid).ok()?).ok()?;
        Some(Duration::from_nanos(nanos(now)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pid;
        None
    }
}

/// Lets this process open as many files as it may, and says how many that is.
pub fn raise_open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
        if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
            return Some(hard);
        }
        Some(soft)
    }
    #[cfg(not(unix))]
    None
}

/// Binds this thread, and the threads and processes that it starts from now on, to one core.
///
/// # Errors
///
/// When the machine has no such core, or the system knows no binding.
pub fn pin(core: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use nix::sched::{CpuSet, sched_setaffinity};
        let mut cores = CpuSet::new();
        cores.set(core)?;
        sched_setaffinity(nix::unistd::Pid::from_raw(0), &cores)?;
        Ok(())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = core;
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(unix)]
fn nanos(time: nix::sys::time::TimeSpec) -> u64 {
    // These clocks start at zero and run for centuries before either factor overflows.
    u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec()).unwrap_or(0)
}
