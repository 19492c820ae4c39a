//! The page about rooms.

use std::fmt::Write;
use std::time::Duration;

use crate::rooms::{RoomNumber, RoomSummary};

/// The content of the page beside the list.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The number in the form.
    pub(super) filled: Option<RoomNumber>,
    /// The error to show, in sentences.
    pub(super) notice: Option<String>,
}

pub(super) fn rooms(rooms: &[RoomSummary], shown: &Shown, empty_room: Duration) -> String {
    let notice = shown
        .notice
        .as_ref()
        .map(|text| format!("<p class=\"trouble\" role=\"alert\">{}</p>\n      ", escaped(text)));
    let filled = shown.filled.map(|number| number.to_string());
    format!(
        include_str!("page.html"),
        forgotten = time(empty_room),
        notice = notice.unwrap_or_default(),
        max = RoomNumber::MAX,
        filled = filled.unwrap_or_default(),
        count = counted(rooms.len()),
        list = list(rooms),
    )
}

fn counted(rooms: usize) -> String {
    match rooms {
        0 => "No rooms yet".to_owned(),
        1 => "1 room".to_owned(),
        rooms => format!("{rooms} rooms"),
    }
}

fn list(rooms: &[RoomSummary]) -> String {
    if rooms.is_empty() {
        return "<p class=\"panel none\">Create one above, and give its number to the people you want to call.</p>"
            .to_owned();
    }
    let mut html = String::from("<ul class=\"panel list\">\n");
    for RoomSummary { room, participants, away } in rooms {
        let people = match (participants, away) {
            (0, _) => "empty".to_owned(),
            (all, 0) => format!("{all} in the room"),
            (all, away) => format!("{all} in the room, {away} of them away"),
        };
        // Writing to a string never fails.
        let _ = writeln!(
            html,
            "        <li><b>{room}</b> <span>{people}</span> \
             <a class=\"button quiet small\" href=\"/call?room={room}\">Enter<span class=\"visually-hidden\"> room {room}</span></a></li>"
        );
    }
    html.push_str("      </ul>");
    html
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        60 => "a minute".to_owned(),
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        _ => format!("{} seconds", time.as_secs_f64()),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_say_is_text_on_the_page() {
        let shown = Shown { filled: None, notice: Some("<script>\"&\"</script>".to_owned()) };
        let page = rooms(&[], &shown, Duration::from_secs(600));
        assert!(page.contains(">&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;<"), "{page}");
        assert!(page.contains("empty for 10 minutes."));
        assert!(page.contains("No rooms yet"));
    }

    #[test]
    fn rooms_are_listed_with_their_people() {
        let summary =
            |room: u32, participants, away| RoomSummary { room: room.into(), participants, away };
        let page = rooms(
            &[summary(1, 0, 0), summary(2, 3, 0), summary(3, 2, 1)],
            &Shown { filled: Some(42.into()), notice: None },
            Duration::from_secs(90),
        );
        for part in [
            "3 rooms",
            "value=\"42\"",
            "<b>1</b> <span>empty</span>",
            "<b>2</b> <span>3 in the room</span>",
            "<b>3</b> <span>2 in the room, 1 of them away</span>",
            "href=\"/call?room=3\"",
            "empty for 90 seconds",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}
