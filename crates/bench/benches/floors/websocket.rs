//! tokio-tungstenite with a read buffer of 4 KiB: ready bytes are read, then written, then flushed
//! once.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::{Sink, Stream as _};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

use super::Stream;

/// All connected clients.
pub(super) type Peers = Arc<Mutex<Vec<Arc<Peer>>>>;

#[derive(Default)]
pub(super) struct Peer(Mutex<Outbound>);

#[derive(Default)]
struct Outbound {
    messages: VecDeque<Message>,
    waker: Option<Waker>,
}

pub(super) async fn echo(stream: Stream) -> Result<(), Error> {
    let mut socket = accept(stream).await?;
    let mut dirty = false;
    poll_fn(|cx| {
        while let Poll::Ready(message) = Pin::new(&mut socket).poll_next(cx) {
            match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    Pin::new(&mut socket).start_send(message)?;
                    dirty = true;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        flush(&mut socket, &mut dirty, cx)?;
        Poll::Pending
    })
    .await
}

pub(super) async fn fan_out(stream: Stream, peers: Peers) -> Result<(), Error> {
    let mut socket = accept(stream).await?;
    let peer = Arc::new(Peer::default());
    peers.lock().expect("no panic").push(Arc::clone(&peer));
    let mut dirty = false;
    let outcome = poll_fn(|cx| {
        while let Poll::Ready(message) = Pin::new(&mut socket).poll_next(cx) {
            match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    publish(&peers, &message)
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        let messages = {
            let mut outbound = peer.0.lock().expect("no panic");
            outbound.waker = Some(cx.waker().clone());
            std::mem::take(&mut outbound.messages)
        };
        for message in messages {
            Pin::new(&mut socket).start_send(message)?;
            dirty = true;
        }
        flush(&mut socket, &mut dirty, cx)?;
        Poll::Pending
    })
    .await;
    peers.lock().expect("no panic").retain(|other| !Arc::ptr_eq(other, &peer));
    outcome
}

fn publish(peers: &Peers, message: &Message) {
    for peer in peers.lock().expect("no panic").iter() {
        let mut outbound = peer.0.lock().expect("no panic");
        outbound.messages.push_back(message.clone());
        let waker = outbound.waker.take();
        drop(outbound);
        waker.into_iter().for_each(Waker::wake);
    }
}

async fn accept(stream: Stream) -> Result<WebSocketStream<Stream>, Error> {
    accept_async_with_config(stream, Some(WebSocketConfig::default().read_buffer_size(4096))).await
}

fn flush(
    socket: &mut WebSocketStream<Stream>,
    dirty: &mut bool,
    cx: &mut Context<'_>,
) -> Result<(), Error> {
    if *dirty && Pin::new(socket).poll_flush(cx)?.is_ready() {
        *dirty = false;
    }
    Ok(())
}
