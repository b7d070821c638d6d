//! Frames on a byte stream: `varint(len) || payload`, for the handshake and inside sealed records.
//!
//! Never allocates for what is only announced: the length is judged before anybody makes room for it. Strict: the varint is in
//! its shortest form and no frame is empty. The lax v1 framing is `wire::v1::framing`.

use std::ops::Range;

use crate::wire::cursor::{WireError, decode_varint, encode_varint};

/// Appends `payload` as one frame. An empty payload has no frame that a receiver would take.
pub fn encode(payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(!payload.is_empty(), "a frame is never empty");
    encode_varint(payload.len() as u64, out);
    out.extend_from_slice(payload);
}

/// Finds frames of at most `max` payload bytes at the front of a growing buffer. Holds no bytes itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framer {
    max: usize,
}

impl Framer {
    /// Allows payloads of up to `max` bytes.
    pub const fn new(max: usize) -> Framer {
        Framer { max }
    }

    /// Where the first frame's payload lies in `buffer`; `None` until it is whole. The next frame begins at the range's end.
    ///
    /// Fails as soon as the announced length is known to be over the limit, however little of the payload is there.
    #[inline]
    pub fn first(&self, buffer: &[u8]) -> Result<Option<Range<usize>>, WireError> {
        let Some((len, header)) = decode_varint(buffer)? else { return Ok(None) };
        if len > self.max as u64 {
            return Err(WireError::TooLarge { got: len, max: self.max as u64 });
        }
        if len == 0 {
            return Err(WireError::Malformed("frame of length zero"));
        }
        let end = header + len as usize;
        Ok((end <= buffer.len()).then_some(header..end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_found_only_when_it_is_whole() {
        let mut bytes = Vec::new();
        encode(&[7; 300], &mut bytes);
        let framer = Framer::new(300);
        for cut in 0..bytes.len() {
            assert_eq!(framer.first(&bytes[..cut]), Ok(None), "{cut} bytes");
        }
        assert_eq!(framer.first(&bytes), Ok(Some(2..302)));
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_payload_comes() {
        assert_eq!(Framer::new(16).first(&[17]), Err(WireError::TooLarge { got: 17, max: 16 }));
        let mut announced = Vec::new();
        encode_varint(u64::MAX, &mut announced);
        assert_eq!(Framer::new(usize::MAX / 2).first(&announced), Err(WireError::TooLarge { got: u64::MAX, max: (usize::MAX / 2) as u64 }));
    }

    #[test]
    fn a_frame_of_length_zero_is_refused() {
        assert_eq!(Framer::new(16).first(&[0, 1, 2]), Err(WireError::Malformed("frame of length zero")));
    }

    #[test]
    fn a_length_with_needless_or_endless_bytes_is_refused() {
        assert_eq!(Framer::new(16).first(&[0x83, 0x00, 1, 2, 3]), Err(WireError::VarintNotMinimal));
        assert_eq!(Framer::new(16).first(&[0xff; 10]), Err(WireError::VarintTooLong));
    }

    proptest! {
        #[test]
        fn frames_come_back_whole_and_in_order(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8)) {
            let mut stream = Vec::new();
            payloads.iter().for_each(|p| encode(p, &mut stream));
            let (mut rest, mut found) = (&stream[..], Vec::new());
            while let Some(range) = Framer::new(200).first(rest).expect("own frames") {
                found.push(rest[range.clone()].to_vec());
                rest = &rest[range.end..];
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(found, payloads);
        }

        #[test]
        fn any_bytes_give_a_range_inside_them_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64), max in 0usize..64) {
            if let Ok(Some(range)) = Framer::new(max).first(&bytes) {
                prop_assert!(range.end <= bytes.len() && range.len() <= max && !range.is_empty());
            }
        }
    }
}
