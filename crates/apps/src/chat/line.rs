//! The chat in lines, for clients that know no JSON: those of Java's socket tutorials.
//!
//! The first line is the client's name, each later one is said in the lobby. (`quit` is such a
//! client's own affair: it closes its connection without a word.) It is told `[NAME]text`, `#NAME
//! join!` and `#NAME exit!`; a line that begins with `#` is never anybody's text.

use std::borrow::Cow;
use std::sync::Arc;

use super::protocol::{Event, Form, Label, Request};
use super::seat::{NameTaken, Seat};
use super::{Chat, Serving, Shared};
use sockeye::{Message, Session, TcpEndpoint};

impl Chat {
    /// Serves a session that speaks in lines until it ends; it meets the sessions of
    /// [`serve`](Self::serve) in the lobby.
    ///
    /// The first line is the client's name. A name that is taken, or none, or one with a `]` in it,
    /// is answered with two lines, and the session is closed. Each further line is said in the
    /// lobby, without the `[NAME]` that such a client puts before its text. The client hears
    /// `[NAME]text` for what is said, its own lines included, `#NAME join!` and `#NAME exit!`.
    /// Breaks within a text become spaces, so that nobody can make a line up.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve).
    pub async fn serve_lines(&self, mut session: Session) {
        let Some(first) = session.recv().await else { return };
        let mut seat = match sit_down(&self.shared, &session, &first) {
            Ok(seat) => seat,
            Err(answer) => {
                for line in [&*answer, "#Please reconnect by other name"] {
                    if session.send(line).await.is_err() {
                        return;
                    }
                }
                return session.close(3000, "no place under this name");
            }
        };
        drop(first);
        while let Some(line) = session.recv().await {
            let text = without_name(text(&line), seat.name());
            let done =
                Request::say(text, &self.shared.config).and_then(|request| seat.act(request));
            if let Err(refusal) = done
                && session.send(seat.refuse(&refusal)).await.is_err()
            {
                break;
            }
        }
    }

    /// A handler to mount for clients that speak in lines, as a rule on a
    /// [`TcpEndpoint`](sockeye::TcpEndpoint).
    pub fn line_handler(&self) -> impl Fn(Session) -> Serving + Clone + Send + Sync + 'static {
        let chat = self.clone();
        move |session| {
            let chat = chat.clone();
            Box::pin(async move { chat.serve_lines(session).await })
        }
    }
}

/// A seat under that name, or what the client is answered.
fn sit_down(chat: &Arc<Shared>, session: &Session, name: &Message) -> Result<Seat, String> {
    let name = Label::of_person(text(name), &chat.config)
        .map_err(|refusal| format!("#Bad name : {}", refusal.text))?;
    let seat = Seat::take_named(Arc::clone(chat), session.sender(), Form::Line, name.clone());
    // As the clients' own server spells it.
    seat.map_err(|NameTaken| format!("#Aleady exist name : {name}"))
}

/// The text of a line; bytes are none.
fn text(line: &Message) -> &str {
    line.as_text().unwrap_or_default()
}

/// What the client's user has typed: the client itself puts its name before it, as it was typed.
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

/// An event as a line.
pub(super) fn write(event: &Event<'_>, headline: &str) -> String {
    match event {
        Event::Said { name, message, .. } => {
            let line = format!("[{name}]{}", unbroken(message));
            let bytes = TcpEndpoint::record_len(&line);
            // Possible only where `message_chars` is far above its default; then it shall not pass
            // in silence.
            if bytes <= TcpEndpoint::LONGEST_RECORD {
                line
            } else {
                format!("#{name} said more than a line can hold: {bytes} bytes")
            }
        }
        Event::Joined { name } => format!("#{name} join!"),
        Event::Left { name } => format!("#{name} exit!"),
        Event::Refused(refusal) => format!("#Not sent : {}", refusal.text),
        Event::Renamed { .. }
        | Event::Welcome { .. }
        | Event::Roster { .. }
        | Event::Pong { .. } => {
            format!("#{headline}")
        }
    }
}

/// The text with spaces for line breaks.
fn unbroken(text: &str) -> Cow<'_, str> {
    let is_break =
        |c| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    if text.contains(is_break) {
        text.replace("\r\n", " ").replace(is_break, " ").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        for (text, line) in [
            ("plain", "plain"),
            ("a\nb", "a b"),
            ("a\r\n#ann exit!", "a #ann exit!"),
            ("\r\u{b}\u{c}\u{85}\u{2028}\u{2029}", "      "),
            ("tab\tand \u{1b}", "tab\tand \u{1b}"),
        ] {
            assert_eq!(unbroken(text), line);
        }
    }

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

    #[test]
    fn what_no_line_can_hold_is_told_instead() {
        let name = Label::own("ann");
        let said = |message: &str| write(&Event::Said { name: &name, message, id: None }, "");
        assert_eq!(said(&"x".repeat(65_530)).len(), 65_535);
        assert_eq!(said(&"x".repeat(65_531)), "#ann said more than a line can hold: 65536 bytes");
    }
}
