//! The well-behaved: a client on each transport, TCP among them, whose messages all come back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::server::Server;
use common::client::Client;
use common::records::record;
use common::transport::Transport;
use common::within;

/// The pause between messages, so that eight clients don't keep a core busy.
const PACE: Duration = Duration::from_millis(5);
/// The same in the chat in lines, where each message reaches every client, the hostile ones too.
const TCP_PACE: Duration = Duration::from_millis(50);

pub(crate) struct Guests {
    guests: Vec<Guest>,
    /// A runtime of their own: the hostile clients, which are many more, must not delay their
    /// messages inside this process.
    runtime: Option<Runtime>,
}

struct Guest {
    transport: String,
    /// The number of its messages that came back.
    served: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Guests {
    pub(crate) fn arrive(server: &Server) -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let arrive = |transport| {
            let (told, served) = watch::channel(0);
            let task = runtime.spawn(live(server.http, transport, told));
            Guest { transport: format!("{transport:?}"), served, task }
        };
        let mut guests = Vec::from(Transport::ALL.map(arrive));
        let (told, served) = watch::channel(0);
        let task = runtime.spawn(live_over_tcp(server.tcp, told));
        guests.push(Guest { transport: "TCP".to_owned(), served, task });
        Self { guests, runtime: Some(runtime) }
    }

    /// Waits until each client gets two more answers: the first may have been on its way before.
    pub(crate) async fn all_served(&mut self, when: &str) {
        for guest in &mut self.guests {
            let enough = *guest.served.borrow_and_update() + 2;
            let what = format!("{} to be served, {when}", guest.transport);
            let served =
                within(&what, guest.served.wait_for(|count| *count >= enough)).await.is_ok();
            if !served {
                let end = (&mut guest.task).await;
                panic!("{} was not served, {when}: {end:?}", guest.transport);
            }
        }
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Without waiting, which an async test may not.
            runtime.shutdown_background();
        }
    }
}

async fn live(addr: SocketAddr, transport: Transport, told: watch::Sender<u64>) {
    let mut client = Client::open(addr, "/echo", transport).await;
    for count in 1.. {
        let text = format!("{transport:?} {count}");
        // As clients do: a receiver is there before the first message is sent, and never away for
        // long.
        client.attach().await.expect("the session lives");
        client.send(&[&text]).await;
        assert_eq!(client.message().await, text);
        told.send_replace(count);
        tokio::time::sleep(PACE).await;
    }
}

async fn live_over_tcp(addr: SocketAddr, told: watch::Sender<u64>) {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    stream.write_all(&record("guest")).await.expect("it reads");
    for count in 1.. {
        let line = record(&format!("[guest]{count}"));
        stream.write_all(&line).await.expect("it reads");
        // Behind messages of other members.
        while next_record(&mut stream).await != line {}
        told.send_replace(count);
        tokio::time::sleep(TCP_PACE).await;
    }
}

async fn next_record(stream: &mut TcpStream) -> Vec<u8> {
    let mut record = vec![0; 2];
    stream.read_exact(&mut record).await.expect("the session lives");
    record.resize(2 + usize::from(u16::from_be_bytes([record[0], record[1]])), 0);
    stream.read_exact(&mut record[2..]).await.expect("the session lives");
    record
}
