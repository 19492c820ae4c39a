//! Messages, which applications send and receive.

mod from;
mod places;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use self::from::JsonError;
use self::places::Places;
use crate::protocol::quote;

/// One message: immutable shared text, or bytes on sessions that carry binary.
///
/// It is made of text (`&str`, `String`, `Arc<str>`, …), of bytes (`Bytes`, `Vec<u8>`, `&[u8]`, …)
/// or of a value to be [JSON](Self::json); functions that send take each of them.
///
/// Cloning copies a pointer. The form in which SockJS clients receive the text (a one-message
/// frame, `a["…"]`) is made at the first need and kept with the message, so that a message
/// published to ten thousand sessions is encoded once.
///
/// ```
/// use sockeye::Message;
///
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// ```
#[derive(Clone)]
pub struct Message(Repr);

#[derive(Clone)]
enum Repr {
    Text(Arc<Text>),
    // Not in place: queues of text, which most are, would be twice as large.
    Binary(Arc<Binary>),
}

struct Text {
    text: Box<str>,
    // The message frame and a line end, filled by the first SockJS transport that sends the
    // message; raw WebSocket and the application never need it. With the line end, xhr takes it as
    // it is, and WebSocket all but the last byte.
    line: OnceLock<Bytes>,
    places: Places,
}

struct Binary {
    bytes: Bytes,
    places: Places,
}

/// Two allocations, with the allocator's overhead, for the text and for the state that all holders
/// of the message share.
const OWN: usize = size_of::<Text>() + 2 * 16 + 16;
/// Brackets, quotes and the line end; escapes are rare.
const LINE: usize = 6;
/// A place in a queue. Queues grow by doubling.
const PLACE: usize = 2 * size_of::<Message>();

impl Message {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into().into();
        Self(Repr::Text(Arc::new(Text { text, line: OnceLock::new(), places: Places::default() })))
    }

    /// A binary message: only for sessions whose [`carries_binary`](crate::Session::carries_binary)
    /// is true.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self(Repr::Binary(Arc::new(Binary { bytes: bytes.into(), places: Places::default() })))
    }

    /// The text, if this is a text message.
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Repr::Text(text) => Some(&text.text),
            Repr::Binary(_) => None,
        }
    }

    /// The bytes, if this is a binary message.
    pub fn as_binary(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Text(_) => None,
            Repr::Binary(binary) => Some(&binary.bytes),
        }
    }

    /// The size that limits and queues count: bytes of UTF-8 text, or bytes.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Text(text) => text.text.len(),
            Repr::Binary(binary) => binary.bytes.len(),
        }
    }

    /// Whether the message has no content. An empty message is a message all the same.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether another handle of the message exists.
    pub(crate) fn is_shared(&self) -> bool {
        match &self.0 {
            Repr::Text(text) => Arc::strong_count(text) > 1,
            Repr::Binary(binary) => Arc::strong_count(binary) > 1,
        }
    }

    /// The message enters a queue: what the budget with this id has to count for it, in bytes.
    ///
    /// Content shared by queues counts in the first, its encoded line in the second; the other
    /// queues count only their place.
    pub(crate) fn enter(&self, budget: u32) -> usize {
        let (places, alone, content, line) = self.weight();
        PLACE + places.enter(budget, alone, content, line)
    }

    /// The message leaves a queue that it has [entered](Self::enter): the bytes that the budget
    /// counts no longer.
    pub(crate) fn leave(&self, budget: u32) -> usize {
        let (places, _, content, line) = self.weight();
        PLACE + places.leave(budget, content, line)
    }

    fn weight(&self) -> (&Places, bool, usize, usize) {
        match &self.0 {
            Repr::Text(text) => {
                let len = text.text.len();
                (&text.places, Arc::strong_count(text) == 1, len + OWN, len + LINE)
            }
            Repr::Binary(binary) => {
                (&binary.places, Arc::strong_count(binary) == 1, binary.bytes.len() + OWN, 0)
            }
        }
    }

    #[cfg(test)]
    fn places_in_use(&self) -> u64 {
        self.weight().0.count()
    }

    /// The bytes that a queued message takes beside its content.
    pub(crate) const OVERHEAD: usize = OWN + PLACE;

    /// The message frame that holds just this message (SockJS 0.3.3, message frames) and a line
    /// end, encoded at most once.
    ///
    /// `None` for a binary message, which no SockJS frame can carry.
    pub(crate) fn line(&self) -> Option<&Bytes> {
        match &self.0 {
            Repr::Text(text) => Some(text.line()),
            Repr::Binary(_) => None,
        }
    }

    /// The text as a JSON string with SockJS's escapes: a part of [`line`](Self::line), and encoded
    /// with it.
    pub(crate) fn quoted(&self) -> Option<&[u8]> {
        // `a[` before it, `]` and the line end behind it.
        self.line().map(|line| &line[2..line.len() - 2])
    }

    /// The same, to keep.
    pub(crate) fn into_line(self) -> Option<Bytes> {
        let Repr::Text(text) = self.0 else { return None };
        Some(match Arc::try_unwrap(text) {
            Ok(text) => {
                text.line();
                text.line.into_inner().expect("it was filled just now")
            }
            Err(shared) => shared.line().clone(),
        })
    }
}

impl Text {
    fn line(&self) -> &Bytes {
        self.line.get_or_init(|| {
            let mut line = Vec::with_capacity(self.text.len() + 6);
            line.extend_from_slice(b"a[");
            quote::quote_into(&self.text, &mut line);
            line.extend_from_slice(b"]\n");
            line.into()
        })
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.as_text() == other.as_text() && self.as_binary() == other.as_binary()
    }
}

impl Eq for Message {}

impl PartialEq<str> for Message {
    fn eq(&self, other: &str) -> bool {
        self.as_text() == Some(other)
    }
}

impl PartialEq<String> for Message {
    fn eq(&self, other: &String) -> bool {
        self == other.as_str()
    }
}

impl PartialEq<&str> for Message {
    fn eq(&self, other: &&str) -> bool {
        self.as_text() == Some(other)
    }
}

/// Shows kind and content, cut to 64 characters, so that logging a message can't flood a log.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Text(text) => match text.text.char_indices().nth(64) {
                None => write!(f, "Text({:?})", text.text),
                Some((end, _)) => {
                    write!(f, "Text({:?}… {} bytes)", &text.text[..end], text.text.len())
                }
            },
            Repr::Binary(binary) => write!(f, "Binary({} bytes)", binary.bytes.len()),
        }
    }
}
