//! The bytes that are told are the bytes that go over the wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use sockeye_bench::driver::churn::{self, Churn};
use sockeye_bench::driver::idle::{Burst, Held};
use sockeye_bench::driver::{Technique, Timing, Traffic, block_on};

use crate::driver::TECHNIQUES;
use crate::target;
use common::odd_servers::{gateway, scripted};

const PATIENCE: Duration = Duration::from_secs(20);

/// Reads up to the end of a request's head and so many bytes behind it.
fn request(stream: &mut TcpStream, body: usize) -> Option<String> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        read.push(byte[0]);
    }
    let mut rest = vec![0; body];
    stream.read_exact(&mut rest).ok()?;
    read.extend(rest);
    Some(String::from_utf8(read).expect("text"))
}

/// One visit by long polling, every byte of it written here.
#[test]
fn a_visit_by_polling_is_counted_as_by_hand() {
    const INFO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const OPEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no\n";
    const SENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    // The client's messages have 64 bytes, so this one's body has 70: a["…"] and a line end.
    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n";
    let (told, texts) = std::sync::mpsc::channel::<String>();
    let texts = std::sync::Arc::new(std::sync::Mutex::new(texts));
    let addr = scripted(move |mut stream| {
        let mut opened = String::new();
        while let Some(head) = request(&mut stream, 0) {
            let path = head.split(' ').nth(1).expect("a path").to_owned();
            let answer = if path == "/echo/info" {
                INFO.to_owned()
            } else if path.ends_with("/xhr_send") {
                let mut body = [0; 68];
                stream.read_exact(&mut body).expect("a body of 68 bytes");
                told.send(String::from_utf8(body.to_vec()).expect("text")).expect("the test runs");
                SENT.to_owned()
            } else if path != opened {
                opened = path;
                OPEN.to_owned()
            } else {
                let body = texts.lock().expect("no panic").recv().expect("a message");
                format!("{HEAD}a{body}\n")
            };
            stream.write_all(answer.as_bytes()).expect("the client reads");
        }
    });
    let target = target(addr, "/echo");
    let timing =
        Timing { warm_up: Duration::ZERO, measured: Duration::from_millis(1), patience: PATIENCE };
    let plan = Churn { technique: Technique::LongPolling, visitors: 1, size: 64, timing };
    let seen = block_on(churn::run(&target, None, &plan)).expect("a runtime").expect("a visit");
    let visits = seen.correctness.expected;
    assert!(visits >= 1 && seen.correctness.is_perfect(), "{seen:?}");

    let host = format!("Host: {addr}\r\n");
    // /echo, three digits, sixteen digits.
    let session = "/echo/000/0123456789abcdef";
    let asked = format!("GET /echo/info HTTP/1.1\r\n{host}\r\n").len();
    let polled = format!("POST {session}/xhr HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n").len();
    let sent = format!(
        "POST {session}/xhr_send HTTP/1.1\r\n{host}Content-Type: text/plain\r\nContent-Length: 68\r\n\r\n"
    );
    let each = Traffic {
        sent: (asked + 2 * polled + sent.len() + 68) as u64,
        received: (INFO.len() + OPEN.len() + SENT.len() + HEAD.len() + 70) as u64,
        requests: 4,
        connections: 2,
    };
    let all = Traffic {
        sent: each.sent * visits,
        received: each.received * visits,
        requests: each.requests * visits,
        connections: 2,
    };
    assert_eq!(target.traffic(), all, "{visits} visits");
}

/// The kernel's counts on the connections to a server: sent and received.
fn kernel_counts(server: SocketAddr) -> (u64, u64) {
    let server = server.to_string();
    let output = Command::new("ss")
        .args(["-tinOH", "dst", &server])
        .output()
        .expect("ss, of the package iproute2");
    let text = String::from_utf8(output.stdout).expect("text");
    let sum = |name: &str| {
        let counts = text
            .split_ascii_whitespace()
            .filter_map(|word| word.strip_prefix(name)?.parse::<u64>().ok());
        counts.sum()
    };
    (sum("bytes_sent:"), sum("bytes_received:"))
}

#[test]
fn bytes_agree_with_the_kernels_counters() {
    for technique in TECHNIQUES {
        let addr = gateway();
        let target = target(addr, "/echo");
        let counted = async {
            let mut held =
                Held::open(&target, technique, 5, PATIENCE).await.expect("sessions open");
            held.burst(Burst { rounds: 3, messages: 16, size: 200, rests: false })
                .await
                .expect("echoes");
            // Nothing is on its way any more except a new short poll: so both are read until they
            // agree, once.
            let counted = async {
                loop {
                    let (before, kernel, after) =
                        (target.traffic(), kernel_counts(addr), target.traffic());
                    if before == after && kernel == (after.sent, after.received) {
                        return (after, kernel);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let agreed = tokio::time::timeout(Duration::from_secs(10), counted).await;
            agreed.unwrap_or_else(|_| (target.traffic(), kernel_counts(addr)))
        };
        let (traffic, (sent, received)) = block_on(counted).expect("a runtime");
        assert_eq!((traffic.sent, traffic.received), (sent, received), "{technique}");
        assert!(
            traffic.sent > 5 * 48 * 200 && traffic.received > 5 * 48 * 200,
            "{technique}: {traffic:?}"
        );
    }
}
