//! Delays.

use std::time::Duration;

use sockeye::EndpointConfig;

use crate::common::client::Event;
use crate::common::transport::Transport;
use crate::rig::Rig;

pub(crate) async fn heartbeats_come_while_nothing_else_does(transport: Transport) {
    let config = EndpointConfig { heartbeat_delay: Duration::from_millis(20), ..EndpointConfig::default() };
    let (mut client, session) = Rig::with(transport, config).await.open().await;
    for _ in 0..3 {
        assert_eq!(client.recv().await, Event::Heartbeat);
    }
    session.send("and the session goes on").await.expect("the client is there");
    assert_eq!(client.message().await, "and the session goes on");
}
