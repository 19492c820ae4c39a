//! What rooms keep, and when they are forgotten.

use super::*;

#[tokio::test(start_paused = true)]
async fn history_is_bounded_by_count_and_by_bytes() {
    let chat = Chat::new(&Hub::new(), ChatConfig::new().history(3).history_bytes(2_000));
    let mut ann = introduced(&chat, "ann", "tea").await;
    let mut old = arrive(&chat).await;
    async fn history(chat: &Chat, room: &str) -> Vec<String> {
        let mut client = arrive(chat).await;
        let welcome = asks(&mut client, json!({"room": room})).await;
        let said = welcome[0]["history"].as_array().expect("a list").iter();
        said.map(|said| {
            format!(
                "{}: {}",
                said["name"].as_str().unwrap(),
                &said["message"].as_str().unwrap()[..1]
            )
        })
        .collect()
    }
    for text in ["1", "2", "3", "4"] {
        says(&mut ann, text).await;
    }
    assert_eq!(history(&chat, "tea").await, ["ann: 2", "ann: 3", "ann: 4"]);
    for text in ["a", "b", "c"] {
        says(&mut ann, &text.repeat(800)).await;
    }
    assert_eq!(history(&chat, "tea").await, ["ann: b", "ann: c"]);
    says(&mut ann, &"d".repeat(4_000)).await;
    assert_eq!(history(&chat, "tea").await, [""; 0], "more than all the room there is");
    says(&mut old, "plain").await;
    assert_eq!(history(&chat, "lobby").await, ["guest-2: p"]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_room_is_forgotten_after_a_while() {
    let chat = chat();
    let remembers = async |room: &str, wait: Duration| {
        says(&mut introduced(&chat, "ann", room).await, "remember me").await;
        tokio::time::sleep(wait).await;
        let mut bob = arrive(&chat).await;
        let welcome = asks(&mut bob, json!({"room": room})).await;
        welcome[0]["history"] != json!([])
    };
    assert!(remembers("tea", Duration::from_secs(599)).await);
    assert!(!remembers("coffee", Duration::from_secs(601)).await);
    assert!(
        !remembers("lobby", Duration::from_secs(601)).await,
        "what was said in the lobby is forgotten too"
    );
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_the_room_that_has_been_empty_longest_gives_way() {
    let chat = Chat::new(&Hub::new(), ChatConfig::new().rooms(2));
    for room in ["old", "new"] {
        says(&mut introduced(&chat, "ann", room).await, "remember me").await;
        settle().await;
    }
    let mut bob = introduced(&chat, "bob", "third").await;
    let mut eve = introduced(&chat, "eve", "lobby").await;
    let welcome = asks(&mut eve, json!({"room": "new"})).await;
    assert_eq!(welcome[0]["history"][0]["message"], "remember me");
    let refused = asks(&mut bob, json!({"room": "old"})).await;
    let text = "there are 2 rooms already, join one of them or come back later";
    assert_eq!(refused, [error("room_limit", text, "third")]);
    assert_eq!(
        asks(&mut bob, json!({"room": "lobby"})).await[0]["type"],
        "welcome",
        "the lobby has always room"
    );
    assert_eq!(asks(&mut bob, json!({"room": "old"})).await[0]["history"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn nothing_stays_behind_when_all_have_left() {
    let hub = Hub::new();
    let chat = Chat::new(&hub, ChatConfig::default());
    let mut clients = Vec::new();
    for n in 0..20 {
        let mut client = introduced(&chat, &format!("p{n}"), &format!("room {}", n % 5)).await;
        asks(&mut client, json!({"roster": true})).await;
        clients.push(client);
    }
    assert_eq!(hub.topics(), 10, "events and rosters of five rooms");
    let refused = asks(&mut clients[0], json!({"name": "p1", "room": "room 1"})).await;
    assert_eq!(
        refused.last().expect("an answer")["code"],
        "name_taken",
        "counted in, and out again"
    );
    drop(clients);
    settle().await;
    assert_eq!(hub.topics(), 0);
    tokio::time::sleep(chat.state.config.forget_after).await;
    assert_eq!(chat.state.directory().rooms(), 0);
}

/// The lobby is forgotten like any room, and other rooms may be at their limit when the next one
/// comes.
#[tokio::test(start_paused = true)]
async fn the_lobby_is_never_refused() {
    let forget_after = Duration::from_secs(10);
    let chat = Chat::new(&Hub::new(), ChatConfig::new().rooms(1).forget_after(forget_after));
    let mut ann = introduced(&chat, "ann", "tea").await;
    tokio::time::sleep(forget_after).await;
    assert_eq!(chat.state.directory().rooms(), 1);
    let mut bob = arrive(&chat).await;
    assert_eq!(says(&mut bob, "hello").await[0]["message"], "hello");
    assert_eq!(asks(&mut ann, json!({"room": "lobby"})).await[0]["history"][0]["message"], "hello");
}
