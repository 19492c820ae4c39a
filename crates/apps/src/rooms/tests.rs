//! Sessions of all dialects, without sockets, under a paused clock.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{advance, sleep};

use super::*;

use sockeye::test_util::{Peer as Client, SessionBuilder};
use sockeye::{CloseReason, EndedBy, EndpointConfig, Message};

/// A client of these rooms, its session being served.
fn visit(rooms: &Rooms) -> Client {
    let (session, client) = SessionBuilder::new().config(quiet()).build();
    tokio::spawn(rooms.handler()(session));
    client
}

/// The clock of these tests jumps far ahead; heartbeats are none of their concern.
fn quiet() -> EndpointConfig {
    EndpointConfig::new().heartbeat_delay(Duration::from_secs(1_000_000))
}

async fn all(client: &mut Client) -> Vec<Value> {
    let texts = client.texts().await;
    texts.iter().map(|text| serde_json::from_str(text).expect("rooms send JSON")).collect()
}

async fn one(client: &mut Client) -> Value {
    let mut all = all(client).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn say(client: &Client, message: Value) {
    client.send(message.to_string()).await;
}

fn join_two(room: u32) -> Value {
    json!({"type": "join", "protocol": 2, "room": room})
}

fn join_one(name: &str, room: u32) -> Value {
    json!({"from": name, "type": "join", "data": room.to_string()})
}

/// Such delays mean never: a date that far away can't be computed.
#[tokio::test(start_paused = true)]
async fn delays_may_be_for_ever() {
    let ever = Duration::MAX;
    let rooms = Rooms::new(RoomsConfig::new().grace(ever).join_wait(ever).empty_room(ever));
    let (mut ann, mut bob) = (visit(&rooms), visit(&rooms));
    for client in [&mut ann, &mut bob] {
        say(client, join_two(1)).await;
        assert_eq!(all(client).await[0]["type"], "welcome");
    }
    drop(bob);
    let told = all(&mut ann).await;
    assert_eq!(told.last().expect("a roster")["change"], "away", "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_told_after_a_second_and_once() {
    let rooms = Rooms::default();
    let mut page = visit(&rooms);
    sleep(Duration::from_millis(990)).await;
    assert!(all(&mut page).await.is_empty());
    sleep(Duration::from_millis(20)).await;
    assert_eq!(
        one(&mut page).await,
        json!({"from": "Server", "type": "join", "data": "false", "candidate": null, "sdp": null})
    );
    sleep(Duration::from_secs(3600)).await;
    say(&page, join_one("late", 1)).await;
    assert!(all(&mut page).await.is_empty(), "it has had its `join`");
    assert_eq!(rooms.summary(1.into()).map(|room| room.participants), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_join_is_answered_at_once_and_silence_not_any_more() {
    let rooms = Rooms::default();
    let (mut first, mut second, mut caller) = (visit(&rooms), visit(&rooms), visit(&rooms));
    say(&first, join_one("a", 1)).await;
    assert_eq!(one(&mut first).await["data"], "false");
    say(&second, join_one("b", 1)).await;
    assert_eq!(one(&mut second).await["data"], "true");
    say(&caller, join_two(1)).await;
    assert_eq!(one(&mut caller).await["type"], "welcome");
    sleep(Duration::from_secs(2)).await;
    for client in [&mut first, &mut second, &mut caller] {
        assert!(all(client).await.is_empty());
    }
}

/// A refused join is no join: the page may try again, and is told after the second if it doesn't.
#[tokio::test(start_paused = true)]
async fn a_refused_join_leaves_the_one_answer_open() {
    let rooms = Rooms::default();
    let (mut holder, mut other) = (visit(&rooms), visit(&rooms));
    say(&holder, join_one("a", 1)).await;
    one(&mut holder).await;
    say(&other, join_one("a", 1)).await;
    let error = one(&mut other).await;
    assert_eq!(
        (&error["from"], &error["type"], &error["code"]),
        (&json!("Server"), &json!("error"), &json!("name_taken"))
    );
    say(&other, join_one("b", 1)).await;
    assert_eq!(one(&mut other).await["data"], "true");
    sleep(Duration::from_secs(2)).await;
    assert!(all(&mut other).await.is_empty());

    let mut third = visit(&rooms);
    say(&third, join_one("a", 1)).await;
    sleep(Duration::from_secs(2)).await;
    let told: Vec<_> = all(&mut third).await.iter().map(|it| it["type"].clone()).collect();
    assert_eq!(told, ["error", "join"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reloads_keeps_its_name() {
    let rooms = Rooms::default();
    let (mut watcher, mut page) = (visit(&rooms), visit(&rooms));
    say(&watcher, join_two(1)).await;
    say(&page, join_one("a", 1)).await;
    assert_eq!(one(&mut page).await["data"], "true");
    page.detach();
    let mut reloaded = visit(&rooms);
    say(&reloaded, join_one("a", 1)).await;
    assert_eq!(one(&mut reloaded).await["data"], "true");
    page.attach();
    assert_eq!(page.recv().await, Err(CloseReason::new(4001, "replaced")));
    assert_eq!(page.end().map(|end| end.by), Some(EndedBy::Application));
    let changes: Vec<_> = all(&mut watcher).await.iter().map(|it| it["change"].clone()).collect();
    assert_eq!(changes, [Value::Null, json!("joined"), json!("renewed")]);

    drop(reloaded);
    let mut again = visit(&rooms);
    say(&again, join_one("a", 1)).await;
    assert_eq!(one(&mut again).await["data"], "true");
    let changes: Vec<_> = all(&mut watcher).await.iter().map(|it| it["change"].clone()).collect();
    assert_eq!(changes, ["left", "joined"]);
}

#[tokio::test(start_paused = true)]
async fn events_go_to_all_who_have_not_chosen_otherwise() {
    let rooms = Rooms::default();
    let (mut caller, mut callee, mut page, mut modern) =
        (visit(&rooms), visit(&rooms), visit(&rooms), visit(&rooms));
    say(&page, join_one("a", 1)).await;
    say(&modern, join_two(1)).await;
    all(&mut page).await;
    all(&mut modern).await;
    let offer = r#"{"event":"offer",  "data":{"type":"offer","sdp":"v=0"}}"#;
    caller.send(offer).await;
    assert_eq!(
        callee.texts().await,
        [offer],
        "it has said nothing, as a page that waits to be called"
    );
    callee.send(r#"{ "event":"answer"}"#).await;
    assert_eq!(caller.texts().await, [r#"{ "event":"answer"}"#]);
    assert!(all(&mut page).await.is_empty() && all(&mut modern).await.is_empty());

    // A message that is no event is answered in the dialect's own form, and relayed to no session.
    for text in [
        "nonsense",
        r#"{"type":"offer","sdp":{}}"#,
        r#"{"type":"join","protocol":2,"room":1}"#,
        r#"{"type":"leave"}"#,
    ] {
        caller.send(text).await;
        assert_eq!(one(&mut caller).await["event"], "error", "{text}");
    }
    assert!(callee.texts().await.is_empty());
    sleep(Duration::from_secs(2)).await;
    assert!(all(&mut caller).await.is_empty(), "the silence of other dialects means nothing");
}

#[tokio::test(start_paused = true)]
async fn a_session_speaks_one_dialect() {
    let rooms = Rooms::default();
    let (mut page, mut modern) = (visit(&rooms), visit(&rooms));
    say(&page, join_one("a", 1)).await;
    say(&modern, join_two(1)).await;
    all(&mut page).await;
    all(&mut modern).await;
    for message in [join_two(2), json!({"event": "offer"})] {
        say(&page, message).await;
        let error = one(&mut page).await;
        assert_eq!(
            (&error["from"], &error["code"], &error["data"]),
            (&json!("Server"), &json!("wrong_dialect"), &json!("this session speaks protocol 1"))
        );
    }
    for message in [join_one("b", 2), json!({"event": "offer"})] {
        say(&modern, message).await;
        let error = one(&mut modern).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("wrong_dialect")));
    }
    for (client, message) in [(&mut page, join_one("b", 2)), (&mut modern, join_two(1))] {
        say(client, message).await;
        assert_eq!(one(client).await["code"], "already_joined");
    }
}

/// A page that has slept asks whether its connection still lives: in the room and before, and
/// without a number, for the answer is nothing that a client could miss. Pages of the older
/// dialects know no such message.
#[tokio::test(start_paused = true)]
async fn a_ping_is_answered_to_its_sender_alone() {
    let rooms = Rooms::new(RoomsConfig::default());
    let (mut ann, mut bob) = (visit(&rooms), visit(&rooms));
    say(&ann, json!({"type": "ping", "ref": "before"})).await;
    assert_eq!(one(&mut ann).await, json!({"type": "pong", "ref": "before"}));
    for client in [&mut ann, &mut bob] {
        say(client, join_two(1)).await;
    }
    all(&mut bob).await;
    all(&mut ann).await;
    say(&ann, json!({"type": "ping", "ref": 7})).await;
    assert_eq!(one(&mut ann).await, json!({"type": "pong", "ref": 7}));
    say(&ann, json!({"type": "ping"})).await;
    assert_eq!(one(&mut ann).await, json!({"type": "pong"}));
    assert!(all(&mut bob).await.is_empty());

    let mut old = visit(&rooms);
    say(&old, join_one("u", 2)).await;
    all(&mut old).await;
    say(&old, json!({"type": "ping"})).await;
    assert_eq!(one(&mut old).await["code"], "wrong_dialect");
}

#[tokio::test(start_paused = true)]
async fn a_call_survives_five_seconds_without_signaling() {
    let rooms = Rooms::default();
    let (mut ann, mut bob) = (visit(&rooms), visit(&rooms));
    say(&ann, join_two(1)).await;
    let welcome = one(&mut ann).await;
    say(&bob, join_two(1)).await;
    all(&mut bob).await;
    all(&mut ann).await;
    drop(ann);
    assert_eq!(one(&mut bob).await["change"], "away");
    say(&bob, json!({"type": "ice", "to": welcome["id"], "candidate": {}, "ref": 1})).await;
    assert_eq!(one(&mut bob).await["type"], "queued");
    sleep(Duration::from_secs(5)).await;

    let mut ann = visit(&rooms);
    let (id, token) = (&welcome["id"], &welcome["token"]);
    say(
        &ann,
        json!({"type": "join", "protocol": 2, "room": 1, "id": id, "token": token, "seen": 0}),
    )
    .await;
    let heard = all(&mut ann).await;
    assert_eq!((&heard[0]["id"], &heard[0]["returned"]), (id, &json!(true)));
    assert_eq!((&heard[1]["type"], heard.len()), (&json!("ice"), 2));
    let heard = all(&mut bob).await;
    assert_eq!((&heard[0]["change"], &heard[1]["type"]), (&json!("back"), &json!("delivered")));
    sleep(Duration::from_secs(60)).await;
    assert!(all(&mut bob).await.is_empty(), "the grace time was of that time");
}

#[tokio::test(start_paused = true)]
async fn after_the_grace_time_the_others_are_told_and_the_room_is_forgotten() {
    let rooms = Rooms::default();
    let (mut ann, mut bob) = (visit(&rooms), visit(&rooms));
    say(&ann, join_two(1)).await;
    let welcome = one(&mut ann).await;
    say(&bob, join_two(1)).await;
    drop(ann);
    all(&mut bob).await;
    sleep(Duration::from_millis(14_900)).await;
    assert!(all(&mut bob).await.is_empty());
    assert_eq!(rooms.list(), [RoomSummary { room: 1.into(), participants: 2, away: 1 }]);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(one(&mut bob).await["change"], "left");
    let mut late = visit(&rooms);
    say(&late, json!({"type": "join", "protocol": 2, "room": 1, "id": welcome["id"], "token": welcome["token"]})).await;
    assert_eq!(one(&mut late).await["code"], "wrong_token");
    say(&late, join_two(1)).await;
    assert_eq!(one(&mut late).await["returned"], false, "it may join as a new participant");

    drop((bob, late));
    sleep(Duration::from_millis(15_100)).await;
    assert_eq!(rooms.list(), [RoomSummary { room: 1.into(), participants: 0, away: 0 }]);
    advance(Duration::from_secs(599)).await;
    assert_eq!(rooms.list().len(), 1);
    advance(Duration::from_secs(1)).await;
    assert!(rooms.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_told_so_and_may_join_another_room() {
    let rooms = Rooms::default();
    let (mut ann, mut page) = (visit(&rooms), visit(&rooms));
    say(&ann, json!({"type": "leave"})).await;
    assert_eq!(one(&mut ann).await["code"], "not_joined");
    say(&ann, join_two(1)).await;
    say(&page, join_one("a", 1)).await;
    all(&mut page).await;
    say(&ann, json!({"type": "leave"})).await;
    say(&ann, join_two(2)).await;
    let types: Vec<_> = all(&mut ann).await.iter().map(|it| it["type"].clone()).collect();
    assert_eq!(types, ["welcome", "roster", "left", "welcome"]);

    say(&page, json!({"from": "a", "type": "leave", "data": "2"})).await;
    assert_eq!(one(&mut page).await["code"], "not_joined");
    say(&page, json!({"from": "a", "type": "leave", "data": "1"})).await;
    say(&page, join_one("a", 2)).await;
    assert!(
        all(&mut page).await.is_empty(),
        "a `leave` is not answered, and there is one `join` in a session"
    );
    let rooms: Vec<_> = rooms.list().iter().map(|room| room.participants).collect();
    assert_eq!(rooms, [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_rooms_is_limited_to_those_in_use() {
    let rooms = Rooms::new(RoomsConfig::new().rooms(2));
    assert_eq!(rooms.create(1.into()), Ok(true));
    assert_eq!(rooms.create(1.into()), Ok(false));
    advance(Duration::from_secs(1)).await;
    assert_eq!(rooms.create(2.into()), Ok(true));
    let (mut ann, mut bob) = (visit(&rooms), visit(&rooms));
    say(&ann, join_two(3)).await;
    assert_eq!(one(&mut ann).await["type"], "welcome");
    assert_eq!(rooms.summary(1.into()), None, "it had been empty longest");
    say(&bob, join_two(2)).await;
    one(&mut bob).await;

    assert_eq!(rooms.create(4.into()), Err(TooManyRooms { limit: 2 }));
    let mut eve = visit(&rooms);
    say(&eve, join_two(4)).await;
    let error = one(&mut eve).await;
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!("too_many_rooms"), &json!("all rooms are in use: rooms is 2"))
    );
    say(&eve, join_two(2)).await;
    assert_eq!(one(&mut eve).await["type"], "welcome");
}

/// A wrong token must not be a way to make rooms.
#[tokio::test(start_paused = true)]
async fn refusals_make_no_rooms() {
    let rooms = Rooms::default();
    let mut eve = visit(&rooms);
    for room in 0..50 {
        say(&eve, json!({"type": "join", "protocol": 2, "room": room, "id": "a", "token": "b"}))
            .await;
    }
    let errors = all(&mut eve).await;
    assert!(errors.len() == 50 && errors.iter().all(|error| error["code"] == "wrong_token"));
    assert!(rooms.list().is_empty());
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_answered_and_disturbs_nobody() {
    let rooms = Rooms::default();
    let (mut ann, mut bob, mut stranger) = (visit(&rooms), visit(&rooms), visit(&rooms));
    say(&ann, join_two(1)).await;
    say(&bob, join_two(1)).await;
    all(&mut ann).await;
    all(&mut bob).await;
    let megabyte = "x".repeat(1 << 20);
    let nasty = [
        ("bad_json", "{".to_owned()),
        ("bad_json", "\u{0}".to_owned()),
        ("bad_message", "{}".to_owned()),
        ("bad_message", r#"{"type":["text"]}"#.to_owned()),
        ("unknown_type", r#"{"type":"welcome"}"#.to_owned()),
        ("too_large", megabyte.clone()),
        ("too_large", format!(r#"{{"type":"text","data":"{megabyte}"}}"#)),
        ("too_large", format!(r#"{{"type":"{megabyte}"}}"#)),
    ];
    for (code, text) in nasty {
        // Inbound queues of the tests are small: what is too large for them is not what this is
        // about.
        ann.send(text.clone()).await;
        let error = one(&mut ann).await;
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)));
        assert!(
            error["message"].as_str().is_some_and(|message| message.len() < 300),
            "an error is short: {error}"
        );
        stranger.send(text).await;
        let error = one(&mut stranger).await;
        assert_eq!((&error["from"], &error["code"]), (&json!("Server"), &json!(code)));
    }
    ann.send(Message::binary(vec![0; 10])).await;
    assert_eq!(one(&mut ann).await["code"], "binary");
    let error = |message: Value| message["message"].as_str().expect("text").to_owned();
    ann.send(megabyte).await;
    assert!(error(one(&mut ann).await).contains("message_size is 32768"));
    say(&ann, json!({"type": "text", "data": "", "to": "nobody", "ref": 1})).await;
    let refused = one(&mut ann).await;
    assert_eq!((&refused["code"], &refused["ref"]), (&json!("no_such_participant"), &json!(1)));
    assert!(all(&mut bob).await.is_empty());
    say(&ann, json!({"type": "text", "data": "still here"})).await;
    assert_eq!(one(&mut bob).await["data"], "still here");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_joins() {
    let rooms = Rooms::default();
    let (mut ann, mut bob) = (visit(&rooms), visit(&rooms));
    say(&ann, join_two(1)).await;
    say(&bob, join_two(1)).await;
    all(&mut ann).await;
    all(&mut bob).await;
    for _ in 0..10 {
        for room in 0..100 {
            say(&bob, join_two(room)).await;
        }
        let errors = all(&mut bob).await;
        assert!(
            errors.len() == 100 && errors.iter().all(|error| error["code"] == "already_joined")
        );
    }
    let (mut welcome, mut full) = (0, 0);
    for _ in 0..9_000 {
        let mut client = visit(&rooms);
        say(&client, join_two(2)).await;
        match one(&mut client).await["code"].as_str() {
            None => welcome += 1,
            Some("room_full") => full += 1,
            Some(other) => panic!("{other}"),
        }
        // They are gone at once, and still hold their places for the grace time.
    }
    assert_eq!((welcome, full), (16, 8_984));
    assert!(all(&mut ann).await.is_empty(), "room 1 hears nothing of it");
    sleep(Duration::from_secs(16)).await;
    assert_eq!(rooms.summary(2.into()).map(|room| room.participants), Some(0));
}

/// Its queue fills, the room closes it and goes on; it may come back with its token and has missed
/// nothing that fits the mailbox.
#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_away() {
    let rooms = Rooms::default();
    let mut ann = visit(&rooms);
    say(&ann, join_two(1)).await;
    one(&mut ann).await;
    let config = quiet().outbound_messages(4);
    let (session, mut slow) = SessionBuilder::new().config(config).build();
    tokio::spawn(rooms.handler()(session));
    say(&slow, join_two(1)).await;
    let welcome: Value = serde_json::from_str(&slow.text().await).expect("JSON");
    all(&mut ann).await;
    for n in 0..10 {
        say(&ann, json!({"type": "text", "data": n.to_string(), "ref": n})).await;
    }
    let heard = all(&mut ann).await;
    let fates: Vec<_> =
        heard.iter().filter_map(|it| it["type"].as_str()).filter(|it| *it != "roster").collect();
    assert_eq!((fates.iter().filter(|it| **it == "delivered").count(), fates.len()), (4, 10));
    assert!(fates.ends_with(&["queued"; 6]));
    let mut seen = 0;
    while let Ok(message) = slow.recv().await {
        let message: Value = serde_json::from_str(message.as_text().expect("text")).expect("JSON");
        seen = message["seq"].as_u64().expect("a number");
    }
    assert_eq!((slow.end().expect("closed").reason, seen), (CloseReason::SLOW_CONSUMER, 4));

    let mut back = visit(&rooms);
    let (id, token) = (&welcome["id"], &welcome["token"]);
    say(
        &back,
        json!({"type": "join", "protocol": 2, "room": 1, "id": id, "token": token, "seen": seen}),
    )
    .await;
    let heard = all(&mut back).await;
    assert_eq!((&heard[0]["missed"], &heard[1]["data"], heard.len()), (&json!(0), &json!("4"), 7));
}

#[tokio::test(start_paused = true)]
async fn random_numbers_are_free() {
    let rooms = Rooms::default();
    for number in 0..100_u32 {
        let free = rooms.random_free();
        assert_eq!(rooms.create(free), Ok(true), "{number}");
    }
    assert!(rooms.list().iter().all(|room| room.room < 100.into()));
    assert!(rooms.summary(rooms.random_free()).is_none());
}
