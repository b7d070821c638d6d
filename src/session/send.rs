//! The sending half of an established session: messages become frames, frames fill records, records are sealed as they fill.
//!
//! Many frames share a record, and sealing happens in the caller while the bytes are still in its cache. Never waits and never
//! limits: how much may pile up is the carrier's decision (`pending`).

use std::collections::VecDeque;

use crate::base::limits;
use crate::crypto::Secret;
use crate::crypto::handshake::Role;
use crate::crypto::kex::Group;
use crate::crypto::record::{HEADER_BYTES, OVERHEAD_BYTES, Sealer};
use crate::crypto::schedule::HASH_BYTES;
use crate::session::key_update::Renewal;
use crate::wire::cursor::encode_varint;
use crate::wire::message::{Message, kind};

/// Longest header of a frame: a length of up to 2^28 and the kind.
const FRAME_HEADER_MAX_BYTES: usize = 5;

/// What a message counts for that lets every other one pass: pushed records and parts of snapshots.
fn bulk_bytes(message: &Message) -> Option<usize> {
    match message {
        Message::WalPush(push) => Some(push.wal_bytes.len() + FRAME_HEADER_MAX_BYTES),
        Message::SnapshotData(data) => Some(data.bytes.as_ref().map_or(0, bytes::Bytes::len) + FRAME_HEADER_MAX_BYTES),
        _ => None,
    }
}

/// Turns messages into sealed bytes.
#[derive(Debug)]
pub struct SendHalf {
    sealer: Sealer,
    /// Sealed records, then the open one.
    out: Vec<u8>,
    /// Where the open record begins in `out`.
    open: Option<usize>,
    frames: u64,
    /// How many there were at the last step, if that was a plain one.
    stepped_at: Option<u64>,
    scratch: Vec<u8>,
    /// Pushed records and parts of snapshots that wait behind everything else, and their bytes.
    bulk: VecDeque<Message>,
    bulk_bytes: usize,
    pub(super) renewal: Renewal,
}

impl SendHalf {
    /// The half that seals with `sealer`, whose peer opens with the opener of the same secret.
    pub fn new(sealer: Sealer, role: Role, group: Group) -> SendHalf {
        let renewal = Renewal::new(role, group);
        let (bulk, bulk_bytes) = (VecDeque::new(), 0);
        SendHalf { sealer, out: Vec::new(), open: None, frames: 0, stepped_at: None, scratch: Vec::new(), bulk, bulk_bytes, renewal }
    }

    /// Queues an application message.
    ///
    /// The caller has checked it against [`limits::MESSAGE_MAX_BYTES`]; a longer one would end the session at the receiver.
    #[inline]
    pub fn push_data(&mut self, payload: &[u8]) {
        let len = payload.len() + 1;
        if let Some(start) = self.open
            && len < 0x80
            && self.out.len() - start + 1 + len <= HEADER_BYTES + limits::RECORD_PLAINTEXT_MAX_BYTES
        {
            self.out.extend_from_slice(&[len as u8, kind::DATA]);
            self.out.extend_from_slice(payload);
            self.frames += 1;
            return;
        }
        self.push_frame(kind::DATA, payload);
    }

    /// Queues any other message. Pushed records and parts of snapshots wait, in their order, while much is queued, and everything else goes before them: a
    /// heartbeat is not behind a backlog. Nothing is behind a goodbye.
    pub fn push(&mut self, message: &Message) {
        match message {
            Message::Close { .. } => {
                self.queue_bulk(usize::MAX);
                self.push_now(message);
            }
            _ => match bulk_bytes(message) {
                Some(bytes) if !self.bulk.is_empty() || self.out.len() >= limits::LINK_BULK_BYTES => {
                    self.bulk_bytes += bytes;
                    self.bulk.push_back(message.clone());
                }
                _ => self.push_now(message),
            },
        }
    }

    /// Moves waiting records into the queue until it holds this much.
    fn queue_bulk(&mut self, upto: usize) {
        while self.out.len() < upto
            && let Some(message) = self.bulk.pop_front()
        {
            self.bulk_bytes -= bulk_bytes(&message).unwrap_or(0);
            self.push_now(&message);
        }
    }

    fn push_now(&mut self, message: &Message) {
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        message.encode_body(&mut body);
        self.push_frame(message.kind(), &body);
        if body.capacity() <= limits::READ_BUFFER_MIN_BYTES {
            self.scratch = body;
        }
    }

    /// Queues a message that ends its record.
    pub(super) fn push_last(&mut self, message: &Message) {
        self.push_now(message);
        self.seal_open();
    }

    /// What is queued from now on goes under the next key. The peer follows one plain step at a record, so a second one in a row waits
    /// until something was queued under the key it would replace.
    pub fn step(&mut self, fresh: Option<&Secret<HASH_BYTES>>) {
        if fresh.is_none() && self.stepped_at == Some(self.frames) {
            return;
        }
        self.seal_open();
        self.sealer.step(fresh);
        self.stepped_at = fresh.is_none().then_some(self.frames);
    }

    /// Bytes waiting to be taken.
    #[inline]
    pub fn pending(&self) -> usize {
        self.out.len() + self.bulk_bytes
    }

    /// Messages queued since the start.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Seals what is open and hands it over, with a piece of what waits behind it if there is any: ask until nothing is pending. `spare`, emptied, becomes the next buffer.
    pub fn take(&mut self, spare: &mut Vec<u8>) {
        self.queue_bulk(limits::LINK_BULK_BYTES.max(self.out.len() + 1));
        self.seal_open();
        spare.clear();
        std::mem::swap(&mut self.out, spare);
    }

    fn push_frame(&mut self, kind: u8, body: &[u8]) {
        self.frames += 1;
        let mut header = Vec::with_capacity(FRAME_HEADER_MAX_BYTES + 1);
        encode_varint(body.len() as u64 + 1, &mut header);
        header.push(kind);
        let whole = header.len() + body.len();
        let room = self.room();
        // A frame that fits one record is never split, so the receiver reads it in place; a header never is.
        if room < header.len() || (whole > room && whole <= limits::RECORD_PLAINTEXT_MAX_BYTES) {
            self.seal_open();
        }
        self.append(&header);
        let mut rest = body;
        while !rest.is_empty() {
            let (part, tail) = rest.split_at(rest.len().min(self.room()));
            self.append(part);
            rest = tail;
            if !rest.is_empty() {
                self.seal_open();
            }
        }
    }

    /// Plaintext bytes the open record still takes; a record not begun has them all.
    fn room(&self) -> usize {
        match self.open {
            Some(start) => HEADER_BYTES + limits::RECORD_PLAINTEXT_MAX_BYTES - (self.out.len() - start),
            None => limits::RECORD_PLAINTEXT_MAX_BYTES,
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.open.is_none() {
            self.open = Some(self.out.len());
            self.out.reserve(bytes.len() + OVERHEAD_BYTES);
            self.out.extend_from_slice(&[0; HEADER_BYTES]);
        }
        self.out.extend_from_slice(bytes);
    }

    fn seal_open(&mut self) {
        if let Some(start) = self.open.take() {
            let tag = self.sealer.seal(&mut self.out[start..]);
            self.out.extend_from_slice(&tag);
        }
    }
}
