//! Identity rotation: an old key's signed word for the one that follows it, proven from the wire and from a file's text.
//!
//! Never touches a file and reads no clock. A record proves that the holder of the old key wanted the new one to take its place,
//! which a thief of the old key could have wanted as well: rotation renews a key, it does not undo a theft.

use crate::base::id::{from_hex, hex};
use crate::base::{PeerId, limits};
use crate::crypto::Identity;
use crate::crypto::identity::verify;
use crate::wire::Rotation;

const DOMAIN: &[u8] = b"vixp2p rotate v1\0";
const LINE_WORD: &str = "vixp2p-rotation-v1";

/// What the old key signs.
fn message(old: &[u8; 32], new: &PeerId, issued: u64) -> Vec<u8> {
    [DOMAIN, old, &new.0, &issued.to_le_bytes()].concat()
}

/// The word of `old` for `new`, given at `issued` seconds since 1970.
pub fn sign(old: &Identity, new: &PeerId, issued: u64) -> Rotation {
    let signature = old.sign(&message(&old.id().0, new, issued));
    Rotation { old: old.id().0, issued, signature }
}

fn holds(record: &Rotation, new: &PeerId) -> bool {
    verify(&PeerId(record.old), &message(&record.old, new, record.issued), &record.signature)
}

/// The keys a claim proves its signer had before, the newest first; `None` if a record is false or a key comes twice.
pub fn prove(cert: &[u8], current: &PeerId) -> Option<Vec<PeerId>> {
    let records = Rotation::decode_all(cert).ok()?;
    let mut formerly = Vec::with_capacity(records.len());
    let mut new = *current;
    for record in records.iter().rev() {
        let old = PeerId(record.old);
        if old == *current || formerly.contains(&old) || !holds(record, &new) {
            return None;
        }
        formerly.push(old);
        new = old;
    }
    Some(formerly)
}

/// Every rotation that led to a key: the text of the file beside it, one line a record, the oldest first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History(Vec<Rotation>);

impl History {
    /// Reads the text up to the record that names `current`. What follows is a rotation that was not finished, or the way on from
    /// an older key that was put back.
    pub fn read(text: &str, current: &PeerId) -> Result<History, String> {
        let (mut records, mut met, mut last): (Vec<Rotation>, bool, Option<PeerId>) = (Vec::new(), false, None);
        for (number, line) in text.lines().enumerate() {
            let refuse = |why: &str| format!("line {}: {why}", number + 1);
            if number >= limits::ROTATIONS_KEPT_MAX {
                return Err(refuse(&format!("more than {} records", limits::ROTATIONS_KEPT_MAX)));
            }
            let (record, new) = read_line(line).ok_or_else(|| refuse("not a rotation record"))?;
            if !holds(&record, &new) {
                return Err(refuse("the signature is false"));
            }
            if last.is_some_and(|last| last.0 != record.old) {
                return Err(refuse("the record does not follow the one before it"));
            }
            // A key that has rotated to another is where an unfinished rotation begins.
            met |= record.old == current.0;
            if !met {
                records.push(record);
            }
            last = Some(new);
        }
        if !met && last.is_some_and(|last| last != *current) {
            return Err(format!("its records do not lead to the key {}", current.short()));
        }
        Ok(History(records))
    }

    /// The text, given the key it leads to.
    pub fn to_text(&self, current: &PeerId) -> String {
        let news = self.0.iter().skip(1).map(|record| PeerId(record.old)).chain([*current]);
        let line = |(record, new): (&Rotation, PeerId)| {
            let Rotation { old, issued, signature } = record;
            format!("{LINE_WORD} old={} new={new} issued={issued} signature={}\n", hex(old), hex(signature))
        };
        self.0.iter().zip(news).map(line).collect()
    }

    /// Adds the newest record; the oldest gives way.
    pub fn push(&mut self, record: Rotation) {
        if self.0.len() >= limits::ROTATIONS_KEPT_MAX {
            self.0.remove(0);
        }
        self.0.push(record);
    }

    /// The records, the oldest first.
    pub fn records(&self) -> &[Rotation] {
        &self.0
    }

    /// The keys before the present one, the newest first.
    pub fn keys(&self) -> Vec<PeerId> {
        self.0.iter().rev().map(|record| PeerId(record.old)).collect()
    }
}

/// The record of a line and the key it is for.
fn read_line(line: &str) -> Option<(Rotation, PeerId)> {
    let mut words = line.split(' ');
    let mut field = |name: &str| words.next()?.strip_prefix(name);
    field(LINE_WORD).filter(|rest| rest.is_empty())?;
    let key = |digits: &str| from_hex(digits).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let old = key(field("old=")?)?;
    let new = PeerId(key(field("new=")?)?);
    let issued = field("issued=")?.parse().ok()?;
    let signature = from_hex(field("signature=")?)?.try_into().ok()?;
    words.next().is_none().then_some((Rotation { old, issued, signature }, new))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Secret;

    fn identity(byte: u8) -> Identity {
        Identity::from_seed(&Secret::new([byte; 32]))
    }

    fn id(byte: u8) -> PeerId {
        identity(byte).id()
    }

    /// The records of a node whose keys were those, the last one being its present key.
    fn chain(keys: std::ops::RangeInclusive<u8>) -> Vec<Rotation> {
        keys.clone().zip(keys.skip(1)).map(|(old, new)| sign(&identity(old), &id(new), 1_000 + u64::from(new))).collect()
    }

    fn history(keys: std::ops::RangeInclusive<u8>) -> History {
        History(chain(keys))
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_protocol_text() {
        let record = sign(&identity(1), &id(2), 3);
        let want = [b"vixp2p rotate v1\0".as_slice(), &id(1).0, &id(2).0, &[3, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert!(verify(&id(1), &want, &record.signature));
    }

    #[test]
    fn the_line_is_the_one_another_implementation_writes() {
        // By libsodium.
        let theirs = concat!(
            "vixp2p-rotation-v1 old=8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c new=8139770e",
            "a87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394 issued=3 signature=2ecb4eafacf428ffab459680",
            "cb7605261bccc4e5a011f5672ef9b5532703d1508d2fa6dd4b0da618e03a09ee1ad57b8b2c27d28fcc4aa44268ffbb3d381a",
            "9c0d",
        );
        let history = History(vec![sign(&identity(1), &id(2), 3)]);
        assert_eq!(history.to_text(&id(2)).trim_end(), theirs);
    }

    #[test]
    fn a_chain_proves_the_earlier_keys_newest_first() {
        assert_eq!(prove(&[], &id(3)), Some(vec![]));
        assert_eq!(prove(&Rotation::encode_all(&chain(2..=3)), &id(3)), Some(vec![id(2)]));
        assert_eq!(prove(&Rotation::encode_all(&chain(1..=3)), &id(3)), Some(vec![id(2), id(1)]));
    }

    #[test]
    fn a_false_record_for_another_key_time_or_order_proves_nothing() {
        let good = chain(1..=3);
        let refuse = |records: &[Rotation], why: &str| assert_eq!(prove(&Rotation::encode_all(records), &id(3)), None, "{why}");
        refuse(&chain(1..=2), "a chain to another key");
        refuse(&[good[1], good[0]], "newest first");
        refuse(&[good[0]], "a link is missing");
        refuse(&[good[0], Rotation { issued: 0, ..good[1] }], "another time");
        refuse(&[Rotation { old: id(9).0, ..good[0] }, good[1]], "another signer");
        let back = sign(&identity(3), &id(2), 0);
        refuse(&[back, sign(&identity(2), &id(3), 0)], "a key that was its own predecessor");
        for bit in 0..64 * 8 {
            let mut bad = good[1];
            bad.signature[bit / 8] ^= 1 << (bit % 8);
            refuse(&[good[0], bad], "an altered signature");
        }
        // The identity point as the old key: lax verifiers accept it for everything.
        let (mut point, mut signature) = ([0; 32], [0; 64]);
        (point[0], signature[0]) = (1, 1);
        refuse(&[Rotation { old: point, issued: 0, signature }], "a small-order key");
    }

    #[test]
    fn a_history_leads_to_its_key_and_ends_there() {
        let text = history(1..=4).to_text(&id(4));
        assert_eq!(text.lines().count(), 3);
        let read = |key| History::read(&text, &id(key));
        assert_eq!(read(4), Ok(history(1..=4)));
        assert_eq!(read(4).expect("read").keys(), [id(3), id(2), id(1)]);
        assert_eq!(read(3), Ok(history(1..=3)), "the last rotation was not finished");
        assert_eq!(read(1), Ok(History::default()), "the first key was put back");
        assert!(read(5).expect_err("another node's").contains("do not lead"));
        assert_eq!(History::read("", &id(5)), Ok(History::default()));
    }

    #[test]
    fn a_damaged_history_is_refused_by_its_line() {
        let text = history(1..=4).to_text(&id(4));
        let lines: Vec<&str> = text.lines().collect();
        for (bad, why) in [
            (format!("{}\nhello\n", lines[0]), "line 2: not a rotation"),
            (format!("{}\n{} x\n", lines[0], lines[1]), "line 2: not a rotation"),
            (format!("{}\n{}\n", lines[0], lines[2]), "line 2: the record does not follow"),
            (format!("{}\n", lines[2].replace("issued=1", "issued=2")), "line 1: the signature"),
        ] {
            assert!(History::read(&bad, &id(4)).expect_err("refused").contains(why), "{why}");
        }
    }

    #[test]
    fn a_long_history_forgets_its_beginning() {
        let mut history = History::default();
        chain(0..=limits::ROTATIONS_KEPT_MAX as u8 + 2).into_iter().for_each(|record| history.push(record));
        let current = id(limits::ROTATIONS_KEPT_MAX as u8 + 2);
        assert_eq!(history.records().len(), limits::ROTATIONS_KEPT_MAX);
        assert_eq!(History::read(&history.to_text(&current), &current), Ok(history.clone()));
        assert!(History::read(&(history.to_text(&current) + &history.to_text(&current)), &current).is_err());
    }

    proptest! {
        #[test]
        fn any_text_and_any_field_is_read_or_refused_without_panic(
            text in ".{0,60}", rest in "( (old|new|issued|signature)=[0-9a-f]{0,8}){0,4}", field in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let current = PeerId([1; 32]);
            prop_assert!(text.is_empty() || text == "\n" || text == "\r\n" || History::read(&text, &current).is_err());
            let line = format!("{LINE_WORD}{rest}");
            prop_assert!(History::read(&line, &current).is_err());
            prop_assert!(field.is_empty() || prove(&field, &current).is_none());
        }
    }
}
