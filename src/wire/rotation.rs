//! Rotation records in the claim's `cert` field: which keys a node had before. Never checks a signature.
//!
//! ```text
//!    32         8          64
//! | old key | issued u64 | signature |   each, the oldest first
//! ```

use crate::base::limits;
use crate::wire::cursor::{Reader, WireError, Writer};

/// An old key's word for the key that follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// The key that signed.
    pub old: [u8; 32],
    /// When, in seconds since 1970, by the signer's clock.
    pub issued: u64,
    /// Ed25519 over both keys and the time.
    pub signature: [u8; 64],
}

impl Rotation {
    /// Bytes of one record.
    pub const BYTES: usize = 32 + 8 + 64;
    /// Records of one claim.
    pub const MAX: usize = limits::CERT_MAX_BYTES / Rotation::BYTES;

    /// The field that holds these records.
    pub fn encode_all(records: &[Rotation]) -> Vec<u8> {
        let mut out = Vec::with_capacity(records.len() * Rotation::BYTES);
        let mut w = Writer::new(&mut out);
        for record in records {
            w.bytes(&record.old);
            w.u64(record.issued);
            w.bytes(&record.signature);
        }
        out
    }

    /// The records of a field.
    pub fn decode_all(field: &[u8]) -> Result<Vec<Rotation>, WireError> {
        if field.len() > limits::CERT_MAX_BYTES {
            return Err(WireError::TooLarge { got: field.len() as u64, max: limits::CERT_MAX_BYTES as u64 });
        }
        if !field.len().is_multiple_of(Rotation::BYTES) {
            return Err(WireError::Malformed("the certificate is not a sequence of rotation records"));
        }
        let mut r = Reader::new(field);
        let mut records = Vec::with_capacity(Rotation::MAX);
        while r.remaining() > 0 {
            records.push(Rotation { old: r.array()?, issued: r.u64()?, signature: r.array()? });
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_has_the_layout_of_the_protocol_text() {
        let record = Rotation { old: [1; 32], issued: 0x0203, signature: [4; 64] };
        let want = [&[1; 32][..], &[3, 2, 0, 0, 0, 0, 0, 0], &[4; 64]].concat();
        assert_eq!(Rotation::encode_all(&[record]), want);
        assert_eq!(Rotation::decode_all(&[]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn a_field_is_the_only_one_of_its_records_or_is_refused(field in prop::collection::vec(any::<u8>(), 0..400), whole in 0usize..4) {
            let _ = Rotation::decode_all(&field).map(|records| assert_eq!(Rotation::encode_all(&records), field));
            let field = vec![9; whole * Rotation::BYTES];
            match Rotation::decode_all(&field) {
                Ok(records) => prop_assert!(whole <= Rotation::MAX && Rotation::encode_all(&records) == field),
                Err(_) => prop_assert!(whole > Rotation::MAX),
            }
        }
    }
}
