//! The chat in lines: bytes on one side, browsers' transports on the other.

use std::net::SocketAddr;

use serde_json::{Value, json};
use sockeye::hub::Hub;
use sockeye::{Gateway, TcpConfig};
use sockeye_apps::{Chat, ChatConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use common::client::Client as Page;
use common::records::{Client, listen, record, serve, within};
use common::server;
use common::transport::Transport;

/// A chat with both kinds of endpoints.
pub(crate) struct Rooms {
    pub(crate) chat: Chat,
    pub(crate) lines: SocketAddr,
    pub(crate) pages: SocketAddr,
}

impl Rooms {
    pub(crate) async fn open() -> Self {
        let chat = Chat::new(&Hub::new(), ChatConfig::default());
        let (lines, _) = listen(TcpConfig::default(), chat.line_handler()).await;
        let pages = server::serve(Gateway::new().endpoint("/ws", chat.handler())).await;
        Self { chat, lines, pages }
    }

    async fn line(&self, name: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.lines).await.expect("it listens");
        client.write_all(&record(name)).await.expect("it reads");
        client
    }

    /// A page that is told more, so that it knows when it has its place.
    pub(crate) async fn page(&self, name: &str, transport: Transport) -> Page {
        let mut page = Page::open(self.pages, "/ws", transport).await;
        page.send(&[&json!({"name": name, "room": "lobby"}).to_string()]).await;
        assert_eq!(event(&mut page).await["type"], "welcome");
        page
    }
}

pub(crate) async fn event(page: &mut Page) -> Value {
    serde_json::from_str(&page.message().await).expect("JSON")
}

/// `name` and `message`, as the old page prints them.
pub(crate) async fn printed(page: &mut Page) -> String {
    let event = event(page).await;
    format!(
        "{} : {}",
        event["name"].as_str().expect("a name"),
        event["message"].as_str().expect("a message")
    )
}

/// The transcript of the notes' programs, byte for byte.
#[tokio::test]
async fn two_clients_and_one_whose_name_is_taken() {
    let rooms = Rooms::open().await;
    let mut park = rooms.line("park").await;
    let mut lee = rooms.line("lee").await;
    assert_eq!(within(park.bytes(12)).await, b"\0\x0A#lee join!");
    lee.write_all(b"\0\x07[lee]hi").await.expect("it reads");
    assert_eq!(within(park.bytes(9)).await, b"\0\x07[lee]hi");
    assert_eq!(within(lee.bytes(9)).await, b"\0\x07[lee]hi");

    let mut other = rooms.line("lee").await;
    let expected = b"\0\x18#Aleady exist name : lee\0\x1F#Please reconnect by other name";
    assert_eq!(within(other.rest()).await, expected);

    drop(lee);
    assert_eq!(within(park.bytes(12)).await, b"\0\x0A#lee exit!");
}

#[tokio::test]
async fn nobody_without_a_name_stays() {
    let config = TcpConfig::new().first_record_timeout(super::SHORT);
    let chat = Chat::new(&Hub::new(), ChatConfig::default());
    let (addr, endpoint) = listen(config, chat.line_handler()).await;
    for sent in [&b""[..], b"\0", b"\0\x04par"] {
        let mut silent = TcpStream::connect(addr).await.expect("it listens");
        silent.write_all(sent).await.expect("it reads");
        assert_eq!(within(silent.rest()).await, b"");
    }
    assert_eq!(endpoint.sessions(), 0);
}

/// In the middle of a record the client is cut off: what it had said counts, and it is gone for
/// all.
#[tokio::test(start_paused = true)]
async fn a_half_sent_line_is_not_said() {
    let chat = Chat::new(&Hub::new(), ChatConfig::default());
    let mut park = serve(chat.line_handler());
    park.write_all(&record("park")).await.expect("it reads");
    let mut lee = serve(chat.line_handler());
    lee.write_all(
        &[record("lee"), record("[lee]whole"), record("[lee]half")[..6].to_vec()].concat(),
    )
    .await
    .expect("it reads");
    lee.shutdown().await.expect("open");
    let expected: Vec<u8> =
        ["#lee join!", "[lee]whole", "#lee exit!"].into_iter().flat_map(record).collect();
    assert_eq!(park.bytes(expected.len()).await, expected);
}

macro_rules! a_page_and_a_line_talk_over {
    ($($name:ident $transport:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            a_page_and_a_line_talk(Transport::$transport).await;
        })*
    };
}

a_page_and_a_line_talk_over! {
    websocket WebSocket
    raw_websocket RawWebSocket
    xhr Xhr
    xhr_streaming XhrStreaming
    eventsource EventSource
    htmlfile HtmlFile
    jsonp Jsonp
}

async fn a_page_and_a_line_talk(transport: Transport) {
    let rooms = Rooms::open().await;
    let mut page = rooms.page("ann", transport).await;
    let mut park = rooms.line("park😀").await;
    assert_eq!(event(&mut page).await["message"], "park😀 joined");

    park.write_all(&record("[park😀]안녕\0")).await.expect("it reads");
    assert_eq!(printed(&mut page).await, "park😀 : 안녕\0");
    assert_eq!(within(park.bytes(record("[park😀]안녕\0").len())).await, record("[park😀]안녕\0"));
    page.send(&[r#"{"message":"100% </script> \u2028 😀"}"#]).await;
    assert_eq!(printed(&mut page).await, "ann : 100% </script> \u{2028} 😀");
    let line = record("[ann]100% </script>   😀");
    assert_eq!(within(park.bytes(line.len())).await, line);

    // Many clients at once, each way: every client sees all messages in one order.
    let from_page: Vec<String> =
        (0..100).map(|n| json!({"message": format!("page {n}")}).to_string()).collect();
    let lines: Vec<u8> = (0..100).flat_map(|n| record(&format!("[park😀]line {n}"))).collect();
    for some in from_page.chunks(10) {
        page.send(&some.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    park.write_all(&lines).await.expect("it reads");
    for _ in 0..200 {
        let heard = printed(&mut page).await;
        let (name, text) = heard.split_once(" : ").expect("as it is printed");
        let line = record(&format!("[{name}]{text}"));
        assert_eq!(within(park.bytes(line.len())).await, line);
    }

    drop(park);
    assert_eq!(event(&mut page).await["message"], "park😀 left");
}

/// A client that does not read is closed by the hub like any other, and no session waits for it.
#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_disturbs_nobody() {
    let chat = Chat::new(&Hub::new(), ChatConfig::default());
    let config = TcpConfig::new().outbound_messages(16);
    let (addr, endpoint) = listen(config, chat.line_handler()).await;
    let pages = server::serve(Gateway::new().endpoint("/ws", chat.handler())).await;
    let rooms = Rooms { chat, lines: addr, pages };
    let mut page = rooms.page("ann", Transport::RawWebSocket).await;
    let _deaf = rooms.line("deaf").await;
    assert_eq!(event(&mut page).await["message"], "deaf joined");
    let long = json!({"message": "x".repeat(4_000)}).to_string();
    let mut said = 0;
    loop {
        page.send(&[&long]).await;
        let event = event(&mut page).await;
        if event["message"] == "deaf left" {
            break;
        }
        said += 1;
        assert!(said < 20_000, "80 MB are more than any socket buffers");
    }
    drop(endpoint);
}
