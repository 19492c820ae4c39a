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

/// The processor time of this process's children that have ended and were waited for.
pub fn ended_children_cpu() -> Option<Duration> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::sys::time::TimeValLike;
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok()?;
        let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Some(Duration::from_micros(u64::try_from(micros).ok()?))
    }
    #[cfg(not(unix))]
    None
}

/// The time that all cores together have worked so far, for any process. Time that a hypervisor
/// gave to other machines counts as well: it was not this machine's.
pub fn machine_cpu() -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        machine_in(&stat, u64::try_from(per_second).ok()?)
    }
    #[cfg(not(target_os = "linux"))]
    None
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

/// The sum of user, nice, system and stolen time in the first line of /proc/stat.
///
/// Interrupts are left out: some kernels count them into the time of the process that they
/// interrupt, others do not, and over loopback they are a hundredth.
#[cfg(target_os = "linux")]
fn machine_in(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let field = |text: &str| text.parse::<u64>().ok();
    let fields = line.split_ascii_whitespace().map(field).collect::<Option<Vec<_>>>()?;
    // user, nice, system, idle, iowait, irq, softirq, steal
    let ticks = fields.get(..3)?.iter().sum::<u64>() + fields.get(7)?;
    let seconds = ticks / ticks_per_second.max(1);
    let rest = (ticks % ticks_per_second.max(1)) * 1_000_000_000 / ticks_per_second.max(1);
    Some(Duration::from_secs(seconds) + Duration::from_nanos(rest))
}

#[cfg(unix)]
fn nanos(time: nix::sys::time::TimeSpec) -> u64 {
    // These clocks start at zero and run for centuries before either factor overflows.
    u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec()).unwrap_or(0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_machine_works_when_it_neither_idles_nor_waits() {
        let stat = "cpu  100 20 30 4000 500 6000 7000 8 90 90\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(machine_in(stat, 100), Some(Duration::from_millis(1_580)));
        for other in ["", "cpu0 1 2 3 4 5 6 7 8\n", "cpu  1 2 3\n", "cpu  1 2 3 4 5 6 7 x\n"] {
            assert_eq!(machine_in(other, 100), None, "{other:?}");
        }
    }
}
