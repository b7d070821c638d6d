//! Records that name what comes before them in other logs.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::{key, log_of, open, payload, payloads};
use crate::base::{LogId, limits};
use crate::sync::group::append_group;
use crate::sync::{
    Cause, Group, GroupError, MemStorage, RecordError, StoreError, Stored, WalError, encode_caused_group, encode_group, log_head,
    verify_group,
};

fn cause(n: u8, incarnation: u64, seq: u64) -> Cause {
    Cause { log: log_of(n, incarnation), seq }
}

/// The same sorted by their logs.
fn sorted(mut causes: Vec<Cause>) -> Vec<Cause> {
    causes.sort_by_key(|cause| cause.log);
    causes
}

fn line(cause: &Cause) -> Vec<u8> {
    [&cause.log.origin.0[..], &cause.log.incarnation.0.to_le_bytes(), &cause.seq.to_le_bytes()].concat()
}

/// A group of node 1 whose first record begins with these bytes, rightly sealed whatever they are.
fn sealed(block: &[u8]) -> Group {
    let log = log_of(1, 7);
    let (mut head, mut out) = (log_head(&log), BytesMut::new());
    let last = append_group(&log, &mut head, (1, 5), (block, &payloads(1, 2, 10)), key(1).as_ref(), &mut out);
    Group { log, first: 1, last, bytes: out.freeze() }
}

fn block(count: u16, lines: &[Cause]) -> Vec<u8> {
    count.to_le_bytes().into_iter().chain(lines.iter().flat_map(line)).collect()
}

fn refused(group: &Group) -> GroupError {
    verify_group(&group.log, &log_head(&group.log), group).expect_err("breaks a rule")
}

#[test]
fn a_record_with_lines_has_exactly_the_bytes_of_its_diagram() {
    let (log, named) = (log_of(1, 7), sorted(vec![cause(2, 9, 300), cause(3, 1, 4), cause(2, 10, 1)]));
    let payloads = [Bytes::from_static(b"hello"), Bytes::from_static(b"again")];
    let (group, _) = encode_caused_group(log, &log_head(&log), (1, 1_000_000), (&named, &payloads), key(1).as_ref()).expect("few");
    let lines: Vec<u8> = named.iter().flat_map(line).collect();
    let body = [&[1u8, 1][..], &1u64.to_le_bytes(), &1_000_000u64.to_le_bytes(), &3u16.to_le_bytes(), &lines, b"hello"].concat();
    let mut want = (body.len() as u32).to_le_bytes().to_vec();
    want.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    want.extend_from_slice(&body);
    assert_eq!(&group.bytes[..want.len()], want);
    assert_eq!(group.bytes[want.len() + 9], 0, "what the first record names the second need not");
    let entries: Vec<_> = group.entries().collect();
    assert_eq!(entries[0].causes.iter().collect::<Vec<_>>(), named);
    assert_eq!((&entries[0].payload, &entries[1].payload), (&payloads[0], &payloads[1]));
    assert!(entries[1].causes.is_empty());
}

#[test]
fn a_record_that_names_nothing_is_byte_for_byte_what_it_was() {
    let (log, payloads) = (log_of(1, 7), payloads(1, 3, 20));
    let (plain, _) = encode_group(log, &log_head(&log), 1, 5, &payloads, key(1).as_ref());
    let own = [Cause { log, seq: 9 }, cause(2, 1, 0)];
    let (named, _) = encode_caused_group(log, &log_head(&log), (1, 5), (&own, &payloads), key(1).as_ref()).expect("none");
    assert_eq!(plain, named, "its own log and record 0 are nothing to name");
}

#[test]
fn of_a_log_that_is_given_twice_the_later_record_is_named() {
    let log = log_of(1, 7);
    let given = [cause(3, 1, 4), cause(2, 1, 8), cause(3, 1, 6), cause(3, 1, 5)];
    let (group, _) = encode_caused_group(log, &log_head(&log), (1, 5), (&given, &payloads(1, 1, 4)), key(1).as_ref()).expect("few");
    let named: Vec<Cause> = group.entries().flat_map(|entry| entry.causes.iter().collect::<Vec<_>>()).collect();
    assert_eq!(named, sorted(vec![cause(2, 1, 8), cause(3, 1, 6)]));
}

#[test]
fn lines_that_break_a_rule_are_refused_although_they_are_signed() {
    let two = sorted(vec![cause(2, 1, 3), cause(3, 1, 3)]);
    assert!(verify_group(&log_of(1, 7), &log_head(&log_of(1, 7)), &sealed(&block(2, &two))).is_ok());
    let turned = vec![two[1], two[0]];
    let cases = [
        (block(0, &[]), "are none"),
        (block(1, &[]), "are cut off"),
        (block(1, &[cause(2, 1, 0)]), "name record 0"),
        (block(2, &turned), "are not sorted, or name a log twice"),
        (block(2, &[two[0], two[0]]), "are not sorted, or name a log twice"),
        (block(limits::RECORD_CAUSES_MAX as u16 + 1, &two), "are too many"),
        (block(u16::MAX, &two), "are too many"),
        (vec![7], "are cut off"),
    ];
    for (bytes, why) in cases {
        let group = sealed(&bytes);
        assert!(
            matches!(refused(&group), GroupError::Record { source: RecordError::Causes { what }, .. } if what == why),
            "{why}: {}",
            refused(&group)
        );
        assert_eq!(group.entries().count(), 0, "what is malformed is not read");
    }
    let own = Cause { log: log_of(1, 7), seq: 1 };
    assert_eq!(refused(&sealed(&block(1, &[own]))), GroupError::OwnCause { seq: 1 });
    assert!(verify_group(&log_of(1, 7), &log_head(&log_of(1, 7)), &sealed(&block(1, &[cause(1, 8, 1)]))).is_ok(), "another life's");
}

#[test]
fn whoever_pushes_a_malformed_record_is_blamed_and_nothing_of_it_is_kept() {
    let mut wal = open(MemStorage::new(), 2);
    for bytes in [block(1, &[cause(3, 1, 0)]), block(1, &[Cause { log: log_of(1, 7), seq: 1 }])] {
        let verdict = wal.store(&[sealed(&bytes)]).remove(0).expect_err("malformed");
        assert!(matches!(verdict, StoreError::BadGroup(_)) && verdict.blames_peer(), "{verdict}");
    }
    assert_eq!(wal.states().len(), 1);
}

#[test]
fn flags_nobody_defined_are_refused_and_a_seal_has_none() {
    let group = sealed(&block(1, &[cause(2, 1, 3)]));
    let flagged = |at: usize, len: usize, flags: u8| {
        let mut bytes = group.bytes.to_vec();
        bytes[at + 9] = flags;
        let crc = crc32c::crc32c(&bytes[at + 8..at + len]);
        bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
        refused(&Group { bytes: bytes.into(), ..group.clone() })
    };
    let first = 8 + u32::from_le_bytes(*group.bytes.first_chunk().expect("a length")) as usize;
    for flags in [2, 3, 0x80, 0xff] {
        assert!(matches!(flagged(0, first, flags), GroupError::Record { source: RecordError::Flags(got), .. } if got == flags));
    }
    let seal = group.bytes.len() - 130;
    assert!(matches!(flagged(seal, 130, 1), GroupError::Record { source: RecordError::Flags(1), .. }));
}

#[test]
fn the_largest_record_behind_the_most_lines_is_one_push() {
    let most: Vec<Cause> = (0..limits::RECORD_CAUSES_MAX as u64).map(|n| cause(2, n, 1)).collect();
    let log = log_of(1, 7);
    let large = Bytes::from(vec![1; limits::RECORD_PAYLOAD_MAX_BYTES]);
    let made = encode_caused_group(log, &log_head(&log), (1, 5), (&most, std::slice::from_ref(&large)), key(1).as_ref());
    let (group, _) = made.expect("fits");
    assert!(group.bytes.len() <= limits::WAL_PUSH_MAX_BYTES);
    assert_eq!(Group::split(log, &group.bytes).expect("a group"), std::slice::from_ref(&group));
    let mut wal = open(MemStorage::new(), 2);
    assert_eq!(wal.store(std::slice::from_ref(&group)), [Ok(Stored::New)]);
    assert_eq!(wal.read(log, 1, 1).expect("whole"), [group]);

    let mut own = open(MemStorage::new(), 1);
    let groups = own.append_unmarked_after(5, &most, &[payload(1, 10), payload(2, 20_000), large.clone()]).expect("room");
    let ends: Vec<_> = groups.iter().map(|group| (group.first, group.last)).collect();
    assert_eq!(ends, [(1, 1), (2, 2), (3, 3)], "lines count in a group's limit");
    assert_eq!(open(own.storage().clone(), 1).durable(own.own()), 3);
    let more: Vec<Cause> = (0..=limits::RECORD_CAUSES_MAX as u64).map(|n| cause(2, n, 1)).collect();
    let refused = own.append_unmarked_after(5, &more, &[payload(4, 10)]);
    assert!(matches!(refused, Err(WalError::TooManyCauses { got: 5121, max: 5120 })));
    assert!(own.append_unmarked_after(5, &[], &[Bytes::from(vec![1; limits::RECORD_PAYLOAD_MAX_BYTES + 1])]).is_err());
}

#[test]
fn a_payload_over_its_limit_is_refused_with_lines_and_without() {
    let log = log_of(1, 7);
    let long = [Bytes::from(vec![1; limits::RECORD_PAYLOAD_MAX_BYTES + 1])];
    let (plain, _) = encode_group(log, &log_head(&log), 1, 5, &long, key(1).as_ref());
    let (named, _) = encode_caused_group(log, &log_head(&log), (1, 5), (&[cause(2, 1, 1)], &long), key(1).as_ref()).expect("encodes");
    for group in [plain, named] {
        assert!(matches!(refused(&group), GroupError::Record { source: RecordError::Length { .. }, .. }));
    }
}

#[test]
fn buffered_appends_name_what_they_are_told() {
    let mut wal = open(MemStorage::new(), 1);
    wal.append_buffered_after(5, &[cause(2, 1, 3)], &payloads(1, 2, 10)).expect("memory");
    wal.append_buffered_after(5, &[], &payloads(3, 1, 10)).expect("memory");
    wal.append_buffered_after(5, &[cause(3, 1, 1)], &payloads(4, 1, 10)).expect("memory");
    let groups = wal.flush().expect("memory");
    let named: Vec<usize> = groups.iter().flat_map(Group::entries).map(|entry| entry.causes.iter().count()).collect();
    assert_eq!(named, [1, 0, 0, 1]);
}

fn logs() -> impl Strategy<Value = Vec<Cause>> {
    let one = (2u8..6, 0u64..50, 1u64..).prop_map(|(n, incarnation, seq)| cause(n, incarnation, seq));
    proptest::collection::vec(one, 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn groups_with_lines_survive_the_round_trip(
        given in logs(),
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..10),
    ) {
        let payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
        let (log, prev) = (log_of(1, 9), [5; 32]);
        let (group, head) = encode_caused_group(log, &prev, (3, 7), (&given, &payloads), key(1).as_ref()).expect("few");
        prop_assert_eq!(verify_group(&log, &prev, &group), Ok(head));
        let named: Vec<Cause> = group.entries().next().expect("one").causes.iter().collect();
        let mut want: std::collections::BTreeMap<LogId, u64> = std::collections::BTreeMap::new();
        for cause in &given {
            let seq = want.entry(cause.log).or_insert(0);
            *seq = cause.seq.max(*seq);
        }
        prop_assert_eq!(named, want.into_iter().map(|(log, seq)| Cause { log, seq }).collect::<Vec<_>>());
        prop_assert!(group.entries().map(|entry| entry.payload).eq(payloads));
    }

    #[test]
    fn mangled_lines_never_panic(given in logs(), at in 0..4_000usize, value in any::<u8>(), cut in 0..5_000usize) {
        let log = log_of(1, 9);
        let (group, _) = encode_caused_group(log, &[5; 32], (1, 7), (&given, &payloads(1, 2, 10)), key(1).as_ref()).expect("few");
        let mut bytes = group.bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] = value;
        bytes.truncate(cut);
        let same = bytes == group.bytes;
        let mangled = Group { bytes: bytes.into(), ..group };
        prop_assert_eq!(verify_group(&log, &[5; 32], &mangled).is_ok(), same);
        let _ = mangled.entries().map(|entry| entry.causes.iter().count() + entry.payload.len()).sum::<usize>();
    }
}
