//! Records and groups as bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::{key, log_of, payloads};
use crate::base::limits;
use crate::sync::record::{HEADER_BYTES, Kind, Record, SEAL_BYTES};
use crate::sync::{Group, GroupError, RecordError, encode_group, log_head, verify_group};

fn group_of(payloads: &[Bytes]) -> Group {
    let log = log_of(1, 7);
    encode_group(log, &log_head(&log), 1, 1_000_000, payloads, key(1).as_ref()).0
}

#[test]
fn a_record_has_exactly_the_bytes_of_its_diagram() {
    let group = group_of(&[Bytes::from_static(b"hello")]);
    let body = [&[1u8, 0][..], &1u64.to_le_bytes(), &1_000_000u64.to_le_bytes(), b"hello"].concat();
    let mut want = (body.len() as u32).to_le_bytes().to_vec();
    want.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    want.extend_from_slice(&body);
    assert_eq!(&group.bytes[..want.len()], want);
    assert_eq!(group.bytes.len(), HEADER_BYTES + 5 + SEAL_BYTES);
    let seal = Record::decode(&group.bytes[want.len()..]).expect("a seal");
    assert_eq!((seal.kind, seal.seq, seal.time_us), (Kind::Seal, 1, 0));
    let head = blake3::hash(&[&want[..], &log_head(&group.log)].concat());
    assert_eq!(&seal.payload[8..40], head.as_bytes());
}

#[test]
fn the_first_head_and_the_seal_are_those_of_the_known_answer() {
    // Held so that no change to contexts, order or widths goes unnoticed: other nodes compute the same.
    let group = group_of(&[Bytes::from_static(b"hello"), Bytes::new()]);
    assert_eq!(crate::base::id::hex(&log_head(&group.log)), "906c25d0ef08cbe72a26aea4b96c8ed99707aa33e215fba9d1d50bd87ee3e0f7");
    assert_eq!(blake3::hash(&group.bytes).to_hex().as_str(), "e856e6e075b2bec48acbe4ee0ee9536d099f90721874e54eb6a3cef5d60c26e3");
}

#[test]
fn every_flipped_bit_of_a_group_is_refused() {
    let group = group_of(&payloads(1, 3, 20));
    let prev = log_head(&group.log);
    assert!(verify_group(&group.log, &prev, &group).is_ok());
    for bit in 0..group.bytes.len() * 8 {
        let mut bytes = group.bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let bad = Group { bytes: bytes.into(), ..group.clone() };
        assert!(verify_group(&bad.log, &prev, &bad).is_err(), "bit {bit}");
    }
}

#[test]
fn a_group_for_another_log_place_or_label_is_refused() {
    let group = group_of(&payloads(1, 3, 20));
    let prev = log_head(&group.log);
    let refused = |bad: Group| verify_group(&bad.log, &prev, &bad).expect_err("refused");
    assert!(matches!(refused(Group { log: log_of(2, 7), ..group.clone() }), GroupError::Signature { .. }));
    assert!(matches!(refused(Group { log: log_of(1, 8), ..group.clone() }), GroupError::Signature { .. }));
    assert!(matches!(refused(Group { first: 2, ..group.clone() }), GroupError::Sequence { expected: 2, got: 1 }));
    assert!(matches!(refused(Group { last: 4, ..group.clone() }), GroupError::Mislabelled(_)));
    assert!(matches!(verify_group(&group.log, &[0; 32], &group), Err(GroupError::Chain { first: 1, last: 3 })));
    let longer = Bytes::from([&group.bytes[..], &[0]].concat());
    assert!(matches!(refused(Group { bytes: longer, ..group.clone() }), GroupError::Trailing(1)));
}

#[test]
fn groups_over_the_limits_are_refused() {
    let many = group_of(&payloads(1, limits::GROUP_MAX_RECORDS as u64 + 1, 0));
    assert!(matches!(Group::split(many.log, &many.bytes), Err(GroupError::TooManyRecords { max: 256 })));
    let large = group_of(&[Bytes::from(vec![0; limits::GROUP_MAX_BYTES]), Bytes::from_static(b"x")]);
    assert!(matches!(Group::split(large.log, &large.bytes), Err(GroupError::TooLarge { .. })));
    let single = group_of(&[Bytes::from(vec![0; limits::RECORD_PAYLOAD_MAX_BYTES])]);
    assert!(single.bytes.len() <= limits::WAL_PUSH_MAX_BYTES);
    assert_eq!(Group::split(single.log, &single.bytes).expect("one large record is a group"), [single]);
    let empty = group_of(&[]);
    assert_eq!(Group::split(empty.log, &empty.bytes), Err(GroupError::Empty));
}

#[test]
fn an_announced_length_is_refused_before_anything_is_read() {
    let mut bytes = u32::MAX.to_le_bytes().to_vec();
    assert!(matches!(Record::decode(&bytes), Err(RecordError::Length { .. })));
    bytes[..4].copy_from_slice(&17u32.to_le_bytes());
    assert!(matches!(Record::decode(&bytes), Err(RecordError::Length { got: 17, .. })));
    assert_eq!(Record::decode(&[0; 4]), Err(RecordError::Zero));
}

proptest! {
    #[test]
    fn groups_survive_the_round_trip(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..40),
        first in 1..u64::MAX / 2,
        time in any::<u64>(),
    ) {
        let payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
        let (log, prev) = (log_of(3, 9), [5; 32]);
        let (group, head) = encode_group(log, &prev, first, time, &payloads, key(3).as_ref());
        prop_assert_eq!(verify_group(&log, &prev, &group), Ok(head));
        let entries: Vec<_> = group.entries().collect();
        prop_assert_eq!(entries.len(), payloads.len());
        for (i, entry) in entries.iter().enumerate() {
            prop_assert_eq!((entry.seq, entry.time_us, &entry.payload), (first + i as u64, time, &payloads[i]));
        }
        let twice = Bytes::from([&group.bytes[..], &group.bytes[..]].concat());
        prop_assert_eq!(Group::split(log, &twice).expect("two groups"), vec![group.clone(), group]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), first in any::<u64>(), last in any::<u64>()) {
        let log = log_of(1, 7);
        let group = Group { log, first, last, bytes: bytes.into() };
        prop_assert!(verify_group(&log, &[0; 32], &group).is_err());
        let _ = Group::split(log, &group.bytes);
        let _ = Record::decode(&group.bytes);
        let _ = group.entries().count();
    }

    #[test]
    fn mangled_groups_never_panic(cut in 0..900usize, at in 0..900usize, value in any::<u8>()) {
        let group = group_of(&payloads(1, 5, 100));
        let mut bytes = group.bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(cut);
        let same = bytes == group.bytes;
        let mangled = Group { bytes: bytes.into(), ..group };
        prop_assert_eq!(verify_group(&mangled.log, &log_head(&mangled.log), &mangled).is_ok(), same);
        let _ = mangled.entries().map(|entry| entry.payload.len()).sum::<usize>();
    }
}
