//! The program as a process of its own, under an address-space limit, and what it uses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The address-space limit, in KiB. A process that reaches it aborts, with all its sessions.
const ADDRESS_SPACE: u64 = 1536 * 1024;

pub(crate) struct Server {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    pub(crate) http: SocketAddr,
    /// The chat in lines.
    pub(crate) tcp: SocketAddr,
    pub(crate) tcp_echo: SocketAddr,
}

/// The resources that a process uses at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Memory, in bytes.
    pub(crate) resident: u64,
    /// Open files.
    pub(crate) files: usize,
}

impl Server {
    /// With its defaults, on one core.
    pub(crate) fn start() -> Self {
        // A shell sets the limits and becomes the program. Files: as many as the system allows.
        let limited =
            format!("ulimit -n $(ulimit -Hn); ulimit -v {ADDRESS_SPACE}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_sockeye")]);
        command.args(["--listen", "127.0.0.1:0"]);
        command.args(["--tcp", "127.0.0.1:0=chat", "--tcp", "127.0.0.1:0=echo"]);
        command.env("TOKIO_WORKER_THREADS", "1").env_remove("RUST_LOG").stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (mut http, mut tcp, mut tcp_echo) = (None, None, None);
        while http.is_none() || tcp.is_none() || tcp_echo.is_none() {
            let mut line = String::new();
            assert!(
                stdout.read_line(&mut line).expect("text") > 0,
                "the server says where it listens"
            );
            let addr = |scheme: &str| -> Option<SocketAddr> {
                let addr = line.split_once(scheme)?.1.split_whitespace().next()?;
                Some(addr.parse().expect("an address with the real port"))
            };
            http = http.or(addr("listening on http://"));
            // In the order of the command line.
            match tcp {
                None => tcp = addr("tcp://"),
                Some(_) => tcp_echo = tcp_echo.or(addr("tcp://")),
            }
        }
        let addr = |addr: Option<SocketAddr>| addr.expect("the loop ended");
        let (http, tcp, tcp_echo) = (addr(http), addr(tcp), addr(tcp_echo));
        Self { child, _stdout: stdout, http, tcp, tcp_echo }
    }

    pub(crate) fn usage(&self) -> Usage {
        let process = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{process}/status")).expect("the server lives");
        let resident =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
        let resident: u64 = resident.expect("the server lives").trim().parse().expect("a number");
        let files = fs::read_dir(format!("{process}/fd")).expect("the server lives").count();
        Usage { resident: resident * 1024, files }
    }

    /// Waits for `patience` until the process uses at most that much; tells what it uses.
    pub(crate) async fn settle(&self, resident: u64, files: usize, patience: Duration) -> Usage {
        let given_up = Instant::now() + patience;
        loop {
            let now = self.usage();
            if (now.resident <= resident && now.files <= files) || Instant::now() > given_up {
                return now;
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Ends the process by its signal, and expects success.
    pub(crate) async fn stop(mut self) {
        let told = Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status();
        assert!(told.expect("kill runs").success());
        let code =
            tokio::task::spawn_blocking(move || self.child.wait().expect("the server ends").code());
        assert_eq!(code.await.expect("no panic"), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already, as the test wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
