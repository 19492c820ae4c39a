//! What clients ask for, and what they are refused.

use super::*;
use sockeye::Message;

/// A request has several parts: when one can't be done, none is.
#[tokio::test(start_paused = true)]
async fn all_of_a_request_or_nothing() {
    let chat = Chat::new(&Hub::new(), ChatConfig::new().rooms(1));
    let mut ann = introduced(&chat, "ann", "tea").await;
    let mut bob = introduced(&chat, "bob", "lobby").await;
    for (request, code) in [
        (
            json!({"name": "new", "room": "tea", "roster": true, "message": "x".repeat(4_001)}),
            "too_long",
        ),
        (json!({"name": "ann", "room": "tea", "roster": true, "message": "hello"}), "name_taken"),
        (
            json!({"name": "new", "room": "coffee", "roster": true, "message": "hello"}),
            "room_limit",
        ),
        (json!({"name": "new", "room": "tea", "roster": "yes", "message": "hello"}), "bad_request"),
        (json!({"name": "new", "room": 7, "roster": true, "message": "hello"}), "bad_request"),
    ] {
        let answer = asks(&mut bob, request).await;
        assert_eq!((answer.len(), &answer[0]["code"]), (1, &json!(code)), "{answer:?}");
    }
    assert!(heard(&mut ann).await.is_empty());
    assert_eq!(
        says(&mut bob, "here").await,
        [json!({"name": "bob", "message": "here", "type": "message", "room": "lobby"})]
    );
    assert_eq!(asks(&mut ann, json!({"roster": true})).await[0]["names"], json!(["ann"]));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_is_told_to_its_sender_alone() {
    let chat = chat();
    let mut ann = introduced(&chat, "ann", "lobby").await;
    let mut bob = introduced(&chat, "bob", "lobby").await;
    heard(&mut ann).await;
    let table: [(Message, &str, &str); 34] = [
        ("hello".into(), "bad_json", "not valid JSON: "),
        ("".into(), "bad_json", "not valid JSON: "),
        (r#"{"message":"unfinished"#.into(), "bad_json", "not valid JSON: "),
        (r#"{"message":"x"} {"message":"y"}"#.into(), "bad_json", "not valid JSON: "),
        (r#"{"message":"\ud800"}"#.into(), "bad_json", "not valid JSON: "),
        ("[".repeat(10_000).into(), "bad_json", "not valid JSON: "),
        (Message::binary(&b"{}"[..]), "bad_json", "a request is text"),
        (r#""hello""#.into(), "bad_request", "a request is a JSON object"),
        (r#"["ann","tea",true,"hello"]"#.into(), "bad_request", "a request is a JSON object"),
        ("7".into(), "bad_request", "a request is a JSON object"),
        (
            "{}".into(),
            "bad_request",
            "a request has a `message`, `name`, `room`, `roster` or `ping`",
        ),
        (
            r#"{"msg":"x"}"#.into(),
            "bad_request",
            "a request has a `message`, `name`, `room`, `roster` or `ping`",
        ),
        (
            r#"{"message":null}"#.into(),
            "bad_request",
            "a request has a `message`, `name`, `room`, `roster` or `ping`",
        ),
        (r#"{"message":"x","id":7}"#.into(), "bad_request", "`id` is not a string"),
        (
            r#"{"message":"x","id":"short"}"#.into(),
            "bad_request",
            "`id` is not 16 to 64 visible ASCII characters",
        ),
        (
            r#"{"message":"x","id":"with a space in it"}"#.into(),
            "bad_request",
            "`id` is not 16 to 64",
        ),
        (
            r#"{"message":"x","id":"안녕하세요안녕하세요"}"#.into(),
            "bad_request",
            "`id` is not 16 to 64",
        ),
        (
            format!(r#"{{"message":"x","id":"{}"}}"#, "x".repeat(65)).into(),
            "bad_request",
            "`id` is not 16 to 64",
        ),
        (
            r#"{"name":"bob","id":"0123456789abcdef"}"#.into(),
            "bad_request",
            "`id` belongs to a `message`",
        ),
        (
            r#"{"room":"x","key":"0123456789abcdef"}"#.into(),
            "bad_request",
            "`key` belongs to a `name`",
        ),
        (r#"{"name":"bob","key":"short"}"#.into(), "bad_request", "`key` is not 16 to 64 visible"),
        (r#"{"ping":1}"#.into(), "bad_request", "`ping` is not a string"),
        (
            format!(r#"{{"ping":"{}"}}"#, "x".repeat(65)).into(),
            "too_long",
            "the ping is longer than 64 characters",
        ),
        (r#"{"message":7}"#.into(), "bad_request", "`message` is not a string"),
        (r#"{"message":["x"]}"#.into(), "bad_request", "`message` is not a string"),
        (r#"{"name":{}}"#.into(), "bad_request", "`name` is not a string"),
        (r#"{"room":false}"#.into(), "bad_request", "`room` is not a string"),
        (r#"{"roster":"true"}"#.into(), "bad_request", "`roster` is not true or false"),
        (r#"{"message":"x","message":"y"}"#.into(), "bad_request", "duplicate field `message`"),
        // Clients that read lines are in the same room.
        (
            r#"{"name":"ann]hello"}"#.into(),
            "bad_request",
            "a name can't have a ] in it; choose another",
        ),
        (r#"{"name":"*"}"#.into(), "bad_request", "the name * is that of notices; choose another"),
        (r#"{"name":" "}"#.into(), "bad_request", "the name is empty"),
        (r#"{"room":""}"#.into(), "bad_request", "the room's name is empty"),
        (r#"{"message":" \n"}"#.into(), "bad_request", "the message is empty"),
    ];
    for (request, code, text) in table {
        let shown = format!("{request:?}");
        bob.send(request).await;
        let answer = heard(&mut bob).await;
        assert_eq!(
            (answer.len(), &answer[0]["code"], &answer[0]["name"]),
            (1, &json!(code), &json!("*")),
            "{shown}"
        );
        let message = answer[0]["message"].as_str().expect("checked to be a string");
        assert!(message.starts_with(text), "{shown}: {message}");
    }
    assert!(heard(&mut ann).await.is_empty());
    assert_eq!(
        asks(&mut bob, json!({"message": "x", "color": {"a": [1]}, "name": null})).await[0]["message"],
        "x"
    );
}

#[tokio::test(start_paused = true)]
async fn lengths_are_limited_in_characters() {
    let chat = chat();
    let mut ann = arrive(&chat).await;
    for (member, called) in [("name", "name"), ("room", "room's name")] {
        let longest = "안".repeat(40);
        assert_eq!(
            asks(&mut ann, json!({member: format!("  {longest}  ")})).await[0]["type"],
            "welcome"
        );
        let refused = asks(&mut ann, json!({member: "안".repeat(41)})).await;
        assert_eq!(
            (&refused[0]["code"], &refused[0]["message"]),
            (&json!("too_long"), &json!(format!("the {called} is longer than 40 characters")))
        );
    }
    assert_eq!(says(&mut ann, &"😀".repeat(4_000)).await[0]["type"], "message");
    assert_eq!(says(&mut ann, &"x".repeat(4_001)).await[0]["code"], "too_long");
}

#[tokio::test(start_paused = true)]
async fn names_have_nothing_in_them_that_cannot_be_seen() {
    let chat = chat();
    let mut ann = arrive(&chat).await;
    for member in ["name", "room"] {
        for bad in [
            "a\nb",
            "a\0",
            "\u{7f}x",
            "\u{85}a\u{9b}",
            "a\u{2028}b",
            "\u{202e}nna",
            "x\u{200b}",
            "a\u{feff}b",
        ] {
            let refused = asks(&mut ann, json!({member: bad})).await;
            assert_eq!(
                (&refused[0]["type"], refused.len()),
                (&json!("error"), 1),
                "{member} {bad:?}"
            );
        }
        for good in ["a b", "O'Neil <b>", "김철수", "👩\u{200d}🚀", "guest"] {
            assert_eq!(
                asks(&mut ann, json!({member: good})).await[0]["type"],
                "welcome",
                "{member} {good:?}"
            );
        }
    }
    assert_eq!(
        says(&mut ann, "two\nlines\tand \u{1b}").await[0]["message"],
        "two\nlines\tand \u{1b}"
    );
}
