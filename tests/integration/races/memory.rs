//! A client without sockets: what races then are the gateway's own threads.

use bytes::{Buf, Bytes};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use sockeye::{Body, Gateway};

use super::PREFIX;
use common::client::json;
use common::within;

pub(crate) const IN_USE: &str = "c[2010,\"Another connection still open\"]\n";
pub(crate) const INTERRUPTED: &str = "c[1002,\"Connection interrupted\"]\n";

/// Asks a gateway in memory.
#[derive(Clone)]
pub(crate) struct Memory(pub(crate) Gateway);

impl Memory {
    pub(crate) async fn request(
        &self,
        method: Method,
        path: String,
        body: impl Into<Bytes>,
    ) -> Response<Body> {
        let request = Request::builder().method(method).uri(path).body(Full::new(body.into()));
        within("an answer", self.0.handle(request.expect("the path is one"))).await
    }

    pub(crate) async fn poll(&self, session: &str) -> String {
        let answer = self.request(Method::POST, format!("{PREFIX}/0/{session}/xhr"), "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.expect("bodies don't fail").to_bytes();
        String::from_utf8(body.to_vec()).expect("frames are UTF-8")
    }

    pub(crate) async fn stream(&self, session: &str) -> Stream {
        let answer =
            self.request(Method::POST, format!("{PREFIX}/0/{session}/xhr_streaming"), "").await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut stream = Stream(answer.into_body());
        stream.frame().await.expect("a prelude");
        stream
    }

    pub(crate) async fn send<T: serde::Serialize>(
        &self,
        session: &str,
        messages: &[T],
    ) -> StatusCode {
        self.request(Method::POST, format!("{PREFIX}/0/{session}/xhr_send"), json(messages))
            .await
            .status()
    }
}

pub(crate) struct Stream(Body);

impl Stream {
    pub(crate) async fn frame(&mut self) -> Option<String> {
        let mut frame = within("a frame", self.0.frame())
            .await?
            .expect("bodies don't fail")
            .into_data()
            .expect("no trailers");
        let frame = frame.copy_to_bytes(frame.remaining());
        Some(String::from_utf8(frame.into()).expect("frames are UTF-8"))
    }
}

/// The messages in a message frame.
pub(crate) fn messages(frame: &str) -> Vec<String> {
    let array = frame.strip_prefix('a').unwrap_or_else(|| panic!("{frame:?} is no message frame"));
    serde_json::from_str(array).expect("an array of strings")
}
