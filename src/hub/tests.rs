use std::sync::Mutex;

use super::*;
use crate::session::testing::{Client, limits, session, session_with};
use crate::{CloseReason, Session, session::QueueLimit};

fn subscriber(topic: &Topic) -> (Subscription, Session, Client) {
    let (session, client) = session();
    (topic.subscribe(session.sender()), session, client)
}

/// A session whose queue is full after one message, until its client reads.
fn narrow() -> (Session, Client) {
    let mut limits = limits();
    limits.outbound = QueueLimit { messages: 1, bytes: 1 << 20 };
    session_with(limits)
}

fn delivery(reached: usize, undelivered: usize) -> Delivery {
    Delivery { reached, undelivered, ..Delivery::default() }
}

#[tokio::test(start_paused = true)]
async fn subscribers_hear_what_is_published_while_they_subscribe() {
    let hub = Hub::new();
    let topic = hub.topic("news");
    assert_eq!(topic.publish("before"), delivery(0, 0));
    let (subscription, _session, mut client) = subscriber(&topic);
    let (_other, _session, mut elsewhere) = subscriber(&hub.topic("weather"));
    assert_eq!(topic.publish("one"), delivery(1, 0));
    assert_eq!(hub.topic("news").publish("two"), delivery(1, 0));
    assert_eq!(subscription.topic().name(), "news");
    drop(subscription);
    assert_eq!(topic.publish("after"), delivery(0, 0));
    assert_eq!(client.hear_all().await, ["one", "two"]);
    assert!(elsewhere.hear_all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_excepted_session_hears_nothing() {
    let topic = Hub::new().topic("news");
    let (_ann, session, mut ann) = subscriber(&topic);
    let (_bob, _session, mut bob) = subscriber(&topic);
    assert_eq!(topic.publish_except("for the others", session.id()), delivery(1, 0));
    assert!(ann.hear_all().await.is_empty());
    assert_eq!(bob.hear_all().await, ["for the others"]);
}

#[tokio::test]
async fn a_message_is_encoded_once_for_all() {
    let topic = Hub::new().topic("news");
    let (_ann, _session, mut ann) = subscriber(&topic);
    let (_bob, _session, mut bob) = subscriber(&topic);
    topic.publish("shared");
    let (first, second) =
        (ann.next().await.expect("a message"), bob.next().await.expect("a message"));
    let frame = |message: &Message| message.line().expect("text has a frame").as_ptr();
    assert_eq!(frame(&first), frame(&second));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_closed_and_disturbs_nobody() {
    let hub = Hub::new();
    let topic = hub.topic("news");
    let (_ann, _session, mut ann) = subscriber(&topic);
    let (slow, mut client) = narrow();
    let _slow = topic.subscribe(slow.sender());
    assert_eq!(topic.publish("one"), delivery(2, 0));
    assert_eq!(topic.publish("two"), delivery(1, 1), "closed as slow");
    assert_eq!(topic.publish("three"), delivery(1, 1), "skipped as closed");
    assert_eq!((hub.slow_consumers(), hub.undelivered()), (1, 2));
    assert_eq!(ann.hear_all().await, ["one", "two", "three"]);
    assert_eq!(client.hear().await, "one", "what was queued before still goes out");
    assert_eq!(client.next().await, Err(CloseReason::SLOW_CONSUMER));
    let end = client.end().expect("an end");
    assert_eq!(
        (end.reason, end.by, end.undelivered),
        (CloseReason::SLOW_CONSUMER, crate::EndedBy::Gateway, 0)
    );
}

/// A publication over `outbound_bytes` used to be taken by an empty queue; the next publication, of
/// five bytes, then found no room and closed a session that had kept up.
#[tokio::test(start_paused = true)]
async fn a_message_larger_than_a_queue_closes_nobody() {
    let hub = Hub::new();
    let topic = hub.topic("news");
    let (_ann, _session, mut ann) = subscriber(&topic);
    let mut limits = limits();
    limits.outbound.bytes = 10;
    let (bobs, mut bob) = session_with(limits);
    let _bob = topic.subscribe(bobs.sender());
    let larger = "x".repeat(11);
    assert_eq!(topic.publish("before"), delivery(2, 0));
    assert_eq!(
        topic.publish(&*larger),
        Delivery { reached: 1, too_large: 1, ..Delivery::default() }
    );
    assert_eq!(bob.hear_all().await, ["before"]);
    assert_eq!(
        topic.publish(&*larger),
        Delivery { reached: 1, too_large: 1, ..Delivery::default() },
        "also empty"
    );
    assert!(!hub.send_to(&bobs.sender(), larger.clone()));
    assert_eq!(topic.publish("after"), delivery(2, 0));
    assert_eq!(ann.hear_all().await, ["before", &larger, &larger, "after"]);
    assert_eq!(bob.hear_all().await, ["after"]);
    assert_eq!((hub.slow_consumers(), hub.undelivered()), (0, 3));
}

/// The application waits for room for a large message. The session has room, so that a publication
/// must not close it.
#[tokio::test(start_paused = true)]
async fn a_session_that_has_room_is_not_closed_because_a_sender_waits() {
    let hub = Hub::new();
    let topic = hub.topic("news");
    let mut limits = limits();
    limits.outbound.bytes = 10;
    let (session, mut client) = session_with(limits);
    let _subscription = topic.subscribe(session.sender());
    assert_eq!(topic.publish("123456"), delivery(1, 0));
    let large = tokio::spawn({
        let sender = session.sender();
        async move { sender.send("1234567").await }
    });
    tokio::task::yield_now().await;
    assert_eq!(topic.publish("1234"), delivery(1, 0));
    assert_eq!(client.hear_all().await, ["123456", "1234", "1234567"]);
    large.await.expect("no panic").expect("it was sent");
}

/// Positions on a map, say: a missed position matters little, a closed session much.
#[tokio::test(start_paused = true)]
async fn a_topic_may_drop_what_finds_no_room() {
    let hub = Hub::new();
    let topic = hub.topic("positions").when_full(WhenFull::Drop);
    let (_ann, _session, mut ann) = subscriber(&topic);
    let (slow, mut client) = narrow();
    let _slow = topic.subscribe(slow.sender());
    assert_eq!(topic.publish("one"), delivery(2, 0));
    assert_eq!(topic.publish("two"), Delivery { reached: 1, dropped: 1, ..Delivery::default() });
    assert_eq!(client.hear_all().await, ["one"]);
    assert_eq!(topic.publish("three"), delivery(2, 0));
    assert_eq!(client.hear_all().await, ["three"]);
    assert_eq!(ann.hear_all().await, ["one", "two", "three"]);
    assert_eq!((hub.slow_consumers(), hub.undelivered()), (0, 1));
}

/// Prices: a subscriber that is behind wants the newest price of each key, not the history.
#[tokio::test(start_paused = true)]
async fn a_topic_may_keep_only_the_newest_of_a_key() {
    let hub = Hub::new();
    let (topic, other) = (hub.topic("prices"), hub.topic("other prices"));
    let (_ann, _session, mut ann) = subscriber(&topic);
    let (slow, mut client) = narrow();
    let _slow = [&topic, &other].map(|topic| topic.subscribe(slow.sender()));
    let replaced = Delivery { reached: 2, replaced: 1, ..Delivery::default() };
    assert_eq!(topic.publish_latest("EUR", "eur 1"), delivery(2, 0));
    assert_eq!(topic.publish_latest("EUR", "eur 2"), delivery(2, 0), "the first is in the queue");
    assert_eq!(topic.publish_latest("USD", "usd 1"), delivery(2, 0));
    assert_eq!(topic.publish_latest("EUR", "eur 3"), replaced);
    assert_eq!(other.publish_latest("EUR", "another eur"), delivery(1, 0), "a key is its topic's");
    assert_eq!(client.hear_all().await, ["eur 1", "usd 1", "eur 3", "another eur"]);
    assert_eq!(ann.hear_all().await, ["eur 1", "eur 2", "usd 1", "eur 3"]);
    assert_eq!((hub.slow_consumers(), hub.undelivered()), (0, 1));

    // No message passes waiting ones; a message that may not be missed closes the session.
    assert_eq!(topic.publish("plain"), delivery(2, 0));
    assert_eq!(topic.publish_latest("EUR", "eur 4"), delivery(2, 0));
    assert_eq!(topic.publish("plain again"), delivery(1, 1));
    assert_eq!(client.hear().await, "plain");
    assert_eq!(client.hear().await, "eur 4", "what was taken before still goes out");
    assert_eq!(client.next().await, Err(CloseReason::SLOW_CONSUMER));
}

/// More keys than are kept: messages of new keys are dropped, and the publisher is told.
#[tokio::test(start_paused = true)]
async fn the_keys_that_wait_are_bounded() {
    let topic = Hub::new().topic("prices");
    let mut limits = limits();
    limits.outbound.messages = 1;
    limits.outbound_keys = 2;
    let (slow, mut client) = session_with(limits);
    let _slow = topic.subscribe(slow.sender());
    for key in ["queued", "a", "b"] {
        assert_eq!(topic.publish_latest(key, key), delivery(1, 0));
    }
    assert_eq!(topic.publish_latest("c", "c"), Delivery { dropped: 1, ..Delivery::default() });
    assert_eq!(client.hear_all().await, ["queued", "a", "b"]);
}

#[tokio::test]
async fn a_slow_session_is_counted_once_however_many_topics_it_follows() {
    let hub = Hub::new();
    let (slow, _client) = narrow();
    let _subscriptions = ["a", "b"].map(|name| hub.topic(name).subscribe(slow.sender()));
    hub.topic("a").publish("fills the queue");
    assert!(!hub.send_to(&slow.sender(), "too much"));
    assert!(
        !slow.sender().give_up(CloseReason::SLOW_CONSUMER),
        "nor by another hub at the same moment"
    );
    assert_eq!(hub.topic("a").publish("x"), delivery(0, 1));
    assert_eq!(hub.topic("b").publish("x"), delivery(0, 1));
    assert_eq!((hub.slow_consumers(), hub.undelivered()), (1, 3));
}

#[tokio::test]
async fn binary_is_not_delivered_where_it_is_not_carried() {
    let topic = Hub::new().topic("news");
    let (_ann, session, _client) = subscriber(&topic);
    assert_eq!(topic.publish(Message::binary(vec![1])), delivery(0, 1));
    assert!(!session.sender().is_closed());
}

#[tokio::test]
async fn topics_without_subscribers_are_forgotten() {
    let hub = Hub::new();
    for round in 0..3 {
        let subscriptions: Vec<_> =
            (0..100).map(|n| subscriber(&hub.topic(format!("{n}")))).collect();
        let _again = hub.topic("0").subscribe(subscriptions[0].1.sender());
        assert_eq!((hub.topics(), hub.topic("0").subscribers()), (100, 2), "round {round}");
        drop(subscriptions);
        assert_eq!(hub.topics(), 1);
        drop(_again);
        assert_eq!((hub.topics(), hub.topics.lock().len()), (0, 0));
    }
}

/// The last subscriber leaves between the two locks of `subscribe`: once the topic has been looked
/// up, and before its subscribers are locked. A session that subscribed then would be in a topic
/// that no publication finds.
#[tokio::test]
async fn a_subscription_that_meets_the_last_end_opens_the_topic_anew() {
    let hub = Hub::new();
    let topic = hub.topic("news");
    let (leaving, session, _client) = subscriber(&topic);
    let looked_up = Arc::clone(&leaving.open);
    assert!(looked_up.lock().remove(leaving.key).1, "the last");
    assert!(looked_up.lock().insert(&session.sender()).is_none());

    // The leave has not yet reached the topics, so that the retired subscribers still stand there.
    let _subscribed = topic.subscribe(session.sender());
    assert_eq!(topic.publish("heard"), delivery(1, 0));
    hub.topics.close(&looked_up, &*hub.backplane);
    assert_eq!(topic.publish("still heard"), delivery(1, 0));
    std::mem::forget(leaving);
}

#[tokio::test]
async fn ten_thousand_sessions_subscribe_hear_and_leave_in_any_order() {
    let topic = Hub::new().topic("crowd");
    let (mut subscriptions, mut clients): (Vec<_>, Vec<_>) = (0..10_000)
        .map(|_| {
            let (subscription, session, client) = subscriber(&topic);
            (Some(subscription), (session, client))
        })
        .unzip();
    assert_eq!(topic.publish("to all"), delivery(10_000, 0));
    // A stride that is prime to the number meets each subscription once, in an order unlike that
    // of subscribing.
    for turn in 0..9_000 {
        assert!(subscriptions[turn * 7 % 10_000].take().is_some());
    }
    assert_eq!(topic.subscribers(), 1_000);
    assert_eq!(topic.publish("to the rest"), delivery(1_000, 0));
    for ((_, client), subscription) in clients.iter_mut().zip(&subscriptions) {
        assert_eq!(client.hear().await, "to all");
        if subscription.is_some() {
            assert_eq!(client.hear().await, "to the rest");
        }
    }
}

/// Sessions subscribe and leave on several threads while others publish: a publication must reach
/// exactly those that are subscribed throughout, in one order, and the topic that becomes empty and
/// full again must not lose a subscriber.
#[test]
fn subscribing_leaving_and_publishing_on_many_threads() {
    let hub = Hub::new();
    let topic = hub.topic("busy");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _context = runtime.enter();
    const MESSAGES: usize = 300;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let _context = runtime.enter();
                for _ in 0..2_000 {
                    let (subscription, _session, client) = subscriber(&topic);
                    assert!(topic.publish("to me at least").reached >= 1);
                    drop(subscription);
                    drop(client);
                }
            });
        }
    });
    assert_eq!((hub.topics(), hub.undelivered()), (0, 0));

    let mut listeners: Vec<_> = (0..4).map(|_| subscriber(&topic)).collect();
    std::thread::scope(|scope| {
        for publisher in 0..3 {
            let topic = &topic;
            scope.spawn(move || {
                for n in 0..MESSAGES {
                    topic.publish(format!("{publisher}:{n}"));
                }
            });
        }
    });
    let heard: Vec<Vec<String>> = listeners
        .iter_mut()
        .map(|(_, _, client)| {
            runtime.block_on(async {
                let mut heard = Vec::new();
                while heard.len() < 3 * MESSAGES {
                    heard.push(client.hear().await);
                }
                heard
            })
        })
        .collect();
    for other in &heard[1..] {
        assert_eq!(other, &heard[0]);
    }
    for publisher in 0..3 {
        let own: Vec<&String> =
            heard[0].iter().filter(|text| text.starts_with(&format!("{publisher}:"))).collect();
        let sent: Vec<String> = (0..MESSAGES).map(|n| format!("{publisher}:{n}")).collect();
        assert!(own.into_iter().eq(&sent));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backplane_joins_two_hubs() {
    let backplane: Arc<dyn Backplane> = Arc::new(Local::new());
    let (here, there) =
        (Hub::joined_by(Arc::clone(&backplane)), Hub::joined_by(Arc::clone(&backplane)));
    let (_ann, session, mut ann) = subscriber(&here.topic("news"));
    let (_bob, _session, mut bob) = subscriber(&there.topic("news"));
    let (_eve, _session, mut eve) = subscriber(&there.topic("weather"));
    assert_eq!(here.topic("news").publish("from here"), delivery(2, 0));
    assert_eq!(there.topic("news").publish("from there"), delivery(2, 0));
    assert_eq!(there.topic("news").publish_except("not to ann", session.id()), delivery(1, 0));
    assert_eq!(ann.hear_all().await, ["from here", "from there"]);
    assert_eq!(bob.hear_all().await, ["from here", "from there", "not to ann"]);
    assert!(eve.hear_all().await.is_empty());

    drop((_ann, here));
    assert_eq!(there.topic("news").publish("alone"), delivery(1, 0));
}

/// Two hubs publish in the same topic at once: without the backplane's order each would serve its
/// own subscribers first.
#[test]
fn joined_hubs_agree_on_the_order() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _context = runtime.enter();
    let backplane: Arc<dyn Backplane> = Arc::new(Local::new());
    let hubs = [Hub::joined_by(Arc::clone(&backplane)), Hub::joined_by(backplane)];
    for round in 0..8 {
        let topics = hubs.each_ref().map(|hub| hub.topic(format!("news {round}")));
        let mut listeners = topics.each_ref().map(subscriber);
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for (publisher, topic) in topics.iter().enumerate() {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for n in 0..1_000 {
                        assert_eq!(topic.publish(format!("{publisher}:{n}")), delivery(2, 0));
                    }
                });
            }
        });
        let [here, there] = listeners.each_mut().map(|(_, _, client)| {
            runtime.block_on(async {
                let mut heard = Vec::new();
                while heard.len() < 2_000 {
                    heard.push(client.hear().await);
                }
                heard
            })
        });
        assert_eq!(here, there, "round {round}");
    }
}

#[tokio::test]
async fn a_backplane_learns_which_topics_are_open() {
    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);
    impl Backplane for Recorder {
        fn attach(&self, _: Inlet) {}
        fn publish(&self, _: &Publication) -> Delivery {
            Delivery::default()
        }
        fn topic_opened(&self, topic: &str) {
            self.0.lock().expect("not poisoned").push(format!("+{topic}"));
        }
        fn topic_closed(&self, topic: &str) {
            self.0.lock().expect("not poisoned").push(format!("-{topic}"));
        }
    }
    let recorder = Arc::new(Recorder::default());
    let hub = Hub::joined_by(recorder.clone());
    let first = subscriber(&hub.topic("news"));
    let second = subscriber(&hub.topic("news"));
    drop(first);
    drop(second);
    let _third = subscriber(&hub.topic("news"));
    assert_eq!(*recorder.0.lock().expect("not poisoned"), ["+news", "-news", "+news"]);
}
