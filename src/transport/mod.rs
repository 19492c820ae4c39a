//! The transports: each turns a session's frames into what its client reads.

mod body;
pub(crate) mod eventsource;
pub(crate) mod htmlfile;
pub(crate) mod jsonp;
pub(crate) mod tcp;
mod watch;
pub(crate) mod websocket;
pub(crate) mod xhr;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::timeout;

pub use self::body::Body;
pub use self::watch::{PeerWatch, WatchedStream};
use crate::protocol::close::CloseReason;
use crate::protocol::frame::Frame;
use crate::session::{Receiver, Step};

/// Where an HTTP response gets its frames from.
pub(crate) enum Source {
    /// A session that this response is attached to.
    Session {
        receiver: Receiver,
        /// The client's end, where the server lets it be watched.
        gone: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    },
    /// One close frame, for a receiver that no session serves.
    Refused(CloseReason),
}

impl Source {
    pub(crate) fn session(receiver: Receiver, watch: Option<PeerWatch>) -> Self {
        Self::Session { receiver, gone: watch.map(PeerWatch::gone) }
    }

    /// The next frame; `None` when the client is gone.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        match self {
            Self::Refused(reason) => Poll::Ready(Some(Frame::Close(reason.clone()))),
            Self::Session { receiver, gone } => loop {
                match receiver.poll_step(cx) {
                    Poll::Ready(Step::Frame(frame)) => return Poll::Ready(Some(frame)),
                    // Only a WebSocket can be pinged; HTTP receivers attach without pings.
                    Poll::Ready(Step::Ping) => {}
                    Poll::Pending => {
                        break gone.as_mut().map_or(Poll::Pending, |gone| gone.as_mut().poll(cx).map(|()| None));
                    }
                }
            },
        }
    }

    /// The frame for a response that holds just one; the session then waits for its next receiver.
    async fn one_frame(mut self) -> Option<Frame> {
        let frame = std::future::poll_fn(|cx| self.poll_frame(cx)).await?;
        // Before the response leaves: the client may be back before this task runs again.
        self.finish();
        Some(frame)
    }

    /// The same; a heartbeat when there is no other frame for so long.
    async fn one_frame_within(mut self, wait: Duration) -> Option<Frame> {
        // A frame that is there comes first, also when there is no time. And none is lost: what is dropped on the way has taken none.
        let frame = timeout(wait, std::future::poll_fn(|cx| self.poll_frame(cx))).await;
        let frame = frame.unwrap_or(Some(Frame::Heartbeat))?;
        self.finish();
        Some(frame)
    }

    fn finish(&mut self) {
        if let Self::Session { receiver, .. } = self {
            receiver.finish();
        }
    }
}

/// 200 with this type.
fn ok(content_type: &'static str, body: Body) -> Response<Body> {
    with_status(StatusCode::OK, content_type, body)
}

/// A response with this status and type.
pub(crate) fn with_status(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
