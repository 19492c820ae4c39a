//! Bodies of requests as they arrive: collected up to a limit, or discarded piece by piece.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap};
use http_body_util::BodyExt;

use super::endpoint::Endpoint;
use super::headers;
use super::refusal::Refusal;
use crate::escape::Escaped;
use crate::session::{Buffered, Place, ReadingPause, Shared};

/// The error of a request's body, for the log.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The outcome of reading a payload's body.
pub(super) enum Arrived<'s> {
    /// All of it, the place that it takes until its session has it, and the budget's count of its
    /// bytes until then.
    Whole(Bytes, Place<'s>, Buffered),
    /// Its session was closed before that, and nothing of it is kept. `read`: the body was read to
    /// its end.
    Closed { read: bool },
}

/// The body of a payload, up to `payload_size`. While `waiting_payloads` of its session are on
/// their way, this body is not polled: unread bytes stay with the client, or in the kernel.
///
/// `expects`: the client waits for `100 Continue`.
pub(super) async fn arrive<'s, B>(
    endpoint: &Endpoint,
    body: B,
    session: &'s Arc<Shared>,
    expects: bool,
) -> Result<Arrived<'s>, Refusal>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    let limit = endpoint.config.message_timeout;
    let Some(place) = in_time(limit, Some(session), session.place()).await else {
        let limit = endpoint.config.waiting_payloads;
        session.log_crowded(limit);
        return Err(Refusal::Crowded { limit, read: false });
    };
    if let Some(place) = place {
        let body = pin!(body);
        let collected = collect(endpoint, body, session, place, expects);
        return unless_late(endpoint, Some(session), collected).await;
    }
    let limit = endpoint.config.payload_size;
    let too_large = body.size_hint().lower() > limit as u64;
    let read = discard(endpoint, body, endpoint.config.discard_limit, expects).await?;
    if too_large {
        Err(Refusal::PayloadTooLarge { limit, read })
    } else {
        Ok(Arrived::Closed { read })
    }
}

/// Reads a refused body up to a limit and keeps nothing of it. True when that was all of it, and
/// the connection is free for another request.
///
/// Clients send first and read then: a connection closed on them while they send is reset, and
/// their answer may be lost with it.
pub(super) async fn discard<B>(
    endpoint: &Endpoint,
    body: B,
    limit: usize,
    expects: bool,
) -> Result<bool, Refusal>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    if body.is_end_stream() {
        return Ok(true);
    }
    if expects {
        // Polling the body would tell the client to send it.
        return Ok(false);
    }
    unless_late(endpoint, None, discard_pieces(endpoint, pin!(body), limit)).await
}

async fn collect<'s, B>(
    endpoint: &Endpoint,
    mut body: Pin<&mut B>,
    session: &'s Arc<Shared>,
    place: Place<'s>,
    expects: bool,
) -> Result<Arrived<'s>, Refusal>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    let limit = endpoint.config.payload_size;
    let mut pieces = Pieces::default();
    let (mut arriving, mut pause) = (Buffered::of(session), ReadingPause::of(session));
    let mut closed = pin!(session.closed());
    let too_large = loop {
        if body.is_end_stream() {
            return Ok(Arrived::Whole(pieces.join(), place, arriving));
        }
        if body.size_hint().lower().saturating_add(pieces.len() as u64) > limit as u64 {
            break true;
        }
        if pieces.len() > 0 && session.is_closed() {
            break false;
        }
        // The session is asked only when the body lets wait: as a rule it is there by now.
        let next = poll_fn(|cx| {
            // While memory is short, the body of a session that holds much stays with its
            // client.
            if pause.poll_over(cx).is_ready()
                && let Poll::Ready(frame) = body.as_mut().poll_frame(cx)
            {
                return Poll::Ready(Some(frame));
            }
            closed.as_mut().poll(cx).map(|()| None)
        });
        match next.await {
            Some(Some(Ok(frame))) => {
                if let Ok(mut data) = frame.into_data() {
                    pieces.push(data.copy_to_bytes(data.remaining()));
                    arriving.set(pieces.held());
                }
                if pieces.len() > limit {
                    break true;
                }
            }
            Some(Some(Err(error))) => return Err(broken(endpoint, error.into())),
            Some(None) => return Ok(Arrived::Whole(pieces.join(), place, arriving)),
            None => break false,
        }
    };
    drop((pieces, arriving, place));
    // Once asked for, the rest of the body comes.
    let read =
        !expects && Box::pin(discard_pieces(endpoint, body, endpoint.config.discard_limit)).await?;
    if too_large {
        Err(Refusal::PayloadTooLarge { limit, read })
    } else {
        Ok(Arrived::Closed { read })
    }
}

async fn discard_pieces<B>(
    endpoint: &Endpoint,
    mut body: Pin<&mut B>,
    limit: usize,
) -> Result<bool, Refusal>
where
    B: http_body::Body<Error: Into<BoxError>>,
{
    let mut left = limit;
    while body.size_hint().lower() <= left as u64 {
        match body.frame().await {
            None => return Ok(true),
            Some(Err(error)) => return Err(broken(endpoint, error.into())),
            Some(Ok(frame)) => match left.checked_sub(frame.data_ref().map_or(0, Buf::remaining)) {
                Some(rest) => left = rest,
                None => return Ok(false),
            },
        }
    }
    Ok(false)
}

async fn unless_late<T>(
    endpoint: &Endpoint,
    session: Option<&Shared>,
    arriving: impl Future<Output = Result<T, Refusal>> + Send,
) -> Result<T, Refusal> {
    let limit = endpoint.config.message_timeout;
    in_time(limit, session, arriving).await.unwrap_or_else(|| {
        tracing::debug!(prefix = %endpoint.prefix, message_timeout = ?limit, "request body did not arrive in time");
        Err(Refusal::BodyLate { limit })
    })
}

fn broken(endpoint: &Endpoint, error: BoxError) -> Refusal {
    tracing::debug!(prefix = %endpoint.prefix, error = %Escaped(error), "request body could not be read");
    Refusal::BodyBroken
}

/// Whether the client sends its body only after `100 Continue` (RFC 9110, Expect).
pub(super) fn expects(headers: &HeaderMap) -> bool {
    headers::lists(headers, header::EXPECT, "100-continue")
}

/// As a rule it is done at once, and needs no timer; so the timer is boxed, for no request that
/// needs none should reserve it.
///
/// While a session is not read because memory is short, its client is not to blame: the clock
/// stands still, and after that there is the whole time anew.
async fn in_time<T>(
    limit: Duration,
    session: Option<&Shared>,
    work: impl Future<Output = T> + Send,
) -> Option<T> {
    let mut work = pin!(work);
    if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
        return Some(done);
    }
    Box::pin(async move {
        let mut pause = session.map(ReadingPause::of);
        let (mut timer, mut paused) = (pin!(tokio::time::sleep(limit)), false);
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            if pause.as_mut().is_some_and(|pause| pause.poll_over(cx).is_pending()) {
                paused = true;
                return Poll::Pending;
            }
            if std::mem::take(&mut paused) {
                timer.set(tokio::time::sleep(limit));
            }
            timer.as_mut().poll(cx).map(|()| None)
        })
        .await
    })
    .await
}

/// A body as it comes: as a rule in one piece, which is not copied. Bytes of bodies are kept here
/// and nowhere else.
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

    /// Bytes of memory.
    fn held(&self) -> usize {
        self.first.len() + self.more.capacity()
    }

    fn join(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

#[cfg(test)]
mod tests;
