//! Warnings about the limits that clients reach: one line for each setting and interval.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::refusal::Refusal;
use crate::protocol::close::CloseReason;
use crate::protocol::payload::PayloadError;
use crate::tally::Tally;

/// Counts how often the clients of an endpoint reach each of its limits, and logs it.
pub(crate) struct Reached {
    /// The prefix, or `tcp`.
    endpoint: Arc<str>,
    // Held to find a tally. A limit that is never reached costs nothing.
    tallies: Mutex<BTreeMap<&'static str, Arc<Tally<Option<SocketAddr>>>>>,
}

impl Reached {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.into(), tallies: Mutex::default() }
    }

    /// Counts one more, by the client at `peer` where it is known.
    pub(crate) fn add(&self, setting: &'static str, peer: Option<SocketAddr>) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies
            .entry(setting)
            .or_insert_with(|| Arc::new(report(Arc::clone(&self.endpoint), setting)));
        let tally = Arc::clone(tally);
        // Unlocked before a line is written.
        drop(tallies);
        tally.add(1, peer);
    }
}

fn report(endpoint: Arc<str>, setting: &'static str) -> Tally<Option<SocketAddr>> {
    Tally::new(move |times, peer: Option<SocketAddr>| {
        tracing::warn!(
            %endpoint,
            setting,
            times,
            peer = peer.map(tracing::field::display),
            "a limit was reached: raise the setting if these clients are to be served"
        );
    })
}

/// The settings whose limit ended a session. Full queues of slow consumers, short memory and full
/// endpoints have warnings of their own; a client that is gone has reached no limit. What ends a
/// session over HTTP by its payload has been counted with the refusal of that payload.
pub(super) fn ended_by(reason: &CloseReason) -> Option<&'static str> {
    let settings = [
        (CloseReason::TOO_LARGE, "message_size, payload_size or messages_per_payload"),
        (CloseReason::NO_RECORD, "first_record_timeout or message_timeout"),
        (CloseReason::MESSAGE_TIMEOUT, "message_timeout"),
        (CloseReason::NOT_READING, "write_timeout"),
        (CloseReason::TOO_SLOW, "least_rate"),
    ];
    settings.into_iter().find_map(|(known, setting)| (known == *reason).then_some(setting))
}

/// The setting whose limit refused a request.
pub(super) fn refused_by(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Payload(PayloadError::MessageTooLarge { .. }) => Some("message_size"),
        Refusal::Payload(PayloadError::TooManyMessages { .. }) => Some("messages_per_payload"),
        Refusal::PayloadTooLarge { .. } => Some("payload_size"),
        Refusal::InboundFull { .. } => Some("send_wait"),
        Refusal::Crowded { .. } => Some("waiting_payloads"),
        Refusal::BodyLate { .. } => Some("message_timeout"),
        Refusal::TargetTooLong { .. } => Some("target_size"),
        Refusal::HeadersTooLarge { .. } => Some("kept_header_bytes"),
        _ => None,
    }
}
