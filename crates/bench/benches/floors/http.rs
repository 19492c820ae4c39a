//! hyper with a handler that does nothing.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::Stream;

/// As long as the answer to a poll with one message of 64 bytes.
static FRAME: [u8; 71] = [b'x'; 71];

pub(super) async fn serve(stream: Stream) -> hyper::Result<()> {
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let sends = request.uri().path().ends_with("/send");
    // As any server must that reads the payload.
    let _ = request.into_body().collect().await;
    let mut response =
        Response::new(Full::new(Bytes::from_static(if sends { b"" } else { &FRAME })));
    if sends {
        *response.status_mut() = StatusCode::NO_CONTENT;
    } else {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/javascript"));
    }
    Ok(response)
}
