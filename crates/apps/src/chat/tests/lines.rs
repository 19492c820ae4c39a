//! Clients that speak in lines, in one room with those that speak JSON.

use super::*;
use sockeye::CloseReason;

/// A client that has connected and said nothing.
fn connect(chat: &Chat) -> Client {
    let (session, client) = session();
    tokio::spawn(chat.line_handler()(session));
    client
}

/// A client that has sent its name.
async fn seated(chat: &Chat, name: &str) -> Client {
    let mut client = connect(chat);
    client.send(name).await;
    assert_eq!(client.texts().await, [""; 0], "its own arrival is told to the others");
    client
}

/// The transcript of the clients' own server, without its message to the client that had gone.
#[tokio::test(start_paused = true)]
async fn lines_among_themselves() {
    let chat = chat();
    let mut park = seated(&chat, "park").await;
    let mut lee = seated(&chat, "lee").await;
    assert_eq!(park.texts().await, ["#lee join!"]);
    park.send("[park]hello, 이").await;
    lee.send("[lee]hello yourself").await;
    for client in [&mut park, &mut lee] {
        assert_eq!(client.texts().await, ["[park]hello, 이", "[lee]hello yourself"]);
    }
    // `quit`: the client closes without a word.
    drop(park);
    assert_eq!(lee.texts().await, ["#park exit!"]);
    lee.send("[lee]anybody?").await;
    assert_eq!(lee.texts().await, ["[lee]anybody?"]);
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_answered_and_nobody_else_hears_of_it() {
    let chat = chat();
    let mut park = seated(&chat, "park").await;
    let mut bob = arrive(&chat).await;
    asks(&mut bob, json!({"name": "bob"})).await;
    assert_eq!(park.texts().await, ["#bob join!"]);
    for name in ["park", " park ", "bob"] {
        let mut other = connect(&chat);
        other.send(name).await;
        assert_eq!(other.text().await, format!("#Aleady exist name : {}", name.trim()));
        assert_eq!(other.text().await, "#Please reconnect by other name");
        assert_eq!(other.recv().await, Err(CloseReason::new(3000, "no place under this name")));
    }
    assert_eq!(park.texts().await, [""; 0]);
    assert!(heard(&mut bob).await.is_empty());
    drop(park);
    seated(&chat, "park").await;
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_none_is_answered() {
    let chat = chat();
    for (name, problem) in [
        ("", "the name is empty"),
        (" ", "the name is empty"),
        ("*", "the name * is that of notices; choose another"),
        // Its text would come as `[ann]hello]…`, which is ann's.
        ("ann]hello", "a name can't have a ] in it; choose another"),
        ("a\nb", "the name has invisible characters in it; leave them out"),
        (&*"x".repeat(41), "the name is longer than 40 characters"),
        (&*" ".repeat(60_000), "the name is empty"),
    ] {
        let mut client = connect(&chat);
        client.send(name).await;
        assert_eq!(client.text().await, format!("#Bad name : {problem}"));
        assert_eq!(client.text().await, "#Please reconnect by other name");
        assert!(client.recv().await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn lines_and_json_say_the_same() {
    let chat = chat();
    let mut page = arrive(&chat).await;
    let mut ann = introduced(&chat, "ann", "lobby").await;
    assert_eq!(page.texts().await, [r#"{"name":"*","message":"ann joined","type":"join"}"#]);
    let mut park = seated(&chat, "park").await;
    assert_eq!(page.texts().await, [r#"{"name":"*","message":"park joined","type":"join"}"#]);
    assert_eq!(
        heard(&mut ann).await,
        [
            json!({"name": "*", "message": "park joined", "type": "join", "room": "lobby", "who": "park"})
        ]
    );

    park.send("[park]from a line").await;
    page.send(r#"{"message":"from a page"}"#).await;
    ann.send(r#"{"message":"from ann"}"#).await;
    assert_eq!(park.texts().await, ["[park]from a line", "[guest-1]from a page", "[ann]from ann"]);
    assert_eq!(
        page.texts().await,
        [
            r#"{"name":"park","message":"from a line"}"#,
            r#"{"name":"guest-1","message":"from a page"}"#,
            r#"{"name":"ann","message":"from ann"}"#,
        ]
    );
    let said = |name: &str, text: &str| json!({"name": name, "message": text, "type": "message", "room": "lobby"});
    assert_eq!(
        heard(&mut ann).await,
        [said("park", "from a line"), said("guest-1", "from a page"), said("ann", "from ann")]
    );

    drop(park);
    assert_eq!(page.texts().await, [r#"{"name":"*","message":"park left","type":"leave"}"#]);
    assert_eq!(heard(&mut ann).await[0]["who"], "park");
}

#[tokio::test(start_paused = true)]
async fn rosters_and_histories_know_no_dialects() {
    let chat = chat();
    let mut page = introduced(&chat, "ann", "lobby").await;
    let roster = asks(&mut page, json!({"roster": true})).await;
    assert_eq!(roster[0]["names"], json!(["ann"]));
    let park = seated(&chat, "park").await;
    park.send("[park]first words").await;
    let seen = heard(&mut page).await;
    assert_eq!(
        seen.iter().find(|event| event["type"] == "roster").expect("a roster")["names"],
        json!(["ann", "park"])
    );
    drop(park);

    let mut late = arrive(&chat).await;
    let welcome = asks(&mut late, json!({"name": "late"})).await;
    assert_eq!(welcome[0]["history"][0]["name"], "park");
    assert_eq!(welcome[0]["history"][0]["message"], "first words");
}

/// Events unknown to the clients' own server begin with `#` as well, so that they are no member's
/// text.
#[tokio::test(start_paused = true)]
async fn lines_are_told_who_moves_and_who_is_called_otherwise() {
    let chat = chat();
    let mut park = seated(&chat, "park").await;
    let mut ann = introduced(&chat, "ann", "lobby").await;
    asks(&mut ann, json!({"name": "bea"})).await;
    asks(&mut ann, json!({"room": "elsewhere"})).await;
    asks(&mut ann, json!({"message": "not for the lobby"})).await;
    asks(&mut ann, json!({"room": "lobby", "message": "back"})).await;
    assert_eq!(
        park.texts().await,
        ["#ann join!", "#ann is now bea", "#bea exit!", "#bea join!", "[bea]back"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_line_that_can_not_be_said_is_told_to_its_sender_alone() {
    let chat = chat();
    let (mut park, mut lee) = (seated(&chat, "park").await, seated(&chat, "lee").await);
    park.texts().await;
    for (line, problem) in [
        ("[park]", "the message is empty"),
        ("[park] \t", "the message is empty"),
        ("", "the message is empty"),
        (&*format!("[park]{}", "x".repeat(4_001)), "the message is longer than 4000 characters"),
    ] {
        park.send(line).await;
        assert_eq!(park.texts().await, [format!("#Not sent : {problem}")]);
    }
    park.send(format!("[park]{}", "x".repeat(4_000))).await;
    assert_eq!(lee.texts().await, [format!("[park]{}", "x".repeat(4_000))], "and nothing else");
}

/// A console prints lines: a break in a text could make up a notice, or another's words.
#[tokio::test(start_paused = true)]
async fn nobody_can_make_a_line_up() {
    let chat = chat();
    let mut park = seated(&chat, "park").await;
    let mut page = arrive(&chat).await;
    says(&mut page, "hello\n[park]I am mad\r\n#lee exit!").await;
    park.send("[lee]hello").await;
    park.send("#lee exit!").await;
    assert_eq!(
        park.texts().await,
        ["[guest-1]hello [park]I am mad #lee exit!", "[park][lee]hello", "[park]#lee exit!"]
    );
}

/// Before it has a name a client is in no room, and hears nothing.
#[tokio::test(start_paused = true)]
async fn without_a_name_there_is_nothing_to_hear() {
    let chat = chat();
    let mut silent = connect(&chat);
    let page = arrive(&chat).await;
    page.send(r#"{"message":"a secret"}"#).await;
    assert_eq!(silent.texts().await, [""; 0]);
    silent.send("no longer silent").await;
    assert_eq!(silent.texts().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_line_can_hold_is_announced() {
    let config = ChatConfig::new().message_chars(100_000);
    let chat = Chat::new(&Hub::new(), config);
    let mut park = seated(&chat, "park").await;
    let page = arrive(&chat).await;
    page.send(json!({"message": "x".repeat(65_536)}).to_string()).await;
    assert_eq!(park.texts().await, ["#guest-1 said more than a line can hold: 65545 bytes"]);
}

/// A refused client was never there: the lobby stays empty.
#[tokio::test(start_paused = true)]
async fn a_refused_name_does_not_keep_the_lobby_alive() {
    let chat = chat();
    let park = seated(&chat, "park").await;
    park.send("[park]to be forgotten").await;
    let mut other = connect(&chat);
    other.send("park").await;
    assert_eq!(other.text().await, "#Aleady exist name : park");
    drop((park, other));
    tokio::time::sleep(ChatConfig::new().forget_after * 2).await;
    let mut late = arrive(&chat).await;
    assert_eq!(asks(&mut late, json!({"name": "late"})).await[0]["history"], json!([]));
}
