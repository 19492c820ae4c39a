//! Messages made of the types that applications have.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde::Serialize;

use super::Message;

impl Message {
    /// A text message: the JSON of `value`.
    ///
    /// ```
    /// use serde::Serialize;
    /// use sockeye::Message;
    ///
    /// #[derive(Serialize)]
    /// struct Tick {
    ///     price: u32,
    /// }
    ///
    /// let message = Message::json(&Tick { price: 7 })?;
    /// assert_eq!(message, r#"{"price":7}"#);
    /// # Ok::<(), sockeye::JsonError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`JsonError`] when JSON has no form for the value: a map whose keys are no text, say, or a
    /// `Serialize` that fails.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, JsonError> {
        match serde_json::to_string(value) {
            Ok(json) => Ok(Self::text(json)),
            Err(source) => Err(JsonError { source }),
        }
    }
}

/// A value has no form in JSON; its source tells the reason.
#[derive(Debug, thiserror::Error)]
#[error("the value can't be written as JSON")]
pub struct JsonError {
    source: serde_json::Error,
}

/// Implements `From` for types that hold text, or bytes, whole.
macro_rules! from {
    ($constructor:ident: $($kind:ty),+ $(,)?) => {
        $(
            impl From<$kind> for Message {
                fn from(content: $kind) -> Self {
                    Self::$constructor(content)
                }
            }
        )+
    };
}

from!(text: &str, String, Box<str>, Cow<'_, str>);
from!(binary: Bytes, BytesMut, Vec<u8>, Box<[u8]>);

/// The text is copied: a message keeps its text and what all queues share of it together.
impl From<Arc<str>> for Message {
    fn from(text: Arc<str>) -> Self {
        Self::text(&*text)
    }
}

/// A copy of the text.
impl From<&String> for Message {
    fn from(text: &String) -> Self {
        Self::text(text)
    }
}

/// A binary message with a copy of the bytes.
impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::binary(Bytes::copy_from_slice(bytes))
    }
}

/// A binary message with a copy of the bytes, such as a literal `b"…"`.
impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

/// A binary message with a copy of the bytes.
impl<const N: usize> From<[u8; N]> for Message {
    fn from(bytes: [u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}

/// The same message, which is shared, not copied.
impl From<&Message> for Message {
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::error::Error;

    use super::*;

    /// What an application has at hand goes to `send` as it is: text as text, bytes as bytes.
    #[test]
    fn the_usual_types_are_messages() {
        let owned = "text".to_owned();
        let texts: [Message; 7] = [
            "text".into(),
            (&owned).into(),
            owned.clone().into(),
            owned.clone().into_boxed_str().into(),
            Cow::Borrowed("text").into(),
            Cow::<str>::Owned(owned).into(),
            Arc::<str>::from("text").into(),
        ];
        for text in &texts {
            assert_eq!(text.as_text(), Some("text"));
            assert_eq!(&Message::from(text), text);
        }
        let bytes: [Message; 7] = [
            Bytes::from_static(b"\0\xff").into(),
            BytesMut::from(&b"\0\xff"[..]).into(),
            vec![0, 0xff].into(),
            vec![0, 0xff].into_boxed_slice().into(),
            (&b"\0\xff"[..]).into(),
            b"\0\xff".into(),
            [0, 0xff].into(),
        ];
        for binary in &bytes {
            assert_eq!(binary.as_binary().map(|bytes| &bytes[..]), Some(&b"\0\xff"[..]));
        }
    }

    #[test]
    fn a_value_is_its_json_or_the_error_says_why_not() {
        let message = Message::json(&BTreeMap::from([("say", "\"hi\"\u{2028}")])).expect("a map");
        assert_eq!(message, "{\"say\":\"\\\"hi\\\"\u{2028}\"}");
        assert_eq!(Message::json("text").expect("a text"), "\"text\"");
        let error = Message::json(&BTreeMap::from([(Some([1]), 2)])).expect_err("no key of JSON");
        assert_eq!(error.to_string(), "the value can't be written as JSON");
        let source = error.source().expect("the reason").to_string();
        assert_eq!(source, "key must be a string");
    }
}
