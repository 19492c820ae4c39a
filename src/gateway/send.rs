//! Requests that bring messages: xhr_send and jsonp_send.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;

use super::endpoint::{BoxError, Endpoint};
use super::refusal::Refusal;
use super::route::Resource;
use super::{PLAIN, plain};
use crate::Message;
use crate::escape::Escaped;
use crate::protocol::close::CloseReason;
use crate::protocol::payload;
use crate::session::{EndedBy, Inbound, Shared};
use crate::transport::{Body, with_status};

/// A payload that is being taken.
pub(super) struct Sending<B> {
    endpoint: Arc<Endpoint>,
    body: B,
    session: Option<Arc<Shared>>,
    resource: Resource,
    is_form: bool,
}

impl<B> Sending<B>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    pub(super) fn new(endpoint: Arc<Endpoint>, request: Request<B>, segment: &str, resource: Resource) -> Self {
        let is_form = resource == Resource::JsonpSend && is_form(request.headers());
        let session = endpoint.registry.find(segment);
        Self { endpoint, body: request.into_body(), session, resource, is_form }
    }

    pub(super) async fn answer(self) -> Result<Response<Body>, Refusal> {
        let Self { endpoint, body, session, resource, is_form } = self;
        let read = endpoint.read(body).await;
        // The payload comes before the session: a bad one is told also to a client whose session is gone, as sockjs-node does.
        let messages = match read.and_then(|body| Ok(endpoint.parse(&body, is_form)?)) {
            Ok(messages) => messages,
            Err(refusal) => {
                tracing::debug!(prefix = %endpoint.prefix, error = %Escaped(&refusal), "payload refused");
                end_for_size(session.as_ref(), &refusal);
                return Err(refusal);
            }
        };
        let session = session.filter(|session| endpoint.still_has(session)).ok_or(Refusal::NotFound)?;
        if !messages.is_empty() {
            endpoint.deliver(&session, messages).await?;
        }
        Ok(match resource {
            Resource::JsonpSend => plain(StatusCode::OK, "ok"),
            _ => with_status(StatusCode::NO_CONTENT, PLAIN, Body::empty()),
        })
    }
}

impl Endpoint {
    /// A request's body, up to `payload_size`.
    pub(super) async fn read<B>(&self, body: B) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let limit = self.config.message_timeout;
        let mut whole = pin!(self.read_whole(body));
        // As a rule it is there by now, and needs no timer; so the timer is boxed, for no request that needs none should reserve it.
        if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(whole.as_mut().poll(cx))).await {
            return read;
        }
        Box::pin(tokio::time::timeout(limit, whole)).await.unwrap_or_else(|_| {
            tracing::debug!(prefix = %self.prefix, message_timeout = ?limit, "request body did not arrive in time");
            Err(Refusal::BodyLate { limit })
        })
    }

    async fn read_whole<B>(&self, body: B) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Error: Into<BoxError>> + Send,
        B::Data: Send,
    {
        let limit = self.config.payload_size;
        let mut body = pin!(body);
        let mut read = Pieces::default();
        loop {
            if body.is_end_stream() {
                return Ok(read.join());
            }
            if body.size_hint().lower().saturating_add(read.len() as u64) > limit as u64 {
                break;
            }
            match body.frame().await {
                None => return Ok(read.join()),
                Some(Ok(frame)) => {
                    if let Ok(mut data) = frame.into_data() {
                        read.push(data.copy_to_bytes(data.remaining()));
                    }
                    if read.len() > limit {
                        break;
                    }
                }
                Some(Err(error)) => {
                    let error: BoxError = error.into();
                    tracing::debug!(prefix = %self.prefix, error = %Escaped(error), "request body could not be read");
                    return Err(Refusal::BodyBroken);
                }
            }
        }
        let read = Box::pin(discard(body, limit.saturating_mul(self.config.discarded_payloads))).await;
        Err(Refusal::PayloadTooLarge { limit, read })
    }

    fn parse(&self, body: &[u8], is_form: bool) -> Result<Vec<Message>, payload::PayloadError> {
        let limits = &self.websocket.payload;
        if is_form { payload::parse_form(body, limits) } else { payload::parse(body, limits) }
    }

    /// False when the session was forgotten while the payload was on its way.
    fn still_has(&self, session: &Arc<Shared>) -> bool {
        // Only what has ended can have been forgotten, so that as a rule nothing is looked up twice.
        session.end().is_none()
            || session
                .segment()
                .and_then(|segment| self.registry.find(segment))
                .is_some_and(|now| Arc::ptr_eq(&now, session))
    }

    async fn deliver(&self, session: &Arc<Shared>, messages: Vec<Message>) -> Result<(), Refusal> {
        let (waited, limit) = (self.config.send_wait, self.config.waiting_payloads);
        match session.deliver(messages, waited, limit).await {
            Inbound::Taken => Ok(()),
            Inbound::Full => Err(Refusal::InboundFull { waited }),
            Inbound::Crowded => Err(Refusal::Crowded { limit }),
        }
    }
}

/// A body as it comes: as a rule in one piece, which is not copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    more: BytesMut,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
        } else {
            self.more.extend_from_slice(&std::mem::take(&mut self.first));
            self.more.extend_from_slice(&piece);
        }
    }

    fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    fn join(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

/// What was refused for its size is lost, and the client will not send it again: the session must not go on as if nothing had been.
fn end_for_size(session: Option<&Arc<Shared>>, refusal: &Refusal) {
    let for_size = match refusal {
        Refusal::PayloadTooLarge { .. } => true,
        Refusal::Payload(error) => error.is_limit(),
        _ => false,
    };
    if for_size && let Some(session) = session {
        session.close(CloseReason::TOO_LARGE, EndedBy::Gateway);
    }
}

/// Reads on to the end of a refused body, up to a limit, and keeps nothing of it. True when that was the end.
///
/// Clients send first and read then: a connection closed on them while they send is reset, and their answer may be lost with it.
async fn discard<B: http_body::Body>(mut body: Pin<&mut B>, mut left: usize) -> bool {
    while body.size_hint().lower() <= left as u64 {
        match body.frame().await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
                Some(rest) => left = rest,
                None => return false,
            },
        }
    }
    false
}

fn is_form(headers: &HeaderMap) -> bool {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::task::{Context, ready};

    use http_body::Frame;
    use http_body_util::Empty;
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Gateway, apps};

    /// A body in one piece, which comes when it comes.
    struct Later(oneshot::Receiver<Bytes>);

    impl http_body::Body for Later {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.0.is_terminated() {
                return Poll::Ready(None);
            }
            Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).ok().map(|piece| Ok(Frame::data(piece))))
        }
    }

    /// A payload takes its time. Meanwhile its session expires and is forgotten: 204 would say that somebody has taken the messages.
    #[tokio::test(start_paused = true)]
    async fn a_payload_for_a_session_that_went_meanwhile_is_not_taken() {
        let gateway = Gateway::new().endpoint("/echo", apps::echo);
        let open = Request::post("/echo/000/late/xhr").body(Empty::<Bytes>::new()).expect("a request");
        let open = gateway.handle(open).await.into_body().collect().await.expect("infallible");
        assert_eq!(open.to_bytes(), "o\n");
        for (late, status) in [(1, StatusCode::NO_CONTENT), (10, StatusCode::NOT_FOUND)] {
            let (arrive, body) = oneshot::channel();
            let send = Request::post("/echo/000/late/xhr_send").body(Later(body)).expect("a request");
            let sending = tokio::spawn({
                let gateway = gateway.clone();
                async move { gateway.handle(send).await.status() }
            });
            tokio::time::sleep(std::time::Duration::from_secs(late)).await;
            arrive.send(Bytes::from_static(b"[\"late\"]")).expect("it is awaited");
            assert_eq!(sending.await.expect("no panic"), status, "after {late} s");
        }
    }
}
