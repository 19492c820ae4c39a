//! The page that the iframe transports load from this server's origin.

use std::fmt::Write;

use sha1::{Digest, Sha1};

/// The page and its entity tag.
pub(super) struct Page {
    pub(super) html: String,
    pub(super) tag: String,
}

/// The iframe page (SockJS 0.3.3, iframe).
///
/// # Panics
///
/// When `client_url` has a character that would end its attribute, or does not begin with `/` or
/// `http`.
pub(super) fn page(client_url: &str) -> Page {
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
    Page { html, tag }
}
