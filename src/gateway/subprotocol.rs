//! Sub-protocols of WebSockets: the one that client and endpoint agree on.

use std::sync::Arc;

use http::header::{self, HeaderMap};

/// The names of the sub-protocols that an endpoint speaks over WebSocket, framed and raw (RFC 6455,
/// sub-protocols), for [`EndpointConfig::subprotocols`](crate::EndpointConfig::subprotocols).
///
/// Made from a list of names. Their order doesn't count, for the client's does; upper and lower
/// case differ.
///
/// ```
/// use sockeye::{EndpointConfig, Subprotocols};
///
/// let config = EndpointConfig::new().subprotocols(["v2.chat", "v1.chat"]);
/// assert_eq!(config.subprotocols, Subprotocols::from(vec!["v2.chat".to_owned(), "v1.chat".to_owned()]));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subprotocols(Vec<Arc<str>>);

impl Subprotocols {
    /// The names, as they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// The first sub-protocol of a client's list that is among these (RFC 6455, 4.2.2). A client
    /// may spread its list over several lines.
    pub(super) fn choose(&self, request: &HeaderMap) -> Option<Arc<str>> {
        if self.0.is_empty() {
            return None;
        }
        request
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .find_map(|wanted| self.0.iter().find(|name| ***name == *wanted.trim()))
            .cloned()
    }

    /// # Panics
    ///
    /// When a name is one that no client can ask for.
    pub(super) fn check(&self) {
        for name in &self.0 {
            assert!(
                !name.is_empty() && name.bytes().all(is_of_token),
                "subprotocols holds {name:?}, which no client can ask for: write a name of ASCII letters, digits and any of !#$%&'*+-.^_`|~"
            );
        }
    }
}

/// Whether a byte may stand in a token (RFC 9110, tokens).
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl<S: Into<Arc<str>>> FromIterator<S> for Subprotocols {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<Arc<str>>, const N: usize> From<[S; N]> for Subprotocols {
    fn from(names: [S; N]) -> Self {
        names.into_iter().collect()
    }
}

impl<S: Into<Arc<str>>> From<Vec<S>> for Subprotocols {
    fn from(names: Vec<S>) -> Self {
        names.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointConfig, Gateway, Session};

    fn chosen(spoken: &[&str], asked: &[&'static str]) -> Option<String> {
        let mut head = HeaderMap::new();
        for line in asked {
            head.append(header::SEC_WEBSOCKET_PROTOCOL, line.parse().expect("a header"));
        }
        let spoken: Subprotocols = spoken.iter().copied().collect();
        spoken.choose(&head).map(|name| name.to_string())
    }

    #[test]
    fn the_clients_order_decides() {
        let spoken = ["v1.chat", "v2.chat"];
        for (asked, choice) in [
            (&[][..], None),
            (&["v2.chat, v1.chat"], Some("v2.chat")),
            (&["v3.chat,v1.chat ,v2.chat"], Some("v1.chat")),
            (&["v3.chat", "v2.chat", "v1.chat"], Some("v2.chat")),
            (&[", ,\tv1.chat"], Some("v1.chat")),
            (&["V1.chat, v1.chat2, v1"], None),
            (&[""], None),
            (&["\u{fc}", "v1.chat"], Some("v1.chat")),
        ] {
            assert_eq!(chosen(&spoken, asked).as_deref(), choice, "{asked:?}");
        }
        assert_eq!(chosen(&[], &["v1.chat"]), None);
    }

    #[test]
    fn a_name_that_no_client_can_ask_for_is_refused_at_once() {
        for name in ["", "a b", "a,b", "ü", "a/b", "\"a\"", "a\r\nSet-Cookie: b=c"] {
            let config = EndpointConfig::new().subprotocols([name]);
            let made = std::panic::catch_unwind(|| {
                Gateway::new().endpoint_with("/chat", config, async |_: Session| {})
            });
            let panic = made.expect_err("no client can ask for it");
            let text = panic.downcast_ref::<String>().expect("a text");
            assert!(text.starts_with("subprotocols holds ") && text.contains("write a"), "{text}");
        }
        let config = EndpointConfig::new().subprotocols(["v12.stomp", "a!#$%&'*+-.^_`|~Z"]);
        Gateway::new().endpoint_with("/chat", config, async |_: Session| {});
    }
}
