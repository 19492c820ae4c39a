//! How often memory is allocated for a message in steady state. All runs on one thread, whose
//! allocations are counted; the clients are of this thread as well, and allocate nothing.

use common::apps;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use sockeye::Gateway;
use sockeye::hub::Hub;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Rounds until every buffer has its size, and rounds that are counted.
const WARM_UP: usize = 200;
const ROUNDS: u64 = 1000;
/// As the benchmarks': 64 bytes.
const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Of an echoed message three allocations are its own: the text, the message that shares it, and
/// its SockJS frame. All else is kept from one message to the next.
#[test]
fn an_echoed_message_allocates_three_times() {
    let (runtime, gateway) = (runtime(), Gateway::new().endpoint("/echo", apps::echo));
    let mut client = runtime.block_on(async {
        let url = serve(gateway).await;
        Client::connect(&url, "/echo/000/allocations/websocket").await
    });
    let each = counted(&runtime, async || client.echo().await);
    assert!(each <= 3.01, "{each} allocations for a message");
}

/// A raw WebSocket has no SockJS frame.
#[test]
fn an_echoed_message_without_frame_allocates_twice() {
    let (runtime, gateway) = (runtime(), Gateway::new().endpoint("/echo", apps::echo));
    let mut client = runtime.block_on(async {
        let url = serve(gateway).await;
        Client::connect(&url, "/echo/websocket").await
    });
    let each = counted(&runtime, async || client.echo_raw().await);
    assert!(each <= 2.01, "{each} allocations for a message");
}

/// A message to many is made once. Then each delivery is a reference in a queue and bytes in a
/// buffer that the thread's connections share.
#[test]
fn a_delivery_of_a_fan_out_allocates_nothing() {
    const RECEIVERS: usize = 50;
    let (runtime, hub) = (runtime(), Hub::new());
    let gateway = Gateway::new().endpoint("/broadcast", apps::broadcast(&hub));
    let mut clients = runtime.block_on(async {
        let url = serve(gateway).await;
        let mut clients = Vec::new();
        for number in 0..RECEIVERS {
            let client =
                Client::connect(&url, &format!("/broadcast/000/receiver{number}/websocket")).await;
            clients.push(client);
            while hub.topic("broadcast").subscribers() <= number {
                tokio::task::yield_now().await;
            }
        }
        clients
    });
    let each = counted(&runtime, async || {
        clients[0].say().await;
        for client in &mut clients {
            client.hear().await;
        }
    });
    // What is not for each: the message, and what the hub needs to find its receivers.
    assert!(each <= 8.01, "{each} allocations for a message to {RECEIVERS}");
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Allocations of a round, on average.
fn counted(runtime: &Runtime, mut round: impl AsyncFnMut()) -> f64 {
    runtime.block_on(async {
        for _ in 0..WARM_UP {
            round().await;
        }
    });
    let counted = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..ROUNDS {
                round().await;
            }
        });
    });
    counted.count_total as f64 / ROUNDS as f64
}

async fn serve(gateway: Gateway) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let http = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), gateway.clone())
                .with_upgrades();
            tokio::spawn(http);
        }
    });
    address
}

/// A WebSocket client that has all its bytes beforehand.
struct Client {
    stream: TcpStream,
    /// The masked frames that say [`TEXT`], with SockJS framing and without; the mask is zeros,
    /// which change nothing.
    framed: Vec<u8>,
    raw: Vec<u8>,
    heard: [u8; 2 + TEXT.len() + 5],
}

impl Client {
    async fn connect(address: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("connected");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("an answer"));
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        let frame = |text: &str| {
            let length = 0x80 | u8::try_from(text.len()).expect("a short text");
            [&[0x81, length, 0, 0, 0, 0], text.as_bytes()].concat()
        };
        let mut client = Self {
            stream,
            framed: frame(&format!("[\"{TEXT}\"]")),
            raw: frame(TEXT),
            heard: [0; 2 + TEXT.len() + 5],
        };
        if path.matches('/').count() > 2 {
            client.stream.read_exact(&mut client.heard[..3]).await.expect("the open frame");
            assert_eq!(client.heard[..3], *b"\x81\x01o");
        }
        client
    }

    async fn say(&mut self) {
        self.stream.write_all(&self.framed).await.expect("connected");
    }

    async fn hear(&mut self) {
        self.stream.read_exact(&mut self.heard).await.expect("connected");
        assert_eq!(self.heard[..5], *b"\x81\x45a[\"");
    }

    async fn echo(&mut self) {
        self.say().await;
        self.hear().await;
    }

    async fn echo_raw(&mut self) {
        self.stream.write_all(&self.raw).await.expect("connected");
        let heard = &mut self.heard[..2 + TEXT.len()];
        self.stream.read_exact(heard).await.expect("connected");
        assert_eq!(heard[2..], *TEXT.as_bytes());
    }
}
