//! Programs of one's own that hold a gateway, as small as they can be.

use std::io::Write;
use std::process::Command;

use clap::ValueEnum;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::{Gateway, Session};
use tokio::net::TcpListener;

use crate::common::servers::Server;

/// What serves the gateway.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Own {
    /// hyper and nothing else.
    Hyper,
    /// axum, with what it has around a connection.
    Axum,
}

impl Own {
    /// Such a program, which is this very one.
    pub fn start(self) -> std::io::Result<Server> {
        let name = match self {
            Self::Hyper => "hyper",
            Self::Axum => "axum",
        };
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--own", name]);
        Server::start(command)
    }

    /// Serves until the process is ended, on a port that the first line on stdout tells.
    pub fn serve(self) -> std::io::Result<()> {
        let gateway = Gateway::new().endpoint("/echo", echo);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let mut stdout = std::io::stdout();
            writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
            stdout.flush()?;
            match self {
                Self::Axum => axum::serve(listener, gateway.into_axum::<()>()).await,
                Self::Hyper => loop {
                    let (stream, _) = listener.accept().await?;
                    let connection = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), gateway.clone())
                        .with_upgrades();
                    tokio::spawn(connection);
                },
            }
        })
    }
}

async fn echo(mut session: Session) {
    while let Some(message) = session.recv().await {
        if session.send(message).await.is_err() {
            break;
        }
    }
}
