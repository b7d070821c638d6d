//! Sealed records: one AEAD key per direction, an implicit counter as nonce, a stepped key after enough use.
//!
//! ```text
//!  0               4        5        6              8
//!  +---------------+--------+--------+--------------+------------------------+-----------+
//!  | length u32 LE | epoch  | type 0 | flags 0 (u16)| ciphertext             | tag (16)  |
//!  +---------------+--------+--------+--------------+------------------------+-----------+
//!   length = bytes after the header      nonce = 4 zero bytes || counter u64 LE
//!   associated data = header || session id (32)
//! ```
//!
//! The counter starts at 0 with every epoch and never travels, so a lost, repeated, reordered or foreign record cannot open.
//! Nonces cannot repeat: both halves own their key and counter, move them only forward, and are neither `Clone` nor splittable.

use crate::base::limits;
use crate::crypto::schedule::{self, HASH_BYTES};
use crate::crypto::suite::{Aead, OpenError, TAG_BYTES};
use crate::crypto::{Secret, Suite};

/// Bytes before a record's ciphertext.
pub const HEADER_BYTES: usize = 8;
/// Bytes a record is longer than its plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

/// The traffic secret of one direction and what both halves derive from it.
struct Direction {
    suite: Suite,
    secret: Secret<HASH_BYTES>,
    session: [u8; 32],
    aead: Aead,
    epoch: u8,
    counter: u64,
    bytes: u64,
}

impl Direction {
    fn new(suite: Suite, secret: Secret<HASH_BYTES>, session: [u8; 32]) -> Direction {
        let aead = suite.aead(&schedule::expand(&secret, "key", &[]));
        Direction { suite, secret, session, aead, epoch: 0, counter: 0, bytes: 0 }
    }

    /// Replaces the key by its successor; the old one is wiped and cannot be computed back. With `fresh` the successor cannot be
    /// computed forward either by whoever knows only the present one.
    fn step(&mut self, fresh: Option<&Secret<HASH_BYTES>>) {
        let next = schedule::expand(&self.secret, "next", &[]);
        self.secret = fresh.map_or_else(|| next.clone(), |fresh| schedule::extract(next.expose(), fresh.expose()));
        self.aead = self.suite.aead(&schedule::expand(&self.secret, "key", &[]));
        self.epoch = self.epoch.wrapping_add(1);
        self.counter = 0;
        self.bytes = 0;
    }

    fn worn(&self) -> bool {
        self.counter >= limits::REKEY_AFTER_RECORDS || self.bytes >= limits::REKEY_AFTER_BYTES
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.counter.to_le_bytes());
        nonce
    }

    fn associated_data(&self, header: [u8; HEADER_BYTES]) -> [u8; HEADER_BYTES + 32] {
        let mut ad = [0; HEADER_BYTES + 32];
        ad[..HEADER_BYTES].copy_from_slice(&header);
        ad[HEADER_BYTES..].copy_from_slice(&self.session);
        ad
    }

    fn used(&mut self, plaintext: usize) {
        self.counter += 1;
        self.bytes += plaintext as u64;
    }
}

/// The sending half of a direction.
pub struct Sealer(Direction);

impl Sealer {
    /// Starts at epoch 0, counter 0.
    pub fn new(suite: Suite, secret: Secret<HASH_BYTES>, session: [u8; 32]) -> Sealer {
        Sealer(Direction::new(suite, secret, session))
    }

    /// Goes on under the next key: before this one is worn, or with what a fresh agreement brought.
    pub fn step(&mut self, fresh: Option<&Secret<HASH_BYTES>>) {
        self.0.step(fresh);
    }

    /// Seals a record in place: `record` is header space, plaintext and nothing else; returns the tag to append.
    pub fn seal(&mut self, record: &mut [u8]) -> [u8; TAG_BYTES] {
        if self.0.worn() {
            self.0.step(None);
        }
        let plaintext = record.len() - HEADER_BYTES;
        let header = header((plaintext + TAG_BYTES) as u32, self.0.epoch);
        let (front, text) = record.split_at_mut(HEADER_BYTES);
        front.copy_from_slice(&header);
        let tag = self.0.aead.seal(self.0.nonce(), &self.0.associated_data(header), text);
        self.0.used(plaintext);
        tag
    }
}

/// The receiving half of a direction.
pub struct Opener(Direction);

impl Opener {
    /// Starts at epoch 0, counter 0.
    pub fn new(suite: Suite, secret: Secret<HASH_BYTES>, session: [u8; 32]) -> Opener {
        Opener(Direction::new(suite, secret, session))
    }

    /// Goes on under the next key, where the sender said that it does so after a fresh agreement. Its plain steps show in the
    /// records themselves.
    pub fn step(&mut self, fresh: &Secret<HASH_BYTES>) {
        self.0.step(Some(fresh));
    }

    /// Opens a whole record in place; its plaintext is what follows the header. Any failure ends the session.
    pub fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a mut [u8], OpenError> {
        let (front, sealed) = record.split_first_chunk_mut::<HEADER_BYTES>().ok_or(OpenError)?;
        let epoch = front[4];
        // A forged epoch costs its sender the session: the record does not open under the key it leads to.
        if epoch == self.0.epoch.wrapping_add(1) {
            self.0.step(None);
        } else if self.0.worn() {
            return Err(OpenError);
        }
        if *front != header(sealed.len() as u32, self.0.epoch) {
            return Err(OpenError);
        }
        let text = self.0.aead.open(self.0.nonce(), &self.0.associated_data(*front), sealed)?;
        self.0.used(text.len());
        Ok(text)
    }
}

fn header(length: u32, epoch: u8) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, epoch, 0, 0, 0]
}

/// What a header at the front of `input` announces: the whole record's length. `None` if fewer than eight bytes are there.
pub fn record_length(input: &[u8]) -> Option<usize> {
    let (front, _) = input.split_first_chunk::<4>()?;
    (input.len() >= HEADER_BYTES).then(|| HEADER_BYTES.saturating_add(u32::from_le_bytes(*front) as usize))
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({:?}, epoch {}, record {})", self.0.suite, self.0.epoch, self.0.counter)
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener({:?}, epoch {}, record {})", self.0.suite, self.0.epoch, self.0.counter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::KeyAgreement;

    fn halves() -> (Sealer, Opener) {
        let suite = Suite::supported(KeyAgreement::Classic)[0];
        let secret = schedule::extract(b"test", b"secret");
        (Sealer::new(suite, secret.clone(), [9; 32]), Opener::new(suite, secret, [9; 32]))
    }

    fn sealed(sealer: &mut Sealer, text: &[u8]) -> Vec<u8> {
        let mut record = vec![0; HEADER_BYTES];
        record.extend_from_slice(text);
        let tag = sealer.seal(&mut record);
        record.extend_from_slice(&tag);
        record
    }

    #[test]
    fn records_open_in_the_order_they_were_sealed() {
        let (mut sealer, mut opener) = halves();
        for text in [&b"one"[..], b"", &[7; 1000]] {
            let mut record = sealed(&mut sealer, text);
            assert_eq!(record_length(&record), Some(record.len()));
            assert_eq!(opener.open(&mut record).expect("in order"), text);
        }
    }

    #[test]
    fn a_repeated_skipped_or_altered_record_does_not_open() {
        let (mut sealer, mut opener) = halves();
        let (first, second) = (sealed(&mut sealer, b"first"), sealed(&mut sealer, b"second"));
        assert!(opener.open(&mut second.clone()).is_err(), "skipped");
        for bit in 0..first.len() * 8 {
            let mut altered = first.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(halves().1.open(&mut altered).is_err(), "bit {bit}");
        }
        assert!(opener.open(&mut first.clone()).is_ok());
        assert!(opener.open(&mut first.clone()).is_err(), "repeated");
    }

    #[test]
    fn a_record_of_another_session_does_not_open() {
        let (mut sealer, _) = halves();
        let mut opener = Opener::new(Suite::supported(KeyAgreement::Classic)[0], schedule::extract(b"test", b"secret"), [8; 32]);
        assert!(opener.open(&mut sealed(&mut sealer, b"text")).is_err());
    }

    #[test]
    fn a_worn_key_is_replaced_by_the_sender_and_refused_by_the_receiver() {
        let (mut sealer, mut opener) = halves();
        (sealer.0.counter, opener.0.counter) = (limits::REKEY_AFTER_RECORDS, limits::REKEY_AFTER_RECORDS);
        let mut record = sealed(&mut sealer, b"after the step");
        assert_eq!(record[4], 1, "epoch");
        assert_eq!(opener.open(&mut record).expect("stepped"), b"after the step");
        let mut late = sealed(&mut sealer, b"too late");
        opener.0.bytes = limits::REKEY_AFTER_BYTES;
        assert!(opener.open(&mut late).is_err(), "a sender must step when its key is worn");
    }

    #[test]
    fn a_sender_may_step_at_any_time_but_never_back_or_over_one() {
        let (mut sealer, mut opener) = halves();
        for round in 0..600u32 {
            sealer.step(None);
            let text = round.to_le_bytes();
            assert_eq!(opener.open(&mut sealed(&mut sealer, &text)).expect("one step"), text);
        }
        let mut again = sealed(&mut sealer, b"under the old key");
        sealer.step(None);
        opener.open(&mut sealed(&mut sealer, b"new")).expect("one step");
        assert!(opener.open(&mut again).is_err(), "an old epoch");
        let (mut sealer, mut opener) = halves();
        sealer.step(None);
        sealer.step(None);
        assert!(opener.open(&mut sealed(&mut sealer, b"skipped one")).is_err());
    }

    #[test]
    fn what_a_fresh_agreement_brought_decides_the_next_key() {
        let fresh = |byte| Secret::new([byte; HASH_BYTES]);
        let (mut sealer, mut opener) = halves();
        sealer.step(Some(&fresh(1)));
        opener.step(&fresh(1));
        assert_eq!(opener.open(&mut sealed(&mut sealer, b"healed")).expect("same"), b"healed");
        sealer.step(Some(&fresh(2)));
        let mut record = sealed(&mut sealer, b"healed again");
        assert!(Opener(opener.0).open(&mut record).is_err(), "the present secret alone does not lead there");
    }

    #[test]
    fn no_key_and_nonce_occur_twice() {
        let (mut sealer, _) = halves();
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..3000u32 {
            sealed(&mut sealer, b"text");
            let key = schedule::expand::<32>(&sealer.0.secret, "key", &[]);
            assert!(seen.insert((*key.expose(), sealer.0.counter)), "round {round}");
            match round % 97 {
                0 => sealer.step(None),
                1 => sealer.step(Some(&Secret::new([3; HASH_BYTES]))),
                2 => sealer.0.counter = limits::REKEY_AFTER_RECORDS,
                _ => {}
            }
        }
    }
}
