//! Following a directory that somebody else writes.

use super::{log_of, open, payloads};
use crate::sync::segment::{log_dir, segment_path};
use crate::sync::{Group, MemStorage, Reader};

fn seqs(groups: &[Group]) -> Vec<u64> {
    groups.iter().flat_map(Group::entries).map(|entry| entry.seq).collect()
}

#[test]
fn a_reader_follows_every_log_over_segments_up_to_the_last_whole_group() {
    let disk = super::disk::Faulty::default();
    let mut wal = open(disk.clone(), 1);
    let mut reader = Reader::open(disk).expect("works");
    wal.set_segment_max(500);
    assert!(reader.poll(usize::MAX).expect("works").is_empty());
    for first in 1..=20 {
        wal.append(1, &payloads(first, 1, 100)).expect("works");
        assert_eq!(seqs(&reader.poll(usize::MAX).expect("works")), [first]);
    }
    let mut other = open(MemStorage::new(), 2);
    wal.store(&other.append(1, &payloads(1, 3, 0)).expect("memory"));
    assert_eq!(seqs(&reader.poll(1).expect("works")), [1, 2, 3]);
    assert_eq!(reader.logs().len(), 2);
}

#[test]
fn a_reader_waits_at_an_unfinished_group_and_changes_nothing() {
    let mut wal = open(MemStorage::new(), 1);
    wal.append(1, &payloads(1, 3, 100)).expect("memory");
    wal.append(1, &payloads(4, 3, 100)).expect("memory");
    let mut disk = wal.storage().clone();
    let path = segment_path(&log_dir(&log_of(1, 1)), 1);
    let len = disk.files_mut()[&path].len();
    disk.files_mut().get_mut(&path).expect("there").truncate(len - 1);
    let mut reader = Reader::open(disk.clone()).expect("memory");
    assert_eq!(seqs(&reader.poll(usize::MAX).expect("memory")), [1, 2, 3]);
    assert!(reader.poll(usize::MAX).expect("memory").is_empty());
}
