//! The "VP2P" envelope: magic, version, type, message id, flags, payload. Strict; carries the handshake and nothing after it.
//!
//! ```text
//!  0      4       6       8      10          18       22                (50)
//!  | VP2P | major | minor | type | msg_id    | flags  | [nonce12 tag16] | varint(len) payload |
//!           u16     u16     u16    u64         u32      flag bit 0 only
//! ```
//!
//! Never judges the version: the caller compares `major` with what it speaks. The lax v1 form is `wire::v1::envelope`.

use crate::wire::cursor::{Reader, WireError, Writer};

/// First four bytes of every envelope.
pub const MAGIC: [u8; 4] = *b"VP2P";
/// Version of live sessions.
pub const LIVE_MAJOR: u16 = 2;
/// Version of the existing C++ module.
pub const V1_MAJOR: u16 = 1;
/// Bytes before the payload's length when flag bit 0 is clear.
pub const HEADER_BYTES: usize = 22;
/// Bytes before the payload's length when flag bit 0 is set.
pub const SEALED_HEADER_BYTES: usize = HEADER_BYTES + 12 + 16;

/// Bits of [`Envelope::flags`].
pub mod flag {
    /// The payload is ciphertext; nonce and tag stand in the header.
    pub const ENCRYPTED: u32 = 1;
    /// Reserved by v1, without meaning.
    pub const COMPRESSED: u32 = 2;
    /// Reserved by v1, without meaning.
    pub const ACK_REQUESTED: u32 = 4;
}

/// One envelope. `nonce` and `tag` are on the wire only with [`flag::ENCRYPTED`], and zero otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    /// Protocol version; another major is another protocol.
    pub major: u16,
    /// Additions a receiver may ignore.
    pub minor: u16,
    /// Message type (PROTOCOL.md, "Envelope types").
    pub kind: u16,
    /// v1 counts messages here; live envelopes carry zero.
    pub msg_id: u64,
    /// Bits of [`flag`]; unknown ones are kept.
    pub flags: u32,
    /// AEAD nonce.
    pub nonce: [u8; 12],
    /// AEAD tag.
    pub tag: [u8; 16],
    /// The message's body, or its ciphertext.
    pub payload: Vec<u8>,
}

impl Envelope {
    /// A plain envelope of the live version.
    pub fn live(kind: u16, payload: Vec<u8>) -> Envelope {
        Envelope { major: LIVE_MAJOR, kind, payload, ..Envelope::default() }
    }

    /// Whether all bits of `mask` are set.
    pub fn has(&self, mask: u32) -> bool {
        self.flags & mask == mask
    }

    /// Appends the envelope to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.reserve(SEALED_HEADER_BYTES + 10 + self.payload.len());
        let mut w = Writer::new(out);
        w.bytes(&MAGIC);
        w.u16(self.major);
        w.u16(self.minor);
        w.u16(self.kind);
        w.u64(self.msg_id);
        w.u32(self.flags);
        if self.has(flag::ENCRYPTED) {
            w.bytes(&self.nonce);
            w.bytes(&self.tag);
        }
        w.bytes_var(&self.payload);
    }

    /// The envelope's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// The envelope that fills `bytes`, of whatever version, with a payload of at most `max_payload` bytes.
    pub fn decode(bytes: &[u8], max_payload: usize) -> Result<Envelope, WireError> {
        let mut r = Reader::new(bytes);
        if r.array()? != MAGIC {
            return Err(WireError::Malformed("envelope does not begin with VP2P"));
        }
        let mut envelope =
            Envelope { major: r.u16()?, minor: r.u16()?, kind: r.u16()?, msg_id: r.u64()?, flags: r.u32()?, ..Envelope::default() };
        if envelope.has(flag::ENCRYPTED) {
            (envelope.nonce, envelope.tag) = (r.array()?, r.array()?);
        }
        let payload = r.bytes_var(max_payload)?;
        r.finish()?;
        envelope.payload = payload.to_vec();
        Ok(envelope)
    }
}

/// Major and minor version at the front of an envelope, if these bytes are one: tells a v1 peer from noise.
pub fn peek_version(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut r = Reader::new(bytes);
    (r.array() == Ok(MAGIC)).then_some(())?;
    Some((r.u16().ok()?, r.u16().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelopes() -> impl Strategy<Value = Envelope> {
        let header = (any::<u16>(), any::<u16>(), any::<u16>(), any::<u64>(), any::<u32>());
        (header, any::<[u8; 12]>(), any::<[u8; 16]>(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(h, nonce, tag, payload)| {
            let (major, minor, kind, msg_id, flags) = h;
            let (nonce, tag) = if flags & flag::ENCRYPTED != 0 { (nonce, tag) } else { Default::default() };
            Envelope { major, minor, kind, msg_id, flags, nonce, tag, payload }
        })
    }

    #[test]
    fn the_smallest_envelope_has_23_bytes() {
        let bytes = Envelope::live(1, Vec::new()).encode();
        assert_eq!(bytes.len(), HEADER_BYTES + 1);
        assert_eq!(&bytes[..8], b"VP2P\x02\x00\x00\x00");
    }

    #[test]
    fn the_version_is_seen_before_the_rest_has_come() {
        let v1 = Envelope { major: V1_MAJOR, minor: 7, ..Envelope::default() }.encode();
        assert_eq!(peek_version(&v1[..8]), Some((1, 7)));
        assert_eq!(peek_version(&v1[..7]), None);
        assert_eq!(peek_version(b"GET / HTTP/1.1"), None);
    }

    #[test]
    fn a_payload_over_the_limit_is_refused_by_its_length_alone() {
        let mut bytes = Envelope::live(1, Vec::new()).encode();
        bytes.pop();
        bytes.extend_from_slice(&[0xff; 9]);
        bytes.push(1);
        assert_eq!(Envelope::decode(&bytes, 100), Err(WireError::TooLarge { got: u64::MAX, max: 100 }));
    }

    #[test]
    fn a_payload_length_in_a_longer_form_is_refused() {
        let mut bytes = Envelope::live(1, Vec::new()).encode();
        bytes.pop();
        bytes.extend_from_slice(&[0x80, 0x00]);
        assert_eq!(Envelope::decode(&bytes, 100), Err(WireError::VarintNotMinimal));
    }

    proptest! {
        #[test]
        fn an_envelope_survives_its_bytes(envelope in envelopes()) {
            let bytes = envelope.encode();
            prop_assert_eq!(peek_version(&bytes), Some((envelope.major, envelope.minor)));
            prop_assert_eq!(Envelope::decode(&bytes, 300), Ok(envelope));
        }

        #[test]
        fn a_cut_or_lengthened_envelope_is_refused(envelope in envelopes(), cut in any::<prop::sample::Index>()) {
            let mut bytes = envelope.encode();
            prop_assert!(Envelope::decode(&bytes[..cut.index(bytes.len())], 300).is_err());
            bytes.push(0);
            prop_assert!(Envelope::decode(&bytes, 300).is_err());
        }

        #[test]
        fn altered_bytes_decode_to_what_encodes_to_them_or_not_at_all(
            envelope in envelopes(), at in any::<prop::sample::Index>(), to in any::<u8>(),
        ) {
            let mut bytes = envelope.encode();
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(decoded) = Envelope::decode(&bytes, 300) {
                prop_assert_eq!(decoded.encode(), bytes);
            }
        }
    }
}
