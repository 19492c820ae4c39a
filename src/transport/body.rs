//! The body of every response of the gateway.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame as BodyFrame, SizeHint};

use super::Source;
use crate::protocol::frame::Frame;

/// The body of a [`Gateway`](crate::Gateway)'s response.
///
/// A streaming one yields one data frame for each SockJS frame, which HTTP/1.1 servers write as one chunk each (SockJS 0.3.3 wants it
/// so) and at once. Dropping it before its end tells the session that its client is gone.
pub struct Body(Kind);

enum Kind {
    Whole(Option<Bytes>),
    // Boxed: most responses are whole, and theirs should be small.
    Streaming(Box<Streaming>),
}

/// Frames as they come, up to the response limit.
pub(crate) struct Streaming {
    prelude: Option<Bytes>,
    /// `None` once the response has ended.
    source: Option<Source>,
    wrap: fn(Frame) -> Bytes,
    /// Bytes of frames until the response ends; the prelude does not count.
    left: usize,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Whole(Some(bytes.into()).filter(|bytes| !bytes.is_empty())))
    }

    pub(crate) fn streaming(prelude: impl Into<Bytes>, source: Source, wrap: fn(Frame) -> Bytes, limit: usize) -> Self {
        let prelude = Some(prelude.into());
        Self(Kind::Streaming(Box::new(Streaming { prelude, source: Some(source), wrap, left: limit })))
    }
}

impl Streaming {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(prelude) = self.prelude.take() {
            return Poll::Ready(Some(prelude));
        }
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        let Some(frame) = ready!(source.poll_frame(cx)) else {
            self.source = None;
            return Poll::Ready(None);
        };
        let is_last = matches!(frame, Frame::Close(_));
        let chunk = (self.wrap)(frame);
        self.left = self.left.saturating_sub(chunk.len());
        if self.left == 0 || is_last {
            // Before the last chunk leaves: a client that has read it may be back before this body is polled again.
            source.finish();
            self.source = None;
        }
        Poll::Ready(Some(chunk))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let chunk = match &mut self.0 {
            Kind::Whole(bytes) => bytes.take(),
            Kind::Streaming(streaming) => ready!(streaming.poll_chunk(cx)),
        };
        Poll::Ready(chunk.map(|chunk| Ok(BodyFrame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Streaming(streaming) => streaming.source.is_none() && streaming.prelude.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Streaming(_) => SizeHint::default(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Kind::Whole(_) => "Whole",
            Kind::Streaming(_) => "Streaming",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}
