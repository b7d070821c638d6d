//! The receiving half of an established session: sealed records become messages, opened and read where they arrived.
//!
//! Never waits. Every length is checked against its limit before a byte is stored for it.

use bytes::{Buf, Bytes, BytesMut};

use crate::base::{CloseReason, DataBatch, limits};
use crate::crypto::Secret;
use crate::crypto::record::{HEADER_BYTES, OVERHEAD_BYTES, Opener, record_length};
use crate::crypto::schedule::HASH_BYTES;
use crate::crypto::suite::TAG_BYTES;
use crate::wire::cursor::decode_varint;
use crate::wire::message::{KeyUpdate, kind};
use crate::wire::{Inbound, Message};

/// Turns sealed bytes into messages.
#[derive(Debug)]
pub struct RecvHalf {
    opener: Opener,
    partial: Option<Partial>,
    /// Where long frames are put together; its memory comes back once the application has dropped the frame before.
    assembly: BytesMut,
    frames: u64,
    /// Secret of an agreement this side has answered and the peer will switch to.
    pub(super) awaited: Option<Secret<HASH_BYTES>>,
    update: Option<KeyUpdate>,
    /// Something did not open or broke a rule.
    over: bool,
}

/// How far [`RecvHalf::receive`] came.
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub enum Progress {
    /// Every whole record is taken; more bytes are needed.
    Done,
    /// A step of a key agreement: give it to [`crate::session::key_update::turn`], then call again.
    KeyUpdate(KeyUpdate),
}

/// A frame longer than a record, as far as it has come.
#[derive(Clone, Copy, Debug)]
struct Partial {
    header: usize,
    whole: usize,
}

impl RecvHalf {
    /// The half that opens with `opener`.
    pub fn new(opener: Opener) -> RecvHalf {
        RecvHalf { opener, partial: None, assembly: BytesMut::new(), frames: 0, awaited: None, update: None, over: false }
    }

    /// Takes every whole record off the front of `input` and appends what they hold to `items`.
    ///
    /// An error ends the session: nothing after it is read, what was appended before it is good.
    pub fn receive(&mut self, input: &mut BytesMut, items: &mut Vec<Inbound>) -> Result<Progress, CloseReason> {
        if self.over {
            return Err(CloseReason::Protocol("bytes after the end of the session".into()));
        }
        let result = self.take(input, items);
        self.over = result.is_err();
        result
    }

    fn take(&mut self, input: &mut BytesMut, items: &mut Vec<Inbound>) -> Result<Progress, CloseReason> {
        if let Some(update) = self.update.take() {
            return Ok(Progress::KeyUpdate(update));
        }
        while let Some(length) = record_length(input) {
            let max = OVERHEAD_BYTES + limits::RECORD_PLAINTEXT_MAX_BYTES;
            if length > max {
                return Err(CloseReason::FrameTooLarge { got: length as u64, max: max as u64 });
            }
            if length <= OVERHEAD_BYTES {
                return Err(CloseReason::BadRecord(format!("a record of {length} bytes holds nothing")));
            }
            if input.len() < length {
                input.reserve(length - input.len());
                break;
            }
            self.opener
                .open(&mut input[..length])
                .map_err(|_| CloseReason::BadRecord("it does not open under the session's key".into()))?;
            let record = input.split_to(length).freeze();
            self.read_frames(record.slice(HEADER_BYTES..length - TAG_BYTES), items)?;
            if let Some(update) = self.update.take() {
                return Ok(Progress::KeyUpdate(update));
            }
        }
        Ok(Progress::Done)
    }

    /// Has the next `receive` bring the update again.
    pub(super) fn put_back(&mut self, update: KeyUpdate) {
        self.update = Some(update);
    }

    pub(super) fn step(&mut self, fresh: &Secret<HASH_BYTES>) {
        self.opener.step(fresh);
    }

    /// Messages received since the start.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn read_frames(&mut self, mut plain: Bytes, items: &mut Vec<Inbound>) -> Result<(), CloseReason> {
        if let Some(partial) = self.partial {
            let take = plain.len().min(partial.whole - self.assembly.len());
            self.assemble(&plain[..take]);
            plain.advance(take);
            if self.assembly.len() < partial.whole {
                return Ok(());
            }
            self.partial = None;
            let frame = self.assembly.split().freeze();
            self.deliver(frame, partial.header, items)?;
            self.ends_the_record(plain.is_empty())?;
        }
        self.read_whole_frames(plain, items)
    }

    /// Adds to the long frame under way. Memory grows with what has come, never with what is announced.
    fn assemble(&mut self, bytes: &[u8]) {
        let short = (self.assembly.len() + bytes.len()).saturating_sub(self.assembly.capacity());
        if short > 0 {
            self.assembly.reserve(bytes.len().max(self.assembly.len()));
        }
        self.assembly.extend_from_slice(bytes);
    }

    /// Gives memory back that a link at rest does not need.
    pub fn relax(&mut self) {
        if self.partial.is_none() {
            self.assembly = BytesMut::new();
        }
    }

    /// Reads frames off `plain`; one that runs past its end is begun as a partial.
    fn read_whole_frames(&mut self, plain: Bytes, items: &mut Vec<Inbound>) -> Result<(), CloseReason> {
        let bytes: &[u8] = &plain;
        let (mut at, mut run, mut count) = (0, 0, 0);
        while at < bytes.len() {
            let (header, whole) = frame_span(&bytes[at..])?;
            if bytes.len() - at < whole {
                self.flush_run(&plain, run..at, count, items);
                self.partial = Some(Partial { header, whole });
                self.assemble(&bytes[at..]);
                return Ok(());
            }
            if bytes[at + header] == kind::DATA {
                count += 1;
            } else {
                self.flush_run(&plain, run..at, count, items);
                self.deliver(plain.slice(at..at + whole), header, items)?;
                self.ends_the_record(at + whole == bytes.len())?;
                (run, count) = (at + whole, 0);
            }
            at += whole;
        }
        self.flush_run(&plain, run..at, count, items);
        Ok(())
    }

    fn flush_run(&mut self, plain: &Bytes, range: std::ops::Range<usize>, count: usize, items: &mut Vec<Inbound>) {
        if count > 0 {
            self.frames += count as u64;
            items.push(Inbound::Data(DataBatch::new(plain.slice(range), count)));
        }
    }

    /// A key update ends its record: what came after it could belong to either key.
    fn ends_the_record(&self, at_end: bool) -> Result<(), CloseReason> {
        match self.update {
            Some(_) if !at_end => Err(CloseReason::Protocol("a key update that does not end its record".into())),
            _ => Ok(()),
        }
    }

    fn deliver(&mut self, frame: Bytes, header: usize, items: &mut Vec<Inbound>) -> Result<(), CloseReason> {
        let frame_kind = frame[header];
        if frame_kind == kind::DATA {
            let end = frame.len();
            self.flush_run(&frame, 0..end, 1, items);
            return Ok(());
        }
        let body = frame.slice(header + 1..);
        let message =
            Message::decode(frame_kind, &body).map_err(|e| CloseReason::Protocol(format!("message of kind {frame_kind}: {e}")))?;
        self.frames += 1;
        match message {
            Message::KeyUpdate(update) => self.update = Some(update),
            message => items.push(Inbound::Message(message)),
        }
        Ok(())
    }
}

/// Length of the header (without the kind) and of the whole frame at the front of `bytes`.
#[inline]
fn frame_span(bytes: &[u8]) -> Result<(usize, usize), CloseReason> {
    if let [first @ 1..=0x7f, _, ..] = *bytes {
        return Ok((1, 1 + usize::from(first)));
    }
    let (length, header) = decode_varint(bytes)
        .map_err(|e| CloseReason::Protocol(format!("frame length: {e}")))?
        .filter(|(_, header)| *header < bytes.len())
        .ok_or_else(|| CloseReason::Protocol("a frame header is split over two records".into()))?;
    let max = limits::MESSAGE_MAX_BYTES as u64 + 1;
    if length > max {
        return Err(CloseReason::FrameTooLarge { got: length, max });
    }
    if length == 0 {
        return Err(CloseReason::Protocol("a frame without a kind".into()));
    }
    Ok((header, header + length as usize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::KeyAgreement;
    use crate::crypto::handshake::Role;
    use crate::crypto::record::Sealer;
    use crate::crypto::{Suite, schedule};
    use crate::session::SendHalf;

    fn halves() -> (SendHalf, RecvHalf) {
        let secret = schedule::extract(b"test", b"secret");
        let suite = Suite::supported(KeyAgreement::Classic)[0];
        (
            SendHalf::new(Sealer::new(suite, secret.clone(), [1; 32]), Role::Initiator, suite.group),
            RecvHalf::new(Opener::new(suite, secret, [1; 32])),
        )
    }

    fn messages(items: &[Inbound]) -> Vec<Vec<u8>> {
        let batches = items.iter().map(|item| match item {
            Inbound::Data(batch) => batch,
            other => panic!("unexpected {other:?}"),
        });
        batches.flat_map(|batch| batch.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn messages_of_every_size_arrive_whole_and_in_order_however_the_bytes_are_cut() {
        let record = limits::RECORD_PLAINTEXT_MAX_BYTES;
        let sizes = [0, 1, 62, 126, 127, 128, 129, record - 5, record - 4, record - 3, record, record + 1, 3 * record, 200_000, 5];
        for cut in [1usize << 20, 70_000, 4096, 977] {
            let (mut send, mut recv) = halves();
            let sent: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, n)| vec![i as u8; *n]).collect();
            sent.iter().for_each(|m| send.push_data(m));
            let mut bytes = Vec::new();
            send.take(&mut bytes);
            let (mut input, mut items) = (BytesMut::new(), Vec::new());
            for part in bytes.chunks(cut) {
                input.extend_from_slice(part);
                assert_eq!(recv.receive(&mut input, &mut items).expect("honest records"), Progress::Done);
            }
            assert_eq!(messages(&items), sent, "cut {cut}");
            assert_eq!(recv.frames(), send.frames());
        }
    }

    #[test]
    fn many_small_messages_share_one_record_and_one_batch() {
        let (mut send, mut recv) = halves();
        (0..500u16).for_each(|i| send.push_data(&i.to_le_bytes()));
        let mut bytes = Vec::new();
        send.take(&mut bytes);
        assert_eq!(record_length(&bytes), Some(bytes.len()), "one record");
        let mut items = Vec::new();
        assert_eq!(recv.receive(&mut BytesMut::from(&bytes[..]), &mut items).expect("honest record"), Progress::Done);
        assert_eq!(items.len(), 1);
    }

    #[test]
    fn control_messages_keep_their_place_between_data() {
        let (mut send, mut recv) = halves();
        send.push_data(b"before");
        send.push(&Message::Ping { nonce: 7 });
        send.push_data(b"after");
        let mut bytes = Vec::new();
        send.take(&mut bytes);
        let mut items = Vec::new();
        assert_eq!(recv.receive(&mut BytesMut::from(&bytes[..]), &mut items).expect("honest record"), Progress::Done);
        assert!(matches!(&items[..], [Inbound::Data(_), Inbound::Message(Message::Ping { nonce: 7 }), Inbound::Data(_)]));
    }

    #[test]
    fn an_announced_giant_record_is_refused_before_anything_is_stored() {
        let (_, mut recv) = halves();
        let mut input = BytesMut::from(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0][..]);
        let before = input.capacity();
        let error = recv.receive(&mut input, &mut Vec::new()).expect_err("4 GiB");
        assert!(matches!(error, CloseReason::FrameTooLarge { .. }), "{error}");
        assert_eq!(input.capacity(), before);
    }

    #[test]
    fn plaintext_in_place_of_a_record_ends_the_session() {
        let (_, mut recv) = halves();
        let error = recv.receive(&mut BytesMut::from(&[40u8; 64][..]), &mut Vec::new());
        assert!(error.is_err());
        let (_, mut recv) = halves();
        let error = recv.receive(&mut BytesMut::from(&[&[24, 0, 0, 0, 0, 0, 0, 0][..], &[0; 24]].concat()[..]), &mut Vec::new());
        assert!(matches!(error, Err(CloseReason::BadRecord(_))));
    }
}
