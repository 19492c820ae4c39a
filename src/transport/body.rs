//! The body of every response of the gateway.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Frame as BodyFrame, SizeHint};

use super::{Chunk, Source};
use crate::protocol::frame::Frame;

/// The body of a [`Gateway`](crate::Gateway)'s response.
///
/// A streaming body yields a data frame for each SockJS frame, which HTTP/1.1 servers write as a
/// chunk each (SockJS 0.3.3 wants it so) and at once. Dropping it before its end tells the session
/// that its client is gone; so does dropping a [`Chunk`] of it that was not written to its end,
/// because a server drops the body as soon as it has the last chunk. A session that has lost a
/// frame ends with 1002, and counts the frame's messages in
/// [`SessionEnd::undelivered`](crate::SessionEnd::undelivered).
///
/// Bytes that the server's system has taken count as written. So do bytes that a layer above has
/// copied: a layer that boxes bodies turns each chunk into [`Bytes`], whose loss goes unnoticed.
///
/// What was not written counts in the [`Budget`](crate::Budget) too. A session that is ended for its
/// memory, or because its connection takes nothing, has the connection shut, where the server put
/// a [`PeerWatch`](super::PeerWatch) into the request. Without a watch its bytes stay with the
/// server, counted, until the connection ends by itself; and what a layer above has copied is not
/// counted at all.
pub struct Body(Kind);

enum Kind {
    Whole(Option<Chunk>),
    // Boxed: most responses are whole, and theirs should be small.
    Streaming(Box<Streaming>),
}

/// A poll's frame goes out in pieces of this size, which its length header hides. Where chunks are
/// copied as soon as they are taken, at least the loss of untaken chunks is noticed.
const PIECE: usize = 16 * 1024;

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
        let bytes: Bytes = bytes.into();
        Self(Kind::Whole((!bytes.is_empty()).then(|| bytes.into())))
    }

    /// One frame, which is not empty.
    pub(super) fn one(frame: Chunk) -> Self {
        Self(Kind::Whole(Some(frame)))
    }

    pub(crate) fn streaming(
        prelude: impl Into<Bytes>,
        source: Source,
        wrap: fn(Frame) -> Bytes,
        limit: usize,
    ) -> Self {
        let prelude = Some(prelude.into());
        Self(Kind::Streaming(Box::new(Streaming {
            prelude,
            source: Some(source),
            wrap,
            left: limit,
        })))
    }
}

/// An answer of the program's own, so that one service can give both.
impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::whole(bytes)
    }
}

impl Streaming {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        if let Some(prelude) = self.prelude.take() {
            return Poll::Ready(Some(prelude.into()));
        }
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        let Some(frame) = ready!(source.poll_frame(cx)) else {
            self.source = None;
            return Poll::Ready(None);
        };
        let is_last = matches!(frame.frame, Frame::Close(_));
        let chunk = frame.wrap(self.wrap);
        self.left = self.left.saturating_sub(chunk.remaining());
        if self.left == 0 || is_last || source.leaves() {
            // Before the last chunk leaves: a client that has read it may be back before this body
            // is polled again.
            source.finish();
            self.source = None;
        } else {
            source.stay();
        }
        Poll::Ready(Some(chunk))
    }
}

impl http_body::Body for Body {
    type Data = Chunk;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Chunk>, Infallible>>> {
        let chunk = match &mut self.0 {
            Kind::Whole(whole) => Chunk::next_piece(whole, PIECE),
            Kind::Streaming(streaming) => ready!(streaming.poll_chunk(cx)),
        };
        Poll::Ready(chunk.map(|chunk| Ok(BodyFrame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(whole) => whole.is_none(),
            Kind::Streaming(streaming) => streaming.source.is_none() && streaming.prelude.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(whole) => {
                SizeHint::with_exact(whole.as_ref().map_or(0, |whole| whole.remaining() as u64))
            }
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
