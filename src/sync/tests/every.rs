//! Every byte a log may be cut at and every bit that may flip, at full size. The groups are tried one after the other, each from
//! where the one before it ends, as recovery walks them; whole recoveries are sampled, and all of them run on demand.

use super::damage::{LEN, grown, reopen};
use super::{assert_holds, log_of};
use crate::sync::group::Walked;
use crate::sync::seal::log_head;
use crate::sync::segment::{HEADER_BYTES, Scanner, Step, log_dir, segment_path};
use crate::sync::{DamageKind, GroupError, Head, MemStorage, Storage};

/// A log in one file, the end of each commit with its last record, and the file alone on a disk.
struct Grown {
    disk: MemStorage,
    steps: Vec<(usize, u64)>,
    path: String,
    whole: Vec<u8>,
    alone: MemStorage,
    window: Vec<u8>,
}

impl Grown {
    fn new(bytes: usize) -> Grown {
        let (mut disk, steps) = grown(bytes);
        let path = segment_path(&log_dir(&log_of(1, 1)), 1);
        let whole = disk.files_mut()[&path].clone();
        Grown { disk, steps, path, whole, alone: MemStorage::new(), window: Vec::new() }
    }

    /// The only file is the log up to here.
    fn cut(&mut self, len: usize) -> &mut Vec<u8> {
        let file = self.alone.files_mut().entry(self.path.clone()).or_default();
        file.clear();
        file.extend_from_slice(&self.whole[..len]);
        file
    }

    /// What a scan finds at `start`, where record `first` should begin.
    fn step(&mut self, start: usize, first: u64, head: &mut Head) -> Result<Option<Walked>, (u64, GroupError)> {
        let mut scanner = Scanner::new(&self.alone, &self.path, start as u64, &mut self.window).expect("memory");
        match scanner.step(first, head).expect("memory") {
            Step::Group { walked, .. } => Ok(Some(walked)),
            Step::End => Ok(None),
            Step::Bad(at, why) => Err((at, why)),
        }
    }

    /// Opens the log cut at `len`, its mark lost as well.
    fn recover_cut(&mut self, len: usize) {
        let (end, records) = self.steps.iter().rev().find(|(end, _)| *end <= len).copied().unwrap_or((0, 0));
        let mut disk = self.disk.clone();
        disk.files_mut().retain(|path, _| !path.ends_with("/mark"));
        disk.truncate(&self.path, len as u64).expect("there");
        let (wal, damages) = reopen(disk);
        assert_eq!((wal.own(), wal.durable(log_of(1, 1)), damages.len()), (log_of(1, 1), records, usize::from(len > end)), "cut at {len}");
        assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "cut at {len}");
    }

    /// Opens the log with one bit flipped and its mark in place.
    fn recover_flipped(&mut self, bit: usize) {
        let mut disk = self.disk.clone();
        disk.files_mut().get_mut(&self.path).expect("there")[bit / 8] ^= 1 << (bit % 8);
        let (wal, damages) = reopen(disk);
        let (end, records) = self.steps.iter().rev().find(|(end, _)| *end <= bit / 8).copied().unwrap_or((0, 0));
        let found: Vec<_> = damages.iter().map(|damage| (damage.kind, damage.offset, damage.after_seq)).collect();
        assert_eq!(found, [(DamageKind::Quarantined, end as u64, records)], "bit {bit}");
        assert_eq!(wal.own(), log_of(1, 2), "bit {bit}");
        assert_holds(&wal, log_of(1, 1), records, LEN);
    }
}

#[test]
fn a_log_of_a_mebibyte_cut_at_any_byte_keeps_what_was_acknowledged_before() {
    let mut log = Grown::new(1 << 20);
    let mut head = log_head(&log_of(1, 1));
    let steps = log.steps.clone();
    for (n, pair) in steps.windows(2).enumerate() {
        let [(start, last), (end, _)] = *pair else { continue };
        log.cut(end);
        for len in (start..end).rev() {
            log.alone.truncate(&log.path, len as u64).expect("there");
            match log.step(start, last + 1, &mut head.clone()) {
                Ok(None) if len == start => {}
                Err((at, _)) if at == start as u64 && len > start => {}
                other => panic!("cut at {len}: {other:?}"),
            }
        }
        if n % 16 == 0 {
            [end - 1, end, end + 1].into_iter().for_each(|len| log.recover_cut(len.min(log.whole.len())));
        }
        log.cut(end);
        assert!(log.step(start, last + 1, &mut head).expect("whole").is_some());
    }
    (0..=HEADER_BYTES).for_each(|len| log.recover_cut(len));
}

#[test]
fn every_flipped_bit_of_a_log_of_64_kib_is_found_in_its_group() {
    let mut log = Grown::new(64 * 1024);
    let mut head = log_head(&log_of(1, 1));
    let steps = log.steps.clone();
    for pair in steps.windows(2) {
        let [(start, last), (end, _)] = *pair else { continue };
        log.cut(end);
        for bit in start * 8..end * 8 {
            log.alone.files_mut().get_mut(&log.path).expect("there")[bit / 8] ^= 1 << (bit % 8);
            let found = log.step(start, last + 1, &mut head.clone());
            assert!(matches!(found, Err((at, _)) if at == start as u64), "bit {bit}: {found:?}");
            log.alone.files_mut().get_mut(&log.path).expect("there")[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(log.step(start, last + 1, &mut head).expect("whole").is_some());
    }
    let bits = log.whole.len() * 8;
    (0..HEADER_BYTES * 8).step_by(5).chain((HEADER_BYTES * 8..bits).step_by(997)).for_each(|bit| log.recover_flipped(bit));
}

#[test]
#[ignore = "an hour: every one of 2^20 recoveries"]
fn every_recovery_of_a_cut_log_of_a_mebibyte() {
    let mut log = Grown::new(1 << 20);
    (0..=log.whole.len()).for_each(|len| log.recover_cut(len));
}

#[test]
#[ignore = "minutes: every one of 2^19 recoveries"]
fn every_recovery_of_a_log_of_64_kib_with_a_flipped_bit() {
    let mut log = Grown::new(64 * 1024);
    (0..log.whole.len() * 8).for_each(|bit| log.recover_flipped(bit));
}
