//! Bytes of a response that tell how far they came.

use bytes::{Buf, Bytes};

use crate::session::Receipt;

/// A piece of a [`Body`](super::Body): bytes that tell their session how many of them were taken
/// when they are dropped.
///
/// Bytes that are advanced over, or copied out, count as written. hyper advances over bytes as its
/// connection takes them, over HTTP/1 with a transport that writes vectored, as TCP and TLS streams
/// do, and over HTTP/2. Without vectored writes it copies them at once, as does any layer that
/// makes [`Bytes`] of a body's pieces; then a loss is not noticed.
#[derive(Debug)]
pub struct Chunk {
    bytes: Bytes,
    /// For frames; other bytes are no session's.
    receipt: Option<Receipt>,
}

impl Chunk {
    pub(super) fn new(bytes: Bytes, receipt: Option<Receipt>) -> Self {
        Self { bytes, receipt }
    }

    /// Takes the first bytes off, if there are more and a session wants to know of them; else all.
    pub(super) fn next_piece(this: &mut Option<Self>, longest: usize) -> Option<Self> {
        let Self { bytes, receipt: Some(receipt) } = this.as_mut()? else { return this.take() };
        if bytes.len() <= longest {
            return this.take();
        }
        let receipt = receipt.of_piece(longest);
        Some(Self::new(bytes.split_to(longest), Some(receipt)))
    }

    fn taken(&mut self) {
        if let Some(receipt) = &mut self.receipt {
            if self.bytes.is_empty() { receipt.written() } else { receipt.moved() }
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.taken();
    }

    // Without it, a caller that wants `Bytes` would get a copy.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        let bytes = self.bytes.split_to(count);
        self.taken();
        bytes
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self::new(bytes, None)
    }
}
