//! Transcripts, over sessions without sockets.

mod again;
mod crowds;
mod lines;
mod requests;
mod rooms;

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock;
use sockeye::test_util::{Peer as Client, session};

/// A client that has just connected, and has its seat.
async fn arrive(chat: &Chat) -> Client {
    let (session, mut client) = session();
    tokio::spawn(chat.handler()(session));
    assert_eq!(client.texts().await, [""; 0], "no greeting without a request");
    client
}

/// A client that has introduced itself.
async fn introduced(chat: &Chat, name: &str, room: &str) -> Client {
    let mut client = arrive(chat).await;
    let heard = asks(&mut client, json!({"name": name, "room": room})).await;
    assert_eq!(
        (&heard[0]["type"], &heard[0]["you"], &heard[0]["room"]),
        (&json!("welcome"), &json!(name), &json!(room))
    );
    client
}

fn chat() -> Chat {
    Chat::new(&Hub::new(), ChatConfig::default())
}

async fn says(client: &mut Client, text: &str) -> Vec<Value> {
    asks(client, json!({"message": text})).await
}

/// Sends a request and returns what comes back.
async fn asks(client: &mut Client, request: Value) -> Vec<Value> {
    client.send(request.to_string()).await;
    heard(client).await
}

/// All that a client has heard and not yet told, without the date, which is checked here.
async fn heard(client: &mut Client) -> Vec<Value> {
    let now = clock::unix_millis();
    let undated = |text: &String| {
        let mut event: Value = serde_json::from_str(text).expect("JSON");
        assert!(
            event["name"].is_string() && event["message"].is_string(),
            "else the old page prints undefined: {text}"
        );
        if let Some(at) = event.as_object_mut().expect("an object").remove("at") {
            let at = at.as_u64().expect("a whole number");
            assert!(at <= now + 60_000 && at + 60_000 > now, "{at} is no date of today");
        }
        event
    };
    client.texts().await.iter().map(undated).collect()
}

fn error(code: &str, text: &str, room: &str) -> Value {
    json!({"name": "*", "message": text, "type": "error", "room": room, "code": code})
}

/// The old page sends `{"message": text}` and prints `name + ' : ' + message`; it must get these
/// two, to the byte.
#[tokio::test(start_paused = true)]
async fn the_old_page_talks_to_everybody() {
    let chat = chat();
    let (mut ann, mut bob) = (arrive(&chat).await, arrive(&chat).await);
    ann.send(r#"{"message":"안녕하세요"}"#).await;
    bob.send(r#"{"message":"\"<b>\"\n"}"#).await;
    let all = [
        r#"{"name":"guest-1","message":"안녕하세요"}"#,
        r#"{"name":"guest-2","message":"\"<b>\"\n"}"#,
    ];
    assert_eq!(ann.texts().await, all);
    assert_eq!(bob.texts().await, all);
    drop(bob);
    assert!(heard(&mut ann).await.is_empty(), "a session that came unannounced leaves unannounced");
}

#[tokio::test(start_paused = true)]
async fn notices_and_errors_reach_the_old_page_with_name_and_message() {
    let chat = chat();
    let mut old = arrive(&chat).await;
    let mut ann = introduced(&chat, "ann", "lobby").await;
    asks(&mut ann, json!({"name": "anna"})).await;
    says(&mut ann, "hi").await;
    drop(ann);
    let notice = |text, kind| json!({"name": "*", "message": text, "type": kind});
    assert_eq!(
        heard(&mut old).await,
        [
            notice("ann joined", "join"),
            notice("ann is now anna", "rename"),
            json!({"name": "anna", "message": "hi"}),
            notice("anna left", "leave"),
        ]
    );
    assert_eq!(asks(&mut old, json!({})).await[0]["type"], "error");
    assert_eq!(old.end(), None, "the session goes on");
}

#[tokio::test(start_paused = true)]
async fn names_rooms_notices_and_history() {
    let chat = chat();
    let mut ann = introduced(&chat, "ann", "tea").await;
    let said = json!({"name": "ann", "message": "first", "type": "message", "room": "tea"});
    assert_eq!(says(&mut ann, "first").await, [said]);

    let mut bob = arrive(&chat).await;
    let welcome =
        asks(&mut bob, json!({"name": " bob ", "room": "\ttea\n", "message": "second"})).await;
    let mut history = welcome[0]["history"].clone();
    assert!(history[0].as_object_mut().expect("an object").remove("at").expect("a date").is_u64());
    assert_eq!(history, json!([{"name": "ann", "message": "first"}]));
    let mut rest = welcome[0].clone();
    rest.as_object_mut().expect("an object").remove("history");
    assert_eq!(
        rest,
        json!({"name": "*", "message": "you are bob in tea", "type": "welcome", "room": "tea", "you": "bob"})
    );
    let second = json!({"name": "bob", "message": "second", "type": "message", "room": "tea"});
    assert_eq!((&welcome[1], welcome.len()), (&second, 2), "own join is no news");

    let notice = |text, kind| json!({"name": "*", "message": text, "type": kind, "room": "tea"});
    let with = |mut event: Value, more: Value| {
        let more = more.as_object().expect("an object").clone();
        event.as_object_mut().expect("an object").extend(more);
        event
    };
    assert_eq!(
        heard(&mut ann).await,
        [with(notice("bob joined", "join"), json!({"who": "bob"})), second]
    );

    let answer = asks(&mut bob, json!({"name": "robert"})).await;
    assert_eq!(
        (answer.len(), &answer[0]["type"], &answer[0]["you"]),
        (1, &json!("welcome"), &json!("robert"))
    );
    assert_eq!(
        heard(&mut ann).await,
        [with(notice("bob is now robert", "rename"), json!({"from": "bob", "to": "robert"}))]
    );

    let answer = asks(&mut bob, json!({"room": "lobby"})).await;
    assert_eq!(
        (answer.len(), &answer[0]["you"], &answer[0]["history"]),
        (1, &json!("robert"), &json!([]))
    );
    assert_eq!(
        heard(&mut ann).await,
        [with(notice("robert left", "leave"), json!({"who": "robert"}))]
    );
    says(&mut bob, "not for the tea room").await;
    assert!(heard(&mut ann).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_first_name_is_an_arrival_and_a_second_a_change() {
    let chat = chat();
    let mut watcher = introduced(&chat, "watcher", "lobby").await;
    let mut ann = arrive(&chat).await;
    asks(&mut ann, json!({"name": "ann"})).await;
    assert_eq!(heard(&mut watcher).await[0]["message"], "ann joined");
    asks(&mut ann, json!({"name": "ann"})).await;
    asks(&mut ann, json!({"room": "lobby"})).await;
    assert!(heard(&mut watcher).await.is_empty(), "nothing has changed");

    let mut bob = arrive(&chat).await;
    let welcome = asks(&mut bob, json!({"room": "lobby"})).await;
    let guest = welcome[0]["you"].as_str().expect("a name").to_owned();
    asks(&mut bob, json!({"name": "bob"})).await;
    let notices: Vec<Value> =
        heard(&mut watcher).await.iter().map(|notice| notice["message"].clone()).collect();
    assert_eq!(notices, [format!("{guest} joined"), format!("{guest} is now bob")]);
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_refused_and_the_old_one_kept() {
    let chat = chat();
    let mut ann = introduced(&chat, "ann", "tea").await;
    let mut bob = introduced(&chat, "bob", "tea").await;
    heard(&mut ann).await;
    let refused = asks(&mut bob, json!({"name": "ann", "message": "I am ann"})).await;
    assert_eq!(refused, [error("name_taken", "the name ann is taken in tea", "tea")]);
    assert!(heard(&mut ann).await.is_empty(), "nothing of it was done");
    assert_eq!(says(&mut bob, "still bob").await[0]["name"], "bob");

    // A client with a taken name gets the error code for programs.
    let mut eve = arrive(&chat).await;
    let refused = asks(&mut eve, json!({"name": "ann", "room": "tea", "roster": true})).await;
    assert_eq!(refused, [error("name_taken", "the name ann is taken in tea", "lobby")]);
    drop(eve);

    // A name is taken in its room only, and it is the room of arrival that counts.
    let mut other = introduced(&chat, "ann", "lobby").await;
    let refused = asks(&mut other, json!({"room": "tea"})).await;
    assert_eq!(refused, [error("name_taken", "the name ann is taken in tea", "lobby")]);
    let mut third = arrive(&chat).await;
    assert_eq!(
        asks(&mut third, json!({"name": "ann", "room": "coffee"})).await[0]["room"],
        "coffee"
    );

    // What was given up is free.
    drop(ann);
    heard(&mut bob).await;
    assert_eq!(asks(&mut bob, json!({"name": "ann"})).await[0]["you"], "ann");
    assert_eq!(
        asks(&mut introduced(&chat, "bob", "tea").await, json!({"name": "bobby"})).await[0]["you"],
        "bobby"
    );
}

#[tokio::test(start_paused = true)]
async fn guests_do_not_collide_with_those_who_call_themselves_guests() {
    let chat = chat();
    let _impostor = introduced(&chat, "guest-2", "lobby").await;
    let mut guest = arrive(&chat).await;
    assert_eq!(says(&mut guest, "who am I").await[0]["name"], "guest-3");
    let _other = introduced(&chat, "guest-3", "tea").await;
    assert_eq!(asks(&mut guest, json!({"room": "tea"})).await[0]["you"], "guest-5");
}

#[tokio::test(start_paused = true)]
async fn a_roster_comes_now_and_on_each_change() {
    let chat = chat();
    let names = |heard: &[Value]| -> Vec<Value> {
        heard
            .iter()
            .filter(|event| event["type"] == "roster")
            .map(|event| event["names"].clone())
            .collect()
    };
    // A plain session may ask as well.
    let mut ann = arrive(&chat).await;
    assert_eq!(
        asks(&mut ann, json!({"roster": true})).await,
        [
            json!({"name": "*", "message": "1 in lobby", "type": "roster", "room": "lobby", "names": ["guest-1"], "count": 1})
        ]
    );
    let bob = introduced(&chat, "bob", "lobby").await;
    settle().await;
    assert_eq!(names(&heard(&mut ann).await).last(), Some(&json!(["bob", "guest-1"])));
    let answer = asks(&mut ann, json!({"name": "ann"})).await;
    assert_eq!(
        (&answer[0]["type"], &names(&answer[1..])[..]),
        (&json!("welcome"), &[json!(["ann", "bob"])][..])
    );
    settle().await;
    assert!(heard(&mut ann).await.is_empty(), "once is enough");
    drop(bob);
    settle().await;
    assert_eq!(names(&heard(&mut ann).await), [json!(["ann"])]);

    // It goes along into other rooms, and is asked for again at will.
    let tea = introduced(&chat, "theo", "tea").await;
    settle().await;
    heard(&mut ann).await;
    assert_eq!(names(&asks(&mut ann, json!({"room": "tea"})).await), [json!(["ann", "theo"])]);
    assert_eq!(names(&asks(&mut ann, json!({"roster": true})).await), [json!(["ann", "theo"])]);
    assert!(asks(&mut ann, json!({"roster": false})).await.is_empty());
    drop(tea);
    settle().await;
    assert!(names(&heard(&mut ann).await).is_empty());
}

/// Lets the time between two rosters pass.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_dropped_leaves_like_any_other() {
    let chat = chat();
    let mut ann = introduced(&chat, "ann", "tea").await;
    let (session, mut bob) = session();
    let serving = tokio::spawn(chat.handler()(session));
    asks(&mut bob, json!({"name": "bob", "room": "tea"})).await;
    serving.abort();
    let _ = serving.await;
    let notices: Vec<Value> =
        heard(&mut ann).await.iter().map(|notice| notice["message"].clone()).collect();
    assert_eq!(notices, ["bob joined", "bob left"]);
}
