//! The v1 envelope: the lax reading of it, the bytes its sealing covers, and the message counter. Never seals by itself.
//!
//! The layout and the writing are those of [`crate::wire::envelope`].

use crate::wire::cursor::Writer;
use crate::wire::envelope::{Envelope, MAGIC, V1_MAJOR, flag};
use crate::wire::v1::{Error, Message, Reader};

/// Message ids in the order of sending, from 1. One per sender: v1 shares one over the whole process.
#[derive(Debug, Default)]
pub struct MessageIds(u64);

impl MessageIds {
    /// The next id.
    pub fn next_id(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
}

/// A plain envelope around a message (`pack::make_envelope`).
pub fn pack(message: &Message, msg_id: u64, flags: u32) -> Envelope {
    Envelope { major: V1_MAJOR, kind: message.kind(), msg_id, flags, payload: message.encode(), ..Envelope::default() }
}

/// A sealed envelope around a plaintext (`pack::make_envelope_secure`). `seal` gets nonce, associated data and plaintext and
/// gives ciphertext and tag.
pub fn pack_secure<S>(kind: u16, plaintext: &[u8], msg_id: u64, nonce_counter: u64, extra_flags: u32, seal: S) -> Envelope
where
    S: FnOnce(&[u8; 12], &[u8], &[u8]) -> (Vec<u8>, [u8; 16]),
{
    let flags = extra_flags | flag::ENCRYPTED;
    let mut envelope = Envelope { major: V1_MAJOR, kind, msg_id, flags, nonce: nonce(nonce_counter), ..Envelope::default() };
    (envelope.payload, envelope.tag) = seal(&envelope.nonce, &associated_data(&envelope), plaintext);
    envelope
}

/// The counter and four zero bytes.
pub fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[..8].copy_from_slice(&counter.to_le_bytes());
    nonce
}

/// What a sealed envelope authenticates besides its payload (`pack::make_aad`): version, type, id and flags, 18 bytes.
pub fn associated_data(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::with_capacity(18);
    let mut w = Writer::new(&mut out);
    w.u16(envelope.major);
    w.u16(envelope.minor);
    w.u16(envelope.kind);
    w.u64(envelope.msg_id);
    w.u32(envelope.flags);
    out
}

/// `Envelope::decode_or_throw`: the errors in the order in which the C++ code finds them.
pub fn decode(bytes: &[u8]) -> Result<Envelope, Error> {
    let mut r = Reader::new(bytes);
    if r.array()? != MAGIC {
        return Err(Error::BadMagic);
    }
    let mut envelope =
        Envelope { major: r.u16()?, minor: r.u16()?, kind: r.u16()?, msg_id: r.u64()?, flags: r.u32()?, ..Envelope::default() };
    if envelope.has(flag::ENCRYPTED) {
        (envelope.nonce, envelope.tag) = (r.array()?, r.array()?);
    }
    let payload = r.bytes_var()?;
    if envelope.major != V1_MAJOR {
        return Err(Error::IncompatibleVersion);
    }
    r.finish("Envelope")?;
    envelope.payload = payload.to_vec();
    Ok(envelope)
}
