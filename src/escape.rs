//! A peer's text in a log: on one line, and without characters that a terminal obeys.

use std::fmt::{self, Display, Write};

/// Displays its text with control characters, line separators and changes of the direction of
/// writing as escapes (`\n`, `\u{1b}`).
///
/// Every text that a peer can influence is displayed through this: else the peer writes lines of
/// its own into the log, or clears the operator's screen.
#[derive(Debug)]
pub struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'f, 'b>(&'f mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // In pieces between escaped characters; as a rule there is a single piece.
        let mut plain = 0;
        for (at, found) in text.match_indices(is_unsafe) {
            self.0.write_str(&text[plain..at])?;
            for c in found.chars().flat_map(char::escape_debug) {
                self.0.write_char(c)?;
            }
            plain = at + found.len();
        }
        self.0.write_str(&text[plain..])
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_is_one_line_that_no_terminal_obeys() {
        for (text, line) in [
            ("plain, \"quoted\" and ünïcode \\", "plain, \"quoted\" and ünïcode \\"),
            ("bye\nINFO all is well", "bye\\nINFO all is well"),
            ("\r\u{1b}[2J\u{9b}31m\0", "\\r\\u{1b}[2J\\u{9b}31m\\0"),
            ("\u{2028}\u{202e}\u{2066}", "\\u{2028}\\u{202e}\\u{2066}"),
            ("", ""),
        ] {
            assert_eq!(Escaped(text).to_string(), line);
        }
        // However a type's `Display` cuts its text into pieces.
        assert_eq!(Escaped(format_args!("{}\n{}", "a", 1)).to_string(), "a\\n1");
    }
}
