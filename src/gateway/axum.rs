//! Mounting in axum.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::OriginalUri;
use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tower_service::Service;

use super::Gateway;
use super::answer::Answer;
use crate::transport::Chunk;

impl Gateway {
    /// A router that serves each prefix and nothing else, to be merged with others' routes and
    /// fallbacks.
    ///
    /// Merge it at the top. Under `nest` or `nest_service` axum takes the nest's path away and
    /// normalises the rest (`//` becomes `/`), which SockJS does not survive; the gateway logs a
    /// warning with the remedy when it meets that. A router that takes in prefixes with a segment
    /// that begins with `:` or `*` must allow them, by `without_v07_checks`; else axum panics in
    /// `merge`.
    ///
    /// axum boxes bodies, and hides with that how far a frame was written: a streaming session
    /// whose client is cut off in the last frame of a response is not told, nor is a poll's session
    /// of the last 16 KiB of its frame and of bytes that hyper had buffered. The lost messages then
    /// count as delivered, and the client's next request goes on behind them. Served by hyper,
    /// without axum in between, the session ends with 1002 and counts the lost messages.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use sockeye::{Gateway, Session};
    ///
    /// async fn echo(mut session: Session) {
    ///     while let Some(message) = session.recv().await {
    ///         if session.send(message).await.is_err() {
    ///             break;
    ///         }
    ///     }
    /// }
    ///
    /// let gateway = Gateway::new().endpoint("/api/echo", echo);
    /// let app: Router = Router::new().route("/health", get(|| async { "ok" })).merge(gateway.into_axum());
    /// ```
    pub fn into_axum<S>(self) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
    {
        let prefixes: Vec<String> =
            self.endpoints.iter().map(|endpoint| endpoint.prefix.to_string()).collect();
        let gateway = InAxum(self);
        // A parameter or a wildcard of axum 0.7 is a prefix like any other.
        prefixes.into_iter().fold(Router::new().without_v07_checks(), |router, prefix| {
            // `{*rest}` does not match the bare slash.
            router
                .route_service(&prefix, gateway.clone())
                .route_service(&format!("{prefix}/"), gateway.clone())
                .route_service(&format!("{prefix}/{{*rest}}"), gateway.clone())
        })
    }
}

/// A gateway whose bodies are axum's.
#[derive(Clone)]
struct InAxum(Gateway);

/// Its answer in the making.
struct Answering(Answer);

impl Service<Request<Body>> for InAxum {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        Answering(Service::call(&mut self.0, request))
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .as_mut()
            .poll(cx)
            .map_ok(|response| response.map(|body| Body::new(body.map_frame(into_bytes))))
    }
}

fn into_bytes(frame: Frame<Chunk>) -> Frame<Bytes> {
    frame.map_data(|mut chunk| chunk.copy_to_bytes(chunk.remaining()))
}

/// Logs once that a router in front has changed a path, and the remedy.
pub(super) fn warn_when_rewritten<B>(request: &Request<B>) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let Some(OriginalUri(original)) = request.extensions().get::<OriginalUri>() else { return };
    if original.path() == request.uri().path() || WARNED.swap(true, Ordering::Relaxed) {
        return;
    }
    tracing::warn!(
        original = original.path(),
        rewritten = request.uri().path(),
        "the gateway is nested under a router that rewrites paths, which breaks SockJS URLs; give each endpoint its full path as \
         prefix, and mount with `Router::merge(gateway.into_axum())` or `fallback_service(gateway.into_axum())` at the top"
    );
}
