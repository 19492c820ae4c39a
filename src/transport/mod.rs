//! The transports: each turns a session's frames into bytes that its client reads.

mod body;
mod chunk;
pub(crate) mod eventsource;
pub(crate) mod htmlfile;
pub(crate) mod jsonp;
mod patience;
mod socket;
mod socket_loop;
pub(crate) mod tcp;
mod watch;
pub(crate) mod websocket;
pub(crate) mod xhr;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;

pub use self::body::Body;
pub use self::chunk::Chunk;
pub(crate) use self::patience::Patience;
pub(crate) use self::socket::Socket;
pub use self::watch::{PeerWatch, WatchedStream};
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;
use crate::session::{Attachment, Connection, Receipt};

/// Where an HTTP response gets its frames from.
pub(crate) enum Source {
    /// A session that this response is attached to.
    Session {
        attachment: Attachment,
        /// The client's end, where the server lets it be watched.
        gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
        /// The same connection, so that it can be shut.
        connection: Option<Arc<dyn Connection>>,
    },
    /// One close frame, for a receiver that no session serves.
    Refused(CloseReason),
}

impl Source {
    pub(crate) fn session(attachment: Attachment, watch: Option<PeerWatch>) -> Self {
        let connection = watch.as_ref().and_then(PeerWatch::connection);
        Self::Session { attachment, gone: watch.map(PeerWatch::gone), connection }
    }

    /// The next frame; `None` when the client is gone.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Handed>> {
        match self {
            Self::Refused(reason) => Poll::Ready(Some(Frame::Close(reason.clone()).into())),
            Self::Session { attachment, gone, connection } => {
                match attachment.poll_frame(cx, connection.as_ref()) {
                    Poll::Ready((frame, receipt)) => {
                        Poll::Ready(Some(Handed { frame, receipt: Some(receipt) }))
                    }
                    Poll::Pending => gone
                        .as_mut()
                        .map_or(Poll::Pending, |gone| gone.as_mut().poll(cx).map(|()| None)),
                }
            }
        }
    }

    /// The frame of a response that holds a single frame; the session then waits for its next
    /// receiver.
    async fn one_frame(mut self) -> Option<Handed> {
        let frame = std::future::poll_fn(|cx| self.poll_frame(cx)).await?;
        // Before the response leaves: the client may be back before this task runs again.
        self.finish();
        Some(frame)
    }

    /// The same; a heartbeat when there is no other frame for so long.
    async fn one_frame_within(mut self, wait: Duration) -> Option<Handed> {
        // A frame that is there comes first, also when there is no time. And none is lost: a
        // cancelled wait has taken none.
        let frame = timeout(wait, std::future::poll_fn(|cx| self.poll_frame(cx))).await;
        let frame = frame.unwrap_or_else(|_| Some(Frame::Heartbeat.into()))?;
        self.finish();
        Some(frame)
    }

    fn finish(&mut self) {
        if let Self::Session { attachment, .. } = self {
            attachment.finish();
        }
    }

    /// Whether the response is to end behind the frame that was taken last.
    fn leaves(&self) -> bool {
        matches!(self, Self::Session { attachment, .. } if attachment.leaves())
    }

    /// The response goes on behind the frame that was taken last.
    fn stay(&mut self) {
        if let Self::Session { attachment, .. } = self {
            attachment.stay();
        }
    }
}

/// A frame, and its receipt if it is a session's.
struct Handed {
    frame: Frame,
    receipt: Option<Receipt>,
}

impl Handed {
    /// The frame's bytes as the transport wraps them.
    fn wrap(self, wrap: impl FnOnce(Frame) -> Bytes) -> Chunk {
        let Self { frame, mut receipt } = self;
        let bytes = wrap(frame);
        if let Some(receipt) = &mut receipt {
            receipt.weigh(&bytes);
        }
        Chunk::new(bytes, receipt)
    }
}

impl From<Frame> for Handed {
    fn from(frame: Frame) -> Self {
        Self { frame, receipt: None }
    }
}

/// 200 with this type.
fn ok(content_type: &'static str, body: Body) -> Response<Body> {
    with_status(StatusCode::OK, content_type, body)
}

/// A response with this status and type.
pub(crate) fn with_status(
    status: StatusCode,
    content_type: &'static str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
