//! Streaming into a hidden iframe, for browsers that show a script nothing of an unfinished
//! response but the page itself.

use bytes::Bytes;
use http::Response;

use super::jsonp::Callback;
use super::{Body, Source, ok};
use crate::protocol::frame::Frame;
use crate::protocol::quote;

/// Browsers parse nothing of a page before about a kilobyte of it has come.
const PADDED: usize = 1024 + 64;

/// A script element for each frame (SockJS 0.3.3, htmlfile).
pub(crate) fn stream(source: Source, callback: &Callback, limit: usize) -> Response<Body> {
    ok("text/html; charset=UTF-8", Body::streaming(page(callback), source, script, limit))
}

fn page(callback: &Callback) -> String {
    let mut page = format!(
        "<!doctype html>\n\
         <html><head>\n  \
         <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
         <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n\
         </head><body><h2>Don't panic!</h2>\n  \
         <script>\n    \
         document.domain = document.domain;\n    \
         var c = parent.{callback};\n    \
         c.start();\n    \
         function p(d) {{c.message(d);}};\n    \
         window.onload = function() {{c.stop();}};\n  \
         </script>"
    );
    page.push_str(&" ".repeat(PADDED.saturating_sub(page.len())));
    page.push_str("\r\n\r\n");
    page
}

/// `<` is escaped: a message that holds `</script>` must not end the element.
fn script(frame: Frame) -> Bytes {
    let frame = frame.bytes();
    let mut script = Vec::with_capacity(frame.len() + 48);
    script.extend_from_slice(b"<script>\np(");
    quote::quote_script_into(&frame, true, &mut script);
    script.extend_from_slice(b");\n</script>\r\n");
    script.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_leave_its_script_element() {
        assert_eq!(
            script(Frame::Message("</script>".into())),
            "<script>\np(\"a[\\\"\\u003c/script>\\\"]\");\n</script>\r\n"
        );
    }
}
