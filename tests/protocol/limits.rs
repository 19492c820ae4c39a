//! Section 10, and the limits of this server.

use crate::support::{Server, Streaming, fresh};

#[tokio::test]
async fn a_stream_ends_after_the_frame_that_reaches_the_response_limit() {
    let server = Server::start().await;
    let session = fresh("/echo");
    let mut stream = server.stream(&session, Streaming::Xhr).await;
    assert_eq!(stream.chunk().await.expect("the open frame"), "o\n");
    // Frames of 134 bytes: with the open frame, 2 + 30 * 134 = 4022 bytes don't reach 4096, and 31 frames do.
    let message = "x".repeat(128);
    for count in 1..=31 {
        server.send(&session, format!("[\"{message}\"]")).await;
        assert_eq!(stream.chunk().await.expect("the frame"), format!("a[\"{message}\"]\n"), "frame {count}");
    }
    assert_eq!(stream.chunk().await, None);
    // The session goes on with the next receiver.
    server.send(&session, r#"["next"]"#).await;
    assert_eq!(server.poll(&session).await, "a[\"next\"]\n");
}

#[tokio::test]
async fn one_great_frame_is_not_split() {
    let server = Server::start().await;
    for kind in Streaming::ALL {
        let session = fresh("/echo");
        let mut stream = server.stream(&session, kind).await;
        assert_eq!(stream.chunk().await.expect("the open frame"), kind.wrap("o"));
        let message = "x".repeat(4096);
        server.send(&session, format!("[\"0\"]")).await;
        assert_eq!(stream.chunk().await.expect("a frame"), kind.wrap("a[\"0\"]"));
        server.send(&session, format!("[\"{message}\"]")).await;
        assert_eq!(stream.chunk().await.expect("the frame"), kind.wrap(&format!("a[\"{message}\"]")), "{kind:?}");
        assert_eq!(stream.chunk().await, None, "{kind:?}");
        server.send(&session, r#"["next"]"#).await;
        assert_eq!(server.poll(&session).await, "a[\"next\"]\n", "{kind:?}");
    }
}
