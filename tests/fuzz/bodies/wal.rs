//! The log on damaged disks and from hostile origins: what is given out is what was appended, in order, and never anything else.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use vixp2p::base::{Incarnation, LogId};
use vixp2p::crypto::{Identity, Secret};
use vixp2p::sync::{
    Cause, Damage, Entry, Group, MemStorage, Reader, Stored, Wal, encode_caused_group, encode_group, log_head, verify_group,
};

use super::edits::Choices;

const RECORDS: u64 = 12;

fn identity(n: u8) -> Arc<Identity> {
    Arc::new(Identity::from_seed(&Secret::new([n; 32])))
}

static ME: LazyLock<Arc<Identity>> = LazyLock::new(|| identity(1));
static OTHER: LazyLock<Arc<Identity>> = LazyLock::new(|| identity(2));

fn log_of(identity: &Identity) -> LogId {
    LogId { origin: identity.id(), incarnation: Incarnation(1) }
}

fn payload(seq: u64) -> Bytes {
    let mut bytes = seq.to_le_bytes().to_vec();
    bytes.resize(20 + (seq % 5) as usize, seq as u8);
    bytes.into()
}

fn payloads(first: u64) -> Vec<Bytes> {
    (first..first + 3).map(payload).collect()
}

/// What the first of three records names: nothing, or so many logs.
fn causes(first: u64) -> Vec<Cause> {
    let log = |n| LogId { origin: ME.id(), incarnation: Incarnation(n) };
    (1..first % 4).map(|n| Cause { log: log(n), seq: first }).collect()
}

/// A disk with this node's log in several segments and another's in one.
static DISK: LazyLock<MemStorage> = LazyLock::new(|| {
    let (mut other, _) = Wal::open(MemStorage::new(), OTHER.clone(), Incarnation(1)).expect("memory");
    let (mut wal, _) = Wal::open(MemStorage::new(), ME.clone(), Incarnation(1)).expect("memory");
    wal.set_segment_max(700);
    for first in (1..=RECORDS).step_by(3) {
        wal.append(5, &payloads(first)).expect("memory");
        let groups = other.append_unmarked_after(5, &causes(first), &payloads(first)).expect("memory");
        assert_eq!(wal.store(&groups), [Ok(Stored::New)]);
    }
    wal.set_applied(log_of(&OTHER), 4).expect("memory");
    wal.storage().clone()
});

fn open(disk: MemStorage) -> (Wal<MemStorage>, Vec<Damage>) {
    Wal::open(disk, ME.clone(), Incarnation(77)).expect("recovery needs no help")
}

fn entries(wal: &Wal<MemStorage>, log: LogId) -> Vec<Entry> {
    let groups = wal.read(log, 1, usize::MAX).expect("what recovery left is whole");
    groups.iter().flat_map(Group::entries).collect()
}

/// Every log holds a beginning of what was appended to it.
fn assert_true(wal: &Wal<MemStorage>) {
    for state in wal.states() {
        let entries = entries(wal, state.log);
        assert_eq!(entries.len() as u64, state.durable, "{}", state.log);
        assert!(entries.iter().zip(1..).all(|(entry, seq)| entry.seq == seq && entry.payload == payload(seq)), "{}", state.log);
    }
}

/// Opens a disk in whatever state, checks what it gives, and opens it again.
fn recover(disk: MemStorage) {
    let mut reader = Reader::open(disk.clone()).expect("memory");
    let groups = reader.poll(usize::MAX).expect("memory");
    assert!(groups.iter().flat_map(Group::entries).all(|entry| entry.payload == payload(entry.seq)));
    _ = reader.leftovers();
    let (mut wal, damages) = open(disk);
    assert!(damages.iter().all(|damage| !damage.to_string().is_empty()));
    assert_true(&wal);
    let next = wal.durable(wal.own()) + 1;
    wal.append(6, &payloads(next)).expect("memory");
    let own = wal.own();
    let (again, damages) = open(wal.storage().clone());
    assert_eq!(damages, [], "the second open finds nothing more");
    assert_eq!((again.own(), again.durable(own)), (own, next + 2));
    assert_true(&again);
}

/// Any bytes as the first segment: of the own log, with or without its mark, or of another's.
pub(crate) fn segment(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    let mut disk = DISK.clone();
    let foreign = flags & 1 != 0;
    let origin = if foreign { &OTHER } else { &ME }.id().to_string();
    disk.files_mut().retain(|path, _| {
        let here = path.contains(&origin);
        !here || path.ends_with("/current") || (flags & 2 != 0 && path.ends_with("/mark")) || path.contains("00001.wal")
    });
    let files = disk.files_mut();
    let (_, file) = files.iter_mut().find(|(path, _)| path.contains(&origin) && path.ends_with(".wal")).expect("a first segment");
    *file = choices.rest().to_vec();
    recover(disk);
}

pub(crate) fn segment_seeds() -> Vec<Vec<u8>> {
    let mut disk = DISK.clone();
    let mut file = |identity: &Identity| {
        let (_, file) = disk
            .files_mut()
            .iter()
            .find(|(path, _)| path.contains(&identity.id().to_string()) && path.ends_with(".wal"))
            .expect("a segment");
        file.clone()
    };
    let (own, other) = (file(&ME), file(&OTHER));
    let zeros = [&[0], &own[..], &[0; 90]].concat();
    vec![[&[0], &own[..]].concat(), [&[2], &own[..200]].concat(), [&[1], &other[..]].concat(), zeros]
}

/// `(file, how many edits, edits)*` of an honest disk; a file may go altogether.
pub(crate) fn disk(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut disk = DISK.clone();
    for _ in 0..8 {
        if choices.is_empty() || disk.files_mut().is_empty() {
            break;
        }
        let (which, count) = (usize::from(choices.byte()), choices.byte() % 5);
        let count_files = disk.files_mut().len();
        let path = disk.files_mut().keys().nth(which % count_files).expect("one of them").clone();
        if count == 0 {
            disk.files_mut().remove(&path);
        } else if let Some(file) = disk.files_mut().get_mut(&path) {
            choices.edit(file, count);
        }
    }
    recover(disk);
}

pub(crate) fn disk_seeds() -> Vec<Vec<u8>> {
    vec![vec![], vec![1, 1, 0, 40, 0, 1], vec![2, 0], vec![3, 2, 2, 99, 0, 0, 5, 4, 0, 90], vec![6, 1, 1, 20, 0, 7, 7, 0]]
}

/// Records with good checksums and a seal that the origin signed over whatever it likes: `first, (kind, seq, size)*`.
pub(crate) fn group(input: &[u8]) {
    let mut choices = Choices::new(input);
    let log = log_of(&OTHER);
    let honest = |first: u64| encode_group(log, &log_head(&log), first, 5, &payloads(1), OTHER.as_ref()).0;
    let named =
        |first: u64| encode_caused_group(log, &log_head(&log), (first, 5), (&causes(2), &payloads(1)), OTHER.as_ref()).expect("one").0;
    let (mut wal, _) = open(MemStorage::new());
    if choices.byte() & 1 == 0 {
        assert_eq!(wal.store(&[honest(1)]), [Ok(Stored::New)]);
    }
    let before = wal.durable(log);
    let mut bytes = Vec::new();
    // Not more than a push holds, a whole group being a few bytes of input.
    while !choices.is_empty() && bytes.len() < 8 * 1024 {
        let (kind, seq, size) = (choices.byte(), choices.number(), usize::from(choices.byte()));
        match kind % 8 {
            // Whole groups of the origin, out of place or not.
            0 if kind >= 128 => bytes.extend_from_slice(&named(seq.clamp(1, u64::MAX - 9)).bytes),
            0 => bytes.extend_from_slice(&honest(seq.clamp(1, u64::MAX - 9)).bytes),
            1 => return raw(&wal, log, choices.rest()),
            of => append_record(&mut bytes, [if of < 6 { 1 } else { of - 5 }, kind >> 7], seq, choices.take(size)),
        }
    }
    let bytes = Bytes::from(bytes);
    if let Ok(groups) = Group::split(log, &bytes) {
        assert_eq!(groups.iter().map(|group| group.bytes.len()).sum::<usize>(), bytes.len());
        for group in &groups {
            assert_eq!(group.entries().count() as u64, group.last - group.first + 1);
            let proven = verify_group(&log, &log_head(&log), group).is_ok();
            let signed = group.bytes == honest(group.first).bytes || group.bytes == named(group.first).bytes;
            assert!(!proven || signed, "only what the origin signed is proven");
        }
        wal.store(&groups);
    }
    let label = Group { log, first: before + 1, last: before + 3, bytes };
    let stored = wal.store(std::slice::from_ref(&label));
    assert!(wal.durable(log) == before || wal.durable(log) == 3, "{stored:?}");
    _ = label.entries().map(|entry| entry.causes.iter().count()).sum::<usize>();
    let (again, damages) = open(wal.storage().clone());
    assert_eq!((damages.len(), again.durable(log)), (0, wal.durable(log)));
    assert_true(&again);
}

/// Any bytes as a group.
fn raw(wal: &Wal<MemStorage>, log: LogId, bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    assert!(Group::split(log, &bytes).is_ok_and(|groups| groups.is_empty()) || !bytes.is_empty());
    let group = Group { log, first: wal.durable(log) + 1, last: wal.durable(log) + 1, bytes };
    _ = group.entries().map(|entry| entry.payload.len() + entry.causes.iter().count()).sum::<usize>();
    _ = verify_group(&log, &log_head(&log), &group);
}

/// A record as `sync::record` draws it, with its checksum.
fn append_record(out: &mut Vec<u8>, kind_and_flags: [u8; 2], seq: u64, payload: &[u8]) {
    let mut body = kind_and_flags.to_vec();
    body.extend_from_slice(&seq.to_le_bytes());
    body.extend_from_slice(&0u64.to_le_bytes());
    body.extend_from_slice(payload);
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    out.extend_from_slice(&body);
}

pub(crate) fn group_seeds() -> Vec<Vec<u8>> {
    let log = log_of(&OTHER);
    let (group, _) = encode_group(log, &log_head(&log), 1, 5, &payloads(1), OTHER.as_ref());
    let line = [&[1, 128 + 2, 1, 50, 1, 0][..], &[7; 40], &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    vec![
        line,
        vec![0, 128, 1, 0],
        vec![1, 0, 1, 0],
        vec![0, 0, 4, 0],
        vec![1, 2, 1, 2, 9, 9, 6, 1, 104],
        [&[1, 1, 0, 0], &group.bytes[..]].concat(),
    ]
}
