//! Inbound requests, which bring messages: xhr_send and jsonp_send.

use std::sync::Arc;

use http::header::{self, HeaderMap};
use http::{Request, Response, StatusCode};

use super::answer::{Answer, Decoration, PLAIN, plain};
use super::arrival::{self, Arrived, BoxError};
use super::endpoint::Endpoint;
use super::refusal::{Refusal, last_on_its_connection};
use super::route::Resource;
use crate::Message;
use crate::escape::Escaped;
use crate::protocol::close::CloseReason;
use crate::protocol::payload;
use crate::session::{EndedBy, Inbound, Shared};
use crate::transport::{Body, with_status};

/// Takes a payload to its session.
///
/// The session is looked up before the payload is read: a payload without a session is not kept.
pub(super) fn answer<B>(
    endpoint: &Arc<Endpoint>,
    request: Request<B>,
    segment: &str,
    resource: Resource,
) -> Answer
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    let decoration = Decoration::new(&request, resource, &endpoint.config);
    let is_form = resource == Resource::JsonpSend && is_form(request.headers());
    let session = endpoint.registry.find(segment);
    let refused = session.is_none()
        || request.body().size_hint().lower() > endpoint.config.payload_size as u64;
    // The client waits for `100 Continue` before it sends a body that will be refused.
    let expects = refused && arrival::expects(request.headers());
    let (endpoint, body) = (Arc::clone(endpoint), request.into_body());
    Box::pin(async move {
        let taken = match session {
            Some(session) => take(&endpoint, &session, body, is_form, expects).await,
            None => {
                let limit = endpoint.config.discard_limit;
                let read = arrival::discard(&endpoint, body, limit, expects).await;
                read.and_then(|read| Err(Refusal::NoSession { read }))
            }
        };
        Ok(decoration.apply(match taken {
            Ok(Taken { read: true }) => done(resource),
            Ok(Taken { read: false }) => last_on_its_connection(done(resource)),
            Err(refusal) => endpoint.refuse(refusal),
        }))
    })
}

/// A payload that its session has, or did not want any more because it is closed.
struct Taken {
    /// Whether the body was read to its end.
    read: bool,
}

async fn take<B>(
    endpoint: &Endpoint,
    session: &Arc<Shared>,
    body: B,
    is_form: bool,
    expects: bool,
) -> Result<Taken, Refusal>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    let parsed = match arrival::arrive(endpoint, body, session, expects).await {
        Ok(Arrived::Whole(body, place, arriving)) => {
            let parsed = parse(endpoint, &body, is_form).map_err(Refusal::from);
            parsed.map(|messages| (messages, (place, arriving)))
        }
        Ok(Arrived::Closed { read }) if !still_has(endpoint, session) => {
            return Err(Refusal::NoSession { read });
        }
        Ok(Arrived::Closed { read }) => return Ok(Taken { read }),
        Err(refusal) => Err(refusal),
    };
    match parsed {
        Ok(_) if !still_has(endpoint, session) => return Err(Refusal::NoSession { read: true }),
        Ok((messages, _place)) if !messages.is_empty() => {
            deliver(endpoint, session, messages).await?;
        }
        Ok(_) => {}
        Err(refusal) => {
            tracing::debug!(prefix = %endpoint.prefix, error = %Escaped(&refusal), "payload refused");
            end_for_size(session, &refusal);
            return Err(refusal);
        }
    }
    Ok(Taken { read: true })
}

fn parse(
    endpoint: &Endpoint,
    body: &[u8],
    is_form: bool,
) -> Result<Vec<Message>, payload::PayloadError> {
    let limits = &endpoint.websocket.payload;
    if is_form { payload::parse_form(body, limits) } else { payload::parse(body, limits) }
}

/// False when the session was forgotten while the payload was on its way.
fn still_has(endpoint: &Endpoint, session: &Arc<Shared>) -> bool {
    // Only an ended session can have been forgotten, so that as a rule nothing is looked up twice.
    session.end().is_none()
        || session
            .segment()
            .and_then(|segment| endpoint.registry.find(segment))
            .is_some_and(|now| Arc::ptr_eq(&now, session))
}

async fn deliver(
    endpoint: &Endpoint,
    session: &Arc<Shared>,
    messages: Vec<Message>,
) -> Result<(), Refusal> {
    let (waited, limit) = (endpoint.config.send_wait, endpoint.config.waiting_payloads);
    match session.deliver(messages, waited, limit).await {
        Inbound::Taken => Ok(()),
        Inbound::Full => Err(Refusal::InboundFull { waited }),
        Inbound::Crowded => Err(Refusal::Crowded { limit, read: true }),
    }
}

fn done(resource: Resource) -> Response<Body> {
    match resource {
        Resource::JsonpSend => plain(StatusCode::OK, "ok"),
        _ => with_status(StatusCode::NO_CONTENT, PLAIN, Body::empty()),
    }
}

/// Messages that were refused for their size are lost, and the client does not send them again:
/// the session must not go on as if nothing had been lost.
fn end_for_size(session: &Arc<Shared>, refusal: &Refusal) {
    let for_size = match refusal {
        Refusal::PayloadTooLarge { .. } => true,
        Refusal::Payload(error) => error.is_limit(),
        _ => false,
    };
    if for_size {
        session.close(CloseReason::TOO_LARGE, EndedBy::Gateway);
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let essence =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| {
        essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt, Empty};
    use tokio::sync::oneshot;

    use super::*;
    use crate::{Gateway, Session};

    async fn echo(mut session: Session) {
        while let Some(message) = session.recv().await {
            if session.send(message).await.is_err() {
                break;
            }
        }
    }

    /// A body in one piece, which the test sends later.
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
            Poll::Ready(
                ready!(Pin::new(&mut self.0).poll(cx)).ok().map(|piece| Ok(Frame::data(piece))),
            )
        }
    }

    /// A payload takes its time. Meanwhile its session expires and is forgotten: 204 would say that
    /// the application has its messages.
    #[tokio::test(start_paused = true)]
    async fn a_payload_for_a_session_that_went_meanwhile_is_not_taken() {
        let gateway = Gateway::new().endpoint("/echo", echo);
        let open =
            Request::post("/echo/000/late/xhr").body(Empty::<Bytes>::new()).expect("a request");
        let open = gateway.handle(open).await.into_body().collect().await.expect("infallible");
        assert_eq!(open.to_bytes(), "o\n");
        for (late, status) in [(1, StatusCode::NO_CONTENT), (10, StatusCode::NOT_FOUND)] {
            let (arrive, body) = oneshot::channel();
            let send =
                Request::post("/echo/000/late/xhr_send").body(Later(body)).expect("a request");
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
