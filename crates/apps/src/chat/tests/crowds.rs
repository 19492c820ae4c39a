//! Crowds, and clients that do not read.

use std::sync::atomic::AtomicUsize;

use super::*;
use sockeye::{CloseReason, EndpointConfig};

use sockeye::test_util::SessionBuilder;

/// All clients follow the roster and arrive at once, as after a server's restart. A roster each
/// time would be half a million names for the first alone.
#[tokio::test(start_paused = true)]
async fn a_thousand_arrivals_are_told_in_few_rosters() {
    let hub = Hub::new();
    let chat = Chat::new(&hub, ChatConfig::new().roster_names(10));
    let mut clients = Vec::new();
    for n in 0..1_000 {
        let (session, client) = session();
        tokio::spawn(chat.handler()(session));
        client
            .send(json!({"name": format!("p{n:03}"), "room": "stage", "roster": true}).to_string())
            .await;
        clients.push(client);
    }
    settle().await;
    let mut all_joins = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        let events = client.texts().await;
        let of_kind = |kind: &str| {
            let kind = format!(r#""type":"{kind}""#);
            events
                .iter()
                .filter(move |event| event.contains(&kind))
                .cloned()
                .collect::<Vec<String>>()
        };
        assert!(of_kind("welcome")[0].contains(&format!(r#""you":"p{n:03}""#)));
        let rosters = of_kind("roster");
        assert!((1..=3).contains(&rosters.len()), "{} rosters", rosters.len());
        let last: Value = serde_json::from_str(&rosters[rosters.len() - 1]).expect("JSON");
        assert_eq!(
            (&last["count"], last["names"].as_array().map(Vec::len)),
            (&json!(1_000), Some(10))
        );
        // The first client hears of all others, the last of none, all in one order.
        let joins = of_kind("join");
        if n == 0 {
            all_joins = joins;
            assert_eq!(all_joins.len(), 999);
        } else {
            assert_eq!(joins, all_joins[n..]);
        }
    }
    assert_eq!((hub.slow_consumers(), hub.undelivered()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_closed_and_the_others_go_on() {
    let hub = Hub::new();
    let chat = Chat::new(&hub, ChatConfig::default());
    let mut ann = introduced(&chat, "ann", "tea").await;
    let config = EndpointConfig::new().outbound_messages(10);
    let (session, mut slow) = SessionBuilder::new().config(config).build();
    let serving = tokio::spawn(chat.handler()(session));
    slow.send(json!({"name": "slow", "room": "tea"}).to_string()).await;
    assert_eq!(heard(&mut ann).await[0]["message"], "slow joined");
    let mut told = Vec::new();
    for n in 0..20 {
        told.extend(
            says(&mut ann, &n.to_string()).await.into_iter().map(|event| event["message"].clone()),
        );
    }
    serving.await.expect("no panic");
    // The welcome and nine messages fit; the tenth message finds no room, and its loss is the end.
    let expected = (0..10)
        .map(|n| n.to_string())
        .chain(["slow left".to_owned()])
        .chain((10..20).map(|n| n.to_string()));
    assert!(told.iter().eq(expected.collect::<Vec<_>>().iter()), "{told:?}");
    assert_eq!(hub.slow_consumers(), 1);
    // What was queued still goes out.
    for _ in 0..10 {
        slow.text().await;
    }
    assert_eq!(slow.recv().await, Err(CloseReason::SLOW_CONSUMER));
}

/// Errors are answered by the session's own handler: a client that sends nonsense and doesn't read
/// waits, and no other client does.
#[tokio::test(start_paused = true)]
async fn who_asks_nonsense_and_does_not_read_only_stops_itself() {
    let chat = chat();
    let config = EndpointConfig::new().outbound_messages(2);
    let (session, mut client) = SessionBuilder::new().config(config).build();
    tokio::spawn(chat.handler()(session));
    for n in 0..5 {
        client.send(n.to_string()).await;
    }
    let mut ann = arrive(&chat).await;
    assert_eq!(heard(&mut client).await.len(), 5, "all are answered once it reads");
    assert_eq!(says(&mut ann, "hello").await.len(), 1);
    assert_eq!(heard(&mut client).await[0]["message"], "hello");
}

/// Talkers talk while people come, go and change rooms on several threads. A listener that stayed
/// must have heard the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everybody_hears_a_room_in_the_same_order() {
    const TALK: usize = 200;
    let chat = chat();
    let arrived = async |name: String| {
        let (session, mut client) = session();
        tokio::spawn(chat.handler()(session));
        client.send(json!({"name": name, "room": "tea"}).to_string()).await;
        let welcome: Value = serde_json::from_str(&client.text().await).expect("JSON");
        assert_eq!(welcome["type"], "welcome");
        client
    };
    let mut listeners = Vec::new();
    for n in 0..3 {
        listeners.push(arrived(format!("listener {n}")).await);
    }
    let done = Arc::new(AtomicUsize::new(0));
    let mut others = Vec::new();
    for n in 0..3 {
        let mut talker = arrived(format!("talker {n}")).await;
        let done = Arc::clone(&done);
        others.push(tokio::spawn(async move {
            for m in 0..TALK {
                talker.send(json!({"message": format!("{n}:{m}")}).to_string()).await;
                if m % 20 == 0 {
                    talker.send(json!({"name": format!("talker {n} {m}")}).to_string()).await;
                }
            }
            let last = format!(r#""message":"{n}:{}""#, TALK - 1);
            while !talker.text().await.contains(&last) {}
            done.fetch_add(1, Ordering::Relaxed);
            talker
        }));
    }
    // The history that a newcomer gets, and what it hears from then on, are together all that was
    // said.
    let mut newcomers = Vec::new();
    while done.load(Ordering::Relaxed) < 3 && newcomers.len() < 40 {
        let (session, mut client) = session();
        tokio::spawn(chat.handler()(session));
        client.send(json!({"room": "tea"}).to_string()).await;
        let welcome: Value = serde_json::from_str(&client.text().await).expect("JSON");
        newcomers.push((welcome["history"].clone(), client));
    }
    let mut talkers = Vec::new();
    for other in others {
        talkers.push(other.await.expect("no panic"));
    }
    let end = arrived("the end".to_owned()).await;
    let until_the_end = async |client: &mut Client| {
        let mut heard = Vec::new();
        loop {
            let event: Value = serde_json::from_str(&client.text().await).expect("JSON");
            if event["message"] == "the end joined" {
                return heard;
            }
            heard.push(event);
        }
    };
    let all = until_the_end(&mut listeners[2]).await;
    for listener in &mut listeners[..2] {
        let heard = until_the_end(listener).await;
        assert_eq!(heard[heard.len() - all.len()..], all, "except joins before listener 2");
    }
    let said = |events: &[Value]| -> Vec<Value> {
        let said = events.iter().filter(|event| event["type"] == "message");
        said.map(
            |event| json!({"name": event["name"], "message": event["message"], "at": event["at"]}),
        )
        .collect()
    };
    let all_said = said(&all);
    assert_eq!(all_said.len(), 3 * TALK);
    for (history, mut client) in newcomers {
        let mut heard = history.as_array().expect("a list").clone();
        heard.extend(said(&until_the_end(&mut client).await));
        assert_eq!(heard[..], all_said[all_said.len() - heard.len()..]);
    }
    drop(end);
}
