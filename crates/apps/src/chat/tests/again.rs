//! What is said again because a client can't know whether it was heard.

use std::{mem, slice};

use super::*;

const ID: &str = "0123456789abcdef";

fn with_id(message: &str, id: &str) -> Value {
    json!({"message": message, "id": id})
}

/// A phone's connection dies without a sign, and its page says the message again on the next one.
/// The room heard it the first time: no member hears it twice, and the page gets its echo, so that
/// it stops.
#[tokio::test(start_paused = true)]
async fn a_message_that_comes_again_is_said_once() {
    let chat = chat();
    let mut ann = introduced(&chat, "ann", "tea").await;
    let mut bob = introduced(&chat, "bob", "tea").await;
    heard(&mut ann).await;
    let said =
        json!({"name": "bob", "message": "hello", "type": "message", "room": "tea", "id": ID});
    assert_eq!(asks(&mut bob, with_id("hello", ID)).await, slice::from_ref(&said));
    assert_eq!(heard(&mut ann).await, slice::from_ref(&said));

    // The room has not missed the old session yet, so the name is taken.
    let mut again = arrive(&chat).await;
    asks(&mut again, json!({"name": "bobby", "room": "tea"})).await;
    heard(&mut ann).await;
    let repeated =
        json!({"name": "bobby", "message": "hello", "type": "message", "room": "tea", "id": ID});
    assert_eq!(asks(&mut again, with_id("hello", ID)).await, [repeated]);
    assert!(heard(&mut ann).await.is_empty(), "said once");
    heard(&mut bob).await;
    assert_eq!(asks(&mut bob, with_id("hello", ID)).await, [said], "also on the same connection");
    assert!(heard(&mut ann).await.is_empty());

    // Another message, and the same text without an id, are said.
    assert_eq!(asks(&mut again, with_id("hello", "fedcba9876543210")).await.len(), 1);
    assert_eq!(says(&mut again, "hello").await.len(), 1);
    assert_eq!(heard(&mut ann).await.len(), 2);
    let welcome = &asks(&mut ann, json!({"room": "tea"})).await[0];
    let ids: Vec<&Value> =
        welcome["history"].as_array().expect("a list").iter().map(|said| &said["id"]).collect();
    assert_eq!(
        ids,
        [&json!(ID), &json!("fedcba9876543210"), &Value::Null],
        "a page that comes back finds its messages"
    );
}

/// A message is known by its id also when the history has forgotten it, and it keeps its time.
#[tokio::test(start_paused = true)]
async fn ids_are_remembered_longer_than_messages_but_not_for_ever() {
    let chat = Chat::new(&Hub::new(), ChatConfig::new().history(1).message_ids(2));
    let mut ann = introduced(&chat, "ann", "lobby").await;
    let mut bob = introduced(&chat, "bob", "lobby").await;
    heard(&mut ann).await;
    let ids = ["first-000000000000", "second-00000000000", "third-000000000000"];
    for id in &ids[..2] {
        asks(&mut bob, with_id("x", id)).await;
    }
    heard(&mut ann).await;
    assert_eq!(asks(&mut bob, with_id("x", ids[0])).await.len(), 1);
    assert!(
        heard(&mut ann).await.is_empty(),
        "the history holds the second only, and the first is known"
    );
    asks(&mut bob, with_id("x", ids[2])).await;
    asks(&mut bob, with_id("x", ids[0])).await;
    assert_eq!(heard(&mut ann).await.len(), 2, "the third has taken the place of the first");
}

/// A page that has only ever talked gets two members, whatever others send.
#[tokio::test(start_paused = true)]
async fn plain_pages_see_no_ids() {
    let chat = chat();
    let mut old = arrive(&chat).await;
    let mut bob = introduced(&chat, "bob", "lobby").await;
    asks(&mut bob, with_id("hello", ID)).await;
    assert_eq!(
        old.texts().await.last().map(String::as_str),
        Some(r#"{"name":"bob","message":"hello"}"#)
    );
    // A first message with an id is answered with it: such a client waits for that.
    let mut new = arrive(&chat).await;
    assert_eq!(
        asks(&mut new, with_id("me too", "fedcba9876543210")).await[0]["id"],
        "fedcba9876543210"
    );
}

/// A page that has slept asks whether the connection still lives: the answer is for it alone, and
/// changes nothing.
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_to_its_sender_alone() {
    let chat = chat();
    let mut old = arrive(&chat).await;
    let mut ann = introduced(&chat, "ann", "lobby").await;
    old.texts().await;
    let pong = |room, ping| json!({"name": "*", "message": "pong", "type": "pong", "room": room, "ping": ping});
    assert_eq!(asks(&mut ann, json!({"ping": "7"})).await, [pong("lobby", "7")]);
    assert_eq!(old.texts().await, [""; 0]);
    assert_eq!(asks(&mut old, json!({"ping": ""})).await, [pong("lobby", "")]);
    says(&mut ann, "hello").await;
    assert_eq!(
        old.texts().await,
        [r#"{"name":"ann","message":"hello"}"#],
        "it is a plain page still"
    );
}

/// The page is back, and the server has not missed its lost connection: over HTTP that may take a
/// quarter of an hour. The client's key gives it its name, and the others are told of no join or
/// leave.
#[tokio::test(start_paused = true)]
async fn a_key_takes_a_name_back_from_a_lost_connection() {
    let chat = chat();
    let mut ann = introduced(&chat, "ann", "tea").await;
    let come = json!({"name": "bob", "room": "tea", "key": ID, "roster": true});
    let mut lost = arrive(&chat).await;
    asks(&mut lost, come.clone()).await;
    says(&mut ann, "still there?").await;
    heard(&mut ann).await;

    let mut thief = arrive(&chat).await;
    for key in [json!("fedcba9876543210"), Value::Null] {
        let refused = asks(&mut thief, json!({"name": "bob", "room": "tea", "key": key})).await;
        assert_eq!(refused[0]["code"], "name_taken");
    }
    let mut back = arrive(&chat).await;
    let welcome = asks(&mut back, come.clone()).await;
    assert_eq!(
        (&welcome[0]["you"], &welcome[0]["history"][0]["message"]),
        (&json!("bob"), &json!("still there?"))
    );
    assert_eq!(welcome[1]["names"], json!(["ann", "bob"]));
    let end = loop {
        if let Err(end) = lost.recv().await {
            break end;
        }
    };
    assert_eq!(end.code(), 4001);
    assert!(heard(&mut ann).await.is_empty(), "no join or leave");
    assert_eq!(says(&mut ann, "hello").await.len(), 1);
    assert_eq!(
        heard(&mut back).await[0]["message"],
        "hello",
        "what the old session leaves behind is not the new one's"
    );

    // A session that first came under another name leaves under it.
    let mut other = introduced(&chat, "robert", "tea").await;
    heard(&mut ann).await;
    asks(&mut other, json!({"name": "bob", "key": ID})).await;
    assert_eq!(heard(&mut ann).await[0]["message"], "robert left");
    drop(mem::replace(&mut back, other));

    // The name is the new session's: when that goes, it is free.
    drop(back);
    assert_eq!(heard(&mut ann).await[0]["message"], "bob left");
    assert_eq!(asks(&mut thief, json!({"name": "bob", "room": "tea"})).await[0]["you"], "bob");
    assert_eq!(
        asks(&mut arrive(&chat).await, come).await[0]["code"],
        "name_taken",
        "a key is no more than its name"
    );
}
