//! Clients written call for call after the pages that people have: two that send `event`s, and one
//! that knows rooms.

use std::time::Duration;

use serde_json::{Value, json};
use sockeye::hub::Hub;
use sockeye::{EndpointConfig, Gateway};
use sockeye_apps::relay;

use super::peers::{Peer, Server};
use common::client::Client;
use common::server::serve;
use common::transport::{Frame, Transport};
use common::within;

/// The page of both relays: `conn.onmessage` with its switch over `event`, and what its functions
/// send.
struct EventPage {
    peer: Peer,
    name: &'static str,
}

impl EventPage {
    /// `createOffer` and the `icecandidate` events that follow it.
    async fn create_offer(&mut self) -> Vec<String> {
        let candidate = format!(
            r#"{{"candidate":"candidate:1 1 udp 1 {} 9 typ host","sdpMid":"0","sdpMLineIndex":0}}"#,
            self.name
        );
        let sent = [
            r#"{"event":"offer","data":{"type":"offer","sdp":"v=0\r\n"}}"#.to_owned(),
            format!(r#"{{"event":"candidate","data":{candidate}}}"#),
        ];
        for text in &sent {
            self.peer.say_text(text).await;
        }
        sent.into()
    }

    /// Hears an offer, answers it, and returns what it has sent.
    async fn answer(&mut self, sent: &[String]) -> Vec<String> {
        for text in sent {
            assert_eq!(self.peer.hear_text().await, *text);
        }
        let answer = r#"{"event":"answer","data":{"type":"answer","sdp":"v=0\r\n"}}"#.to_owned();
        self.peer.say_text(&answer).await;
        vec![answer]
    }
}

async fn relayed() -> (Hub, std::net::SocketAddr) {
    let hub = Hub::new();
    let addr = serve(Gateway::new().endpoint("/socket", relay(&hub))).await;
    (hub, addr)
}

/// Waits until the relay has so many members: a session is one a moment after its client knows that
/// it is open.
async fn members(hub: &Hub, count: usize) {
    within("the relay's members", async {
        while hub.topic("relay").subscribers() != count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

pub(crate) async fn two_pages_of_the_plain_relay_call_each_other(transport: Transport) {
    let (hub, addr) = relayed().await;
    let page = async |name| EventPage {
        peer: Peer { client: Client::open(addr, "/socket", transport).await },
        name,
    };
    let (mut caller, mut callee, mut third) =
        (page("caller").await, page("callee").await, page("third").await);
    members(&hub, 3).await;
    let offered = caller.create_offer().await;
    let answered = callee.answer(&offered).await;
    assert_eq!(caller.peer.hear_text().await, answered[0]);
    for text in offered.iter().chain(&answered) {
        assert_eq!(third.peer.hear_text().await, *text);
    }
}

pub(crate) async fn the_relay_passes_on_bytes_and_sends_none_back(transport: Transport) {
    let (hub, addr) = relayed().await;
    let mut clients = [0; 3].map(|_| None);
    for client in &mut clients {
        *client = Some(Peer { client: Client::open(addr, "/socket", transport).await });
    }
    let [mut ann, mut bob, mut eve] = clients.map(|client| client.expect("just opened"));
    members(&hub, 3).await;
    let texts = ["", "no JSON {", "안녕 \u{1f41f}\u{2028}\u{0}", &"x".repeat(60_000)];
    for text in texts {
        ann.say_text(text).await;
    }
    bob.say_text("from bob").await;
    for text in texts {
        assert_eq!(bob.hear_text().await, text);
        assert_eq!(eve.hear_text().await, text);
    }
    assert_eq!(eve.hear_text().await, "from bob");
    assert_eq!(ann.hear_text().await, "from bob", "its own texts did not come back");
}

pub(crate) async fn who_has_left_the_relay_is_forgotten(transport: Transport) {
    let (hub, addr) = relayed().await;
    let open = async || Peer { client: Client::open(addr, "/socket", transport).await };
    let (mut ann, bob, mut eve) = (open().await, open().await, open().await);
    members(&hub, 3).await;
    bob.breaks().await;
    members(&hub, 2).await;
    ann.say_text("to eve").await;
    assert_eq!(eve.hear_text().await, "to eve");
    assert_eq!(hub.undelivered(), 0, "every offered message was delivered");
}

pub(crate) async fn two_pages_of_the_event_relay_call_each_other(transport: Transport) {
    let server = Server::start(transport).await;
    let page = async |name| EventPage { peer: server.visit().await, name };
    let (mut caller, mut callee) = (page("caller").await, page("callee").await);
    // A second of silence is told to every session; pages of this kind pass it over.
    for page in [&mut caller, &mut callee] {
        assert_eq!(page.peer.hear().await["type"], "join");
    }
    // The callee has not said a word, and hears the call all the same.
    let offered = caller.create_offer().await;
    let answered = callee.answer(&offered).await;
    assert_eq!(caller.peer.hear_text().await, answered[0]);
}

/// The page with rooms: `socket.onopen`, `onmessage` with its switch over `type`, and `stop`.
struct RoomPage {
    peer: Peer,
    user: &'static str,
    /// How often it has opened camera and peer connection: on every `join`.
    peer_connections: usize,
}

impl RoomPage {
    /// Loads the page: its socket opens, and it sends its `join`.
    async fn load(server: &Server, user: &'static str) -> Self {
        let mut peer = server.visit().await;
        peer.say_text(&format!(r#"{{"from":"{user}","type":"join","data":"1"}}"#)).await;
        Self { peer, user, peer_connections: 0 }
    }

    /// `handlePeerConnection`: whether it is to negotiate.
    async fn told(&mut self) -> bool {
        let text = self.peer.hear_text().await;
        let data = ["true", "false"].map(|data| {
            format!(
                r#"{{"from":"Server","type":"join","data":"{data}","candidate":null,"sdp":null}}"#
            )
        });
        let told = data.iter().position(|expected| *expected == text);
        self.peer_connections += 1;
        assert_eq!(self.peer_connections, 1, "a second `join` opens a second connection");
        told.unwrap_or_else(|| panic!("{text} is no `join`")) == 0
    }

    /// `handleNegotiationNeededEvent`, and the candidates that follow.
    async fn offer(&mut self) {
        let user = self.user;
        self.peer
            .say_text(&format!(
                r#"{{"from":"{user}","type":"offer","sdp":{{"type":"offer","sdp":"v=0\r\n"}}}}"#
            ))
            .await;
        self.ice().await;
    }

    async fn ice(&mut self) {
        let user = self.user;
        let candidate =
            r#"{"candidate":"candidate:1 1 udp 1 ::1 9 typ host","sdpMid":"0","sdpMLineIndex":0}"#;
        self.peer
            .say_text(&format!(r#"{{"from":"{user}","type":"ice","candidate":{candidate}}}"#))
            .await;
    }

    /// `handleOfferMessage`, `handleNewICECandidateMessage`: hears both, and answers.
    async fn answer(&mut self, from: &str) {
        assert_eq!(
            self.peer.hear_text().await,
            format!(
                r#"{{"from":"{from}","type":"offer","data":null,"candidate":null,"sdp":{{"type":"offer","sdp":"v=0\r\n"}}}}"#
            )
        );
        self.hear_ice(from).await;
        let user = self.user;
        self.peer
            .say_text(&format!(
                r#"{{"from":"{user}","type":"answer","sdp":{{"type":"answer","sdp":"v=0\r\n"}}}}"#
            ))
            .await;
    }

    async fn hear_ice(&mut self, from: &str) {
        assert_eq!(
            self.peer.hear_text().await,
            format!(
                r#"{{"from":"{from}","type":"ice","data":null,"candidate":{{"candidate":"candidate:1 1 udp 1 ::1 9 typ host","sdpMid":"0","sdpMLineIndex":0}},"sdp":null}}"#
            )
        );
    }

    async fn stop(mut self) {
        let user = self.user;
        self.peer.say_text(&format!(r#"{{"from":"{user}","type":"leave","data":"1"}}"#)).await;
        self.peer.client.leave(1000, "").await;
    }
}

pub(crate) async fn two_pages_with_rooms_call_each_other(transport: Transport) {
    let server = Server::start(transport).await;
    let mut first = RoomPage::load(&server, "5e0a3c9c-1111").await;
    assert!(!first.told().await, "it waits for a peer");
    let mut second = RoomPage::load(&server, "5e0a3c9c-2222").await;
    assert!(second.told().await, "it negotiates");
    second.offer().await;
    first.answer("5e0a3c9c-2222").await;
    let answer = second.peer.hear().await;
    assert_eq!((&answer["from"], &answer["type"]), (&json!("5e0a3c9c-1111"), &json!("answer")));
    first.ice().await;
    second.hear_ice("5e0a3c9c-1111").await;
    first.peer.say_text(r#"{"from":"5e0a3c9c-1111","type":"text","data":"hello"}"#).await;
    let text = second.peer.hear().await;
    assert_eq!(
        text,
        json!({"from": "5e0a3c9c-1111", "type": "text", "data": "hello", "candidate": null, "sdp": null})
    );

    second.stop().await;
    within("the room to be left", async {
        while server.rooms.summary(1.into()).is_none_or(|room| room.participants != 1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    first.peer.has_heard_all().await;
    // A third one finds the first.
    let mut third = RoomPage::load(&server, "5e0a3c9c-3333").await;
    assert!(third.told().await);
}

/// On a reload the browser drops the old socket and opens a new one with the same name.
pub(crate) async fn a_page_with_rooms_is_reloaded(transport: Transport) {
    let server = Server::start(transport).await;
    let mut page = RoomPage::load(&server, "ann").await;
    assert!(!page.told().await);
    let (mut watcher, _) = server.join().await;
    page.peer.breaks().await;
    assert_eq!(watcher.hear_change().await, "left");
    let mut page = RoomPage::load(&server, "ann").await;
    assert!(page.told().await);
    assert_eq!(watcher.hear_change().await, "joined");
    page.peer.has_heard_all().await;
}

pub(crate) async fn a_name_in_use_is_refused(transport: Transport) {
    let server = Server::start(transport).await;
    let mut holder = RoomPage::load(&server, "ann").await;
    assert!(!holder.told().await);
    // A polling client is connected when it polls.
    holder.peer.client.attach().await.expect("the session lives");
    if transport.polls() {
        still_polls(&holder.peer, &server, transport).await;
    }
    let mut other = RoomPage::load(&server, "ann").await;
    let error = other.peer.hear().await;
    assert_eq!(
        (&error["from"], &error["type"], &error["code"]),
        (&json!("Server"), &json!("error"), &json!("name_taken"))
    );
    assert!(!other.told().await, "it is told that it is alone");
    other.peer.say_text(r#"{"from":"ann","type":"text","data":"am I in?"}"#).await;
    assert_eq!(other.peer.hear().await["code"], "not_joined");
}

/// A second receiver is told that the first one is there.
async fn still_polls(peer: &Peer, server: &Server, transport: Transport) {
    let mut second = Client::of_session(server.addr, peer.client.session(), transport);
    within("the first poll to be seen", async {
        loop {
            if let Frame::Close(2010, _) = second.frame().await {
                return;
            }
        }
    })
    .await;
}

pub(crate) async fn a_page_that_never_joins_is_told_that_it_is_alone(transport: Transport) {
    let server = Server::start(transport).await;
    let (mut watcher, _) = server.join().await;
    let mut silent = server.visit().await;
    assert_eq!(
        silent.hear_text().await,
        r#"{"from":"Server","type":"join","data":"false","candidate":null,"sdp":null}"#
    );
    silent.say_text(r#"{"from":"late","type":"join","data":1}"#).await;
    let joined = watcher.hear_of("roster").await;
    let late: &Value = &joined["participant"];
    assert_eq!(
        (&late["name"], &late["initiate"]),
        (&json!("late"), &json!(true)),
        "it waits for an offer"
    );
    silent.has_heard_all().await;
}

#[tokio::test]
async fn a_closed_session_is_closed_for_the_relay_at_once() {
    // With a long disconnect delay: no task waits for it.
    let hub = Hub::new();
    let config = EndpointConfig::new().disconnect_delay(Duration::from_secs(3600));
    let addr = serve(Gateway::new().endpoint_with("/socket", config, relay(&hub))).await;
    let client = Client::open(addr, "/socket", Transport::WebSocket).await;
    members(&hub, 1).await;
    client.leave(1000, "").await;
    members(&hub, 0).await;
}
