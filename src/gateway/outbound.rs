//! Outbound requests, which take frames to the client: polls and streams.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderMap;
use http::request::Parts;
use http::{Request, Uri};

use super::answer::{Answer, Decoration, at_once};
use super::arrival::{self, BoxError};
use super::endpoint::Endpoint;
use super::handler::Contained;
use super::refusal::Refusal;
use super::registry::{Lookup, NotMade};
use super::request::connect_info;
use super::route::Resource;
use super::short_poll;
use crate::protocol::close::CloseReason;
use crate::session::{Attachment, Carries, Liveness, Shared};
use crate::transport::jsonp::Callback;
use crate::transport::{PeerWatch, Source, eventsource, htmlfile, jsonp, xhr};

/// Attaches a receiver to its session, new or old, and answers with its frames.
///
/// Work that needs no wait is done when the request comes, and then nothing of the request is kept.
/// Only waits become futures.
pub(super) fn answer<B>(
    endpoint: &Arc<Endpoint>,
    request: Request<B>,
    segment: &str,
    resource: Resource,
) -> Answer
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    let decoration = Decoration::new(&request, resource, &endpoint.config);
    // Before any session is touched: a request that can't be answered must open none.
    let form = match Form::of(endpoint, request.uri(), resource) {
        Ok(form) => form,
        Err(refusal) => return at_once(decoration.apply(refusal.into())),
    };
    if request.body().is_end_stream() {
        return attach(endpoint, request.into_parts().0, segment, form, decoration);
    }
    let (parts, body) = request.into_parts();
    let (endpoint, segment) = (Arc::clone(endpoint), Box::<str>::from(segment));
    Box::pin(async move {
        match read_to_its_end(&endpoint, &parts.headers, body).await {
            Ok(()) => attach(&endpoint, parts, &segment, form, decoration).await,
            Err(refusal) => Ok(decoration.apply(endpoint.refuse(refusal))),
        }
    })
}

/// A body is read to its end, though nothing in it counts: hyper does not notice that a client is
/// gone while bytes of its wait to be read.
async fn read_to_its_end<B>(endpoint: &Endpoint, head: &HeaderMap, body: B) -> Result<(), Refusal>
where
    B: http_body::Body<Error: Into<BoxError>> + Send,
    B::Data: Send,
{
    // A body of a payload's size is no fault, however little is read of refused bodies.
    let limit = endpoint.config.discard_limit.max(endpoint.config.payload_size);
    let expects = body.size_hint().lower() > limit as u64 && arrival::expects(head);
    if arrival::discard(endpoint, body, limit, expects).await? {
        Ok(())
    } else {
        Err(Refusal::PayloadTooLarge { limit, read: false })
    }
}

fn attach(
    endpoint: &Arc<Endpoint>,
    mut parts: Parts,
    segment: &str,
    form: Form,
    decoration: Decoration,
) -> Answer {
    let watch = parts.extensions.remove::<PeerWatch>().map(|watch| watch.of(parts.version));
    let lookup: Result<_, NotMade<Refusal>> =
        endpoint.registry.find_or_create(segment, |segment| {
            let info = connect_info(&mut parts, form.name(), endpoint, watch.as_ref(), None)?;
            let (limits, owner) = (Arc::clone(&endpoint.limits), Arc::clone(&endpoint.owner));
            Ok(Attachment::first(
                Shared::new(info, Some(segment), Carries::Text, limits, owner),
                Liveness::Heartbeats,
            ))
        });
    let source = match lookup {
        Err(NotMade::NoRoom(no_room)) => {
            return at_once(decoration.apply(endpoint.no_room(no_room).into()));
        }
        Err(NotMade::Refused(refusal)) => {
            return at_once(decoration.apply(endpoint.refuse(refusal)));
        }
        Ok(Lookup::Ended(reason)) => Source::Refused(reason),
        Ok(Lookup::Created(attachment)) => {
            let session = Arc::clone(attachment.session());
            if let Some(application) =
                Contained::new(Arc::clone(&endpoint.handler), session).begin()
            {
                tokio::spawn(endpoint.registry.work().during(application));
            }
            Source::session(attachment, watch)
        }
        Ok(Lookup::Found(session)) => {
            match Attachment::try_attach(&session, Liveness::Heartbeats) {
                Some(attachment) => attached(endpoint, attachment, watch),
                None => return wait_to_attach(endpoint, session, watch, form, decoration),
            }
        }
    };
    frames(source, form, endpoint.config.response_limit, decoration)
}

/// Another receiver is attached: the new receiver waits a moment for it to go.
fn wait_to_attach(
    endpoint: &Arc<Endpoint>,
    session: Arc<Shared>,
    watch: Option<PeerWatch>,
    form: Form,
    decoration: Decoration,
) -> Answer {
    let endpoint = Arc::clone(endpoint);
    Box::pin(async move {
        let config = &endpoint.config;
        let source =
            match Attachment::attach(session, Liveness::Heartbeats, config.attach_wait).await {
                Ok(attachment) => attached(&endpoint, attachment, watch),
                Err(_) => Source::Refused(CloseReason::IN_USE),
            };
        frames(source, form, config.response_limit, decoration).await
    })
}

fn attached(endpoint: &Endpoint, attachment: Attachment, watch: Option<PeerWatch>) -> Source {
    if attachment.session().ended_untold() {
        // The session ended while this receiver was on its way: this receiver is told its end, and
        // none after it.
        endpoint.registry.forget(attachment.session());
    }
    Source::session(attachment, watch)
}

/// A stream is answered at once, and its frames are the body's. A poll is answered with its first
/// frame, and its future keeps nothing that it doesn't need for that.
fn frames(source: Source, form: Form, limit: usize, decoration: Decoration) -> Answer {
    let stream = match form {
        Form::Xhr { wait } => {
            return Box::pin(async move { Ok(decoration.apply(xhr::poll(source, wait).await)) });
        }
        Form::Jsonp(callback) => {
            return Box::pin(
                async move { Ok(decoration.apply(jsonp::poll(source, &callback).await)) },
            );
        }
        Form::XhrStreaming => xhr::stream(source, limit),
        Form::EventSource => eventsource::stream(source, limit),
        Form::HtmlFile(callback) => htmlfile::stream(source, &callback, limit),
    };
    at_once(decoration.apply(stream))
}

/// How a request asks for its frames.
enum Form {
    Xhr {
        /// How long the client is willing to wait, if its query says so.
        wait: Option<Duration>,
    },
    XhrStreaming,
    EventSource,
    HtmlFile(Callback),
    Jsonp(Callback),
}

impl Form {
    fn of(endpoint: &Endpoint, uri: &Uri, resource: Resource) -> Result<Self, Refusal> {
        Ok(match resource {
            Resource::Xhr if endpoint.config.short_poll => {
                Self::Xhr { wait: short_poll::wait(uri.query())? }
            }
            Resource::Xhr => Self::Xhr { wait: None },
            Resource::XhrStreaming => Self::XhrStreaming,
            Resource::EventSource => Self::EventSource,
            Resource::HtmlFile => Self::HtmlFile(Callback::from_query(uri.query(), usize::MAX)?),
            Resource::Jsonp => Self::Jsonp(Callback::from_query(uri.query(), 32)?),
            // Routed elsewhere: these have no frames to ask for.
            Resource::WebSocket | Resource::XhrSend | Resource::JsonpSend => {
                return Err(Refusal::NotFound);
            }
        })
    }

    /// The transport's name for logs.
    fn name(&self) -> &'static str {
        match self {
            Self::Xhr { .. } => "xhr",
            Self::XhrStreaming => "xhr_streaming",
            Self::EventSource => "eventsource",
            Self::HtmlFile(_) => "htmlfile",
            Self::Jsonp(_) => "jsonp",
        }
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

    /// Client A heard `o` and told client B. B's message to all was published before A's handler
    /// had joined the topic: that handler's task had not begun to run.
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

    /// A gateway of polls parks a future for each of its clients. A future that also had room for a
    /// wait to attach, for a body and for a second transport was 1,080 bytes.
    #[tokio::test(start_paused = true)]
    async fn a_parked_poll_is_small() {
        let gateway = Gateway::new().endpoint("/idle", |mut session: Session| async move {
            while session.recv().await.is_some() {}
        });
        for (method, target) in
            [(Method::POST, "/idle/0/a/xhr"), (Method::GET, "/idle/0/b/jsonp?c=x")]
        {
            let request = http::Request::builder().method(method).uri(target);
            let request = request.body(Empty::<Bytes>::new()).expect("a request");
            let size = std::mem::size_of_val(&*Service::call(&gateway, request));
            assert!(size <= 768, "{target}: {size} bytes");
        }
    }
}
