//! The chat in lines, for clients that know no JSON: those of Java's socket tutorials.
//!
//! The first line is the client's name, each later one is said in the lobby. (`quit` is such a
//! client's own affair: it closes its connection without a word.) The client gets `[NAME]text`,
//! `#NAME join!` and `#NAME exit!`; a line that begins with `#` is never a member's text.

use std::sync::Arc;

use super::event::Form;
use super::label::Label;
use super::request::Request;
use super::seat::{NameTaken, Seat};
use super::state::ChatState;
use sockeye::{Message, Session};

/// Serves a session that speaks in lines until it ends.
pub(super) async fn serve(chat: &Arc<ChatState>, mut session: Session) {
    let Some(first) = session.recv().await else { return };
    let mut seat = match sit_down(chat, &session, &first) {
        Ok(seat) => seat,
        Err(answer) => {
            for line in [&*answer, "#Please reconnect by other name"] {
                if session.send(line).await.is_err() {
                    return;
                }
            }
            return session.close((3000, "no place under this name"));
        }
    };
    drop(first);
    while let Some(line) = session.recv().await {
        let text = without_name(text(&line), seat.name());
        let done = Request::say(text, &chat.config).and_then(|request| seat.act(request));
        if let Err(error) = done
            && session.send(seat.error(&error)).await.is_err()
        {
            break;
        }
    }
}

/// A seat under that name, or the answer to the client.
fn sit_down(chat: &Arc<ChatState>, session: &Session, name: &Message) -> Result<Seat, String> {
    let name = Label::of_person(text(name), &chat.config)
        .map_err(|error| format!("#Bad name : {}", error.text))?;
    let seat = Seat::take_named(Arc::clone(chat), session.sender(), Form::Line, name.clone());
    // As the clients' own server spells it.
    seat.map_err(|NameTaken| format!("#Aleady exist name : {name}"))
}

/// The text of a line; empty for binary.
fn text(line: &Message) -> &str {
    line.as_text().unwrap_or_default()
}

/// The text that the user typed: the client puts the name before it, as typed at login.
fn without_name<'l>(line: &'l str, name: &Label) -> &'l str {
    let typed = || {
        line.strip_prefix('[')?
            .trim_start()
            .strip_prefix(name.as_str())?
            .trim_start()
            .strip_prefix(']')
    };
    typed().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clients_own_name_is_taken_off() {
        let name = Label::own("ann");
        for (line, text) in [
            ("[ann]hello", "hello"),
            ("[ ann ]hello", "hello"),
            ("[ann][ann]hello", "[ann]hello"),
            ("[bob]hello", "[bob]hello"),
            ("[anno]hello", "[anno]hello"),
            ("hello", "hello"),
            ("[ann]", ""),
        ] {
            assert_eq!(without_name(line, &name), text);
        }
    }
}
