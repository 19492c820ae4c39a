//! The kinds of hostile peers, each a function for one connection. A connection is held until all
//! of its kind are there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server::Server;

/// Connections of each kind, if the environment names no other number.
pub(crate) const EACH: usize = 500;
/// How long a peer offers bytes to a server that takes none.
const OFFER: Duration = Duration::from_millis(300);
/// How long a peer waits for an answer that it can do without.
const WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Kind {
    pub(crate) name: &'static str,
    attack: fn(Where, usize) -> Attack,
}

/// The connections that an attack holds in the end; an attack that the server broke off holds none.
type Attack = Pin<Box<dyn Future<Output = io::Result<Vec<Peer>>> + Send>>;

#[derive(Clone, Copy)]
pub(crate) struct Where {
    http: SocketAddr,
    /// The chat in lines.
    tcp: SocketAddr,
    /// Answers one line, and ends.
    tcp_echo: SocketAddr,
}

impl Kind {
    /// All, or those that the environment names.
    pub(crate) fn chosen() -> Vec<Self> {
        let mut all = Self::all();
        let Ok(names) = std::env::var("SOCKEYE_ABUSE") else { return all };
        all.retain(|kind| names.split(',').any(|name| name == kind.name));
        assert!(!all.is_empty(), "{names:?} names no kind");
        all
    }

    fn all() -> Vec<Self> {
        let kind = |name, attack| Self { name, attack };
        // Two kinds run at a time. A kind that needs new sessions must not run beside a kind that
        // fills the budget: its sessions would be refused.
        vec![
            kind("bodies_for_nobody", |at, n| Box::pin(bodies_for_nobody(at, n))),
            kind("records_that_never_end", |at, _| Box::pin(records_that_never_end(at))),
            kind("bodies_that_never_end", |at, n| Box::pin(bodies_that_never_end(at, n))),
            kind("dribbled_records", |at, _| Box::pin(dribbled_records(at))),
            kind("deaf", |at, n| Box::pin(deaf(at, n))),
            kind("long_ids", |at, n| Box::pin(long_ids(at, n))),
            kind("deaf_until_closed", |at, _| Box::pin(deaf_until_closed(at))),
            kind("dribbled_messages", |at, _| Box::pin(dribbled_messages(at))),
            kind("polls_broken_off", |at, n| Box::pin(polls_broken_off(at, n))),
            kind("half_closed", |at, n| Box::pin(half_closed(at, n))),
            kind("slow_streams", |at, n| Box::pin(slow_streams(at, n))),
            kind("records_until_closed", |at, n| Box::pin(records_until_closed(at, n))),
            kind("broadcasts", |at, n| Box::pin(broadcasts(at, n))),
            kind("away", |at, n| Box::pin(away(at, n))),
            kind("deaf_lines", |at, n| Box::pin(deaf_lines(at, n))),
        ]
    }

    /// Lets so many connections of the kind do their worst, and gives what they hold then.
    pub(crate) async fn attack(&self, server: &Server, each: usize) -> Vec<Peer> {
        let at = Where { http: server.http, tcp: server.tcp, tcp_echo: server.tcp_echo };
        let mut attacks = JoinSet::new();
        for n in 0..each {
            attacks.spawn((self.attack)(at, n));
        }
        let mut held = Vec::new();
        while let Some(attack) = attacks.join_next().await {
            // The server may break an attack off: that is a defence, too.
            held.extend(attack.expect("no panic").unwrap_or_default());
        }
        held
    }
}

/// 4 MiB for a session that doesn't exist, all but the last bytes.
async fn bodies_for_nobody(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    peer.offer(post(&format!("/echo/000/nobody{n}/xhr_send"), 4 << 20).as_bytes()).await?;
    peer.offer(&vec![b'x'; (4 << 20) - 1000]).await?;
    Ok(vec![peer])
}

/// The same for one that does, within the limits.
async fn bodies_that_never_end(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    let session = peer.open_session(n).await?;
    peer.offer(post(&format!("{session}/xhr_send"), 1_000_000).as_bytes()).await?;
    peer.offer(&vec![b'x'; 999_000]).await?;
    Ok(vec![peer])
}

/// A WebSocket that sends megabytes to an echo and reads nothing. One in ten has SockJS frames:
/// they are what costs a debug build time.
async fn deaf(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    let text = "x".repeat(60_000);
    if n.is_multiple_of(10) {
        peer.upgrade("/echo/000/deaf/websocket").await?;
        peer.offer(&frame(payload(&[text.as_str(); 17]).as_bytes())).await?;
    } else {
        peer.upgrade("/echo/websocket").await?;
    }
    let megabyte = frame(text.as_bytes()).repeat(17);
    for _ in 0..3 {
        peer.offer(&megabyte).await?;
    }
    Ok(vec![peer])
}

/// The same, and its inbound queue is full as well when the client goes.
async fn deaf_until_closed(at: Where) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    peer.upgrade("/echo/websocket").await?;
    let large = frame(&[b'x'; 60_000]).repeat(20);
    peer.offer(&large).await?;
    peer.offer(&frame(b"x").repeat(3000)).await?;
    peer.stream.shutdown().await?;
    Ok(vec![peer])
}

/// A poll that is answered with 180 kB, of which its client takes a hundred bytes.
async fn polls_broken_off(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    let session = peer.open_session(n).await?;
    let payload = payload(&["x".repeat(60_000).as_str(); 3]);
    peer.offer(post(&format!("{session}/xhr_send"), payload.len()).as_bytes()).await?;
    peer.offer(payload.as_bytes()).await?;
    peer.hear(b"204").await?;
    peer.offer(post(&format!("{session}/xhr"), 0).as_bytes()).await?;
    timeout(WAIT, peer.stream.read_exact(&mut [0; 100])).await??;
    peer.stream.set_zero_linger()?;
    Ok(Vec::new())
}

/// A stream of which its client takes a little now and then.
async fn slow_streams(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut stream = Peer::open(at.http).await?;
    let session = path(n);
    stream.offer(post(&format!("{session}/xhr_streaming"), 0).as_bytes()).await?;
    stream.hear(b"o\n").await?;
    let mut up = Peer::open(at.http).await?;
    let payload = payload(&["x".repeat(60_000).as_str(); 3]);
    up.offer(post(&format!("{session}/xhr_send"), payload.len()).as_bytes()).await?;
    up.offer(payload.as_bytes()).await?;
    up.hear(b"204").await?;
    for _ in 0..5 {
        timeout(WAIT, stream.stream.read_exact(&mut [0; 1000])).await??;
        tokio::time::sleep(OFFER / 3).await;
    }
    Ok(vec![stream])
}

/// A message of a WebSocket, byte by byte.
async fn dribbled_messages(at: Where) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    peer.upgrade("/echo/000/dribble/websocket").await?;
    let message = frame(&[b'x'; 1_000_000]);
    for byte in &message[..20] {
        peer.offer(&[*byte]).await?;
        tokio::time::sleep(OFFER / 10).await;
    }
    peer.offer(&message[20..500_000]).await?;
    Ok(vec![peer])
}

/// A member that sends to all and reads nothing.
async fn broadcasts(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    peer.upgrade("/broadcast/websocket").await?;
    // Each message reaches five hundred members: some members send fewer and larger ones.
    let size = if n.is_multiple_of(50) { 60_000 } else { 100 };
    for _ in 0..2 {
        peer.offer(&frame(&vec![b'x'; size])).await?;
    }
    Ok(vec![peer])
}

/// A poll, a stream or a WebSocket whose client has nothing more to say, and stays.
async fn half_closed(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    match n % 3 {
        0 => {
            let session = peer.open_session(n).await?;
            peer.offer(post(&format!("{session}/xhr"), 0).as_bytes()).await?;
        }
        1 => peer.offer(post(&format!("{}/xhr_streaming", path(n)), 0).as_bytes()).await?,
        _ => peer.upgrade("/echo/websocket").await?,
    }
    peer.stream.shutdown().await?;
    Ok(vec![peer])
}

/// A session whose name is as long as a head may be.
async fn long_ids(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.http).await?;
    let id = format!("{n}-{}", "i".repeat(60_000));
    peer.offer(post(&format!("/echo/000/{id}/xhr"), 0).as_bytes()).await?;
    // Any answer will do.
    let _ = timeout(WAIT, peer.stream.read_u8()).await?;
    Ok(vec![peer])
}

/// A participant of a room that sends messages to another, which has vanished without a sign.
async fn away(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let room = n / 2 + 1;
    let mut peer = Peer::open(at.http).await?;
    peer.upgrade(&format!("/signal/000/{}/websocket", unique(n))).await?;
    peer.say(&format!(r#"{{"type":"join","protocol":2,"room":{room}}}"#)).await?;
    peer.hear(b"welcome").await?;
    if n.is_multiple_of(2) {
        // Later connections write to it.
        peer.stream.set_zero_linger()?;
        return Ok(Vec::new());
    }
    let text = "x".repeat(50_000);
    for _ in 0..4 {
        peer.say(&format!(r#"{{"type":"text","data":"{text}"}}"#)).await?;
    }
    Ok(vec![peer])
}

/// A TCP client that announces a record and sends half of it.
async fn records_that_never_end(at: Where) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.tcp).await?;
    peer.offer(&60_000_u16.to_be_bytes()).await?;
    peer.offer(&[b'x'; 30_000]).await?;
    Ok(vec![peer])
}

/// A record byte by byte.
async fn dribbled_records(at: Where) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.tcp_echo).await?;
    for byte in &record(&[b'x'; 1000])[..10] {
        peer.offer(&[*byte]).await?;
        tokio::time::sleep(OFFER / 10).await;
    }
    Ok(vec![peer])
}

/// A TCP client that goes with its inbound queue full: the chat reads it no faster than its rate
/// allows, and the echo reads one record only.
async fn records_until_closed(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(if n.is_multiple_of(2) { at.tcp } else { at.tcp_echo }).await?;
    peer.offer(&record(unique(n).as_bytes())).await?;
    // Empty lines, which the chat refuses one by one.
    peer.offer(&record(b"").repeat(1025)).await?;
    peer.stream.shutdown().await?;
    Ok(vec![peer])
}

/// A TCP client in the chat that reads nothing of what the others say.
async fn deaf_lines(at: Where, n: usize) -> io::Result<Vec<Peer>> {
    let mut peer = Peer::open(at.tcp).await?;
    peer.offer(&record(unique(n).as_bytes())).await?;
    // Each message reaches five hundred members: only some send.
    if n.is_multiple_of(25) {
        peer.offer(&record(&[b'x'; 1000]).repeat(5)).await?;
    }
    Ok(vec![peer])
}

/// A connection of a hostile client, with little room to receive: what the server has to keep shows
/// soon.
pub(crate) struct Peer {
    stream: TcpStream,
}

impl Peer {
    async fn open(addr: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        let stream = socket.connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Sends as much as the server takes, until it has taken nothing for a while.
    async fn offer(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match timeout(OFFER, self.stream.write(bytes)).await {
                Ok(taken) => bytes = &bytes[taken?..],
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Reads until `end` has come.
    async fn hear(&mut self, end: &[u8]) -> io::Result<()> {
        let mut heard = Vec::new();
        while !heard.windows(end.len()).any(|window| window == end) {
            if timeout(WAIT, self.stream.read_buf(&mut heard)).await?? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Opens an HTTP session and tells its path.
    async fn open_session(&mut self, n: usize) -> io::Result<String> {
        let session = path(n);
        self.offer(post(&format!("{session}/xhr"), 0).as_bytes()).await?;
        self.hear(b"o\n").await?;
        Ok(session)
    }

    async fn upgrade(&mut self, path: &str) -> io::Result<()> {
        let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n"
        );
        self.offer(head.as_bytes()).await?;
        self.hear(b"\r\n\r\n").await
    }

    /// Sends a message over a framed WebSocket.
    async fn say(&mut self, message: &str) -> io::Result<()> {
        self.offer(&frame(payload(&[message]).as_bytes())).await
    }
}

/// Messages as JSON. serde_json would take longer in a debug build than the server takes for them.
fn payload(messages: &[&str]) -> String {
    let quote = |message: &&str| format!("\"{}\"", message.replace('"', "\\\""));
    format!("[{}]", messages.iter().map(quote).collect::<Vec<_>>().join(","))
}

fn post(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

/// A record of a TCP client, in ASCII.
fn record(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes()[..], text].concat()
}

/// A text frame of a client, with a mask that changes nothing.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![0x81];
    match (u16::try_from(length), length) {
        (_, 0..=125) => frame.push(0x80 | length as u8),
        (Ok(short), _) => {
            frame.push(0xfe);
            frame.extend(short.to_be_bytes());
        }
        (Err(_), _) => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The path of a session that no client has used, in this round or before.
fn path(n: usize) -> String {
    format!("/echo/000/{}", unique(n))
}

fn unique(n: usize) -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("h{n}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}
