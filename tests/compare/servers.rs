//! Servers, each in a thread of its own for as long as the tests run.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::apps::{broadcast, echo};
use sockeye::compare::driver::Target;
use sockeye::hub::Hub;
use sockeye::{EndpointConfig, Gateway, Message, Session};

/// A gateway with an echo at `/echo`, a broadcast at `/broadcast`, and echoes with a sin each.
pub(crate) fn gateway() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket that can wait");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = EndpointConfig { short_poll: true, ..EndpointConfig::default() };
            let mut gateway =
                Gateway::new().endpoint_with("/echo", config, echo).endpoint("/broadcast", broadcast(&Hub::new()));
            for sin in Sin::ALL {
                gateway = gateway.endpoint(sin.prefix(), move |session| commit(session, vec![sin]));
            }
            let gateway = gateway.endpoint("/sinner", |session| commit(session, Sin::ALL.to_vec()));
            serve(listener, gateway).await;
        });
    });
    addr
}

async fn serve(listener: TcpListener, gateway: Gateway) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("within a runtime");
    loop {
        let (stream, _) = listener.accept().await.expect("connections can be accepted");
        stream.set_nodelay(true).expect("the socket is fresh");
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), gateway.clone());
        tokio::spawn(connection.with_upgrades());
    }
}

pub(crate) fn target(addr: SocketAddr, prefix: &str) -> Target {
    format!("http://{addr}{prefix}").parse().expect("a URL")
}

/// What a server may do to messages, and must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sin {
    Loses,
    Duplicates,
    Reorders,
    Changes,
}

impl Sin {
    pub(crate) const ALL: [Self; 4] = [Self::Loses, Self::Duplicates, Self::Reorders, Self::Changes];

    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Loses => "/loses",
            Self::Duplicates => "/duplicates",
            Self::Reorders => "/reorders",
            Self::Changes => "/changes",
        }
    }
}

/// An echo that does each of the sins once in a while, the first ones after a few messages.
async fn commit(mut session: Session, sins: Vec<Sin>) {
    let mut held: Option<Message> = None;
    let mut turns: HashMap<Sin, usize> = HashMap::new();
    let mut number = 0;
    while let Some(message) = session.recv().await {
        number += 1;
        let turn = sins[(number / 7) % sins.len()];
        let sinful = number % 7 == 3;
        *turns.entry(turn).or_default() += usize::from(sinful);
        let text = message.as_text().unwrap_or_default().to_owned();
        let sent = match turn {
            _ if !sinful => vec![message],
            Sin::Loses => vec![],
            Sin::Duplicates => vec![message.clone(), message],
            Sin::Reorders => {
                held = Some(message);
                continue;
            }
            Sin::Changes => vec![Message::from(text.replacen('.', "!", 1))],
        };
        for message in sent.into_iter().chain(held.take()) {
            if session.send(message).await.is_err() {
                return;
            }
        }
    }
}

/// A server that accepts, and says nothing.
pub(crate) fn mute() -> SocketAddr {
    scripted(|mut stream| {
        // Until the client goes.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A server that answers who asks for info, and nothing else.
pub(crate) fn half_dead() -> SocketAddr {
    silent_from(0).0
}

/// A server that answers who asks for info, refuses the first `refused` other requests, and then says nothing more; and what is told when
/// that begins.
pub(crate) fn silent_from(refused: usize) -> (SocketAddr, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let left = Arc::new(AtomicUsize::new(refused));
    let addr = scripted(move |mut stream| {
        let mut request = [0; 4096];
        while let Ok(1..) = stream.read(&mut request) {
            let body = "{\"websocket\":true}";
            let answer = if request.starts_with(b"GET /echo/info") {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            } else if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                // Not everybody wants to know.
                let _ = tell.send(());
                continue;
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (addr, told)
}

/// A port that nobody listens on.
pub(crate) fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound")
}

/// A server that does this with each connection.
pub(crate) fn scripted(script: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (script, stream) = (script.clone(), stream.expect("connections can be accepted"));
            thread::spawn(move || script(stream));
        }
    });
    addr
}
