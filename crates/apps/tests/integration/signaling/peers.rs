//! Servers and clients of these tests.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sockeye::{EndpointConfig, Gateway};
use sockeye_apps::rooms::{Rooms, RoomsConfig};

use common::client::{Client, Event};
use common::server::serve;
use common::transport::Transport;
use common::within;

pub(crate) const SIGNAL: &str = "/signal";

/// A server with rooms. The endpoint takes larger messages than the rooms do: then the rooms say
/// what is wrong.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) rooms: Rooms,
    transport: Transport,
}

impl Server {
    pub(crate) async fn start(transport: Transport) -> Self {
        Self::with(transport, RoomsConfig::default(), roomy()).await
    }

    pub(crate) async fn with(
        transport: Transport,
        rooms: RoomsConfig,
        endpoint: EndpointConfig,
    ) -> Self {
        let rooms = Rooms::new(rooms);
        let addr = serve(Gateway::new().endpoint_with(SIGNAL, endpoint, rooms.handler())).await;
        Self { addr, rooms, transport }
    }

    pub(crate) async fn visit(&self) -> Peer {
        Peer { client: Client::open(self.addr, SIGNAL, self.transport).await }
    }

    /// A participant of protocol 2 in room 1, and its welcome.
    pub(crate) async fn join(&self) -> (Peer, Value) {
        let mut peer = self.visit().await;
        peer.say(&json!({"type": "join", "protocol": 2, "room": 1})).await;
        let welcome = peer.hear().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        (peer, welcome)
    }

    /// A session that wants to be the participant it was.
    pub(crate) async fn come_back(&self, welcome: &Value, more: Value) -> Peer {
        let mut peer = self.visit().await;
        let (id, token) = (&welcome["id"], &welcome["token"]);
        let mut join = json!({"type": "join", "protocol": 2, "room": 1, "id": id, "token": token});
        let more = more.as_object().expect("members");
        join.as_object_mut().expect("an object").extend(more.clone());
        peer.say(&join).await;
        peer
    }
}

pub(crate) fn roomy() -> EndpointConfig {
    EndpointConfig::new().message_size(4 << 20).payload_size(32 << 20)
}

/// A client that speaks JSON.
pub(crate) struct Peer {
    pub(crate) client: Client,
}

impl Peer {
    pub(crate) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        within("the server to take a message", self.client.send(&[text])).await;
    }

    #[track_caller]
    pub(crate) fn hear_text(&mut self) -> impl Future<Output = String> + '_ {
        within("a message", self.client.message())
    }

    pub(crate) async fn hear(&mut self) -> Value {
        let text = self.hear_text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The next message of this type; those before it are passed over.
    pub(crate) async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// The change of the roster that comes next.
    pub(crate) async fn hear_change(&mut self) -> String {
        let message = self.hear().await;
        message["change"].as_str().unwrap_or_else(|| panic!("{message} is no change")).to_owned()
    }

    /// Nothing comes before what this very session now causes itself: an error.
    pub(crate) async fn has_heard_all(&mut self) {
        self.say(&json!({"type": "is there anything?"})).await;
        let message = self.hear().await;
        assert_eq!(message["code"], "unknown_type", "{message}");
    }

    pub(crate) async fn closed(&mut self) -> (u16, String) {
        within("the close", async {
            loop {
                if let Event::Close(code, reason) = self.client.recv().await {
                    return (code, reason);
                }
            }
        })
        .await
    }

    /// The connection breaks, with a receiver attached.
    pub(crate) async fn breaks(mut self) {
        self.client.attach().await.expect("the session lives");
        drop(self.client);
    }
}
