//! Cut files and flipped bits: what was acknowledged stays, what is damaged is found, nothing is continued by mistake.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{assert_holds, key, log_of, open, payload, payloads, read_all};
use crate::base::{Incarnation, LogId};
use crate::sync::segment::{HEADER_BYTES, log_dir, parse_path, segment_path};
use crate::sync::{Damage, DamageKind, MemStorage, Storage, Stored, Wal};

pub(super) const LEN: usize = 100;

/// A disk with a log of node 1, commit by commit: (bytes of the only segment, records) after each.
pub(super) fn grown(bytes: usize) -> (MemStorage, Vec<(usize, u64)>) {
    let mut wal = open(MemStorage::new(), 1);
    let path = segment_path(&log_dir(&wal.own()), 1);
    let mut steps = vec![(HEADER_BYTES, 0)];
    for n in 1.. {
        let first = wal.durable(wal.own()) + 1;
        wal.append(n, &payloads(first, n % 20 + 1, LEN)).expect("memory");
        let len = wal.storage().len(&path).expect("written") as usize;
        steps.push((len, wal.durable(wal.own())));
        if len >= bytes {
            break;
        }
    }
    (wal.storage().clone(), steps)
}

pub(super) fn reopen(disk: MemStorage) -> (Wal<MemStorage>, Vec<Damage>) {
    Wal::open(disk, key(1), Incarnation(2)).expect("recovery needs no help")
}

#[test]
fn a_log_cut_at_any_byte_keeps_every_record_acknowledged_before() {
    let (disk, steps) = grown(64 * 1024);
    let log = log_of(1, 1);
    let (path, mark) = (segment_path(&log_dir(&log), 1), format!("{}mark", log_dir(&log)));
    let whole = disk.clone().files_mut()[&path].clone();
    for cut in 0..=whole.len() {
        let (end, records) = steps.iter().rev().find(|(len, _)| *len <= cut).copied().unwrap_or((0, 0));
        let mut disk = disk.clone();
        disk.files_mut().insert(path.clone(), whole[..cut].to_vec());
        disk.files_mut().remove(&mark);
        let (mut wal, damages) = reopen(disk);
        assert_eq!(wal.own(), log, "cut at {cut}");
        assert_eq!(damages.len(), usize::from(cut > end), "cut at {cut}");
        assert!(damages.iter().all(|d| d.kind == DamageKind::TornTail && d.bytes <= (cut - end) as u64), "cut at {cut}");
        if cut % 16 == 0 {
            assert_holds(&wal, log, records, LEN);
            wal.append(0, &[payload(records + 1, LEN)]).expect("memory");
            assert_holds(&open(wal.storage().clone(), 1), log, records + 1, LEN);
        } else {
            assert_eq!(wal.durable(log), records, "cut at {cut}");
        }
    }
}

#[test]
fn a_log_shorter_than_its_mark_is_reported_and_never_continued() {
    let (disk, steps) = grown(16 * 1024);
    let log = log_of(1, 1);
    let path = segment_path(&log_dir(&log), 1);
    let whole = disk.clone().files_mut()[&path].clone();
    for cut in 0..whole.len() {
        let (end, records) = steps.iter().rev().find(|(len, _)| *len <= cut).copied().unwrap_or((0, 0));
        let mut disk = disk.clone();
        disk.files_mut().insert(path.clone(), whole[..cut].to_vec());
        let (mut wal, damages) = reopen(disk);
        let kind = if cut == end { DamageKind::Lost } else { DamageKind::Quarantined };
        assert_eq!(damages.iter().map(|d| d.kind).collect::<Vec<_>>(), [kind], "cut at {cut}");
        assert_eq!(wal.own(), log_of(1, 2), "cut at {cut}");
        assert_eq!(wal.durable(log), records);
        if cut % 64 == 0 {
            assert_holds(&wal, log, records, LEN);
            wal.append(0, &[payload(1, LEN)]).expect("memory");
            let again = open(wal.storage().clone(), 1);
            assert_eq!((again.own(), again.durable(again.own())), (log_of(1, 2), 1));
        }
    }
}

/// Node 1's disk: its own log in `segments` files, and node 2's, closed in good order.
fn two_logs(segment_max: u64, records: u64) -> MemStorage {
    let mut other = open(MemStorage::new(), 2);
    let mut wal = open(MemStorage::new(), 1);
    wal.set_segment_max(segment_max);
    for first in (1..=records).step_by(4) {
        wal.append(5, &payloads(first, 4, LEN)).expect("memory");
        let groups = other.append(5, &payloads(first, 4, LEN)).expect("memory");
        assert_eq!(wal.store(&groups), [Ok(Stored::New)]);
    }
    wal.set_applied(log_of(2, 1), 7).expect("memory");
    let disk = wal.storage().clone();
    wal.close().expect("memory");
    disk
}

fn check_flipped(intact: &BTreeMap<String, Vec<u8>>, path: &str, bit: usize, records: u64) {
    let at = || format!("bit {bit} of {path}");
    let mut disk = MemStorage::new();
    disk.files_mut().clone_from(intact);
    disk.files_mut().get_mut(path).expect("listed")[bit / 8] ^= 1 << (bit % 8);
    let bad = disk.clone().files_mut()[path].clone();
    let (wal, damages) = reopen(disk);
    let (own, other) = (log_of(1, 1), log_of(2, 1));
    for log in [own, other] {
        let entries = read_all(&wal, log).unwrap_or_else(|e| panic!("{}: {e}", at()));
        assert_eq!(entries.len() as u64, wal.durable(log), "{}", at());
        assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.payload == payload(seq, LEN)), "{}", at());
        let short = wal.durable(log) < records;
        assert_eq!(short, damages.iter().any(|d| d.log == log && d.kind == DamageKind::Quarantined && d.after_seq < records), "{}", at());
    }
    let whose: Option<LogId> = path.ends_with(".wal").then(|| parse_path(path).expect("a segment").0);
    assert_eq!(wal.durable(own) < records, whose == Some(own), "{}", at());
    assert_eq!(wal.durable(other) < records, whose == Some(other), "{}", at());
    assert_eq!(wal.own() != own, whose == Some(own) || path.ends_with("/current"), "{}", at());
    assert!(wal.applied(other) == 7 || path.ends_with("/applied"), "{}", at());
    let mut left = wal.storage().clone();
    if whose.is_some() {
        let damage = &damages[0];
        let prefix = left.files_mut().get(path).cloned().unwrap_or_default();
        let aside = &left.files_mut()[&damage.set_aside[0]];
        assert_eq!([&prefix[..], &aside[..]].concat(), bad, "{}: nothing is destroyed", at());
    }
    assert_eq!(reopen(left).1, [], "{}: the second open finds nothing more", at());
}

#[test]
fn every_flipped_bit_is_found_and_nothing_acknowledged_is_shortened_in_silence() {
    let disk = two_logs(1500, 20);
    let mut files = disk.clone();
    let files = files.files_mut();
    let size: usize = files.values().map(Vec::len).sum();
    assert!((5_000..10_000).contains(&size), "{size} bytes");
    for (path, bytes) in files.iter() {
        for bit in 0..bytes.len() * 8 {
            check_flipped(files, path, bit, 20);
        }
    }
}

#[test]
fn damage_is_reported_in_one_sentence_with_its_numbers() {
    let mut disk = two_logs(1 << 20, 12);
    let path = segment_path(&log_dir(&log_of(1, 1)), 1);
    let len = disk.files_mut()[&path].len();
    disk.files_mut().get_mut(&path).expect("there")[len - 200] ^= 1;
    let (_, damages) = reopen(disk);
    let offset = HEADER_BYTES + 2 * (len - HEADER_BYTES) / 3;
    let text = damages[0].to_string();
    assert!(text.contains("is damaged after record 8 (segment log/"), "{text}");
    assert!(text.contains(&format!("byte {offset}: record at byte")), "{text}");
    assert!(text.contains(&format!("opened at 8, {} bytes set aside in {path}.damaged-1", len - offset)), "{text}");
}

#[test]
fn without_a_mark_a_whole_later_group_still_proves_damage() {
    let mut disk = two_logs(1 << 20, 12);
    let dir = log_dir(&log_of(1, 1));
    disk.files_mut().remove(&format!("{dir}mark"));
    disk.files_mut().get_mut(&segment_path(&dir, 1)).expect("there")[HEADER_BYTES + 40] ^= 1;
    let (wal, damages) = reopen(disk);
    assert_eq!((damages[0].kind, damages[0].after_seq), (DamageKind::Quarantined, 0));
    assert_eq!(wal.own(), log_of(1, 2));
}

#[test]
fn damage_in_an_early_segment_sets_the_later_ones_aside() {
    let mut disk = two_logs(1, 12);
    let dir = log_dir(&log_of(2, 1));
    disk.files_mut().get_mut(&segment_path(&dir, 5)).expect("there")[HEADER_BYTES + 40] ^= 1;
    let (mut wal, damages) = reopen(disk);
    assert_eq!((damages.len(), damages[0].after_seq, damages[0].set_aside.len()), (1, 4, 2));
    assert_eq!(wal.own(), log_of(1, 1));
    assert_holds(&wal, log_of(1, 1), 12, LEN);
    assert_holds(&wal, log_of(2, 1), 4, LEN);
    // The cursor keeps what the application has seen, and the log takes the records again.
    assert_eq!(wal.applied(log_of(2, 1)), 7);
    let mut other = open(MemStorage::new(), 2);
    let mut groups = Vec::new();
    for first in [1, 5, 9] {
        groups.extend(other.append(5, &payloads(first, 4, LEN)).expect("memory"));
    }
    assert_eq!(wal.store(&groups), [Ok(Stored::Duplicate), Ok(Stored::New), Ok(Stored::New)]);
    assert_holds(&open(wal.storage().clone(), 1), log_of(2, 1), 12, LEN);
}

#[test]
fn a_missing_first_segment_is_damage_of_all_that_follows() {
    let mut disk = two_logs(1, 12);
    disk.files_mut().remove(&segment_path(&log_dir(&log_of(1, 1)), 1));
    let (wal, damages) = reopen(disk);
    assert_eq!((damages[0].kind, damages[0].after_seq, damages[0].set_aside.len()), (DamageKind::Quarantined, 0, 2));
    assert_eq!(wal.own(), log_of(1, 2));
}

#[test]
fn an_exchanged_history_is_noticed_at_the_mark() {
    let mut disk = two_logs(1 << 20, 12);
    let path = segment_path(&log_dir(&log_of(1, 1)), 1);
    let mut elsewhere = open(MemStorage::new(), 1);
    elsewhere.append(5, &vec![Bytes::from_static(b"another history"); 12]).expect("memory");
    let other = elsewhere.storage().clone().files_mut()[&path].clone();
    disk.files_mut().insert(path, other);
    let (wal, damages) = reopen(disk);
    assert_eq!(damages[0].kind, DamageKind::Lost);
    assert_eq!(wal.own(), log_of(1, 2));
}

#[test]
fn a_bit_that_flips_while_the_log_is_open_is_reported_and_not_returned() {
    let mut wal = open(MemStorage::new(), 1);
    for first in [1, 5, 9] {
        wal.append(5, &payloads(first, 4, LEN)).expect("memory");
    }
    let log = wal.own();
    let path = segment_path(&log_dir(&log), 1);
    let mut disk = wal.storage().clone();
    let at = disk.files_mut()[&path].len() - 200;
    let byte = disk.files_mut()[&path][at] ^ 4;
    wal.storage_mut().write(&path, at as u64, &[byte]).expect("memory");
    assert_eq!(wal.read(log, 1, usize::MAX).expect("the intact ones").len(), 2);
    let error = wal.read(log, 9, usize::MAX).expect_err("damaged").to_string();
    assert!(error.contains("cannot be read after record 8"), "{error}");
}

#[test]
fn zeros_at_the_end_are_no_records() {
    let mut disk = two_logs(1 << 20, 12);
    let path = segment_path(&log_dir(&log_of(1, 1)), 1);
    disk.files_mut().get_mut(&path).expect("there").extend_from_slice(&[0; 5000]);
    let mut wal = open(disk, 1);
    wal.append(5, &payloads(13, 2, LEN)).expect("memory");
    assert_holds(&open(wal.storage().clone(), 1), log_of(1, 1), 14, LEN);
}

#[test]
fn remains_of_failed_commits_before_a_later_segment_are_passed_over() {
    let mut disk = two_logs(1, 12);
    let dir = log_dir(&log_of(1, 1));
    disk.files_mut().get_mut(&segment_path(&dir, 5)).expect("there").extend_from_slice(b"a cut that did not hold");
    let stale = disk.files_mut()[&segment_path(&dir, 5)].clone();
    disk.files_mut().insert(segment_path(&dir, 7), stale);
    let mut wal = open(disk, 1);
    wal.append(5, &payloads(13, 2, LEN)).expect("memory");
    assert_holds(&open(wal.storage().clone(), 1), log_of(1, 1), 14, LEN);
}

#[test]
fn a_damaged_log_of_its_own_beside_a_missing_name_of_the_current_one_begins_a_new_one() {
    let mut disk = two_logs(1500, 20);
    let segment =
        disk.files_mut().keys().find(|path| parse_path(path).is_some_and(|(log, _)| log == log_of(1, 1)) && path.ends_with(".wal"));
    let segment = segment.expect("there").clone();
    disk.files_mut().get_mut(&segment).expect("there")[300] ^= 1;
    disk.files_mut().retain(|path, _| !path.ends_with("/current"));
    let (wal, damages) = reopen(disk);
    assert!(wal.own() != log_of(1, 1) && damages.iter().any(|damage| damage.log == log_of(1, 1)));
}
