//! The gateway without sockets, for what takes long: with the clock paused, time passes as soon as
//! nothing else is to be done.

use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use sockeye::{Body, Gateway};

use super::support::fresh;

/// Far longer than anything here takes. A test that waits in vain comes to this at once, for the
/// clock is paused.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer within a day")
}

#[derive(Clone, Debug)]
pub(crate) struct InMemory(pub(crate) Gateway);

impl InMemory {
    pub(crate) async fn start(
        &self,
        method: Method,
        target: &str,
        body: &str,
    ) -> http::Response<Body> {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let request =
            Request::builder().method(method).uri(target).body(body).expect("the target is a path");
        soon(self.0.handle(request)).await
    }

    /// What one poll is answered with.
    pub(crate) async fn poll(&self, session: &str) -> String {
        self.poll_with(session, "").await
    }

    /// The same with a query.
    pub(crate) async fn poll_with(&self, session: &str, query: &str) -> String {
        text(self.start(Method::POST, &format!("{session}/xhr{query}"), "").await).await
    }

    /// Opens a session by a poll.
    pub(crate) async fn open(&self, prefix: &str) -> String {
        let session = fresh(prefix);
        assert_eq!(self.poll(&session).await, "o\n");
        session
    }

    pub(crate) async fn send(&self, session: &str, payload: &str) -> StatusCode {
        self.start(Method::POST, &format!("{session}/xhr_send"), payload).await.status()
    }

    /// Opens a stream and reads up to the end of its prelude.
    pub(crate) async fn stream(&self, session: &str, transport: &str) -> Body {
        let method = if transport == "xhr_streaming" { Method::POST } else { Method::GET };
        let mut body = self.start(method, &format!("{session}/{transport}"), "").await.into_body();
        frame(&mut body).await.expect("a prelude");
        body
    }
}

/// The next piece of a body, `None` at its end.
pub(crate) async fn frame(body: &mut Body) -> Option<String> {
    let mut frame = soon(body.frame())
        .await?
        .expect("bodies don't fail")
        .into_data()
        .expect("bodies have no trailers");
    let frame = frame.copy_to_bytes(frame.remaining());
    Some(String::from_utf8(frame.into()).expect("frames are UTF-8"))
}

pub(crate) async fn text(response: http::Response<Body>) -> String {
    let body = soon(response.into_body().collect()).await.expect("bodies don't fail").to_bytes();
    String::from_utf8(body.into()).expect("frames are UTF-8")
}
