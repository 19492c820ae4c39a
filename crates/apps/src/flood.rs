//! A client that sends without end, in each app whose clients hear each other.

use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;

use crate::rooms::Rooms;
use crate::serving::Serving;
use crate::{Chat, ChatConfig, broadcast, clock, relay};
use sockeye::hub::Hub;
use sockeye::test_util::SessionBuilder;
use sockeye::{CloseReason, EndpointConfig, Rate, Session};

struct App {
    name: &'static str,
    handler: fn() -> Box<dyn Fn(Session) -> Serving>,
    /// A client's first message, in apps that want a name.
    join: Option<fn(&str) -> String>,
    /// A message with so many bytes of text.
    say: fn(usize) -> String,
    /// Texts up to the largest that the app takes.
    sizes: &'static [usize],
}

const APPS: [App; 4] = [
    App {
        name: "broadcast",
        handler: || Box::new(broadcast(&Hub::new())),
        join: None,
        say: text,
        sizes: &[100, 1_000, 64 * 1024],
    },
    App {
        name: "relay",
        handler: || Box::new(relay(&Hub::new())),
        join: None,
        say: text,
        sizes: &[100, 64 * 1024],
    },
    App {
        name: "chat",
        handler: || Box::new(Chat::new(&Hub::new(), ChatConfig::default()).handler()),
        join: Some(|name| json!({"name": name, "room": "tea"}).to_string()),
        say: |size| json!({"message": text(size)}).to_string(),
        sizes: &[100, 4_000],
    },
    App {
        name: "rooms",
        handler: || Box::new(Rooms::default().handler()),
        join: Some(|name| {
            json!({"type": "join", "protocol": 2, "room": 1, "name": name}).to_string()
        }),
        say: |size| json!({"type": "text", "data": text(size)}).to_string(),
        sizes: &[100, 30_000],
    },
];

fn text(size: usize) -> String {
    "x".repeat(size)
}

/// A flooder at 4 MB/s ended all readers at 400 kB/s. A rate limit bounds its cost to them.
#[tokio::test(start_paused = true)]
async fn a_flood_does_not_end_those_who_read() {
    for app in APPS {
        for &size in app.sizes {
            let (name, outcome) = (app.name, flood(&app, Some(Rate::default()), size).await);
            assert_eq!(outcome, Ok(()), "{name}, messages of {size} bytes");
            let outcome = flood(&app, None, size).await;
            assert_eq!(outcome, Err(CloseReason::SLOW_CONSUMER), "{name}, {size} bytes, no rate");
        }
    }
}

/// How a minute ends for the reader.
async fn flood(app: &App, rate: Option<Rate>, size: usize) -> Result<(), CloseReason> {
    let handler = (app.handler)();
    let limited = || {
        let config = EndpointConfig::new().inbound_rate(rate);
        SessionBuilder::new().config(config).build()
    };
    let ((first, mut flooder), (second, mut reader)) = (limited(), limited());
    let handlers = [tokio::spawn(handler(first)), tokio::spawn(handler(second))];
    if let Some(join) = app.join {
        flooder.send(join("flooder")).await;
        reader.send(join("reader")).await;
    }
    let message = (app.say)(size);
    // The clock of tests goes in steps of a millisecond.
    let tick = Duration::from_millis(20);
    let flood = async {
        loop {
            for _ in 0..80_000_usize.div_ceil(size) {
                flooder.send(message.as_str()).await;
            }
            tokio::time::sleep(tick).await;
            // The flooder is no slow consumer of its own messages.
            while let Some(Ok(_)) = flooder.recv().now_or_never() {}
        }
    };
    let read = async {
        let (start, mut bytes) = (clock::now(), 0);
        while clock::now() - start < Duration::from_secs(60) {
            bytes += reader.recv().await?.len();
            while bytes >= 8_000 {
                tokio::time::sleep(tick).await;
                bytes -= 8_000;
            }
        }
        Ok(())
    };
    let outcome = tokio::select! {
        outcome = read => outcome,
        () = flood => Ok(()),
    };
    handlers.iter().for_each(|handler| handler.abort());
    outcome
}
