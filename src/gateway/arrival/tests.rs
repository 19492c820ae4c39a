use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, ready};

use http::{Request, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::{Empty, Full};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::*;
use crate::{EndpointConfig, Gateway, Origins, Session};

const PIECE: usize = 1000;

/// A piece of a body, which is counted as long as it is held.
struct Piece([u8; PIECE], Arc<AtomicUsize>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A body that comes as the test says, and tells how often it was asked for.
struct Slow {
    pieces: UnboundedReceiver<Bytes>,
    length: u64,
    asked: Arc<AtomicUsize>,
}

/// The client's end of it.
struct Client {
    pieces: UnboundedSender<Bytes>,
    asked: Arc<AtomicUsize>,
    kept: Arc<AtomicUsize>,
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.length == 0 {
            return Poll::Ready(None);
        }
        let piece = ready!(self.pieces.poll_recv(cx));
        self.length -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

impl Client {
    fn new(length: usize) -> (Self, Slow) {
        let (give, pieces) = unbounded_channel();
        let asked = Arc::new(AtomicUsize::new(0));
        let client = Self { pieces: give, asked: Arc::clone(&asked), kept: Arc::default() };
        (client, Slow { pieces, length: length as u64, asked })
    }

    fn send(&self) {
        self.kept.fetch_add(1, Ordering::Relaxed);
        self.say(Bytes::from_owner(Piece([b' '; PIECE], Arc::clone(&self.kept))));
    }

    fn say(&self, piece: impl Into<Bytes>) {
        // A body that is no longer read is gone.
        let _ = self.pieces.send(piece.into());
    }

    fn kept(&self) -> usize {
        self.kept.load(Ordering::Relaxed)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn gateway(config: EndpointConfig) -> Gateway {
    Gateway::new().endpoint_with("/app", config, async |mut session: Session| {
        while let Some(message) = session.recv().await {
            if message == "close" {
                session.close((3000, "asked for"));
            }
        }
    })
}

fn post<B>(gateway: &Gateway, path: &str, body: B) -> JoinHandle<http::Response<crate::Body>>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let request = Request::post(format!("/app/0/{path}")).body(body).expect("a request");
    let gateway = gateway.clone();
    tokio::spawn(async move { gateway.handle(request).await })
}

async fn open(gateway: &Gateway) {
    let answer = post(gateway, "a/xhr", Empty::new()).await.expect("no panic");
    assert_eq!(answer.status(), StatusCode::OK);
    // Read: a frame that its connection drops is lost, and its session with it.
    assert_eq!(answer.into_body().collect().await.expect("infallible").to_bytes(), "o\n");
}

/// All other tasks have done what they can: the clock is paused, and moves when no task is left to
/// run.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// 300 payloads of 6 MB for sessions that do not exist, each without its last bytes, took 1.8 GB.
#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_a_body_that_nobody_wants() {
    let gateway = gateway(EndpointConfig::new().origins(Origins::any()));
    for (path, status) in [
        ("none/xhr_send", 404),
        ("none/jsonp_send", 404),
        ("poll/xhr", 200),
        ("stream/xhr_streaming", 200),
    ] {
        let (client, body) = Client::new(2_000 * PIECE);
        let answer = post(&gateway, path, body);
        for _ in 0..1_999 {
            client.send();
        }
        settled().await;
        assert_eq!(client.kept(), 0, "{path}");
        assert!(!answer.is_finished(), "the client is not listening yet");
        client.send();
        let answer = answer.await.expect("no panic");
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get(header::CONNECTION)),
            (status, None),
            "{path}"
        );
    }
}

/// The application closes its session while a payload is on its way: its first pieces were kept
/// until the rest came.
#[tokio::test(start_paused = true)]
async fn a_session_that_closes_gives_up_what_arrives() {
    let gateway = gateway(EndpointConfig::default());
    for (gone, status) in [(false, 204), (true, 404)] {
        open(&gateway).await;
        let (client, body) = Client::new(3 * PIECE);
        let answer = post(&gateway, "a/xhr_send", body);
        client.send();
        settled().await;
        assert_eq!(client.kept(), 1);
        let close = post(&gateway, "a/xhr_send", Full::new(Bytes::from("[\"close\"]")));
        assert_eq!(close.await.expect("no panic").status(), 204);
        settled().await;
        assert_eq!(client.kept(), 0);
        if gone {
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        client.send();
        client.send();
        assert_eq!(answer.await.expect("no panic").status(), status, "gone: {gone}");
        // The next round has a session of its own.
        tokio::time::sleep(Duration::from_secs(90)).await;
    }
}

/// One session and many connections with a payload each: more than `waiting_payloads` of them were
/// kept.
#[tokio::test(start_paused = true)]
async fn so_many_payloads_of_a_session_arrive_and_no_more() {
    for (waiting_payloads, places) in [(4, 4), (1, 1), (0, 1)] {
        let gateway = gateway(EndpointConfig {
            waiting_payloads,
            disconnect_delay: Duration::from_secs(600),
            ..EndpointConfig::default()
        });
        open(&gateway).await;
        let mut payloads = Vec::new();
        for number in 0..places + 2 {
            let (client, body) = Client::new(2);
            payloads.push((post(&gateway, "a/xhr_send", body), client));
            if number < places {
                // Those that have a place are late before those that have none.
                settled().await;
            }
        }
        settled().await;
        let asked = |payloads: &[(_, Client)]| {
            payloads.iter().filter(|(_, client)| client.asked() > 0).count()
        };
        assert_eq!(asked(&payloads), places, "those that wait are not read");
        let (answer, first) = payloads.remove(0);
        first.say("[]");
        assert_eq!(answer.await.expect("no panic").status(), 204);
        settled().await;
        assert_eq!(asked(&payloads), places, "the next one has its turn");
        let (last, client) = payloads.pop().expect("the last one");
        for (answer, _) in payloads.drain(..) {
            assert_eq!(answer.await.expect("no panic").status(), 408);
        }
        client.say("[]");
        let last = last.await.expect("no panic");
        if places > 1 {
            assert_eq!(last.status(), 204, "those before it that never came made room");
        } else {
            // The only place was taken anew, and its payload had time for longer than the last one
            // waited.
            assert_eq!(
                (last.status().as_u16(), last.headers()[header::CONNECTION].as_bytes()),
                (503, &b"close"[..])
            );
            assert_eq!(client.asked(), 0);
        }
        let next = post(&gateway, "a/xhr_send", Full::new(Bytes::from("[\"on\"]")));
        assert_eq!(next.await.expect("no panic").status(), 204);
    }
}

/// Payloads that wait for their turn are answered when the session closes.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_closed_session() {
    let gateway = gateway(EndpointConfig { waiting_payloads: 1, ..EndpointConfig::default() });
    open(&gateway).await;
    let (_first, body) = Client::new(10);
    let first = post(&gateway, "a/xhr_send", body);
    settled().await;
    let second = post(&gateway, "a/xhr_send", Full::new(Bytes::from("[\"x\"]")));
    settled().await;
    assert!(!second.is_finished());
    let session = gateway.endpoints[0].registry.find("a").expect("it is open");
    session.close(crate::CloseReason::NORMAL, crate::EndedBy::Application);
    assert_eq!(second.await.expect("no panic").status(), 204, "as before: the session is known");
    assert!(!first.is_finished(), "the rest of it is awaited, so that its answer arrives");
}

/// A client sent a payload while memory was short. Its session held much, so that the payload was
/// not read, and after `message_timeout` it was answered with 408, which closes a sockjs-client:
/// a hoarder elsewhere cost it its session.
#[tokio::test(start_paused = true)]
async fn a_payload_that_waits_for_memory_is_not_late() {
    let budget = crate::Budget::new(100 << 20);
    let late = Duration::from_secs(60);
    let gateway = Gateway::new().endpoint_with(
        "/app",
        EndpointConfig {
            budget: budget.clone(),
            message_timeout: late,
            disconnect_delay: Duration::from_secs(6000),
            ..EndpointConfig::default()
        },
        async |session: Session| _ = session.ended().await,
    );
    open(&gateway).await;
    let message = "x".repeat(40_000);
    let much = format!("[\"{message}\",\"{message}\"]");
    let much = post(&gateway, "a/xhr_send", Full::new(Bytes::from(much)));
    assert_eq!(much.await.expect("no panic").status(), 204);

    let held = budget.hold(90 << 20);
    let (client, body) = Client::new(PIECE + 2);
    let answer = post(&gateway, "a/xhr_send", body);
    client.send();
    tokio::time::sleep(late * 3).await;
    assert_eq!(client.kept(), 1, "it is not read");
    assert!(!answer.is_finished());

    drop(held);
    tokio::time::sleep(late - Duration::from_secs(1)).await;
    assert!(!answer.is_finished(), "it has the whole time anew");
    client.say("[]");
    assert_eq!(answer.await.expect("no panic").status(), 204);

    // Without a shortage it is late.
    let (_client, body) = Client::new(2);
    let answer = post(&gateway, "a/xhr_send", body);
    tokio::time::sleep(late + Duration::from_secs(1)).await;
    assert_eq!(answer.await.expect("no panic").status(), 408);
}
