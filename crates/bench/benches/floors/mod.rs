//! The cost of the libraries by themselves: the least that a server built on them can spend.

mod http;
mod websocket;

use std::io::Write;
use std::str::FromStr;

use tokio::net::{TcpListener, TcpStream};

/// A server without SockJS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// tokio-tungstenite, every message back to its sender.
    WebSocketEcho,
    /// tokio-tungstenite, every message to all clients.
    WebSocketFanOut,
    /// hyper: a POST to `/send` is answered with 204, every other one with 71 bytes.
    Http,
}

impl Floor {
    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocketEcho => "websocket-echo",
            Self::WebSocketFanOut => "websocket-fan-out",
            Self::Http => "http",
        }
    }

    /// Serves until the process is ended, on a port that the first line on stdout tells.
    pub fn serve(self) -> std::io::Result<()> {
        // The same runtime as the gateway's binary has.
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let listener = TcpListener::from_std(listen()?)?;
            let mut stdout = std::io::stdout();
            writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
            stdout.flush()?;
            let peers = websocket::Peers::default();
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                match self {
                    Self::WebSocketEcho => drop(tokio::spawn(forgiving(websocket::echo(stream)))),
                    Self::WebSocketFanOut => {
                        drop(tokio::spawn(forgiving(websocket::fan_out(stream, peers.clone()))))
                    }
                    Self::Http => drop(tokio::spawn(forgiving(http::serve(stream)))),
                }
            }
        })
    }
}

impl FromStr for Floor {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::WebSocketEcho, Self::WebSocketFanOut, Self::Http];
        all.into_iter()
            .find(|floor| floor.name() == name)
            .ok_or_else(|| format!("{name:?} is no floor"))
    }
}

fn listen() -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// A connection's errors are its client's: it went.
async fn forgiving<E>(connection: impl Future<Output = Result<(), E>>) {
    let _ = connection.await;
}

/// Only [`websocket`] and [`http`] look at it.
type Stream = TcpStream;
