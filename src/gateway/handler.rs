//! The application's side of a session.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::arrival::BoxError;
use crate::escape::Escaped;
use crate::protocol::close::CloseReason;
use crate::session::{EndedBy, Session, Shared, tells_of_closing, while_handled};

/// An application, which runs for each session.
///
/// Every `Fn(Session) -> impl Future` is a handler, if the future's output is an [`Outcome`]: `()`,
/// or `Result<(), E>`, so that `?` can be used. [`with_state`] gives a handler a second argument.
/// The future runs in a task of its own (over WebSocket, in the connection's task), so it must not
/// block the thread.
///
/// An error closes its session with 1011 "Internal error", and is logged with all its sources, its
/// text escaped. A handler that fails because its client has gone, by the error of a
/// [`send`](Session::send) to its closed session, is logged at debug level only. A panic closes its
/// session likewise and touches no other.
///
/// ```
/// use sockeye::{Gateway, Message, SendError, Session};
///
/// async fn greet(mut session: Session) -> Result<(), SendError> {
///     session.send("your name?").await?;
///     while let Some(name) = session.recv().await {
///         session.send(format!("hello {}", name.as_text().unwrap_or("you"))).await?;
///     }
///     Ok(())
/// }
///
/// let gateway = Gateway::new()
///     .endpoint("/greet", greet)
///     .endpoint("/echo", async |mut session: Session| {
///         while let Some(message) = session.recv().await {
///             session.send(message).await?;
///         }
///         Ok::<_, SendError>(())
///     });
/// ```
///
/// # Ordering
///
/// Everything up to the future's first wait is done before the client sees the open frame: a topic
/// that it joins there gives the client all messages published from then on. A WebSocket without
/// frames has no open frame; its client may be connected a moment before.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    label = "not an `async fn(Session)` that returns `()` or `Result<(), E>`",
    note = "a handler with a second argument for its state is given to `sockeye::with_state`",
    note = "a closure names the type of its argument: `|session: Session| async move {{ … }}`"
)]
pub trait Handler: Send + Sync + 'static {
    /// Starts the application for a new session.
    fn handle(&self, session: Session) -> HandlerFuture;
}

impl<F, Fut> Handler for F
where
    F: Fn(Session) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    fn handle(&self, session: Session) -> HandlerFuture {
        HandlerFuture::new(self(session))
    }
}

/// A handler with state, of which each session gets a clone: a [`Hub`](crate::hub::Hub), a pool of
/// connections to a database, an `Arc`.
///
/// ```
/// use sockeye::hub::Hub;
/// use sockeye::{EndpointConfig, Gateway, Session, with_state};
///
/// async fn chat(mut session: Session, hub: Hub) {
///     let room = hub.topic(session.info().query_param("room").unwrap_or_default());
///     let _subscription = room.subscribe(session.sender());
///     while let Some(message) = session.recv().await {
///         room.publish(message);
///     }
/// }
///
/// let hub = Hub::new();
/// let config = EndpointConfig::new().message_size(4096);
/// let gateway = Gateway::new().endpoint_with("/chat", config, with_state(hub, chat));
/// ```
pub fn with_state<S, F, Fut>(state: S, handler: F) -> impl Handler
where
    S: Clone + Send + Sync + 'static,
    F: Fn(Session, S) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    move |session: Session| handler(session, state.clone())
}

/// What a handler may return: `()`, or a `Result<(), E>` whose error is one, or can be made one
/// with `?`. Also `!`, for handlers that never return.
#[diagnostic::on_unimplemented(
    message = "a handler can't return `{Self}`",
    note = "a handler returns `()`, or `Result<(), E>` where `E: Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait Outcome {
    /// The error, if it is one.
    ///
    /// # Errors
    ///
    /// The handler's own, for the log.
    fn into_result(self) -> Result<(), Box<dyn Error + Send + Sync>>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>>> Outcome for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// `async { panic!() }` and a loop without end have the type `!`, which can't be written yet.
impl Outcome for <fn() -> ! as never::Returns>::Value {
    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

mod never {
    pub trait Returns {
        type Value;
    }

    impl<T> Returns for fn() -> T {
        type Value = T;
    }
}

/// A handler at work: the future that [`Handler::handle`] returns.
pub struct HandlerFuture(Pin<Box<dyn Work>>);

impl HandlerFuture {
    /// A future whose output is an [`Outcome`].
    pub fn new(work: impl Future<Output: Outcome> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }
}

impl Future for HandlerFuture {
    type Output = Result<(), Box<dyn Error + Send + Sync>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll_outcome(cx)
    }
}

impl fmt::Debug for HandlerFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFuture").finish_non_exhaustive()
    }
}

/// A future of any outcome. One box holds it as it is: a future around it would hold it twice.
trait Work: Send {
    fn poll_outcome(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>>;
}

impl<Fut: Future<Output: Outcome> + Send> Work for Fut {
    fn poll_outcome(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.poll(cx).map(Outcome::into_result)
    }
}

/// A handler at work, whose errors and panics end its own session only.
pub(crate) struct Contained {
    // Started inside the first poll: a handler may panic before its future exists.
    stage: Stage,
    shared: Arc<Shared>,
}

enum Stage {
    Ready(Arc<dyn Handler>),
    Running(HandlerFuture),
    Done,
}

impl Contained {
    pub(crate) fn new(handler: Arc<dyn Handler>, shared: Arc<Shared>) -> Self {
        Self { stage: Stage::Ready(handler), shared }
    }

    /// The first poll, before there is a task: everything up to the handler's first wait must be
    /// done before its client hears that the session is open. `None` when that was all.
    pub(crate) fn begin(mut self) -> Option<Self> {
        // The task polls the future again, and so registers its own waker.
        Pin::new(&mut self)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
            .then_some(self)
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if let Stage::Ready(handler) = &self.stage {
            let session = Session::new(Arc::clone(&self.shared));
            self.stage = Stage::Running(handler.handle(session));
        }
        match &mut self.stage {
            Stage::Running(future) => Pin::new(future).poll(cx),
            Stage::Ready(_) | Stage::Done => Poll::Ready(Ok(())),
        }
    }

    fn failed(&self, error: &(dyn Error + 'static)) {
        let (session, closed) = (self.shared.info().id(), self.shared.is_closed());
        let text = Escaped(Sources(error));
        if !closed {
            tracing::error!(%session, error = %text, "the handler failed; its session closes with 1011");
            self.shared.close(CloseReason::HANDLER_FAILED, EndedBy::Application);
        } else if sources(error).any(tells_of_closing) {
            tracing::debug!(%session, error = %text, "the handler returned because its session had closed");
        } else {
            tracing::error!(%session, error = %text, "the handler failed after its session had closed");
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) {
        tracing::error!(session = %self.shared.info().id(), panic = text(panic), "the handler panicked; its session closes with 1011");
        self.shared.close(CloseReason::HANDLER_FAILED, EndedBy::Application);
    }
}

impl Future for Contained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (outcome, left) = while_handled(Arc::as_ptr(&self.shared), || {
            // State that a panic leaves behind is dropped here, and no code sees it: the session
            // itself is behind a lock that no handler holds.
            catch_unwind(AssertUnwindSafe(|| self.step(cx)))
        });
        let done = !matches!(outcome, Ok(Poll::Pending));
        match outcome {
            Ok(Poll::Pending | Poll::Ready(Ok(()))) => {}
            Ok(Poll::Ready(Err(error))) => self.failed(&*error),
            Err(panic) => self.panicked(&*panic),
        }
        if left {
            // The handler has dropped its session. Only now is it known whether all went well.
            self.shared.abandon(CloseReason::NORMAL);
        }
        if !done {
            return Poll::Pending;
        }
        self.stage = Stage::Done;
        Poll::Ready(())
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without text")
}

fn sources<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// An error and all its sources, each behind a colon.
struct Sources<'e>(&'e (dyn Error + 'static));

impl fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (level, error) in sources(self.0).enumerate() {
            write!(f, "{}{error}", if level > 0 { ": " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::ParseIntError;

    use super::*;
    use crate::hub::Hub;
    use crate::{Gateway, SendError};

    async fn plain(_: Session) {}

    async fn fallible(session: Session) -> Result<(), SendError> {
        session.send("?").await
    }

    async fn boxed(_: Session) -> Result<(), Box<dyn Error + Send + Sync>> {
        "1".parse::<u8>()?;
        Err("a text is an error too")?
    }

    async fn endless(_: Session) -> ! {
        loop {
            std::future::pending::<()>().await;
        }
    }

    async fn stateful(_: Session, _: Hub) -> Result<(), SendError> {
        Ok(())
    }

    /// What people write. It compiles without more types than these.
    #[test]
    fn all_these_are_handlers() {
        let hub = Hub::new();
        let moved = hub.clone();
        Gateway::new()
            .endpoint("/plain", plain)
            .endpoint("/fallible", fallible)
            .endpoint("/boxed", boxed)
            .endpoint("/endless", endless)
            .endpoint("/state", with_state(hub.clone(), stateful))
            .endpoint("/moved", move |session| stateful(session, moved.clone()))
            .endpoint("/closure", |mut session: Session| async move {
                while session.recv().await.is_some() {}
            })
            .endpoint(
                "/async",
                async |mut session: Session| {
                    while session.recv().await.is_some() {}
                },
            )
            .endpoint("/question", async |session: Session| {
                session.send("a").await?;
                Ok::<_, SendError>(())
            })
            .endpoint("/other", |_: Session| async {
                "1".parse::<u8>()?;
                Ok::<_, ParseIntError>(())
            })
            .endpoint("/todo", |_: Session| async { panic!("to do") })
            .endpoint("/ignored", async |_| {})
            .endpoint(
                "/state/closure",
                with_state(hub, async |mut session, hub| {
                    let _subscription = hub.topic("all").subscribe(session.sender());
                    while let Some(message) = session.recv().await {
                        session.send(message).await?;
                    }
                    Ok::<_, SendError>(())
                }),
            );
    }
}
