//! A TCP relay that behaves like a network, or like a proxy, between a client and a server of this
//! machine.

mod filter;
mod shape;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use self::filter::{Handshake, hold_back};
use self::shape::{Link, carry};
use super::profiles::{Profile, Upgrade};

/// A running relay, with a thread of its own, so that it blocks no other task; dropping it cuts its
/// connections.
#[derive(Debug)]
pub struct Relay {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Relay {
    /// Relays connections to `server` as `profile` says.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on, or no thread to be had.
    pub fn start(profile: &Profile, server: SocketAddr) -> io::Result<Self> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let profile = Arc::new(profile.clone());
        let thread = thread::Builder::new().name("relay".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = accept_all(listener, profile, server) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where to connect instead of the server.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed.
            let _ = thread.join();
        }
    }
}

async fn accept_all(
    listener: StdListener,
    profile: Arc<Profile>,
    server: SocketAddr,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        // Out of file descriptors, or a client that went at once: the others are to be served.
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let profile = Arc::clone(&profile);
        tokio::spawn(async move {
            // An error is the end of a connection, which both sides see.
            let _ = match profile.cut_s {
                None => relay(client, &profile, server).await,
                Some(seconds) => {
                    let cut = tokio::time::timeout(
                        Duration::from_secs_f64(seconds),
                        relay(client, &profile, server),
                    );
                    cut.await.unwrap_or(Ok(()))
                }
            };
        });
    }
}

async fn relay(mut client: TcpStream, profile: &Profile, server: SocketAddr) -> io::Result<()> {
    client.set_nodelay(true)?;
    let handshake = match profile.upgrade {
        Upgrade::Pass => Handshake::default(),
        _ => Handshake::read(&mut client).await?,
    };
    let (delay, jitter) = (profile.delay(), Duration::from_secs_f64(profile.jitter_ms / 1e3));
    // The connection itself is made at once. On a network its first bytes would follow a round trip
    // later.
    let up = Link { delay, jitter, kbit: profile.up_kbit, first: delay * 2 };
    let down = Link { delay, jitter, kbit: profile.down_kbit, first: Duration::ZERO };

    if handshake.asks_for_websocket && profile.upgrade == Upgrade::Refuse {
        tokio::time::sleep(delay * 4).await;
        return client.write_all(REFUSAL).await;
    }
    let first =
        if profile.upgrade == Upgrade::Strip { handshake.stripped() } else { handshake.bytes };
    let stalls = handshake.asks_for_websocket && profile.upgrade == Upgrade::Stall;

    let server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = hold_back(profile.buffer, stalls);
    let up = carry(first, from_client, to_server, up, |bytes| Some(bytes.to_vec()));
    let down = carry(Vec::new(), from_server, to_client, down, answers);
    // When one side has ended the other may go on: a client that has closed its sending side still
    // gets its answer.
    let (up, down) = tokio::join!(up, down);
    up.and(down)
}

const REFUSAL: &[u8] =
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 24\r\n\
    Connection: close\r\n\r\nWebSockets: not allowed\n";
