//! Protocol 2.

use std::time::Duration;

use serde_json::{Value, json};
use sockeye_apps::rooms::RoomsConfig;

use super::peers::{Peer, Server, roomy};
use common::transport::Transport;

fn offer(to: &Value) -> Value {
    json!({"type": "offer", "to": to, "sdp": {"type": "offer", "sdp": "v=0\r\n"}, "ref": "offer"})
}

fn ice(to: &Value, number: u32) -> Value {
    json!({"type": "ice", "to": to, "candidate": {"candidate": number.to_string()}})
}

/// Each later participant is polite towards the earlier ones, makes the first offer, and keeps its
/// candidates behind it.
pub(crate) async fn three_participants_make_pairs(transport: Transport) {
    let server = Server::start(transport).await;
    let mut peers = vec![server.join().await];
    for count in 1..3 {
        let (mut peer, welcome) = server.join().await;
        assert_eq!(welcome["participants"].as_array().map(Vec::len), Some(count));
        for (other, theirs) in &mut peers {
            let joined = other.hear().await;
            assert_eq!(
                (&joined["change"], &joined["revision"]),
                (&json!("joined"), &welcome["revision"])
            );
            assert_eq!(joined["participant"]["id"], welcome["id"]);
            assert_eq!(
                (&joined["participant"]["polite"], &joined["participant"]["initiate"]),
                (&json!(false), &json!(false))
            );
            let seen = welcome["participants"]
                .as_array()
                .expect("a list")
                .iter()
                .find(|it| it["id"] == theirs["id"]);
            let seen = seen.expect("all are listed");
            assert_eq!((&seen["polite"], &seen["initiate"]), (&json!(true), &json!(true)));

            peer.say(&offer(&theirs["id"])).await;
            for number in 0..10 {
                peer.say(&ice(&theirs["id"], number)).await;
            }
            let heard = other.hear().await;
            assert_eq!(
                (&heard["type"], &heard["from"], &heard["incarnation"]),
                (&json!("offer"), &welcome["id"], &json!(1))
            );
            for number in 0..10 {
                let heard = other.hear().await;
                assert_eq!(heard["candidate"]["candidate"], number.to_string());
            }
            other
                .say(&json!({"type": "answer", "to": welcome["id"], "sdp": {"type": "answer"}}))
                .await;
            let receipt = peer.hear().await;
            assert_eq!(
                (&receipt["type"], &receipt["ref"], &receipt["to"]),
                (&json!("delivered"), &json!("offer"), &json!([theirs["id"]]))
            );
            assert_eq!(peer.hear().await["type"], "answer");
        }
        peers.push((peer, welcome));
    }
    for (peer, _) in &mut peers {
        peer.has_heard_all().await;
    }
}

/// Ann's transport has broken, and an offer of Bob's waits for her: what both were welcomed with,
/// and Bob.
async fn called_while_away(server: &Server) -> (Value, Peer, Value) {
    let (ann, anns) = server.join().await;
    let (mut bob, bobs) = server.join().await;
    ann.breaks().await;
    assert_eq!(bob.hear_change().await, "away");
    bob.say(&offer(&anns["id"])).await;
    assert_eq!(bob.hear().await["type"], "queued");
    (anns, bob, bobs)
}

pub(crate) async fn a_participant_returns_with_its_token(transport: Transport) {
    let server = Server::start(transport).await;
    let (anns, mut bob, bobs) = called_while_away(&server).await;
    for number in 0..5 {
        bob.say(&ice(&anns["id"], number)).await;
    }
    bob.has_heard_all().await;

    let mut ann = server.come_back(&anns, json!({"seen": 0})).await;
    let welcome = ann.hear().await;
    assert_eq!(
        (&welcome["id"], &welcome["returned"], &welcome["missed"]),
        (&anns["id"], &json!(true), &json!(0))
    );
    assert_eq!((&welcome["incarnation"], &welcome["token"]), (&json!(1), &anns["token"]));
    assert_eq!(welcome["participants"][0]["id"], bobs["id"]);
    assert_eq!(ann.hear().await["type"], "offer");
    for number in 0..5 {
        assert_eq!(ann.hear().await["candidate"]["candidate"], number.to_string());
    }
    assert_eq!(bob.hear_change().await, "back");
    let receipt = bob.hear().await;
    assert_eq!((&receipt["type"], &receipt["ref"]), (&json!("delivered"), &json!("offer")));
}

/// The client hears three messages and loses the connection with more of them on the way.
pub(crate) async fn what_was_lost_with_the_connection_comes_again(transport: Transport) {
    let server = Server::start(transport).await;
    let (mut ann, anns) = server.join().await;
    let (mut bob, _) = server.join().await;
    assert_eq!(ann.hear_change().await, "joined");
    for number in 0..3 {
        bob.say(&ice(&anns["id"], number)).await;
        assert_eq!(ann.hear().await["seq"], number + 1);
    }
    for number in 3..8 {
        bob.say(&ice(&anns["id"], number)).await;
    }
    bob.has_heard_all().await;
    ann.client.reset();
    let mut ann = server.come_back(&anns, json!({"seen": 3})).await;
    assert_eq!(ann.hear().await["missed"], 0);
    for number in 3..8 {
        let heard = ann.hear().await;
        assert_eq!(
            (&heard["seq"], &heard["candidate"]["candidate"]),
            (&json!(number + 1), &json!(number.to_string()))
        );
    }
    ann.has_heard_all().await;
}

pub(crate) async fn a_reloaded_page_is_a_new_incarnation(transport: Transport) {
    let server = Server::start(transport).await;
    let (anns, mut bob, bobs) = called_while_away(&server).await;
    let mut ann = server.come_back(&anns, json!({"fresh": true})).await;
    let welcome = ann.hear().await;
    assert_eq!((&welcome["id"], &welcome["incarnation"]), (&anns["id"], &json!(2)));
    assert_eq!(welcome["participants"][0]["polite"], true, "the new one is the later to join");
    let renewed = bob.hear().await;
    assert_eq!(
        (&renewed["change"], &renewed["participant"]["incarnation"]),
        (&json!("renewed"), &json!(2))
    );
    assert_eq!(renewed["participant"]["polite"], false);
    let receipt = bob.hear().await;
    assert_eq!((&receipt["type"], &receipt["ref"]), (&json!("expired"), &json!("offer")));
    let mut late = ice(&anns["id"], 0);
    late["toIncarnation"] = json!(1);
    bob.say(&late).await;
    assert_eq!(bob.hear().await["code"], "stale");
    ann.has_heard_all().await;
    ann.say(&offer(&bobs["id"])).await;
    assert_eq!(bob.hear().await["incarnation"], 2);
}

/// The network has changed, and the server does not know yet that the old connection is dead.
pub(crate) async fn the_token_takes_over_from_a_session_that_still_lives(transport: Transport) {
    let server = Server::start(transport).await;
    let (mut old, welcome) = server.join().await;
    let (mut bob, _) = server.join().await;
    let mut new = server.come_back(&welcome, json!({})).await;
    assert_eq!(new.hear().await["id"], welcome["id"]);
    assert_eq!(old.closed().await, (4001, "replaced".to_owned()));
    bob.say(&ice(&welcome["id"], 0)).await;
    assert_eq!(new.hear().await["type"], "ice");
    bob.has_heard_all().await;
}

pub(crate) async fn who_does_not_return_is_gone(transport: Transport) {
    let rooms = RoomsConfig::new().grace(Duration::from_millis(50));
    let server = Server::with(transport, rooms, roomy()).await;
    let (ann, anns) = server.join().await;
    let (mut bob, _) = server.join().await;
    ann.breaks().await;
    assert_eq!(bob.hear_change().await, "away");
    assert_eq!(bob.hear_change().await, "left");
    bob.say(&offer(&anns["id"])).await;
    assert_eq!(bob.hear().await["code"], "no_such_participant");
    let mut late = server.come_back(&anns, json!({})).await;
    assert_eq!(late.hear().await["code"], "wrong_token");
}

pub(crate) async fn an_old_page_and_a_new_one_call_each_other(transport: Transport) {
    let server = Server::start(transport).await;
    // The new one is there first: the old page negotiates.
    let (mut ann, anns) = server.join().await;
    let mut page = server.visit().await;
    page.say(&json!({"from": "page", "type": "join", "data": "1"})).await;
    assert_eq!(page.hear().await["data"], "true");
    let joined = ann.hear().await["participant"].clone();
    assert_eq!(
        (&joined["protocol"], &joined["name"], &joined["initiate"]),
        (&json!(1), &json!("page"), &json!(false))
    );
    page.say(&json!({"from": "page", "type": "offer", "sdp": {"type": "offer", "sdp": "v=0"}}))
        .await;
    page.say(&json!({"from": "page", "type": "ice", "candidate": {"candidate": "c"}})).await;
    let heard = ann.hear().await;
    assert_eq!(
        (&heard["type"], &heard["from"], &heard["sdp"]["sdp"]),
        (&json!("offer"), &joined["id"], &json!("v=0"))
    );
    assert_eq!(ann.hear().await["candidate"]["candidate"], "c");
    ann.say(
        &json!({"type": "answer", "to": joined["id"], "sdp": {"type": "answer", "sdp": "v=0"}}),
    )
    .await;
    ann.say(&json!({"type": "ice", "to": joined["id"], "candidate": {"candidate": "d"}})).await;
    let answer = json!({"from": anns["id"], "type": "answer", "data": null, "candidate": null, "sdp": {"type": "answer", "sdp": "v=0"}});
    assert_eq!(page.hear().await, answer);
    assert_eq!(page.hear().await["candidate"]["candidate"], "d");
    page.say(&json!({"from": "page", "type": "text", "data": "hi"})).await;
    assert_eq!(ann.hear().await["data"], "hi");
    ann.say(&json!({"type": "text", "data": "hello"})).await;
    assert_eq!(page.hear().await["data"], "hello");

    // The other way round it waits for an offer.
    let mut waits = server.visit().await;
    waits.say(&json!({"from": "waits", "type": "join", "data": "2"})).await;
    assert_eq!(waits.hear().await["data"], "false");
    let mut bob = server.visit().await;
    bob.say(&json!({"type": "join", "protocol": 2, "room": 2})).await;
    let other = bob.hear().await["participants"][0].clone();
    assert_eq!((&other["initiate"], &other["polite"]), (&json!(true), &json!(false)));
    bob.say(&offer(&other["id"])).await;
    assert_eq!(waits.hear().await["type"], "offer");
}
