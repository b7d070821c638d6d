//! `LengthPrefixVarint`: `varint(len) || payload` without a maximum. Never keeps bytes; the caller keeps what remains.

use crate::wire::cursor::encode_varint;
use crate::wire::v1::{Error, Reader};

/// Whole frames of a buffer and the bytes after them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded<'a> {
    /// Payloads in order; some may be empty.
    pub frames: Vec<&'a [u8]>,
    /// The beginning of a frame that is not whole yet.
    pub remaining: &'a [u8],
}

/// Appends `payload` as one frame.
pub fn encode(payload: &[u8], out: &mut Vec<u8>) {
    encode_varint(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// Splits `buffer` into frames. A length of ten continuation bytes counts as incomplete for ever, as in v1.
///
/// A length whose end lies past the address space is [`Error::LengthOverflow`]; the C++ code ends the process there.
pub fn decode(buffer: &[u8]) -> Result<Decoded<'_>, Error> {
    let mut frames = Vec::new();
    let mut remaining = buffer;
    loop {
        let mut r = Reader::new(remaining);
        let Ok(len) = r.var_u64() else { break };
        let header = remaining.len() - r.remaining();
        let end = usize::try_from(len).ok().and_then(|len| len.checked_add(header)).ok_or(Error::LengthOverflow)?;
        let Some((frame, rest)) = remaining.split_at_checked(end) else { break };
        frames.push(&frame[header..]);
        remaining = rest;
    }
    Ok(Decoded { frames, remaining })
}
