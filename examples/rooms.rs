//! Rooms, presence and direct messages over the hub: `cargo run --example rooms`.
//!
//! A client opens `/rooms?room=tea&name=ann`. It is told `{"here":["ann","bob"]}` each time that a
//! person comes or goes. It says `{"text":"hi"}` to all, `{"to":"bob","text":"psst"}` to one, and
//! hears `{"from":"ann","text":"hi"}`, with `"direct":true` when it was for one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sockeye::hub::{Hub, Subscription, Topic};
use sockeye::{Gateway, JsonError, Message, Sender, Session, with_state};
use tokio::net::TcpListener;

/// What a client says.
#[derive(Deserialize)]
struct Saying {
    to: Option<String>,
    text: String,
}

/// What a client hears.
#[derive(Serialize)]
#[serde(untagged)]
enum Heard<'a> {
    Here { here: Vec<&'a str> },
    Said { from: &'a str, text: &'a str, direct: bool },
}

#[derive(Clone, Default)]
struct Rooms {
    hub: Hub,
    people: Arc<Mutex<People>>,
}

/// The members of each room, and how to reach them.
type People = HashMap<String, BTreeMap<String, Sender>>;

impl Rooms {
    /// Lets a person in; `None`: the name is taken.
    fn enter(&self, room: String, name: String, sender: Sender) -> Result<Option<Seat>, JsonError> {
        let topic = self.hub.topic(&*room);
        let mut people = self.lock();
        let here = people.entry(room.clone()).or_default();
        if here.contains_key(&name) {
            return Ok(None);
        }
        let subscription = topic.subscribe(sender.clone());
        here.insert(name.clone(), sender);
        // Published under the lock, so that the last list that a client hears is the newest. A
        // publication waits for nothing.
        tell_who_is_here(&topic, here)?;
        drop(people);
        Ok(Some(Seat { rooms: self.clone(), topic, room, name, _subscription: subscription }))
    }

    fn lock(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell_who_is_here(topic: &Topic, here: &BTreeMap<String, Sender>) -> Result<(), JsonError> {
    let here = here.keys().map(String::as_str).collect();
    topic.publish(Message::json(&Heard::Here { here })?);
    Ok(())
}

/// A person's place in a room, until it is dropped: the handler may return, fail or panic.
struct Seat {
    rooms: Rooms,
    topic: Topic,
    room: String,
    name: String,
    _subscription: Subscription,
}

impl Seat {
    fn say(&self, Saying { to, text }: &Saying) -> Result<(), JsonError> {
        let heard = Heard::Said { from: &self.name, text, direct: to.is_some() };
        let message = Message::json(&heard)?;
        let Some(to) = to else {
            self.topic.publish(message);
            return Ok(());
        };
        let person = self.rooms.lock().get(&self.room).and_then(|here| here.get(to)).cloned();
        if let Some(person) = person {
            self.rooms.hub.send_to(&person, message);
        }
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut people = self.rooms.lock();
        let Some(here) = people.get_mut(&self.room) else { return };
        here.remove(&self.name);
        // A list of names always has a form in JSON.
        let _ = tell_who_is_here(&self.topic, here);
        if here.is_empty() {
            people.remove(&self.room);
        }
    }
}

async fn visit(mut session: Session, rooms: Rooms) -> Result<(), JsonError> {
    let parameter = |name| session.info().query_param(name).map(|value| value.into_owned());
    let (Some(room), Some(name)) = (parameter("room"), parameter("name")) else {
        session.close((4400, "write ?room=…&name=… behind the URL"));
        return Ok(());
    };
    let Some(seat) = rooms.enter(room, name, session.sender())? else {
        session.close((4409, "the name is taken"));
        return Ok(());
    };
    while let Some(message) = session.recv().await {
        match serde_json::from_str(message.as_text().unwrap_or_default()) {
            Ok(saying) => seat.say(&saying)?,
            Err(error) => session.close((4400, error.to_string())),
        }
    }
    Ok(())
}

pub(crate) fn gateway() -> Gateway {
    Gateway::new().endpoint("/rooms", with_state(Rooms::default(), visit))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    println!("listening on http://{}", listener.local_addr()?);
    sockeye::serve(listener, gateway()).await;
    Ok(())
}
