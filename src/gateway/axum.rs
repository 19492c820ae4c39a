//! Mounting in axum.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::OriginalUri;
use http::Request;

use super::Gateway;

impl Gateway {
    /// A router that serves each prefix and nothing else, to be merged with others' routes and fallbacks.
    ///
    /// Merge it at the top. Under `nest` or `nest_service` axum takes the nest's path away and normalises the rest (`//` becomes `/`),
    /// which SockJS does not survive; the gateway logs a warning with the remedy when it meets that. A router that takes in prefixes with a
    /// segment that begins with `:` or `*` must allow them, by `without_v07_checks`; else axum panics in `merge`.
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
        let prefixes: Vec<String> = self.endpoints.iter().map(|endpoint| endpoint.prefix.to_string()).collect();
        // What looked like a parameter or a wildcard before axum 0.8 is a prefix like any other.
        prefixes.into_iter().fold(Router::new().without_v07_checks(), |router, prefix| {
            // `{*rest}` does not match the bare slash.
            router
                .route_service(&prefix, self.clone())
                .route_service(&format!("{prefix}/"), self.clone())
                .route_service(&format!("{prefix}/{{*rest}}"), self.clone())
        })
    }
}

/// Says once that a router in front has changed a path, and what to do.
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
         prefix, and mount with `Router::merge(gateway.into_axum())` or `fallback_service(gateway)` at the top"
    );
}
