//! A request to a session's resource, from its head to its answer.
//!
//! What can be done when the request comes is done at once: then nothing of it is kept. Only what
//! has to wait becomes a future, and that is small, for a hundred thousand polls may wait in one.

use std::future::ready;
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Request, Response, Version};

use super::ResponseFuture;
use super::endpoint::{BoxError, Endpoint};
use super::receive::{Arriving, Attaching, Begun, Receiving};
use super::refusal::Refusal;
use super::request::Decoration;
use super::route::Resource;
use super::send::Sending;
use crate::transport::Body;

/// A request that is being answered. Dropping it means that the client is gone.
pub(super) struct Exchange<B> {
    work: Work<B>,
    finish: Finish,
}

enum Work<B> {
    Answered(Result<Response<Body>, Refusal>),
    Sending(Sending<B>),
    Receiving(Receiving),
    Attaching(Attaching),
    Arriving(Arriving<B>),
}

/// What an answer needs of its request in the end.
struct Finish {
    /// For the resources of sessions only.
    decoration: Option<Decoration>,
    version: Version,
}

impl<B> Exchange<B>
where
    B: http_body::Body<Error: Into<BoxError>> + Send + 'static,
    B::Data: Send,
{
    /// With an answer that needs nothing more.
    pub(super) fn answered(response: Response<Body>) -> Self {
        Self {
            work: Work::Answered(Ok(response)),
            finish: Finish { decoration: None, version: Version::HTTP_11 },
        }
    }

    /// Takes a request to a session's resource.
    pub(super) fn begin(
        endpoint: &Arc<Endpoint>,
        request: Request<B>,
        segment: &str,
        resource: Resource,
    ) -> Self {
        let decoration =
            Some(Decoration::new(request.headers(), resource, endpoint.config.cookies));
        let finish = Finish { decoration, version: request.version() };
        let work = match resource {
            Resource::XhrSend | Resource::JsonpSend => {
                Work::Sending(Sending::new(Arc::clone(endpoint), request, segment, resource))
            }
            _ => Self::receive(endpoint, request, segment, resource)
                .unwrap_or_else(|error| Work::Answered(Err(error))),
        };
        Self { work, finish }
    }

    fn receive(
        endpoint: &Arc<Endpoint>,
        request: Request<B>,
        segment: &str,
        resource: Resource,
    ) -> Result<Work<B>, Refusal> {
        // Read to its end, though nothing in it counts: hyper does not notice that a client is gone
        // while bytes of its wait to be read.
        if !request.body().is_end_stream() {
            return Ok(Work::Arriving(Arriving::new(
                Arc::clone(endpoint),
                request,
                segment,
                resource,
            )?));
        }
        Ok(match endpoint.receive(request.into_parts().0, segment, resource)? {
            Begun::Receiving(receiving) => Work::Receiving(receiving),
            Begun::Attaching(attaching) => Work::Attaching(attaching),
        })
    }

    /// The answer. Each kind of work has a future of its own size.
    pub(super) fn answer(self) -> ResponseFuture {
        let Self { work, finish } = self;
        match work {
            Work::Answered(response) => Box::pin(ready(Ok(finish.apply(response)))),
            Work::Sending(sending) => {
                Box::pin(async move { Ok(finish.apply(sending.answer().await)) })
            }
            Work::Receiving(receiving) => {
                Box::pin(async move { Ok(finish.apply(Ok(receiving.answer().await))) })
            }
            Work::Attaching(attaching) => {
                Box::pin(async move { Ok(finish.apply(Ok(attaching.answer().await))) })
            }
            Work::Arriving(arriving) => {
                Box::pin(async move { Ok(finish.apply(arriving.answer().await)) })
            }
        }
    }
}

impl Finish {
    fn apply(self, answer: Result<Response<Body>, Refusal>) -> Response<Body> {
        let mut response = answer.unwrap_or_else(Into::into);
        let Some(decoration) = self.decoration else { return response };
        decoration.apply(&mut response);
        if self.version == Version::HTTP_10
            && http_body::Body::size_hint(response.body()).exact().is_none()
        {
            // Without chunks the end of the connection is the only end there is, whatever the
            // client asked for.
            *response.version_mut() = Version::HTTP_10;
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
