//! Long polling by script elements.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use percent_encoding::percent_decode_str;

use super::{Body, Source, ok};
use crate::protocol::quote;

/// The name of a script function of the client's, safe to be written into a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Callback(String);

/// Why a request has no usable callback name; the texts are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallbackError {
    #[error("\"callback\" parameter required")]
    Missing,
    #[error("invalid \"callback\" parameter")]
    Invalid,
}

impl Callback {
    /// The query parameter `c`, or `callback`; at most `longest` characters of `a-zA-Z0-9-_.`.
    pub(crate) fn from_query(query: Option<&str>, longest: usize) -> Result<Self, CallbackError> {
        let value = parameter(query, "c")
            .or_else(|| parameter(query, "callback"))
            .ok_or(CallbackError::Missing)?;
        let name = percent_decode_str(value).decode_utf8().map_err(|_| CallbackError::Invalid)?;
        if name.is_empty() {
            return Err(CallbackError::Missing);
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.len() > longest || !name.bytes().all(plain) {
            return Err(CallbackError::Invalid);
        }
        Ok(Self(name.into_owned()))
    }
}

impl fmt::Display for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call with one frame, and the end (SockJS 0.3.3, jsonp-polling). The comment in front keeps the
/// answer from being taken for a Flash file.
pub(crate) async fn poll(source: Source, callback: &Callback) -> Response<Body> {
    let body = match source.one_frame().await {
        Some(frame) => Body::one(frame.wrap(|frame| script(callback, &frame.bytes()))),
        None => Body::whole(script(callback, b"")),
    };
    let mut response = ok("application/javascript; charset=UTF-8", body);
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn script(callback: &Callback, frame: &[u8]) -> Bytes {
    let mut script = format!("/**/{callback}(").into_bytes();
    script.reserve(frame.len() + 32);
    quote::quote_script_into(frame, false, &mut script);
    script.extend_from_slice(b");\r\n");
    script.into()
}

fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<&'q str> {
    query?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callback_names() {
        let callback =
            |query: &str| Callback::from_query(Some(query), 32).map(|callback| callback.0);
        assert_eq!(callback("c=%63allback").as_deref(), Ok("callback"));
        assert_eq!(callback("t=1&c=_jp.a0b1").as_deref(), Ok("_jp.a0b1"));
        assert_eq!(callback("callback=x-1").as_deref(), Ok("x-1"));
        assert_eq!(callback("cc=x"), Err(CallbackError::Missing));
        assert_eq!(callback("c="), Err(CallbackError::Missing));
        for invalid in
            ["c=a%20b", "c=a*", "c=a(", "c=a%28", "c=%ff", &format!("c={}", "x".repeat(33))]
        {
            assert_eq!(callback(invalid), Err(CallbackError::Invalid), "{invalid}");
        }
        assert_eq!(Callback::from_query(None, 32), Err(CallbackError::Missing));
    }
}
