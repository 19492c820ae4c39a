//! Where in the client's frames the reading stands.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;

use super::socket::READ_BUFFER;

/// The longest header: length and mask (RFC 6455, base framing protocol).
const HEADER: usize = 14;
/// While no more than this waits in the read buffer, it has room for the packet that is read,
/// wherever in the buffer that begins: what waits is moved to the front when it fits in front of
/// itself, and the room for a packet is asked for on top of it.
const UNGROWN: u64 = READ_BUFFER as u64 / 3;

/// Follows the frames in the bytes as they come: tungstenite holds parts of messages and does not
/// tell whether it does, nor how large its buffer is. Its parser of headers is asked a second time.
/// Unsound frames are its to find; nothing is read after them.
#[derive(Default)]
pub(super) struct Intake {
    /// The beginning of a frame whose header has come in pieces.
    head: [u8; HEADER],
    /// Bytes of the frame that have come.
    begun: u64,
    /// The frame, once its header has come.
    frame: Option<FrameHead>,
    /// A message has begun, and its last fragment has not come (RFC 6455, fragmentation).
    in_fragments: bool,
    /// tungstenite's buffer may be larger than it was made.
    has_grown: bool,
    /// The most bytes that it had to have room for since it was made.
    most: u64,
    /// Bytes of the message's fragments that have come.
    fragments: u64,
    /// Bytes have come, since that was asked.
    arrived: bool,
    /// A message, or a frame between messages, has ended, since that was asked.
    ended: bool,
}

#[derive(Clone, Copy)]
struct FrameHead {
    /// Its bytes, header and payload.
    size: u64,
    is_control: bool,
    /// Of its message.
    is_last: bool,
}

impl FrameHead {
    /// The frame that begins so; `None` while its header has not come, or if that is unsound.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let (header, payload) = FrameHeader::parse(&mut cursor).ok()??;
        Some(Self {
            size: payload.saturating_add(cursor.position()),
            is_control: matches!(header.opcode, OpCode::Control(_)),
            is_last: header.is_final,
        })
    }
}

impl Intake {
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        self.arrived |= !bytes.is_empty();
        self.has_room_for(self.begun.saturating_add(bytes.len() as u64));
        while !bytes.is_empty() {
            if self.begun == 0 {
                // As a rule whole frames come.
                self.begin(FrameHead::parse(bytes));
            }
            let Some(frame) = self.frame else {
                // Without room the header is unsound: the longest one would have been parsed.
                let Some(place) = self.head.get_mut(self.begun as usize) else { return };
                *place = bytes[0];
                self.begun += 1;
                bytes = &bytes[1..];
                self.begin(FrameHead::parse(&self.head[..self.begun as usize]));
                self.end_if_whole();
                continue;
            };
            let more = (frame.size - self.begun).min(bytes.len() as u64);
            self.begun += more;
            bytes = &bytes[more as usize..];
            self.end_if_whole();
        }
    }

    /// tungstenite makes room for all of a frame when it has seen its header.
    fn begin(&mut self, frame: Option<FrameHead>) {
        self.frame = frame;
        self.has_room_for(frame.map_or(0, |frame| frame.size));
    }

    fn has_room_for(&mut self, bytes: u64) {
        self.most = self.most.max(bytes);
        self.has_grown |= bytes > UNGROWN;
    }

    /// An empty frame ends with its header.
    fn end_if_whole(&mut self) {
        if let Some(frame) = self.frame
            && self.begun == frame.size
        {
            self.end_frame(frame);
        }
    }

    fn end_frame(&mut self, frame: FrameHead) {
        // Control frames may come between fragments.
        if !frame.is_control {
            self.in_fragments = !frame.is_last;
            self.fragments =
                if frame.is_last { 0 } else { self.fragments.saturating_add(frame.size) };
        }
        (self.begun, self.frame) = (0, None);
        self.ended |= !self.in_fragments;
    }

    /// What tungstenite holds more than when it was made, in bytes; it takes no frame and no
    /// message over `largest`.
    pub(super) fn held(&self, largest: usize) -> usize {
        let buffer = if self.has_grown { self.most } else { 0 };
        let at_most = |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX).min(largest.saturating_add(READ_BUFFER))
        };
        at_most(buffer).saturating_add(at_most(self.fragments))
    }

    /// The size of tungstenite's buffer, in bytes.
    pub(super) fn buffer(&self) -> u64 {
        self.most.max(READ_BUFFER as u64)
    }

    /// Whether tungstenite's buffer may be larger than it was made.
    pub(super) fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// tungstenite's buffer was made anew.
    pub(super) fn buffer_is_new(&mut self) {
        (self.has_grown, self.most) = (false, 0);
    }

    pub(super) fn is_between_messages(&self) -> bool {
        self.begun == 0 && !self.in_fragments
    }

    /// Whether bytes have come since that was taken.
    pub(super) fn has_arrived(&self) -> bool {
        self.arrived
    }

    pub(super) fn take_arrived(&mut self) -> bool {
        std::mem::take(&mut self.arrived)
    }

    /// Whether a message, or a frame between messages, has ended since this was asked before.
    pub(super) fn take_ended(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }
}
