//! Hostile messages, and the other sessions that they must not affect.

use serde_json::{Value, json};
use sockeye::EndpointConfig;
use sockeye_apps::rooms::RoomsConfig;

use super::peers::{Server, roomy};
use common::transport::Transport;

pub(crate) async fn bad_messages_are_answered_and_disturb_nobody(transport: Transport) {
    let server = Server::start(transport).await;
    let (mut ann, _) = server.join().await;
    let (mut bob, _) = server.join().await;
    let mut stranger = server.visit().await;
    assert_eq!(ann.hear_change().await, "joined");
    let megabyte = "x".repeat(1 << 20);
    for (code, text) in [
        ("bad_json", "".to_owned()),
        ("bad_json", "{\"type\":".to_owned()),
        ("bad_json", "[[[[".to_owned()),
        ("bad_message", "{}".to_owned()),
        ("bad_message", r#"{"type":{"type":"text"}}"#.to_owned()),
        ("bad_message", r#"{"type":"join","protocol":2}"#.to_owned()),
        ("bad_message", r#"{"type":"join","protocol":2,"room":{}}"#.to_owned()),
        ("bad_message", r#"{"type":"join","from":"u"}"#.to_owned()),
        ("bad_message", r#"{"type":"offer","sdp":"v=0"}"#.to_owned()),
        ("bad_message", r#"{"type":"ice","candidate":7}"#.to_owned()),
        ("unknown_type", r#"{"type":"roster"}"#.to_owned()),
        ("unknown_protocol", r#"{"type":"join","protocol":9,"room":1}"#.to_owned()),
        ("too_large", megabyte.clone()),
        ("too_large", format!(r#"{{"type":"text","data":"{megabyte}"}}"#)),
        ("too_large", format!(r#"{{"event":"{megabyte}"}}"#)),
    ] {
        for peer in [&mut ann, &mut stranger] {
            peer.say_text(&text).await;
            let error = loop {
                let heard = peer.hear().await;
                // A stranger that is slow is told that it is alone.
                if heard["type"] != "join" {
                    break heard;
                }
            };
            assert_eq!(
                (&error["type"], &error["code"]),
                (&json!("error"), &json!(code)),
                "{:.100}",
                text
            );
            assert!(error.to_string().len() < 500);
        }
    }
    bob.has_heard_all().await;
    ann.say(&json!({"type": "text", "data": "still here"})).await;
    assert_eq!(bob.hear().await["data"], "still here");
}

pub(crate) async fn a_message_over_the_endpoint_s_limit_costs_its_session_only(
    transport: Transport,
) {
    let server = Server::with(transport, RoomsConfig::default(), EndpointConfig::default()).await;
    let (mut ann, anns) = server.join().await;
    let (mut bob, _) = server.join().await;
    assert_eq!(ann.hear_change().await, "joined");
    let large = json!({"type": "text", "data": "x".repeat(100_000)}).to_string();
    match transport.is_socket() {
        true => ann.say_text(&large).await,
        false => assert!(!ann.client.post(&json!([large]).to_string()).await.is_taken()),
    }
    assert_eq!(ann.closed().await.0, 1009);
    assert_eq!(bob.hear_change().await, "away");
    let mut ann = server.come_back(&anns, json!({})).await;
    assert_eq!(ann.hear().await["returned"], true);
    assert_eq!(bob.hear_change().await, "back");
}

pub(crate) async fn a_thousand_joins(transport: Transport) {
    let server = Server::start(transport).await;
    let (mut ann, _) = server.join().await;
    let (mut bob, _) = server.join().await;
    assert_eq!(ann.hear_change().await, "joined");
    for round in 0..10 {
        let joins: Vec<_> = (0..100)
            .map(|n| json!({"type": "join", "protocol": 2, "room": round * 100 + n}).to_string())
            .collect();
        ann.client.send(&joins.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for _ in 0..100 {
            assert_eq!(ann.hear().await["code"], "already_joined");
        }
    }
    bob.has_heard_all().await;
    assert_eq!(server.rooms.list().len(), 1);
}

pub(crate) async fn a_room_is_full(transport: Transport) {
    let rooms = RoomsConfig::new().participants_per_room(2).rooms(1);
    let server = Server::with(transport, rooms, roomy()).await;
    let (mut ann, _) = server.join().await;
    let (mut bob, _) = server.join().await;
    assert_eq!(ann.hear_change().await, "joined");
    let error = |heard: &Value| {
        (heard["code"].as_str().unwrap_or("none").to_owned(), heard["message"].to_string())
    };
    let mut eve = server.visit().await;
    eve.say(&json!({"type": "join", "protocol": 2, "room": 1})).await;
    let (code, message) = error(&eve.hear().await);
    assert!(
        code == "room_full" && message.contains("participants_per_room is 2"),
        "{code} {message}"
    );
    eve.say(&json!({"type": "join", "protocol": 2, "room": 2})).await;
    let (code, message) = error(&eve.hear().await);
    assert!(code == "too_many_rooms" && message.contains("rooms is 1"), "{code} {message}");
    let mut page = server.visit().await;
    page.say(&json!({"from": "page", "type": "join", "data": 1})).await;
    let heard = page.hear().await;
    assert_eq!(heard["code"], "room_full");
    assert!(heard["data"].to_string().contains("participants_per_room is 2"));
    for peer in [&mut ann, &mut bob] {
        peer.has_heard_all().await;
    }
}

pub(crate) async fn another_s_name_and_another_s_token(transport: Transport) {
    let server = Server::start(transport).await;
    let (mut ann, anns) = server.join().await;
    let (mut bob, bobs) = server.join().await;
    assert_eq!(ann.hear_change().await, "joined");
    // A token opens its own participant's place only.
    let crossed = json!({"id": anns["id"], "token": bobs["token"]});
    let mut eve = server.come_back(&crossed, json!({})).await;
    assert_eq!(eve.hear().await["code"], "wrong_token");
    let mut eve = server.come_back(&json!({"id": anns["id"], "token": "guess"}), json!({})).await;
    assert_eq!(eve.hear().await["code"], "wrong_token");
    // The server sets the sender of a message.
    bob.say(&json!({"type": "text", "data": "x", "from": anns["id"], "incarnation": 9})).await;
    let heard = ann.hear().await;
    assert_eq!((&heard["from"], &heard["incarnation"]), (&bobs["id"], &json!(1)));
    let mut page = server.visit().await;
    page.say(&json!({"from": anns["id"], "type": "join", "data": 1})).await;
    assert_eq!(page.hear().await["code"], "name_taken", "no page is called like a participant");
    page.say(&json!({"from": "Server", "type": "join", "data": 1})).await;
    assert_eq!(page.hear_of("error").await["code"], "bad_message", "nor like the server");
    page.say(&json!({"from": "page", "type": "join", "data": 1})).await;
    assert_eq!(ann.hear_change().await, "joined");
    page.say(&json!({"from": "somebody else", "type": "text", "data": "x"})).await;
    assert_eq!(page.hear_of("error").await["code"], "wrong_name");
    ann.has_heard_all().await;
}

/// The reader's queue fills; it is closed, and no other session waits for it.
pub(crate) async fn a_peer_that_never_reads(transport: Transport) {
    let endpoint = roomy().outbound_messages(16);
    let server = Server::with(transport, RoomsConfig::default(), endpoint).await;
    let (mut ann, _) = server.join().await;
    let (mut slow, slows) = server.join().await;
    assert_eq!(ann.hear_change().await, "joined");
    slow.client.attach().await.expect("the session lives");
    let data = "x".repeat(30_000);
    // Sockets hold some megabytes that the client doesn't read.
    let mut told = None;
    for number in 0..2_000 {
        ann.say(&json!({"type": "text", "data": data, "to": slows["id"], "ref": number})).await;
        let heard = ann.hear().await;
        if heard["type"] != "delivered" {
            told = Some((number, heard));
            break;
        }
    }
    let (number, heard) = told.expect("its queue is bounded");
    assert_eq!((&heard["type"], &heard["ref"]), (&json!("queued"), &json!(number)));
    assert_eq!(ann.hear_change().await, "away");
    let mut back = server.come_back(&slows, json!({})).await;
    assert_eq!(back.hear().await["returned"], true);
    assert_eq!(back.hear().await["data"].as_str().map(str::len), Some(30_000));
    assert_eq!(ann.hear_change().await, "back");
    drop(slow);
}
