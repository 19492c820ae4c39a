//! Stop signals, while clients are there.

use std::io::{BufRead, Read};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;

use common::client::Client;
use common::records::Client as _;
use common::transport::Transport;

use super::cli::{Running, sockeye};

/// Waits until balancers are told that this server drains.
fn wait_for_drain(server: &Running) {
    while server.get("/readyz").status() == 200 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A restart must not look like a crash to connected clients, nor lose clients that are on their
/// way back.
#[tokio::test]
async fn a_stop_signal_tells_every_client() {
    for name in ["TERM", "INT"] {
        let arguments = ["--listen", "127.0.0.1:0", "--tcp", "127.0.0.1:0=echo"];
        let mut server = Running::spawn_with(&mut sockeye(&arguments), Stdio::piped());
        let mut stderr = server.child.stderr.take().expect("piped");
        let mut records = connect_tcp(&mut server).await;
        let mut clients = Vec::new();
        for transport in Transport::ALL {
            let mut client = Client::open(server.addr, "/echo", transport).await;
            client.send(&["hello"]).await;
            assert_eq!(client.message().await, "hello");
            clients.push(client);
        }
        assert_eq!(server.get("/readyz").body, "ready");

        server.signal(name);
        wait_for_drain(&server);
        // The clients that are between two polls keep the listener open.
        let readiness = server.get("/readyz");
        assert_eq!((readiness.status(), &*readiness.body), (503, "draining"));
        assert_eq!(server.get("/healthz").body, "ok");
        while server.get("/echo/info").status() == 200 {}
        let refusal = server.post("/echo/000/late/xhr", "");
        assert_eq!((refusal.status(), refusal.header("retry-after")), (503, Some("5")));
        let count = clients.len();
        for mut client in clients {
            assert_eq!(client.closed().await, (1001, "Server shutting down".to_owned()));
        }
        assert_eq!(records.rest().await, b"", "FIN");
        drop(records);
        assert_eq!(server.exit_code(), Some(0), "{name}");
        let mut log = String::new();
        stderr.read_to_string(&mut log).expect("UTF-8");
        // The TCP client is among them if it had been accepted by then.
        let told = |count| log.contains(&format!("drained told={count} untold=0 undelivered=0"));
        assert!(told(count) || told(count + 1), "{log}");
        assert_eq!(log.matches("drained told=").count(), 1, "{log}");
    }
}

async fn connect_tcp(server: &mut Running) -> TcpStream {
    let mut line = String::new();
    let addr = loop {
        line.clear();
        assert!(server.stdout.read_line(&mut line).expect("UTF-8") > 0, "it lists its listeners");
        if let Some((_, rest)) = line.split_once("tcp://") {
            break rest.split(' ').next().expect("an address").to_owned();
        }
    };
    TcpStream::connect(addr).await.expect("it listens")
}

/// An operator in a hurry need not look for a signal that can't be caught.
#[test]
fn a_second_signal_ends_the_program_at_once() {
    for (first, second, code) in [("TERM", "INT", 130), ("INT", "TERM", 143)] {
        // The client of this session does not come back.
        let mut server = Running::start(&["--disconnect-delay", "1h", "--drain-time", "1h"]);
        assert_eq!(server.post("/echo/000/one/xhr", "").body, "o\n");
        server.signal(first);
        wait_for_drain(&server);
        server.signal(second);
        assert_eq!(server.exit_code(), Some(code), "{first}, {second}");
    }
}

#[test]
fn in_the_lead_the_server_serves_on() {
    let mut server = Running::start(&["--drain-lead", "1h"]);
    server.signal("TERM");
    wait_for_drain(&server);
    assert_eq!(server.post("/echo/000/one/xhr", "").body, "o\n");
    assert_eq!(server.get("/echo/info").status(), 200);
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(143));
}
