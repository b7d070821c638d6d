//! Any part of one un-synced write survives a power cut: it is told from damage, and damage from it.

use bytes::Bytes;

use super::{assert_holds, key, log_of, open, payload, payloads};
use crate::base::{Incarnation, LogId};
use crate::sync::segment::{BATCH_BYTES, HEADER_BYTES, encode_batch, log_dir, segment_path};
use crate::sync::{Damage, DamageKind, Group, MemStorage, Wal};

const LEN: usize = 20;

fn reopen(disk: MemStorage) -> (Wal<MemStorage>, Vec<Damage>) {
    Wal::open(disk, key(1), Incarnation(2)).expect("recovery needs no help")
}

/// A disk before and after one write, and the file that was written.
struct Write {
    before: MemStorage,
    after: MemStorage,
    path: String,
    log: LogId,
    /// Records before, and at the end of each group written.
    ends: Vec<u64>,
}

impl Write {
    /// The own log grows by two groups in one write.
    fn own(synced: u64) -> Write {
        let mut wal = open(MemStorage::new(), 1);
        (1..=synced).for_each(|seq| drop(wal.append(5, &payloads(seq, 1, LEN)).expect("memory")));
        let before = wal.storage().clone();
        let groups = wal.append(5, &payloads(synced + 1, 258, LEN)).expect("memory");
        Write::new(before, wal.storage().clone(), wal.own(), synced, &groups)
    }

    /// Another's log grows by `count` groups in one write.
    fn foreign(synced: u64, count: u64) -> Write {
        let mut other = open(MemStorage::new(), 2);
        let mut groups: Vec<Group> = Vec::new();
        (1..=synced + count).for_each(|seq| groups.extend(other.append(5, &payloads(seq, 1, LEN)).expect("memory")));
        let mut wal = open(MemStorage::new(), 1);
        let (first, rest) = groups.split_at(synced as usize);
        assert!(first.iter().chain(rest).all(|group| group.log == other.own()));
        first.iter().for_each(|group| drop(wal.store(std::slice::from_ref(group))));
        let before = wal.storage().clone();
        assert!(wal.store(rest).iter().all(Result::is_ok));
        Write::new(before, wal.storage().clone(), other.own(), synced, rest)
    }

    fn new(before: MemStorage, after: MemStorage, log: LogId, synced: u64, groups: &[Group]) -> Write {
        let ends = std::iter::once(synced).chain(groups.iter().map(|group| group.last)).collect();
        Write { before, after, path: segment_path(&log_dir(&log), 1), log, ends }
    }

    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let bytes = |disk: &MemStorage| disk.clone().files_mut().get(&self.path).cloned().unwrap_or_default();
        (bytes(&self.before), bytes(&self.after))
    }

    /// The disk with this state of the file; the mark is the one before the write.
    fn with(&self, file: Vec<u8>) -> MemStorage {
        let mut disk = self.before.clone();
        disk.files_mut().insert(self.path.clone(), file);
        disk
    }

    /// Blocks of the write that came through are the bits of `kept`; `len` is the file's length.
    fn survives(&self, kept: u64, block: usize, len: usize) {
        let (before, after) = self.bytes();
        let mut file = before.clone();
        file.resize(after.len(), 0);
        for (i, start) in (before.len() / block * block..after.len()).step_by(block).enumerate() {
            if kept >> i & 1 == 1 {
                let range = start..(start + block).min(after.len());
                file[range.clone()].copy_from_slice(&after[range]);
            }
        }
        file.truncate(len);
        let (mut wal, damages) = reopen(self.with(file));
        let what = || format!("blocks {kept:b} of {block} bytes, length {len}: {damages:?}");
        assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "{}", what());
        assert_eq!(wal.own(), log_of(1, 1), "{}", what());
        let end = wal.durable(self.log);
        assert!(self.ends.contains(&end), "{end}, {}", what());
        if kept.is_multiple_of(64) {
            assert_holds(&wal, self.log, end, LEN);
            let next = wal.durable(wal.own()) + 1;
            wal.append(6, &payloads(next, 2, LEN)).expect("memory");
            let again = open(wal.storage().clone(), 1);
            assert_eq!(again.durable(again.own()), next + 1, "{}", what());
        }
    }

    /// Every subset of the blocks, and for every length the file may have.
    fn every_subset(&self, block: usize) {
        let (before, after) = self.bytes();
        let blocks = (after.len() - before.len() / block * block).div_ceil(block);
        assert!((4..17).contains(&blocks), "{blocks} blocks");
        (0..1u64 << blocks).for_each(|kept| self.survives(kept, block, after.len()));
        for len in before.len()..after.len() {
            self.survives(u64::MAX, block, len);
            self.survives(!0b10, block, len);
        }
    }
}

#[test]
fn any_part_of_an_own_write_of_several_groups_is_a_torn_tail_and_no_damage() {
    Write::own(0).every_subset(1024);
    Write::own(2).every_subset(1024);
}

#[test]
fn any_part_of_a_stored_write_of_several_groups_is_a_torn_tail_and_no_damage() {
    for (synced, count, block) in [(0, 3, 64), (1, 3, 64), (2, 4, 64), (3, 5, 128)] {
        Write::foreign(synced, count).every_subset(block);
    }
}

#[test]
fn a_later_batch_proves_damage_in_the_one_before_it_without_a_mark() {
    let mut write = Write::foreign(1, 3);
    let (_, whole) = write.bytes();
    write.before.files_mut().retain(|path, _| !path.ends_with("/mark"));
    for at in 0..whole.len() {
        let mut file = whole.clone();
        file[at] ^= 4;
        let (wal, damages) = reopen(write.with(file));
        // The first write was durable when the second was begun; nothing is behind the second.
        let first_end = write.bytes().0.len();
        let kind = if at < first_end { DamageKind::Quarantined } else { DamageKind::TornTail };
        assert_eq!(damages.iter().map(|damage| damage.kind).collect::<Vec<_>>(), [kind], "byte {at}");
        assert!(wal.durable(write.log) >= u64::from(at >= first_end), "byte {at}");
    }
}

#[test]
fn a_batch_mark_in_a_payload_proves_nothing() {
    let mut other = open(MemStorage::new(), 2);
    let mut groups = other.append(5, &[Bytes::copy_from_slice(&encode_batch(2))]).expect("memory");
    groups.extend(other.append(5, &[payload(2, LEN)]).expect("memory"));
    let mut wal = open(MemStorage::new(), 1);
    assert!(wal.store(&groups).iter().all(Result::is_ok));
    let (mut disk, path) = (wal.storage().clone(), segment_path(&log_dir(&other.own()), 1));
    disk.files_mut().retain(|path, _| !path.ends_with("/mark"));
    disk.files_mut().get_mut(&path).expect("written")[HEADER_BYTES + BATCH_BYTES] ^= 1;
    let (_, damages) = reopen(disk);
    assert_eq!(damages.iter().map(|damage| damage.kind).collect::<Vec<_>>(), [DamageKind::TornTail]);
}

#[test]
fn a_batch_mark_without_its_group_is_cut() {
    let mut wal = open(MemStorage::new(), 1);
    wal.append(5, &payloads(1, 2, LEN)).expect("memory");
    let mut disk = wal.storage().clone();
    let path = segment_path(&log_dir(&wal.own()), 1);
    disk.files_mut().get_mut(&path).expect("written").extend_from_slice(&encode_batch(3));
    let (wal, damages) = reopen(disk);
    // Of its 16 bytes the zeros at the end count as room.
    assert_eq!(damages.iter().map(|damage| (damage.kind, damage.bytes)).collect::<Vec<_>>(), [(DamageKind::TornTail, 9)]);
    assert_holds(&wal, wal.own(), 2, LEN);
}
