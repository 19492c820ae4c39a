//! The well-behaved: a client on each transport, whose messages all come back.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use common::client::Client;
use common::transport::Transport;
use common::within;

/// Between a message and the next, so that eight of them don't keep a core busy.
const PACE: Duration = Duration::from_millis(5);

pub(crate) struct Guests {
    guests: Vec<Guest>,
    /// Of their own: the hostile ones, which are many more, must not keep them waiting before a
    /// byte has left.
    runtime: Option<Runtime>,
}

struct Guest {
    transport: Transport,
    /// How many of its messages came back.
    served: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Guests {
    pub(crate) fn arrive(addr: SocketAddr) -> Self {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let arrive = |transport| {
            let (told, served) = watch::channel(0);
            Guest { transport, served, task: runtime.spawn(live(addr, transport, told)) }
        };
        let guests = Transport::ALL.map(arrive).into();
        Self { guests, runtime: Some(runtime) }
    }

    /// From now on each of them gets two more answers: the one that may be on its way proves
    /// nothing.
    pub(crate) async fn all_served(&mut self, when: &str) {
        for guest in &mut self.guests {
            let enough = *guest.served.borrow_and_update() + 2;
            let what = format!("{:?} to be served, {when}", guest.transport);
            let served =
                within(&what, guest.served.wait_for(|count| *count >= enough)).await.is_ok();
            if !served {
                let end = (&mut guest.task).await;
                panic!("{:?} was not served, {when}: {end:?}", guest.transport);
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
        // As clients do: what receives is there before anything is sent, and never away for long.
        client.attach().await.expect("the session lives");
        client.send(&[&text]).await;
        assert_eq!(client.message().await, text);
        told.send_replace(count);
        tokio::time::sleep(PACE).await;
    }
}
