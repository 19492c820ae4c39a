//! Starting servers, each a process of its own on one core, with the load on another.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sockeye_bench::driver::Target;
use sockeye_bench::os;

use super::floors::Floor;

const SERVER_CORE: usize = 0;
const DRIVER_CORE: usize = 1;

/// A running server; dropping it ends it.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// The gateway's binary with these endpoints and flags.
    pub fn sockeye(binary: &Path, flags: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--inbound-rate", "off"])
            .args(flags);
        Self::start(command)
    }

    /// A floor, served by this very program.
    pub fn floor(floor: Floor) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--serve", floor.name()]);
        Self::start(command)
    }

    /// Whatever server says where it listens: in a line `listening on URL`, if need be after
    /// others.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        // A process starts on the cores of the thread that starts it.
        let pinned = os::pin(SERVER_CORE);
        let child = command.spawn();
        if pinned.is_ok() {
            os::pin(DRIVER_CORE)?;
        }
        let mut child =
            child.map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
        let lines =
            BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let Some(url) =
            lines.filter_map(|line| Some(line.strip_prefix("listening on ")?.to_owned())).next()
        else {
            let _ = (child.kill(), child.wait());
            return Err(io::Error::other(format!("{command:?} does not say where it listens")));
        };
        // The pipe is closed, so that it cannot fill unread.
        Ok(Self { url, child })
    }

    /// An endpoint of it.
    pub fn target(&self, prefix: &str) -> Target {
        format!("{}{prefix}", self.url).parse().expect("a server's URL and a prefix make a URL")
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        let addr = self.url.strip_prefix("http://").and_then(|addr| addr.parse().ok());
        addr.expect("servers listen on an IP address")
    }

    /// Whether its process has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}

/// Whether servers and load have a core each.
pub fn pin_driver() -> bool {
    os::pin(SERVER_CORE).is_ok() && os::pin(DRIVER_CORE).is_ok()
}
