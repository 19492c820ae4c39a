//! The page that the iframe transports load from this server's origin.

use std::fmt::Write;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use sha1::{Digest, Sha1};

use super::headers;
use super::origin::Origins;
use crate::transport::{Body, with_status};

/// The page and its entity tag.
pub(super) struct Page {
    html: Bytes,
    tag: String,
    /// Which pages may put it into a frame; `None` is any.
    frames: Option<HeaderValue>,
}

impl Page {
    /// The page, or 304 for a client that has it.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response<Body> {
        let mut response = if headers::matches(request, &self.tag) {
            let mut unchanged = Response::new(Body::empty());
            *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
            unchanged
        } else {
            with_status(StatusCode::OK, "text/html; charset=UTF-8", Body::whole(self.html.clone()))
        };
        match &self.frames {
            None => headers::long_cache(response.headers_mut()),
            // A copy from before the setting changed would let other pages in for a year.
            Some(policy) => {
                let headers = response.headers_mut();
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
            }
        }
        // The tag is made of hexadecimal digits in quotes.
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }

    /// The iframe page (SockJS 0.3.3, iframe).
    ///
    /// # Panics
    ///
    /// When `client_url` has a character that would end its attribute, or does not begin with `/` or
    /// `http`.
    pub(super) fn new(client_url: &str, origins: &Origins) -> Self {
        let sound = (client_url.starts_with('/') || client_url.starts_with("http"))
            && !client_url.contains(|c: char| matches!(c, '"' | '<' | '>') || c.is_whitespace());
        assert!(
            sound,
            "client_url {client_url:?} can't stand in the iframe page: give a path, or a URL that begins with http, without quotes, angle brackets and spaces"
        );
        let html = format!(
            "<!DOCTYPE html>\n\
             <html>\n\
             <head>\n  \
             <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
             <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n  \
             <script src=\"{client_url}\"></script>\n  \
             <script>\n    \
             document.domain = document.domain;\n    \
             SockJS.bootstrap_iframe();\n  \
             </script>\n\
             </head>\n\
             <body>\n  \
             <h2>Don't panic!</h2>\n  \
             <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n\
             </body>\n\
             </html>"
        );
        let mut tag = String::from("\"");
        for byte in Sha1::digest(&html) {
            // Writing to a string can't fail.
            let _ = write!(tag, "{byte:02x}");
        }
        tag.push('"');
        Self { html: html.into(), tag, frames: origins.frame_policy() }
    }
}
