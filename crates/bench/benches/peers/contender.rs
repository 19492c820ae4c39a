//! The servers that take part, and their time before they are measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sockeye_bench::os;

use crate::build::Built;
use crate::common::servers::Server;
use crate::common::{Scale, text};

/// A SockJS server that takes part.
pub struct Contender {
    pub name: String,
    pub version: String,
    program: Program,
}

enum Program {
    Sockeye(PathBuf),
    Peer { built: Built, environment: &'static [(&'static str, &'static str)] },
}

impl Contender {
    pub fn sockeye(binary: &Path) -> Self {
        Self {
            name: "Sockeye".to_owned(),
            version: String::new(),
            program: Program::Sockeye(binary.to_owned()),
        }
    }

    pub fn peer(built: Built) -> Self {
        let (name, version) = (built.name.to_owned(), built.version.clone());
        Self { name, version, program: Program::Peer { built, environment: &[] } }
    }

    /// The same server with another setting of its runtime.
    pub fn tuned(&self) -> Option<Self> {
        let Program::Peer { built, .. } = &self.program else { return None };
        let environment = built.tuning?;
        let (built, settings) = (built.clone(), environment.iter());
        let told: Vec<_> = settings.map(|(name, value)| format!("{name}={value}")).collect();
        let name = format!("{} with {}", self.name, told.join(" "));
        let version = self.version.clone();
        Some(Self { name, version, program: Program::Peer { built, environment } })
    }

    /// Whether it is compiled while it runs.
    fn learns(&self) -> bool {
        matches!(&self.program, Program::Peer { built, .. } if built.learns)
    }

    /// Whether it frees memory later than the application lets go of it.
    pub fn collects(&self) -> bool {
        matches!(&self.program, Program::Peer { .. })
    }

    /// Why it has no figure, with the known cause.
    pub fn explain(&self, reason: &str) -> String {
        let known = match &self.program {
            Program::Sockeye(_) => None,
            Program::Peer { built, .. } => {
                built.known.iter().find(|(symptom, _)| reason.contains(symptom))
            }
        };
        let known = known.map_or_else(String::new, |(_, cause)| format!(" ({cause})"));
        format!("{}: {reason}{known}", self.name)
    }

    pub fn start(&self) -> Result<Server, String> {
        match &self.program {
            Program::Sockeye(binary) => Server::sockeye(binary, &[]).map_err(text),
            Program::Peer { built, environment } => {
                let mut command = built.command();
                command.envs(environment.iter().copied());
                Server::start(command).map_err(text)
            }
        }
    }
}

/// A server that runs for several measurements, as servers do: they find it warm.
pub struct Running<'c> {
    pub contender: &'c Contender,
    server: Result<Server, String>,
    /// For how long it has had as much to do as it could.
    worked: Duration,
}

/// How long each server works before anything is measured. A Java process is ten times slower in
/// its first seconds.
const WARM_UP: Duration = Duration::from_secs(15);
/// How long a server that is compiled while it runs then works on each further load, whose code
/// it has not compiled yet.
const LEARNING: Duration = Duration::from_secs(4);
/// Of visits there are few in a second, so their code is compiled late.
const LEARNING_VISITS: Duration = Duration::from_secs(12);
/// Others: connections, caches and allocators settle.
const SETTLING: Duration = Duration::from_millis(1500);
/// A client stays for less than its share of a response's limit, as in a turn that counts.
const SLICE: Duration = Duration::from_secs(3);

impl<'c> Running<'c> {
    pub fn start(contender: &'c Contender) -> Self {
        Self { contender, server: contender.start(), worked: Duration::ZERO }
    }

    /// The running server, or why there is none.
    pub fn server(&self) -> Result<&Server, String> {
        self.server.as_ref().map_err(Clone::clone)
    }

    /// Has it work on a load, until it is as warm as it gets: `work` drives the load for the given
    /// time.
    ///
    /// # Errors
    ///
    /// When it fails in that time: a session that is lost before the first turn is lost as well.
    pub fn warm_up(
        &mut self,
        visits: bool,
        scale: &Scale,
        mut work: impl FnMut(&Server, &Scale) -> Result<(), String>,
    ) -> Result<(), String> {
        // A server that ended with an earlier load has another try, as cold as the first one.
        if self.server.as_mut().is_ok_and(|server| !server.is_running()) {
            (self.server, self.worked) = (self.contender.start(), Duration::ZERO);
        }
        let server = self.server.as_ref().map_err(Clone::clone)?;
        let own = match (self.contender.learns(), visits) {
            (false, _) => SETTLING,
            (true, false) => LEARNING,
            (true, true) => LEARNING_VISITS,
        };
        let mut remaining = own.max(WARM_UP.saturating_sub(self.worked));
        if scale.smoke {
            remaining = scale.measured;
        }
        while !remaining.is_zero() {
            let measured = remaining.min(SLICE);
            let begun = os::monotonic();
            work(server, &Scale { warm_up: Duration::ZERO, measured, ..*scale })?;
            self.worked += Duration::from_nanos(os::monotonic() - begun);
            remaining -= measured;
        }
        Ok(())
    }
}

/// How a page tells of it.
pub fn told_warm_up() -> String {
    format!(
        "Each server works for {WARM_UP:?} in a closed loop before anything of it is measured, and \
         then on each further load for {SETTLING:?}, Node.js and Java, which compile while they \
         run, for {LEARNING:?} (visits: {LEARNING_VISITS:?})."
    )
}

/// Has a peer collect its garbage and give back what it can: its `/collect` returns when it has.
pub fn collect(server: &Server) -> Result<(), String> {
    let mut stream = TcpStream::connect(server.addr()).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(text)?;
    stream
        .write_all(b"GET /collect HTTP/1.1\r\nHost: peer\r\nConnection: close\r\n\r\n")
        .map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    let status = answer.lines().next().unwrap_or_default().to_owned();
    if status.contains(" 200") { Ok(()) } else { Err(format!("/collect answered {status:?}")) }
}
