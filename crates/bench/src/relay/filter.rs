//! The effects of proxies on HTTP.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::driver::http::{Event, Reader};

/// The beginning of a connection.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    pub(super) bytes: Vec<u8>,
    pub(super) asks_for_websocket: bool,
}

const LONGEST: usize = 16 * 1024;

impl Handshake {
    /// Reads the head of the first request, and the bytes behind it.
    pub(super) async fn read(client: &mut TcpStream) -> io::Result<Self> {
        let mut bytes = Vec::new();
        while head_end(&bytes).is_none() && bytes.len() < LONGEST {
            if client.read_buf(&mut bytes).await? == 0 {
                break;
            }
        }
        let end = head_end(&bytes).unwrap_or(bytes.len());
        let asks_for_websocket = lines(&bytes[..end]).any(|line| names(line, b"upgrade"));
        Ok(Self { bytes, asks_for_websocket })
    }

    /// The same without headers that ask for an upgrade.
    pub(super) fn stripped(&self) -> Vec<u8> {
        if !self.asks_for_websocket {
            return self.bytes.clone();
        }
        let end = head_end(&self.bytes).unwrap_or(self.bytes.len());
        let mut stripped = Vec::with_capacity(self.bytes.len());
        for line in lines(&self.bytes[..end])
            .filter(|line| !names(line, b"upgrade") && !names(line, b"connection"))
        {
            stripped.extend_from_slice(line);
        }
        stripped.extend_from_slice(&self.bytes[end..]);
        stripped
    }
}

/// Up to and without the empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 2)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|byte| *byte == b'\n')
}

fn names(line: &[u8], name: &[u8]) -> bool {
    line.split_at_checked(name.len())
        .is_some_and(|(start, rest)| start.eq_ignore_ascii_case(name) && rest.starts_with(b":"))
}

/// Passes answers on: at once, or, with a buffer, each when it is complete or fills the buffer.
/// With `stalls` nothing comes behind the answer to a WebSocket's handshake.
pub(super) fn hold_back(
    buffer: Option<usize>,
    stalls: bool,
) -> impl FnMut(&[u8]) -> Option<Vec<u8>> {
    let mut answers = Answers::new(buffer, stalls);
    move |bytes| answers.pass(bytes)
}

struct Answers {
    reader: Reader,
    state: State,
    buffer: usize,
    stalls: bool,
    /// Not passed on yet.
    held: Vec<u8>,
    /// How much of it has been understood.
    understood: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Answering,
    /// A WebSocket, or nothing that is understood: passed on.
    Passing,
    Swallowing,
}

impl Answers {
    fn new(buffer: Option<usize>, stalls: bool) -> Self {
        let state = if buffer.is_some() || stalls { State::Answering } else { State::Passing };
        let (reader, held) = (Reader::default(), Vec::new());
        Self { reader, state, buffer: buffer.unwrap_or(0), stalls, held, understood: 0 }
    }

    fn pass(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self.state {
            State::Passing => return Some(bytes.to_vec()),
            State::Swallowing => return None,
            State::Answering => self.held.extend_from_slice(bytes),
        }
        if bytes.is_empty() {
            return Some(std::mem::take(&mut self.held));
        }
        // The bytes that may pass now.
        let mut whole = 0;
        loop {
            match self.reader.read(&self.held[self.understood..]) {
                Ok((length, Some(Event::Head(head)))) if head.status == 101 => {
                    self.understood += length;
                    return Some(self.upgraded());
                }
                Ok((length, event)) => {
                    self.understood += length;
                    match event {
                        Some(Event::End) => whole = self.understood,
                        Some(_) => {}
                        None => break,
                    }
                }
                Err(_) => {
                    self.state = State::Passing;
                    return Some(std::mem::take(&mut self.held));
                }
            }
        }
        if self.held.len() - whole >= self.buffer {
            whole = self.understood;
        }
        self.understood -= whole;
        Some(self.held.drain(..whole).collect())
    }

    fn upgraded(&mut self) -> Vec<u8> {
        let mut held = std::mem::take(&mut self.held);
        self.state = if self.stalls { State::Swallowing } else { State::Passing };
        if self.stalls {
            held.truncate(self.understood);
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(answers: &mut Answers, bytes: &str) -> String {
        String::from_utf8(answers.pass(bytes.as_bytes()).unwrap_or_default()).expect("text")
    }

    #[test]
    fn an_answer_is_held_until_it_is_complete() {
        let mut answers = Answers::new(Some(1000), false);
        assert_eq!(passed(&mut answers, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"), "");
        assert_eq!(passed(&mut answers, "b"), "");
        assert_eq!(
            passed(&mut answers, "cHTTP/1.1 204"),
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        );
        assert_eq!(passed(&mut answers, " OK\r\n\r\n"), "HTTP/1.1 204 OK\r\n\r\n");
    }

    #[test]
    fn a_stream_is_held_until_it_fills_the_buffer_or_ends() {
        let mut answers = Answers::new(Some(64), false);
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(passed(&mut answers, head), "");
        assert_eq!(passed(&mut answers, "2\r\no\n\r\n"), "");
        let long = "20\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
        assert_eq!(passed(&mut answers, long), format!("{head}2\r\no\n\r\n{long}"));
        assert_eq!(passed(&mut answers, "1\r\ny\r\n"), "");
        assert_eq!(passed(&mut answers, "0\r\n\r\n"), "1\r\ny\r\n0\r\n\r\n");
        assert_eq!(passed(&mut answers, "HTTP"), "");
        assert_eq!(passed(&mut answers, ""), "HTTP", "the connection's end brings what is left");
    }

    #[test]
    fn websockets_pass_or_stall() {
        let switch = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
        let mut answers = Answers::new(Some(64), false);
        assert_eq!(passed(&mut answers, &format!("{switch}\u{1}")), format!("{switch}\u{1}"));
        assert_eq!(passed(&mut answers, "more"), "more");
        let mut answers = Answers::new(None, true);
        assert_eq!(passed(&mut answers, &format!("{switch}\u{1}")), switch);
        assert_eq!(passed(&mut answers, "more"), "");
    }

    #[test]
    fn a_handshake_loses_what_asks_for_an_upgrade() {
        let head = b"GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nconnection: Upgrade\r\nOrigin: b\r\n\r\nrest";
        let handshake = Handshake { bytes: head.to_vec(), asks_for_websocket: true };
        assert_eq!(handshake.stripped(), b"GET /x HTTP/1.1\r\nHost: a\r\nOrigin: b\r\n\r\nrest");
        let plain = Handshake { asks_for_websocket: false, ..handshake };
        assert_eq!(plain.stripped(), head);
    }
}
