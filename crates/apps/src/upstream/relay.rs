//! A session and its backend's WebSocket: messages both ways, and the end of one closing the other.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_tungstenite::tungstenite::Message as Packet;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::config::UpstreamConfig;
use super::socket::{BATCH, Socket};

use sockeye::{CloseReason, EndedBy, Escaped, Message, SendError, Sender, Session, SessionEnd};

/// Passes messages on until one side ends, and then ends the other. `first` is a message that has
/// been received already.
pub(super) async fn run(
    mut session: Session,
    first: Option<Message>,
    socket: Socket,
    config: &UpstreamConfig,
) {
    let (sink, stream) = socket.split();
    let mut to_backend = ToBackend { sink, first, config };
    let mut to_client = ToClient { stream, sender: session.sender(), dropped: 0 };

    let ended = {
        let mut down = pin!(to_client.run());
        let ended = tokio::select! {
            end = &mut down => Ended::Backend(end),
            ended = to_backend.run(&mut session) => ended,
        };
        match ended {
            Ended::Client => {
                let end = timeout(config.close_timeout, session.ended()).await.ok();
                let goodbye = to_backend.sink.send(Packet::Close(Some(farewell(end.as_ref()))));
                // The backend's remaining messages are read and counted: its close frame comes
                // after them.
                let _ =
                    timeout(config.close_timeout, async { tokio::join!(goodbye, &mut down) }).await;
                None
            }
            // The reason is still to be read. The connection has failed, so this ends as soon as
            // the client has taken the earlier messages.
            Ended::Writing(error) => {
                tracing::debug!(session = %session.id(), error = %Escaped(error), "the backend takes no more");
                Some(down.await)
            }
            Ended::Backend(end) => Some(end),
        }
    };
    if let Some(end) = ended {
        let goodbye = end.tell(&session, config);
        let _ =
            timeout(config.close_timeout, leave(to_backend.sink, to_client.stream, goodbye)).await;
    }
    if to_client.dropped > 0 {
        tracing::debug!(session = %session.id(), messages = to_client.dropped, "dropped the backend's last messages: the client had gone");
    }
}

enum Ended {
    /// The client is gone, and all that it sent has been written.
    Client,
    Backend(BackendEnd),
    /// Nothing can be written to the backend any more.
    Writing(Error),
}

/// The end of the backend's side.
enum BackendEnd {
    Closed(Option<CloseFrame>),
    /// It sent binary, and the session carries none.
    Binary,
    /// It sent a message over `message_size`.
    TooLarge,
    /// It sent a message that the client's transport can't carry.
    TooLargeForClient,
    BrokenProtocol(Error),
    NotReading,
    Lost(Option<Error>),
}

impl BackendEnd {
    /// Ends the session accordingly. Returns the backend's close frame, unless the backend has
    /// closed or is unreachable.
    fn tell(self, session: &Session, config: &UpstreamConfig) -> Option<CloseFrame> {
        let (code, reason, to_backend) = match &self {
            Self::Closed(Some(frame)) if frame.code.is_allowed() => {
                (frame.code.into(), frame.reason.to_string(), None)
            }
            Self::Closed(_) => (1011, "backend closed without a code".to_owned(), None),
            Self::Binary => (
                1003,
                "the backend sent binary, which this transport does not carry".to_owned(),
                Some(CloseCode::Unsupported),
            ),
            Self::TooLarge => {
                let reason = format!(
                    "a message of the backend is larger than message_size, {} bytes",
                    config.message_size
                );
                (1009, reason, Some(CloseCode::Size))
            }
            Self::TooLargeForClient => {
                let reason =
                    "a message of the backend is larger than this transport can carry".to_owned();
                (1009, reason, Some(CloseCode::Size))
            }
            Self::BrokenProtocol(_) => {
                (1011, "backend broke the WebSocket protocol".to_owned(), Some(CloseCode::Protocol))
            }
            Self::NotReading => (
                1011,
                format!("backend does not read: write_timeout is {:?}", config.write_timeout),
                None,
            ),
            Self::Lost(Some(Error::Io(error))) => {
                (1011, format!("backend gone: {}", error.kind()), None)
            }
            Self::Lost(_) => (1011, "backend gone: no close frame".to_owned(), None),
        };
        if let Self::BrokenProtocol(error) | Self::Lost(Some(error)) = &self {
            tracing::debug!(session = %session.id(), error = %Escaped(error), "the backend's connection ended");
        }
        let goodbye = to_backend.map(|code| CloseFrame {
            code,
            reason: CloseReason::new(code.into(), reason.clone()).short_reason().into(),
        });
        close(session, code, &reason);
        goodbye
    }
}

/// From the backend to the client.
struct ToClient {
    stream: SplitStream<Socket>,
    sender: Sender,
    /// Messages that came after the client had gone.
    dropped: usize,
}

impl ToClient {
    async fn run(&mut self) -> BackendEnd {
        loop {
            let message = match self.stream.next().await {
                Some(Ok(Packet::Text(text))) => Message::text(text.as_str()),
                Some(Ok(Packet::Binary(bytes))) if self.sender.carries_binary() => {
                    Message::binary(bytes)
                }
                Some(Ok(Packet::Binary(_))) => return BackendEnd::Binary,
                Some(Ok(Packet::Close(frame))) => return BackendEnd::Closed(frame),
                // Pings are answered where they are read.
                Some(Ok(Packet::Ping(_) | Packet::Pong(_) | Packet::Frame(_))) => continue,
                Some(Err(error)) => return error.into(),
                None => return BackendEnd::Lost(None),
            };
            match self.sender.send(message).await {
                Ok(()) => {}
                Err(SendError::TooLarge(_)) => return BackendEnd::TooLargeForClient,
                Err(SendError::NotCarried(_)) => return BackendEnd::Binary,
                // The session is closed, and its handler will see that.
                Err(_) => self.dropped += 1,
            }
        }
    }
}

impl From<Error> for BackendEnd {
    fn from(error: Error) -> Self {
        match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => Self::TooLarge,
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Lost(None),
            Error::Protocol(_) | Error::Utf8(_) => Self::BrokenProtocol(error),
            error => Self::Lost(Some(error)),
        }
    }
}

/// From the client to the backend.
struct ToBackend<'c> {
    sink: SplitSink<Socket, Packet>,
    first: Option<Message>,
    config: &'c UpstreamConfig,
}

impl ToBackend<'_> {
    async fn run(&mut self, session: &mut Session) -> Ended {
        loop {
            let message = match self.first.take() {
                Some(message) => message,
                None => match session.recv().await {
                    Some(message) => message,
                    None => return Ended::Client,
                },
            };
            match timeout(self.config.write_timeout, self.write(message, session)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Ended::Writing(error),
                Err(_) => return Ended::Backend(BackendEnd::NotReading),
            }
        }
    }

    /// Writes a message and those queued behind it, up to a batch.
    async fn write(&mut self, message: Message, session: &mut Session) -> Result<(), Error> {
        let mut bytes = 0;
        let mut next = Some(message);
        while let Some(message) = next {
            bytes += message.len();
            self.sink.feed(packet(message)).await?;
            next = if bytes < BATCH { received(session).await } else { None };
        }
        self.sink.flush().await
    }
}

/// The next message, if it is there already.
async fn received(session: &mut Session) -> Option<Message> {
    poll_fn(|cx| match Pin::new(&mut *session).poll_next(cx) {
        Poll::Ready(message) => Poll::Ready(message),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

fn packet(message: Message) -> Packet {
    match (message.as_text(), message.as_binary()) {
        (None, Some(bytes)) => Packet::Binary(bytes.clone()),
        (text, _) => Packet::text(text.unwrap_or_default()),
    }
}

/// Finishes closing, with `goodbye` unless the backend was the first to close.
async fn leave(
    mut sink: SplitSink<Socket, Packet>,
    mut stream: SplitStream<Socket>,
    goodbye: Option<CloseFrame>,
) -> Result<(), Error> {
    match goodbye {
        Some(frame) => sink.send(Packet::Close(Some(frame))).await?,
        None => sink.flush().await?,
    }
    // The server closes the connection first (RFC 6455, closing the connection).
    while let Some(Ok(_)) = stream.next().await {}
    // After an error no frame can be parsed, but closing with unread bytes sends a reset, which
    // could destroy the close frame.
    let mut stream = sink.reunite(stream).expect("both are halves of one socket").into_inner();
    stream.shutdown().await?;
    let mut rest = [0; 512];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The close frame for the backend when its client has gone. `None`: the session has not ended yet.
fn farewell(end: Option<&SessionEnd>) -> CloseFrame {
    let gone = CloseFrame { code: CloseCode::Away, reason: "client gone".into() };
    let Some(SessionEnd { reason, by, .. }) = end else { return gone };
    // A transport without close codes ends its session like this.
    if *by == EndedBy::Peer && *reason == CloseReason::INTERRUPTED {
        return gone;
    }
    let code = CloseCode::from(reason.code());
    if code.is_allowed() { CloseFrame { code, reason: reason.short_reason().into() } } else { gone }
}

/// Closes a session with a reason that any transport can carry.
pub(super) fn close(session: &Session, code: u16, reason: &str) {
    let reason = CloseReason::new(code, reason.to_owned());
    session.close((code, reason.short_reason().to_owned()));
}
