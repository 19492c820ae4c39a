//! A tower service as hyper calls it, on one connection.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use http::{Request, Response};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{LocalAddr, PeerAddr};
use crate::transport::PeerWatch;

/// A connection's clone of the service, and what each of its requests is told.
pub(super) struct OnConnection<S> {
    // hyper calls through a shared reference. It serves a connection in one task, one request after
    // the other.
    service: RefCell<S>,
    watch: Option<PeerWatch>,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl<S> OnConnection<S> {
    pub(super) fn new(
        service: S,
        watch: Option<PeerWatch>,
        peer: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) -> Self {
        Self { service: RefCell::new(service), watch, peer, local }
    }
}

impl<S, B> hyper::service::Service<Request<Incoming>> for OnConnection<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Answering<S, S::Future>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let extensions = request.extensions_mut();
        if let Some(peer) = self.peer {
            extensions.insert(PeerAddr(peer));
        }
        if let Some(local) = self.local {
            extensions.insert(LocalAddr(local));
        }
        if let Some(watch) = &self.watch {
            extensions.insert(watch.clone());
        }
        let mut service = self.service.borrow_mut();
        // As a rule a service is always ready. Asking it here keeps the request out of the future.
        // A service that isn't is asked again, with the task's waker.
        match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Answering::Called { answer: service.call(request) },
            Poll::Pending => {
                // Its place in the line is that of the service that was asked.
                let next = service.clone();
                let service = std::mem::replace(&mut *service, next);
                Answering::Waiting { turn: Some(Box::new(Turn { service, request })) }
            }
        }
    }
}

pin_project! {
    /// An answer in the making: small, for a connection keeps room for it all its life.
    #[project = State]
    pub(super) enum Answering<S, F> {
        /// For the service's turn.
        Waiting { turn: Option<Box<Turn<S>>> },
        Called {
            #[pin]
            answer: F,
        },
    }
}

/// A request that waits until the service is ready.
pub(super) struct Turn<S> {
    service: S,
    request: Request<Incoming>,
}

impl<S, B> Future for Answering<S, S::Future>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let turn = match self.as_mut().project() {
                State::Called { answer } => return answer.poll(cx),
                State::Waiting { turn } => turn,
            };
            if let Some(waiting) = turn {
                let Ok(()) = ready!(waiting.service.poll_ready(cx));
            }
            let Turn { mut service, request } =
                *turn.take().expect("it is here until the call, and then the answer is polled");
            let answer = service.call(request);
            self.set(Self::Called { answer });
        }
    }
}
