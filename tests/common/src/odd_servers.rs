//! Servers, each in a thread of its own for as long as the tests run.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use sockeye::hub::Hub;
use sockeye::{EndpointConfig, Gateway, Message, Session};

use crate::apps::{broadcast, echo};

/// A gateway with an echo at `/echo`, a broadcast at `/broadcast`, and echoes with a sin each.
pub fn gateway() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket that can wait");
    thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = EndpointConfig::new().short_poll(true);
            let mut gateway = Gateway::new()
                .endpoint_with("/echo", config, echo)
                .endpoint("/broadcast", broadcast(&Hub::new()));
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
    sockeye::serve(listener, gateway).await;
}

/// What a server may do to messages, and must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sin {
    Loses,
    Duplicates,
    Reorders,
    Changes,
}

impl Sin {
    pub const ALL: [Self; 4] = [Self::Loses, Self::Duplicates, Self::Reorders, Self::Changes];

    pub fn prefix(self) -> &'static str {
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
pub fn mute() -> SocketAddr {
    scripted(|mut stream| {
        // Until the client goes.
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// A server that answers requests for info, and nothing else.
pub fn half_dead() -> SocketAddr {
    silent_from(0).0
}

/// A server that answers requests for info, refuses the first `refused` other requests, and then
/// says nothing more; and what is told when that begins.
pub fn silent_from(refused: usize) -> (SocketAddr, mpsc::Receiver<()>) {
    let (tell, told) = mpsc::channel();
    let left = Arc::new(AtomicUsize::new(refused));
    let addr = scripted(move |mut stream| {
        let mut request = [0; 4096];
        while let Ok(1..) = stream.read(&mut request) {
            let body = "{\"websocket\":true}";
            let answer = if request.starts_with(b"GET /echo/info") {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            } else if left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
            {
                "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()
            } else {
                // Some tests do not listen.
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

const LATE: Duration = Duration::from_millis(5);

/// An echo over xhr polling that sends the end of each answer a moment after its frame.
pub fn late_ends() -> SocketAddr {
    type Waiting = HashMap<String, Vec<String>>;
    let sessions: Arc<(Mutex<Waiting>, Condvar)> = Arc::default();
    scripted(move |stream| {
        stream.set_nodelay(true).expect("the socket is fresh");
        let mut lines = BufReader::new(stream.try_clone().expect("a socket has two ends"));
        let mut out = stream;
        while let Some((path, body)) = request(&mut lines) {
            if path.ends_with("/xhr_send") {
                // So that the end of an answer comes before the echo.
                thread::sleep(LATE * 4);
            }
            let (map, arrived) = &*sessions;
            let (session, what) = path.rsplit_once('/').expect("a path");
            let mut map = map.lock().expect("no panic");
            let frame = match what {
                "info" => "{\"websocket\":true}".to_owned(),
                "xhr_send" => {
                    map.get_mut(session).expect("it is open").push(body);
                    arrived.notify_all();
                    String::new()
                }
                _ if !map.contains_key(session) => {
                    map.insert(session.to_owned(), Vec::new());
                    "o\n".to_owned()
                }
                _ => {
                    map = arrived.wait_while(map, |map| map[session].is_empty()).expect("no panic");
                    let messages = map.get_mut(session).expect("it is open").remove(0);
                    format!("a{messages}\n")
                }
            };
            drop(map);
            if frame.is_empty() {
                let _ = out.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                continue;
            }
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = out.write_all(format!("{head}{:x}\r\n{frame}\r\n", frame.len()).as_bytes());
            // What is sent together is mostly read together.
            thread::sleep(LATE);
            let _ = out.write_all(b"0\r\n\r\n");
        }
    })
}

/// The path and the body of the next request.
fn request(lines: &mut impl BufRead) -> Option<(String, String)> {
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    lines.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    while line != "\r\n" {
        line.clear();
        lines.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some((path, String::from_utf8(body).expect("text")))
}

/// A port without a listener.
pub fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound")
}

/// A server that does this with each connection.
pub fn scripted(script: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
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
