//! The measured server, and how connections to it are made.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::ops::AddAssign;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{TcpSocket, TcpStream};

use super::error::Error;

/// The headers that Chromium sends with a request, except the compression that it takes: this
/// driver takes none.
const BROWSER: &str = "Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    Accept: */*\r\nOrigin: http://AUTHORITY\r\nReferer: http://AUTHORITY/\r\nAccept-Language: en-US,en;q=0.9\r\n";

/// An endpoint of a server; clones count their traffic together.
#[derive(Clone, Debug)]
pub struct Target(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    addr: SocketAddr,
    authority: String,
    prefix: String,
    headers: String,
    traffic: Counters,
    sessions: AtomicU64,
}

/// Bytes, requests and connections so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) connections: AtomicU64,
}

/// Bytes over the wire, as the payload of TCP: heads and framing included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes to the server.
    pub sent: u64,
    /// Bytes from the server.
    pub received: u64,
    /// HTTP requests, upgrades included.
    pub requests: u64,
    /// TCP connections made.
    pub connections: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
        self.requests += other.requests;
        self.connections += other.connections;
    }
}

impl Traffic {
    /// The difference since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
            requests: self.requests - earlier.requests,
            connections: self.connections - earlier.connections,
        }
    }
}

/// A URL that cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no URL of the shape that is asked for.
    #[error("{0:?} is no URL like http://127.0.0.1:8080/echo")]
    Url(String),
    /// Its host has no address.
    #[error("the host of {url:?} cannot be found")]
    Resolve {
        /// The URL.
        url: String,
        /// The resolver's error.
        #[source]
        source: io::Error,
    },
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let no_url = || TargetError::Url(url.to_owned());
        let uri: http::Uri = url.parse().map_err(|_| no_url())?;
        if uri.scheme() != Some(&http::uri::Scheme::HTTP) || uri.query().is_some() {
            return Err(no_url());
        }
        let authority = uri.authority().ok_or_else(no_url)?;
        let host = authority.host().trim_matches(['[', ']']);
        let addrs = (host, authority.port_u16().unwrap_or(80)).to_socket_addrs();
        let addr =
            addrs.and_then(|mut addrs| addrs.next().ok_or_else(|| io::ErrorKind::NotFound.into()));
        Ok(Self(Arc::new(Inner {
            addr: addr.map_err(|source| TargetError::Resolve { url: url.to_owned(), source })?,
            authority: authority.as_str().to_owned(),
            headers: String::new(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            traffic: Counters::default(),
            sessions: AtomicU64::new(0),
        })))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.0.authority, self.0.prefix)
    }
}

impl Target {
    /// The traffic of all its sessions so far.
    pub fn traffic(&self) -> Traffic {
        let Counters { sent, received, requests, connections } = &self.0.traffic;
        let [sent, received, requests, connections] =
            [sent, received, requests, connections].map(|counter| counter.load(Ordering::Relaxed));
        Traffic { sent, received, requests, connections }
    }

    /// The same endpoint, asked with as many headers as browsers send, by a page of the same
    /// server: some servers refuse those of others.
    pub fn as_a_browser(&self) -> Self {
        self.with(self.0.addr, &self.0.prefix, &BROWSER.replace("AUTHORITY", &self.0.authority))
    }

    /// The same with another address to connect to: that of a relay.
    pub fn through(&self, addr: SocketAddr) -> Self {
        self.with(addr, &self.0.prefix, &self.0.headers)
    }

    /// Another endpoint of the same server.
    pub fn sibling(&self, prefix: &str) -> Self {
        self.with(self.0.addr, prefix, &self.0.headers)
    }

    /// Its traffic is counted apart.
    fn with(&self, addr: SocketAddr, prefix: &str, headers: &str) -> Self {
        Self(Arc::new(Inner {
            addr,
            authority: self.0.authority.clone(),
            prefix: prefix.to_owned(),
            headers: headers.to_owned(),
            traffic: Counters::default(),
            sessions: AtomicU64::new(0),
        }))
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.0.addr
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.traffic
    }

    /// The value of the header `Host`.
    pub(super) fn authority(&self) -> &str {
        &self.0.authority
    }

    /// The headers of every request, besides those that it needs.
    pub(super) fn headers(&self) -> &str {
        &self.0.headers
    }

    pub(super) fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The path of a session of its own, without a transport. No two processes and no two calls
    /// choose the same.
    pub(super) fn session_path(&self) -> String {
        let number = self.0.sessions.fetch_add(1, Ordering::Relaxed);
        let nonce = uuid::Uuid::new_v4().as_u128() as u64;
        format!("{}/{:03}/{nonce:016x}", self.0.prefix, number % 1000)
    }

    pub(super) async fn connect(self) -> Result<TcpStream, Error> {
        let number = self.0.traffic.connections.fetch_add(1, Ordering::Relaxed);
        let addr = self.0.addr;
        let stream = connect_from(source(addr.ip(), number), addr).await;
        let stream = stream.map_err(|source| Error::Connect { addr, source: Arc::new(source) })?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The address to connect from, if it is not left to the system.
///
/// One address has some 28,000 ports to connect from, those included that are kept from use for a
/// while after their connection. The loopback network has 16 million addresses.
fn source(target: IpAddr, number: u64) -> Option<Ipv4Addr> {
    const EACH: u64 = 16_000;
    match target {
        IpAddr::V4(target) if target.is_loopback() && number >= EACH => {
            Some(Ipv4Addr::new(127, 0, 0, (1 + number / EACH % 250) as u8))
        }
        _ => None,
    }
}

async fn connect_from(source: Option<Ipv4Addr>, addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    socket.connect(addr).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let target: Target = "http://127.0.0.1:81/a/b/".parse().expect("a URL");
        assert_eq!(
            (target.addr(), target.prefix()),
            (SocketAddr::from(([127, 0, 0, 1], 81)), "/a/b")
        );
        assert_eq!(target.authority(), "127.0.0.1:81");
        let target: Target = "http://[::1]/".parse().expect("a URL");
        assert_eq!((target.addr().port(), target.prefix()), (80, ""));
        for wrong in [
            "",
            "127.0.0.1:80/echo",
            "https://127.0.0.1/echo",
            "http:///echo",
            "http://127.0.0.1/echo?a=1",
        ] {
            assert!(matches!(wrong.parse::<Target>(), Err(TargetError::Url(_))), "{wrong}");
        }
    }

    #[test]
    fn many_connections_come_from_many_addresses() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(source(loopback, 15_999), None);
        assert_eq!(source(loopback, 16_000), Some(Ipv4Addr::new(127, 0, 0, 2)));
        assert_eq!(source(loopback, 32_000), Some(Ipv4Addr::new(127, 0, 0, 3)));
        assert_eq!(source(IpAddr::from([10, 0, 0, 1]), 32_000), None);
    }

    #[test]
    fn a_browser_comes_from_a_page_of_the_same_server() {
        let target: Target = "http://127.0.0.1:8080/echo".parse().expect("a URL");
        assert_eq!(target.headers(), "");
        assert!(target.as_a_browser().headers().contains("\r\nOrigin: http://127.0.0.1:8080\r\n"));
    }
}
