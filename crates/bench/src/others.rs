//! Whether other processes had the machine while it measured.

use std::time::Duration;

use serde::Serialize;

use super::os;

/// Processor time so far, of the whole machine and of the measurement's own processes.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    at: Duration,
    machine: Duration,
    own: Duration,
}

/// Processor time that went to other processes during a part of a measurement.
#[derive(Clone, Debug, Serialize)]
pub struct Others {
    /// The part.
    pub during: String,
    /// Of how many cores they had the whole time: 0.5 is half of one core's.
    pub cores: f64,
}

/// From this share of a core on, other processes show in the figures. A machine that does nothing
/// else gives them a few hundredths.
const DISTURBING: f64 = 0.15;

impl Usage {
    /// The usage up to now. The measurement's own processes are this one, its children that have
    /// ended, and `servers`; a server that ends meanwhile has to be such a child.
    ///
    /// `None` where the system doesn't tell, or no longer knows one of the servers: then nothing
    /// can be said about others.
    pub fn now(servers: impl IntoIterator<Item = u32>) -> Option<Self> {
        let mut own = os::process_cpu(std::process::id())? + os::ended_children_cpu()?;
        for server in servers {
            own += os::process_cpu(server)?;
        }
        let at = Duration::from_nanos(os::monotonic());
        Some(Self { at, machine: os::machine_cpu()?, own })
    }

    /// What others had from now until `later`, which is `during` a part of the measurement.
    pub fn until(self, later: Self, during: impl Into<String>) -> Others {
        let wall = later.at.saturating_sub(self.at).as_secs_f64();
        let machine = later.machine.saturating_sub(self.machine);
        let others = machine.saturating_sub(later.own.saturating_sub(self.own)).as_secs_f64();
        Others { during: during.into(), cores: if wall > 0.0 { others / wall } else { 0.0 } }
    }
}

impl Others {
    /// The part and the amount, if it was so much that the figures show it.
    pub fn warning(&self) -> Option<String> {
        (self.cores >= DISTURBING).then(|| format!("{}: {:.2} cores", self.during, self.cores))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(at: u64, machine: u64, own: u64) -> Usage {
        let [at, machine, own] = [at, machine, own].map(Duration::from_millis);
        Usage { at, machine, own }
    }

    /// The whole machine worked for 1,500 ms in two seconds, 1,000 of them for the measurement.
    #[test]
    fn others_have_what_the_measurement_did_not_take() {
        let others = usage(1_000, 50_000, 700).until(usage(3_000, 51_500, 1_700), "WebSocket");
        assert!((others.cores - 0.25).abs() < 1e-9, "{others:?}");
        let warning = others.warning().expect("a quarter of a core shows");
        assert_eq!(warning, "WebSocket: 0.25 cores");
    }

    /// The machine's time is counted in ticks, the measurement's to the nanosecond: on a quiet
    /// machine the second may be more.
    #[test]
    fn a_quiet_machine_is_not_warned_of() {
        for machine in [990, 1_000, 1_100] {
            let others = usage(0, 0, 0).until(usage(1_000, machine, 1_000), "WebSocket");
            assert_eq!(others.warning(), None, "{machine}");
        }
        let later = usage(1_000, 1_150, 1_000);
        assert!(usage(0, 0, 0).until(later, "WebSocket").warning().is_some());
    }

    #[test]
    fn no_time_at_all_is_no_disturbance() {
        let now = usage(5, 5, 5);
        assert_eq!(now.until(now, "nothing").warning(), None);
    }

    /// Work of this process, of a server that it is told of, and of a child that has ended is the
    /// measurement's own: the child's does not vanish with it.
    #[cfg(target_os = "linux")]
    #[test]
    fn ended_children_are_the_measurements_own() {
        let shell = |script: &str| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", script]);
            command
        };
        let (before, children) = (Usage::now([]), os::ended_children_cpu());
        let (before, children) = before.zip(children).expect("Linux tells");
        // More than the kernel may round away, and no time that a busy machine could deny it.
        let work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        assert!(shell(work).status().expect("a shell").success());
        let after = Usage::now([]).expect("Linux tells");
        let worked = os::ended_children_cpu().expect("Linux tells") - children;
        assert!(!worked.is_zero() && after.own - before.own >= worked);

        let mut idle = shell("read line").stdin(std::process::Stdio::piped()).spawn().expect("sh");
        assert!(Usage::now([idle.id()]).is_some());
        drop(idle.stdin.take());
        idle.wait().expect("it ends with its input");
        assert!(Usage::now([idle.id()]).is_none(), "an unknown server says nothing about others");
    }
}
