use std::time::Duration;

use super::*;
use crate::EndedBy;

#[tokio::test(start_paused = true)]
async fn a_handler_is_told_what_the_test_says() {
    let (local, peer) = ([127, 0, 0, 1], [192, 0, 2, 7]);
    let (session, _peer) = SessionBuilder::new()
        .prefix("/chat")
        .path("/chat/000/id/xhr")
        .query("room=tea%20%26+cake")
        .peer((peer, 5000).into())
        .local((local, 80).into())
        .subprotocol("v1.chat")
        .transport("xhr")
        .header(http::header::COOKIE, HeaderValue::from_static("a=b"))
        .extension(7_u8)
        .build();
    let info = session.info();
    assert_eq!((info.prefix(), info.path()), ("/chat", "/chat/000/id/xhr"));
    assert_eq!(info.query_param("room").as_deref(), Some("tea & cake"));
    assert_eq!((info.peer(), info.local()), (Some((peer, 5000).into()), Some((local, 80).into())));
    assert_eq!((info.subprotocol(), info.transport()), (Some("v1.chat"), "xhr"));
    assert_eq!(info.header("Cookie"), Some(&HeaderValue::from_static("a=b")));
    assert_eq!(info.extensions().get(), Some(&7_u8));
}

#[test]
#[should_panic(expected = "is not below \"/chat\"")]
fn a_path_is_below_its_prefix() {
    let _ = SessionBuilder::new().prefix("/chat").path("/chatter");
}

/// As in a gateway, whose handlers fail and panic for themselves only.
#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_or_panics_closes_its_session() {
    let mut failing = SessionBuilder::new().run(async |session: Session| {
        session.send("before").await.expect("there is room");
        Err::<(), _>("as the test wants it")
    });
    assert_eq!(failing.text().await, "before");
    assert_eq!(failing.recv().await, Err(CloseReason::HANDLER_FAILED));
    let mut panicking =
        SessionBuilder::new().run(|_: Session| async { panic!("as the test wants it") });
    assert_eq!(panicking.recv().await, Err(CloseReason::HANDLER_FAILED));
    assert_eq!(panicking.ended().await.by, EndedBy::Application);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_why_it_leaves_is_heard() {
    let (mut session, mut peer) = session();
    peer.send("last").await;
    peer.close((4000, "bye"));
    assert_eq!(session.recv().await.expect("it came before"), "last");
    assert_eq!(session.recv().await, None);
    let end = peer.ended().await;
    assert_eq!((end.reason, end.by), (CloseReason::new(4000, "bye"), EndedBy::Peer));
}

/// A handler with nothing to say for minutes: heartbeats are no matter of the application.
#[tokio::test(start_paused = true)]
async fn heartbeats_are_not_heard() {
    let mut peer = SessionBuilder::new().run(async |session: Session| {
        tokio::time::sleep(Duration::from_secs(300)).await;
        session.send("at last").await
    });
    assert_eq!(peer.text().await, "at last");
}

#[tokio::test(start_paused = true)]
async fn bytes_are_carried_where_the_configuration_says_so() {
    let config = EndpointConfig::new().binary(true);
    let (session, mut peer) = SessionBuilder::new().config(config).build();
    session.send(b"\0\xff").await.expect("it carries them");
    assert_eq!(peer.recv().await, Ok(b"\0\xff".into()));
}
