//! The machine and the date of a measurement, without which figures mean nothing.

use std::fmt;
use std::fs;
use std::time::SystemTime;

/// The machine and the moment.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Machine {
    /// When, in the form of HTTP's dates.
    pub date: String,
    /// The processor's name, as far as the system tells.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// Memory in bytes, as far as the system tells.
    pub memory: Option<u64>,
    /// The kernel and its version.
    pub system: String,
}

impl Machine {
    /// This one, at `now`.
    pub fn this(now: SystemTime) -> Self {
        let first = |path, key| {
            let text = fs::read_to_string(path).ok()?;
            text.lines().find_map(|line| {
                Some(line.strip_prefix(key)?.trim_start_matches([':', ' ', '\t']).trim().to_owned())
            })
        };
        let memory = first("/proc/meminfo", "MemTotal")
            .and_then(|text| text.strip_suffix("kB")?.trim().parse().ok());
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            date: httpdate::fmt_http_date(now),
            processor: first("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory: memory.map(|kib: u64| kib * 1024),
            system: format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, processor, cores, memory, system } = self;
        write!(f, "{date}; {processor}, {cores} {}", if *cores == 1 { "core" } else { "cores" })?;
        if let Some(memory) = memory {
            write!(f, ", {} GiB", (memory + (1 << 29)) >> 30)?;
        }
        write!(f, "; {system}")
    }
}
