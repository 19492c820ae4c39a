//! HTTP/1.1 answers, read as they arrive.

use super::error::Error;

/// The meaning of the next bytes of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// The head is complete.
    Head(Head),
    /// A piece of the body, as it came: a chunk may come in pieces.
    Body(&'a [u8]),
    /// The answer is complete; the next one may follow.
    End,
}

/// The parts of an answer's head that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub status: u16,
    /// The server will end the connection after this answer.
    pub closes: bool,
}

/// Where a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Before or after an answer.
    Between,
    /// Where the answer's body ends with the connection.
    OfBody,
    /// Where no answer may end.
    Within,
}

/// Reads answers on one connection, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of the body are to come.
    Length(u64),
    ChunkSize,
    /// So many bytes of the chunk are to come.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailers,
    /// The body ends with the connection.
    ToTheEnd,
}

/// A server that sends a longer head, chunk size or trailer is not waited for.
const LONGEST_HEAD: usize = 64 * 1024;
const LONGEST_LINE: usize = 4096;

impl Reader {
    /// Reads from the front of `input`: the number of parsed bytes, and their meaning. `None` asks
    /// for more input behind the rest.
    ///
    /// # Errors
    ///
    /// When it is no HTTP/1.1 answer.
    pub(crate) fn read<'a>(
        &mut self,
        input: &'a [u8],
    ) -> Result<(usize, Option<Event<'a>>), Error> {
        let mut done = 0;
        loop {
            let rest = &input[done..];
            match self.state {
                State::Head => {
                    let Some((length, head, state)) = read_head(rest)? else {
                        return Ok((done, None));
                    };
                    self.state = state;
                    return Ok((done + length, Some(Event::Head(head))));
                }
                State::Length(0) => {
                    self.state = State::Head;
                    return Ok((done, Some(Event::End)));
                }
                State::Length(left) | State::Chunk(left) if left > 0 => {
                    let length = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    if length == 0 {
                        return Ok((done, None));
                    }
                    let left = left - length as u64;
                    self.state = if let State::Chunk(_) = self.state {
                        State::Chunk(left)
                    } else {
                        State::Length(left)
                    };
                    return Ok((done + length, Some(Event::Body(&rest[..length]))));
                }
                State::Length(_) => unreachable!("none and some bytes are both above"),
                State::Chunk(_) => self.state = State::ChunkEnd,
                State::ChunkEnd => {
                    let Some((length, line)) = line(rest)? else { return Ok((done, None)) };
                    if !line.is_empty() {
                        return Err(Error::Protocol("a chunk is longer than its size says"));
                    }
                    done += length;
                    self.state = State::ChunkSize;
                }
                State::ChunkSize => {
                    let Some((length, line)) = line(rest)? else { return Ok((done, None)) };
                    done += length;
                    self.state = match chunk_size(line)? {
                        0 => State::Trailers,
                        size => State::Chunk(size),
                    };
                }
                State::Trailers => {
                    let Some((length, line)) = line(rest)? else { return Ok((done, None)) };
                    done += length;
                    if line.is_empty() {
                        self.state = State::Head;
                        return Ok((done, Some(Event::End)));
                    }
                }
                State::ToTheEnd if rest.is_empty() => return Ok((done, None)),
                State::ToTheEnd => return Ok((input.len(), Some(Event::Body(rest)))),
            }
        }
    }

    /// Whether an answer has begun whose end is to come.
    pub(crate) fn is_amid_answer(&self) -> bool {
        !matches!(self.state, State::Head)
    }

    /// The connection has ended.
    pub(crate) fn end(&mut self) -> End {
        match std::mem::take(&mut self.state) {
            State::Head => End::Between,
            State::ToTheEnd => End::OfBody,
            _ => End::Within,
        }
    }
}

fn read_head(input: &[u8]) -> Result<Option<(usize, Head, State)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(input) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if input.len() < LONGEST_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) => {
            return Err(Error::Protocol("the head of an answer does not end"));
        }
        Err(_) => return Err(Error::Protocol("the answer is no HTTP")),
    };
    let status = response.code.unwrap_or_default();
    let mut head = Head { status, closes: response.version == Some(0) };
    let mut state = None;
    for header in response.headers.iter() {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("content-length") {
            let length = str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            let length = length.ok_or(Error::Protocol("the Content-Length is no number"))?;
            state = state.or(Some(State::Length(length)));
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Error::Protocol("the Transfer-Encoding is another than chunked"));
            }
            state = Some(State::ChunkSize);
        } else if header.name.eq_ignore_ascii_case("connection") {
            if value.eq_ignore_ascii_case(b"close") {
                head.closes = true;
            } else if value.eq_ignore_ascii_case(b"keep-alive") {
                head.closes = false;
            }
        }
    }
    let state = match (status, state) {
        (100..=199 | 204 | 304, _) => State::Length(0),
        (_, Some(state)) => state,
        (_, None) => {
            head.closes = true;
            State::ToTheEnd
        }
    };
    Ok(Some((length, head, state)))
}

/// A line without its end, and its length with it.
fn line(input: &[u8]) -> Result<Option<(usize, &[u8])>, Error> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() < LONGEST_LINE {
            Ok(None)
        } else {
            Err(Error::Protocol("a line does not end"))
        };
    };
    let line = &input[..end];
    Ok(Some((end + 1, line.strip_suffix(b"\r").unwrap_or(line))))
}

fn chunk_size(line: &[u8]) -> Result<u64, Error> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let digits = str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(Error::Protocol("a chunk has no size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers in `wire`, as (status, body), read in steps of `step` bytes.
    fn answers(wire: &[u8], step: usize) -> Result<Vec<(u16, String, bool)>, Error> {
        let (mut reader, mut answers, mut ended) = (Reader::default(), Vec::new(), 0);
        let mut rest = Vec::new();
        for piece in wire.chunks(step) {
            rest.extend_from_slice(piece);
            let mut done = 0;
            loop {
                let (length, event) = reader.read(&rest[done..])?;
                match event {
                    Some(Event::Head(head)) => answers.push((head.status, Vec::new(), head.closes)),
                    Some(Event::Body(piece)) => {
                        answers.last_mut().expect("a head came before").1.extend_from_slice(piece)
                    }
                    Some(Event::End) => ended += 1,
                    None => {}
                }
                done += length;
                if event.is_none() {
                    break;
                }
            }
            rest.drain(..done);
        }
        ended += usize::from(reader.end() == End::OfBody);
        assert!(rest.is_empty() && answers.len() == ended, "{rest:?}");
        let text = |body| String::from_utf8(body).expect("text");
        Ok(answers.into_iter().map(|(status, body, closes)| (status, text(body), closes)).collect())
    }

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na[]\
            HTTP/1.1 204 No Content\r\nx: y\r\n\r\n\
            HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\no\n\r\n0A;x=y\r\na[\"1234\"]\n\r\n0\r\nt: u\r\n\r\n\
            HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nConnection: close\r\n\r\n";
        let expected = [
            (200, "a[]", false),
            (204, "", false),
            (200, "o\na[\"1234\"]\n", false),
            (404, "", true),
        ];
        for step in 1..=wire.len() {
            let found = answers(wire, step).expect("HTTP");
            assert!(
                found.iter().map(|(status, body, closes)| (*status, &**body, *closes)).eq(expected),
                "{step}: {found:?}"
            );
        }
    }

    #[test]
    fn without_a_length_the_connections_end_is_the_bodys() {
        let found = answers(b"HTTP/1.0 200 OK\r\n\r\no\na[]\n", 5).expect("HTTP");
        assert_eq!(found, [(200, "o\na[]\n".to_owned(), true)]);
    }

    #[test]
    fn what_is_no_http_is_refused() {
        for wire in [
            &b"SSH-2.0-OpenSSH\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            assert!(answers(wire, wire.len()).is_err(), "{}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn the_connections_end_within_an_answer_is_not_its_end() {
        let mut reader = Reader::default();
        reader.read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n").expect("HTTP");
        assert_eq!(reader.end(), End::Within);
    }
}
