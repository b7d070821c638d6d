//! Copies of one log compared by a seal, and what becomes of a second history.

use super::{key, log_of, open, payloads};
use crate::base::{Incarnation, LogId};
use crate::sync::segment::{former_path, log_dir};
use crate::sync::{Compared, Group, GroupError, MemStorage, SealRecord, Storage, StoreError, Stored, Wal};

/// Node 2's log whose groups have so many records; from group `fork` on they are others.
fn history(sizes: &[u64], fork: usize) -> Wal<MemStorage> {
    let mut wal = open(MemStorage::new(), 2);
    wal.set_segment_max(600);
    let mut first = 1;
    for (n, size) in sizes.iter().enumerate() {
        wal.append(u64::from(n >= fork), &payloads(first, *size, 40)).expect("memory");
        first += size;
    }
    wal
}

fn groups(wal: &Wal<MemStorage>) -> Vec<Group> {
    wal.read(wal.own(), wal.base(wal.own()) + 1, usize::MAX).expect("memory")
}

fn seals(wal: &Wal<MemStorage>) -> Vec<SealRecord> {
    groups(wal).iter().map(|group| SealRecord::of(group).expect("sealed")).collect()
}

/// Node 3 with a copy of node 2's log.
fn copy_of(wal: &Wal<MemStorage>) -> Wal<MemStorage> {
    let mut copy = open(MemStorage::new(), 3);
    copy.set_segment_max(600);
    // One by one, so that it has several segments.
    groups(wal).iter().for_each(|group| assert!(copy.store(std::slice::from_ref(group)).iter().all(Result::is_ok)));
    copy
}

fn forked_at(verdict: &Compared) -> Option<u64> {
    if let Compared::Differs { why: StoreError::Fork { seq }, .. } = verdict { Some(*seq) } else { None }
}

#[test]
fn every_seal_of_the_same_history_fits_and_none_beyond_the_end_is_judged() {
    let source = history(&[3, 1, 5, 2, 2], 9);
    let (log, all) = (source.own(), seals(&source));
    let mut copy = open(MemStorage::new(), 3);
    assert_eq!(copy.compare(log, &all[0]), Compared::Unknown, "nothing is known of it");
    for (n, group) in groups(&source).iter().enumerate() {
        copy.store(std::slice::from_ref(group));
        assert_eq!(copy.last_seal(log).expect("memory"), Some(all[n]));
        for (m, seal) in all.iter().enumerate() {
            assert_eq!(copy.compare(log, seal), if m <= n { Compared::Fits } else { Compared::Unknown }, "{m} of {n}");
        }
    }
    assert_eq!(copy.last_seal(log_of(9, 9)).expect("memory"), None);
}

#[test]
fn a_seal_of_another_history_freezes_the_log_for_good_and_shows_what_stands_here() {
    // The same borders; others; one that ends within a group here; one that goes on beyond.
    let ours = history(&[3, 1, 5], 9);
    for (sizes, fork, at, seq) in [
        (&[3, 1, 5][..], 2, 2, 5),
        (&[3, 1, 5], 1, 2, 5),
        (&[3, 1, 5], 1, 1, 4),
        (&[3, 2], 1, 1, 4),
        (&[3, 1, 2], 2, 2, 5),
        (&[3, 1, 9], 2, 2, 5),
    ] {
        let theirs = history(sizes, fork);
        let (log, seal) = (ours.own(), seals(&theirs)[at]);
        let mut copy = copy_of(&ours);
        let verdict = copy.compare(log, &seal);
        assert_eq!(forked_at(&verdict), Some(seq), "{sizes:?} {fork}: {verdict:?}");
        let Compared::Differs { ours: Some(stands), .. } = verdict else { panic!("{verdict:?}") };
        assert!(seals(&ours).contains(&stands));
        // Whoever has the other history sees it by that.
        assert!(forked_at(&copy_of(&theirs).compare(log, &stands)).is_some());
        let mut again = open(copy.storage().clone(), 3);
        assert_eq!(again.states().iter().find(|state| state.log == log).and_then(|state| state.frozen), Some(seq));
        let more = history(&[3, 1, 5, 4], 9);
        assert!(matches!(again.store(&groups(&more)[3..])[..], [Err(StoreError::Fork { .. })]));
        let path = format!("{}{seq:020}.fork", log_dir(&log));
        let mut proof = vec![0; seal.bytes().len() + 1];
        let n = again.storage().read(&path, 0, &mut proof).expect("kept");
        assert_eq!(&proof[..n], seal.bytes());
    }
}

#[test]
fn a_seal_of_the_own_log_that_is_not_here_shows_that_this_node_was_set_back() {
    let former = history(&[3, 1, 5], 9);
    for (sizes, at) in [(&[3][..], 2), (&[3, 1], 2), (&[3, 1, 2], 2), (&[3, 1, 5], 2), (&[3, 4, 4, 4], 1), (&[], 0)] {
        let mut wal = history(sizes, 1);
        let (old, seal) = (wal.own(), seals(&former)[at]);
        let have = wal.durable(old);
        let verdict = wal.compare(old, &seal);
        assert!(
            matches!(verdict, Compared::Differs { why: StoreError::Rollback { have: h, claimed }, .. } if (h, claimed) == (have, seal.last())),
            "{sizes:?}: {verdict:?}"
        );
        wal.append(9, &payloads(have + 1, 1, 40)).expect("nothing is frozen");
        wal.renew(Incarnation(77)).expect("memory");
        let again = wal.compare(old, &seal);
        assert!(forked_at(&again).is_some() || seal.first() > have + 1, "{sizes:?}: {again:?}");
    }
    let mut wal = history(&[3, 1, 5], 9);
    assert!(seals(&former).iter().all(|seal| wal.compare(former.own(), seal) == Compared::Fits), "its own seals");
}

#[test]
fn what_was_let_go_of_is_compared_only_where_the_log_begins() {
    let (same, other) = (history(&[2; 20], 99), history(&[2; 20], 0));
    let mut copy = copy_of(&same);
    let log = same.own();
    for seq in 1..=30 {
        copy.set_applied(log, seq).expect("memory");
    }
    let base = copy.truncate(log, 30).expect("memory");
    assert!(base > 4, "{base}");
    for (ours, theirs) in seals(&same).iter().zip(&seals(&other)) {
        let (fits, verdict) = (copy.compare(log, ours), copy_of(&same).compare(log, theirs));
        assert_eq!(fits, if ours.last() < base { Compared::Unknown } else { Compared::Fits });
        assert!(forked_at(&verdict).is_some());
        let mut cut = Wal::open(copy.storage().clone(), key(3), Incarnation(1)).expect("opens").0;
        assert_eq!(forked_at(&cut.compare(log, theirs)).is_some(), theirs.last() >= base, "{theirs:?}");
    }
}

#[test]
fn what_the_origin_did_not_sign_or_what_is_no_seal_is_no_fork() {
    let source = history(&[3, 1, 5], 9);
    let (log, honest) = (source.own(), seals(&source)[1]);
    let mut copy = copy_of(&source);
    // A seal in form over another head, of nobody's key.
    let mut forged = *honest.bytes();
    forged[40] ^= 1;
    let crc = crc32c::crc32c(&forged[8..]);
    forged[4..8].copy_from_slice(&crc.to_le_bytes());
    let forged = SealRecord::read(&forged).expect("in form");
    assert!(matches!(copy.compare(log, &forged), Compared::False(GroupError::Signature { first: 4, last: 4 })));
    // One of another log of the same origin.
    let elsewhere = LogId { incarnation: Incarnation(5), ..log };
    assert_eq!(copy.compare(elsewhere, &honest), Compared::Unknown);
    assert!(copy.states().iter().all(|state| state.frozen.is_none()));
    for bit in 0..honest.bytes().len() * 8 {
        let mut bad = *honest.bytes();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(SealRecord::read(&bad).is_err(), "bit {bit}");
    }
}

#[test]
fn what_a_node_that_was_set_back_wrote_is_kept_when_its_log_goes_on_behind_a_snapshots_place() {
    let mut peer = history(&[3, 1, 5, 4], 9);
    let log = peer.own();
    let place = peer.place_before(log, 13).expect("memory").expect("sealed");
    let mut wal = history(&[3, 2], 1);
    let files = wal.storage().list(&log_dir(&log)).expect("memory").into_iter().filter(|path| path.ends_with(".wal")).count();
    wal.renew(Incarnation(77)).expect("memory");
    wal.adopt(log, &place, 13).expect("adopted");
    assert_eq!((wal.base(log), wal.durable(log), wal.formers().len()), (13, 13, files));
    let mut kept = Vec::new();
    for path in wal.formers() {
        let mut bytes = vec![0; usize::try_from(wal.storage().len(&path).expect("there")).expect("small")];
        wal.storage().read(&path, 0, &mut bytes).expect("reads");
        kept.extend(bytes);
    }
    let lost = groups(&history(&[3, 2], 1)).pop().expect("two");
    assert!(kept.windows(lost.bytes.len()).any(|window| window == lost.bytes), "its second group");
    // Nothing takes them for the log.
    let again = open(wal.storage().clone(), 2);
    assert_eq!((again.base(log), again.durable(log), again.formers().len()), (13, 13, files));
    // A log of others that goes on behind a place keeps nothing.
    let mut copy = copy_of(&history(&[3, 1], 9));
    copy.adopt(log, &place, 13).expect("adopted");
    assert!(copy.formers().is_empty());
    peer.append(9, &payloads(14, 1, 40)).expect("memory");
}

#[test]
fn what_a_crash_left_of_a_log_on_its_way_aside_is_kept_beside_the_rest_of_it() {
    let peer = history(&[3, 1, 5, 4], 9);
    let log = peer.own();
    let place = peer.place_before(log, 13).expect("memory").expect("sealed");
    let mut wal = history(&[3, 2, 2], 1);
    wal.renew(Incarnation(77)).expect("memory");
    let mut disk = wal.storage().clone();
    let segments: Vec<String> = disk.list(&log_dir(&log)).expect("memory").into_iter().filter(|path| path.ends_with(".wal")).collect();
    assert!(segments.len() > 1, "{segments:?}");
    let last = segments.last().expect("some");
    disk.rename(last, &former_path(last, 13)).expect("memory");
    let (mut wal, damages) = Wal::open(disk, key(2), Incarnation(78)).expect("opens");
    assert_eq!((wal.own().incarnation, damages.len()), (Incarnation(77), 1), "it misses what is kept");
    wal.adopt(log, &place, 13).expect("adopted");
    assert_eq!((wal.base(log), wal.durable(log), wal.formers().len()), (13, 13, segments.len()));
    let again = open(wal.storage().clone(), 3);
    assert_eq!((again.base(log), again.formers().len()), (13, segments.len()));
}

#[test]
fn a_group_that_ends_where_a_log_begins_is_settled_unseen_whatever_it_holds() {
    let peer = history(&[3, 1, 5], 9);
    let log = peer.own();
    let place = peer.place_before(log, 4).expect("memory").expect("sealed");
    let mut copy = open(MemStorage::new(), 3);
    copy.adopt(log, &place, 4).expect("adopted");
    let mut forged = groups(&history(&[3, 1], 8)).pop().expect("two");
    forged.log = log;
    assert_eq!(copy.store(&[forged]), [Ok(Stored::Past)]);
}
