//! Requests that bring a receiver: polls and streams.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response, Uri};

use super::arrival;
use super::endpoint::{BoxError, Endpoint};
use super::handler::Contained;
use super::refusal::Refusal;
use super::registry::{Lookup, NotMade};
use super::request::connect_info;
use super::route::Resource;
use super::short_poll;
use crate::protocol::close::CloseReason;
use crate::session::{Carries, Liveness, Receiver, Shared};
use crate::transport::jsonp::Callback;
use crate::transport::{Body, PeerWatch, Source, eventsource, htmlfile, jsonp, xhr};

/// What became of a receiver at once.
pub(super) enum Begun {
    Receiving(Receiving),
    Attaching(Attaching),
}

/// A receiver that is attached, or one that is told why it is not.
pub(super) enum Receiving {
    /// Its frames are the body's.
    Stream(Response<Body>),
    /// Its first frame is awaited.
    Poll { source: Source, callback: Option<Callback>, wait: Option<Duration> },
}

/// A receiver that waits for another to go.
pub(super) struct Attaching {
    endpoint: Arc<Endpoint>,
    session: Arc<Shared>,
    watch: Option<PeerWatch>,
    form: Form,
}

/// A receiver whose request has a body, which has not arrived in full.
pub(super) struct Arriving<B> {
    endpoint: Arc<Endpoint>,
    parts: Parts,
    body: B,
    segment: Box<str>,
    form: Form,
}

/// How a receiver wants its frames.
struct Form {
    resource: Resource,
    callback: Option<Callback>,
    wait: Option<Duration>,
}

impl Endpoint {
    /// Attaches a receiver to its session, new or old, or says why not.
    pub(super) fn receive(
        self: &Arc<Self>,
        parts: Parts,
        segment: &str,
        resource: Resource,
    ) -> Result<Begun, Refusal> {
        let form = Form::of(self, &parts.uri, resource)?;
        self.attach(parts, segment, form)
    }

    fn attach(
        self: &Arc<Self>,
        mut parts: Parts,
        segment: &str,
        form: Form,
    ) -> Result<Begun, Refusal> {
        let watch = parts.extensions.remove::<PeerWatch>();
        let lookup = self.registry.find_or_create(segment, |segment| {
            let info = connect_info(&mut parts, name(form.resource), &self.config)?;
            let (limits, owner) = (Arc::clone(&self.limits), Arc::clone(&self.owner));
            Ok(Receiver::first(
                Shared::new(info, Some(segment), Carries::Text, limits, owner),
                Liveness::Heartbeats,
            ))
        });
        let source = match lookup {
            Err(NotMade::NoRoom(no_room)) => return Err(self.no_room(no_room)),
            Err(NotMade::Refused(refusal)) => return Err(refusal),
            Ok(Lookup::Ended(reason)) => Source::Refused(reason),
            Ok(Lookup::Created(receiver)) => {
                Contained::new(Arc::clone(&self.handler), Arc::clone(receiver.session())).start();
                Source::session(receiver, watch)
            }
            Ok(Lookup::Found(session)) => {
                match Receiver::try_attach(&session, Liveness::Heartbeats) {
                    Some(receiver) => self.attached(receiver, watch),
                    None => {
                        return Ok(Begun::Attaching(Attaching {
                            endpoint: Arc::clone(self),
                            session,
                            watch,
                            form,
                        }));
                    }
                }
            }
        };
        Ok(Begun::Receiving(form.receive(source, self.config.response_limit)))
    }

    fn attached(&self, receiver: Receiver, watch: Option<PeerWatch>) -> Source {
        if receiver.session().ended_untold() {
            // It ended while this receiver was on its way: then this is the one that is told, and
            // nobody after it.
            self.registry.forget(receiver.session());
        }
        Source::session(receiver, watch)
    }
}

impl Form {
    /// Before any session is touched: a request that can't be answered must open none.
    fn of(endpoint: &Endpoint, uri: &Uri, resource: Resource) -> Result<Self, Refusal> {
        let callback = match resource {
            Resource::HtmlFile => Some(Callback::from_query(uri.query(), usize::MAX)?),
            Resource::Jsonp => Some(Callback::from_query(uri.query(), 32)?),
            _ => None,
        };
        let wait = match resource {
            Resource::Xhr if endpoint.config.short_poll => short_poll::wait(uri.query())?,
            _ => None,
        };
        Ok(Self { resource, callback, wait })
    }

    fn receive(self, source: Source, limit: usize) -> Receiving {
        let Self { resource, callback, wait } = self;
        match (resource, callback) {
            (Resource::HtmlFile, Some(callback)) => {
                Receiving::Stream(htmlfile::stream(source, &callback, limit))
            }
            (Resource::EventSource, _) => Receiving::Stream(eventsource::stream(source, limit)),
            (Resource::XhrStreaming, _) => Receiving::Stream(xhr::stream(source, limit)),
            (_, callback) => Receiving::Poll { source, callback, wait },
        }
    }
}

impl Receiving {
    pub(super) async fn answer(self) -> Response<Body> {
        match self {
            Self::Stream(response) => response,
            Self::Poll { source, callback: Some(callback), .. } => {
                jsonp::poll(source, &callback).await
            }
            Self::Poll { source, wait, .. } => xhr::poll(source, wait).await,
        }
    }
}

impl Attaching {
    pub(super) async fn answer(self) -> Response<Body> {
        let Self { endpoint, session, watch, form } = self;
        let attached =
            Receiver::attach(session, Liveness::Heartbeats, endpoint.config.attach_wait).await;
        let source = match attached {
            Ok(receiver) => endpoint.attached(receiver, watch),
            Err(_) => Source::Refused(CloseReason::IN_USE),
        };
        form.receive(source, endpoint.config.response_limit).answer().await
    }
}

impl<B> Arriving<B>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    pub(super) fn new(
        endpoint: Arc<Endpoint>,
        request: Request<B>,
        segment: &str,
        resource: Resource,
    ) -> Result<Self, Refusal> {
        let form = Form::of(&endpoint, request.uri(), resource)?;
        let (parts, body) = request.into_parts();
        Ok(Self { endpoint, parts, body, segment: segment.into(), form })
    }

    pub(super) async fn answer(self) -> Result<Response<Body>, Refusal> {
        let Self { endpoint, parts, body, segment, form } = self;
        // A body of a payload's size is a fault of nobody's, however little is read of those that
        // are refused.
        let limit = endpoint.discarded().max(endpoint.config.payload_size);
        let expects = body.size_hint().lower() > limit as u64 && arrival::expects(&parts.headers);
        if !endpoint.discard(body, limit, expects).await? {
            return Err(Refusal::PayloadTooLarge { limit, read: false });
        }
        Ok(match endpoint.attach(parts, &segment, form)? {
            Begun::Receiving(receiving) => receiving.answer().await,
            Begun::Attaching(attaching) => attaching.answer().await,
        })
    }
}

/// The transport's name for logs.
fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::WebSocket => "websocket",
        Resource::Xhr | Resource::XhrSend => "xhr",
        Resource::XhrStreaming => "xhr_streaming",
        Resource::EventSource => "eventsource",
        Resource::HtmlFile => "htmlfile",
        Resource::Jsonp | Resource::JsonpSend => "jsonp",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use http_body_util::{BodyExt, Empty};
    use hyper::service::Service;

    use crate::{Gateway, Session};

    fn poll(gateway: &Gateway) -> impl Future<Output = Bytes> + use<> {
        let request = http::Request::builder().method(Method::POST).uri("/idle/0/a/xhr");
        let answering =
            Service::call(gateway, request.body(Empty::<Bytes>::new()).expect("a request"));
        async move {
            let Ok(response) = answering.await;
            response.into_body().collect().await.expect("infallible").to_bytes()
        }
    }

    /// A poll attaches when it is called. A server that then drops it has lost its client, whether
    /// it has asked for the answer or not.
    #[tokio::test(start_paused = true)]
    async fn a_poll_that_nobody_asks_for_its_answer_leaves_its_session() {
        let gateway = Gateway::new().endpoint("/idle", |mut session: Session| async move {
            while session.recv().await.is_some() {}
        });
        assert_eq!(poll(&gateway).await, "o\n");
        let attached = poll(&gateway);
        drop(poll(&gateway));
        assert_eq!(
            poll(&gateway).await,
            "c[2010,\"Another connection still open\"]\n",
            "one that waited has not attached"
        );
        drop(attached);
        assert_eq!(poll(&gateway).await, "c[1002,\"Connection interrupted\"]\n");
        drop(poll(&gateway));
        assert_eq!(gateway.sessions(), 0);
    }

    /// A client heard `o`, told another one of it, and that one's message to all was published
    /// before the first one's handler had joined the topic: it ran in a task that had not begun.
    #[tokio::test(start_paused = true)]
    async fn a_handler_has_joined_its_topics_when_the_client_hears_of_the_session() {
        let hub = crate::hub::Hub::new();
        let topic = hub.topic("broadcast");
        let gateway = Gateway::new().endpoint("/idle", move |mut session: Session| {
            let topic = topic.clone();
            async move {
                let _subscription = topic.subscribe(session.sender());
                while session.recv().await.is_some() {}
            }
        });
        assert_eq!(poll(&gateway).await, "o\n");
        assert_eq!(hub.topic("broadcast").subscribers(), 1);
        hub.topic("broadcast").publish("for all who are here");
        assert_eq!(poll(&gateway).await, "a[\"for all who are here\"]\n");
    }
}
