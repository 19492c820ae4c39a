//! A server's cost: processor time and memory, read from outside its process.

use std::fs;
use std::io;
use std::ops::Add;
use std::time::Duration;

use super::os;

/// The processor time of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In the process's own code.
    pub user: Duration,
    /// In the kernel on its behalf.
    pub system: Duration,
}

impl Cpu {
    /// The usage of the process `pid` so far, by all its threads, ended ones included.
    ///
    /// The sum is exact to the nanosecond. Its parts are the kernel's own division, which it makes
    /// in steps of a clock tick (10 ms): over a second they are good to a percent or two.
    ///
    /// # Errors
    ///
    /// When there is no such process, or the system doesn't tell.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let (user, system) = ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let total = os::process_cpu(pid).ok_or(io::ErrorKind::Unsupported)?;
        let share = if user + system == 0 { 1.0 } else { user as f64 / (user + system) as f64 };
        let user = total.mul_f64(share);
        Ok(Self { user, system: total.saturating_sub(user) })
    }

    /// Both parts.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// The usage since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

impl Add for Cpu {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

/// `utime` and `stime` of a line of /proc/PID/stat. The second field is the program's name in
/// brackets, and may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// The resident memory of the process `pid`, in bytes.
///
/// # Errors
///
/// When there is no such process, or the system doesn't tell.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    resident_in(&status).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_come_after_a_name_that_may_hold_anything() {
        let stat = "7 (a) b (c d) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 4 0 100 1 2 3";
        assert_eq!(ticks(stat), Some((250, 50)));
        assert_eq!(ticks("7 (cut) S 1"), None);
    }

    #[test]
    fn resident_memory_is_in_kibibytes() {
        assert_eq!(resident_in("Name:\ta\nVmHWM:\t  99 kB\nVmRSS:\t   12 kB\n"), Some(12 * 1024));
        assert_eq!(resident_in("Name:\tkthreadd\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_shows_as_time_also_after_its_thread_has_ended() {
        let me = std::process::id();
        let before = Cpu::of(me).expect("of oneself");
        let worked = std::thread::spawn(|| {
            let mut sum = 0_u64;
            while os::thread_cpu().expect("Linux counts") < Duration::from_millis(20) {
                sum = std::hint::black_box(sum + 1);
            }
        });
        worked.join().expect("no panic");
        let used = Cpu::of(me).expect("of oneself").since(before);
        assert!(used.total() >= Duration::from_millis(20), "{used:?}");
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Cpu::of(u32::MAX).is_err());
        assert!(resident(u32::MAX).is_err());
    }
}
