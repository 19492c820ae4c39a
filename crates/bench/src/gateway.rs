//! A gateway of this program's own, in a process of its own, so that its costs can be told from the
//! load's.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::driver::Target;

/// A running gateway; dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    url: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Its process cannot be started.
    #[error("{program} cannot be started")]
    Start {
        /// The program to run.
        program: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// It ended, or said something else than where it listens.
    #[error("the gateway does not say where it listens{said}")]
    Silent {
        /// Its output instead.
        said: String,
    },
}

impl Gateway {
    /// Starts `sockeye serve` from the program at `binary`, on a free port of the loopback
    /// interface.
    ///
    /// # Errors
    ///
    /// When it does not start, or does not say where it listens.
    pub fn start(binary: &Path) -> Result<Self, GatewayError> {
        let mut command = Command::new(binary);
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log",
            "error",
            "--endpoint",
            "/stamp=stamp",
        ]);
        // A load is as fast as it can be.
        command.args(["--inbound-rate", "off"]);
        // The disconnect delay is the default: sessions left behind by a visit are part of the cost
        // that visits cost.
        command
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let program = binary.display().to_string();
        let mut child =
            command.spawn().map_err(|source| GatewayError::Start { program, source })?;
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let read = BufReader::new(stdout).read_line(&mut line);
        let mut gateway = Self { child, url: String::new() };
        match (read, line.trim().strip_prefix("listening on ")) {
            (Ok(_), Some(url)) => {
                gateway.url = url.to_owned();
                Ok(gateway)
            }
            _ => Err(GatewayError::Silent { said: gateway.last_words() }),
        }
    }

    fn last_words(&mut self) -> String {
        let _ = (self.child.kill(), self.child.wait());
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        if said.is_empty() { said } else { format!(": {}", said.trim()) }
    }

    /// An endpoint of it.
    pub fn target(&self, prefix: &str) -> Target {
        format!("{}{prefix}", self.url)
            .parse()
            .expect("a listening server's URL and a prefix make a URL")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = (self.child.kill(), self.child.wait());
    }
}
