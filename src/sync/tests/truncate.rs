//! Logs that let go of their beginning, and logs that begin in the middle.

use super::disk::Faulty;
use super::{assert_holds, key, log_of, open, payload, payloads, read_all};
use crate::base::{Incarnation, LogId};
use crate::sync::segment::log_dir;
use crate::sync::{Base, Entry, Group, GroupError, MemStorage, Reader, Storage, StoreError, Stored, Wal, WalError, inspect};

/// Node 2's log of `count` groups of two records, three groups a segment or so.
fn source(count: u64) -> Wal<MemStorage> {
    let mut wal = open(MemStorage::new(), 2);
    wal.set_segment_max(800);
    for group in 0..count {
        wal.append(1, &payloads(2 * group + 1, 2, 40)).expect("memory");
    }
    wal
}

fn groups(wal: &Wal<MemStorage>, from: u64) -> Vec<Group> {
    wal.read(wal.own(), from, usize::MAX).expect("memory")
}

/// The log holds exactly the records behind `base` up to `upto`.
fn assert_holds_from<S: Storage>(wal: &Wal<S>, log: LogId, base: u64, upto: u64) {
    assert_eq!((wal.base(log), wal.durable(log)), (base, upto));
    let found: Vec<Entry> = wal.read(log, base + 1, usize::MAX).expect("reads").iter().flat_map(Group::entries).collect();
    assert_eq!(found.len() as u64, upto - base);
    for (entry, seq) in found.iter().zip(base + 1..) {
        assert_eq!((entry.seq, &entry.payload), (seq, &payload(seq, 40)));
    }
}

#[test]
fn whole_segments_go_and_the_rest_stays_through_reopening() {
    for upto in 0..=40 {
        let mut wal = source(20);
        let log = wal.own();
        let base = wal.truncate(log, upto).expect("memory");
        assert!(base <= upto && base.is_multiple_of(2), "{base} of {upto}");
        assert_holds_from(&wal, log, base, 40);
        if base > 0 {
            let error = wal.read(log, base, 1).expect_err("gone").to_string();
            assert_eq!(error, format!("log {log} begins after record {base} here; what was before is in a snapshot"));
        }
        let files = wal.storage().list(&log_dir(&log)).expect("memory").len();
        let mut wal = open(wal.storage().clone(), 2);
        assert_eq!(wal.storage().list(&log_dir(&log)).expect("memory").len(), files);
        assert_holds_from(&wal, log, base, 40);
        wal.append(1, &payloads(41, 1, 40)).expect("goes on");
        assert_holds_from(&open(wal.storage().clone(), 2), log, base, 41);
    }
    let mut wal = source(20);
    let log = wal.own();
    assert_eq!(wal.truncate(log, u64::MAX).expect("memory"), wal.base(log));
    assert!(wal.base(log) > 30 && wal.base(log) < 40, "the last segment stays");
    assert!(matches!(wal.truncate(log_of(9, 9), 1), Err(WalError::UnknownLog(_))));
}

#[test]
fn nothing_goes_that_the_application_has_yet_to_apply() {
    let theirs = source(20);
    let (log, mut wal) = (theirs.own(), open(MemStorage::new(), 1));
    wal.set_segment_max(800);
    groups(&theirs, 1).into_iter().for_each(|group| assert_eq!(wal.store(&[group]), [Ok(Stored::New)]));
    assert_eq!(wal.truncate(log, 40).expect("memory"), 0);
    wal.set_applied(log, 21).expect("memory");
    let base = wal.truncate(log, 40).expect("memory");
    assert!((10..=21).contains(&base), "{base}");
    assert_holds_from(&wal, log, base, 40);
}

#[test]
fn a_follower_whose_file_goes_away_goes_on_where_the_log_begins() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 2);
    let log = wal.own();
    let mut reader = Reader::open(disk.clone()).expect("works");
    let next = |wal: &mut Wal<Faulty>, reader: &mut Reader<Faulty>, seq: u64| {
        wal.append(1, &payloads(seq, 1, 40)).expect("works");
        reader.poll(usize::MAX).expect("follows").iter().map(|group| group.first).collect::<Vec<_>>()
    };
    wal.set_segment_max(1);
    assert_eq!(next(&mut wal, &mut reader, 1), [1]);
    assert_eq!(next(&mut wal, &mut reader, 2), [2]);
    (3..6).for_each(|seq| drop(wal.append(1, &payloads(seq, 1, 40)).expect("works")));
    // The reader stands in the second file, and everything up to the fifth goes.
    assert_eq!(wal.truncate(log, 5).expect("works"), 4);
    for seq in [1, 2, 3, 4] {
        disk.forget(&crate::sync::segment::segment_path(&log_dir(&log), seq));
    }
    assert_eq!(next(&mut wal, &mut reader, 6), [5, 6]);
}

#[test]
fn letting_go_again_goes_on_from_where_it_was() {
    let mut wal = source(20);
    let log = wal.own();
    let mut last = 0;
    for upto in 0..=40 {
        let base = wal.truncate(log, upto).expect("memory");
        assert!(base >= last);
        last = base;
    }
    assert_eq!(wal.truncate(log, 0).expect("nothing to do"), last);
    assert_holds_from(&open(wal.storage().clone(), 2), log, last, 40);
}

#[test]
fn a_place_is_the_last_end_of_a_group_and_proves_itself() {
    let mut wal = source(10);
    let log = wal.own();
    assert_eq!(wal.place_before(log, 0).expect("memory"), None);
    assert_eq!(wal.place_before(log, 1).expect("memory"), None);
    for upto in 2..25 {
        let place = wal.place_before(log, upto).expect("memory").expect("there");
        assert_eq!(place.seq, (upto / 2 * 2).min(20));
        assert_eq!(Base::prove(&log, &place.proof).expect("genuine"), place);
    }
    let base = wal.truncate(log, 12).expect("memory");
    assert!(base > 2);
    assert_eq!(wal.place_before(log, base - 1).expect("memory"), None);
    assert_eq!(wal.place_before(log, base).expect("memory").map(|place| place.seq), Some(base));
    assert_eq!(wal.place_before(log, base + 1).expect("memory").map(|place| place.seq), Some(base));
    let place = wal.place_before(log, 20).expect("memory").expect("there");
    let (other, mut proof) = (log_of(3, 1), place.proof);
    assert_eq!(Base::prove(&other, &proof), Err(GroupError::Signature { first: 19, last: 20 }));
    for bit in 0..proof.len() * 8 {
        proof[bit / 8] ^= 1 << (bit % 8);
        assert!(Base::prove(&log, &proof).is_err(), "bit {bit}");
        proof[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_log_begun_behind_a_place_takes_the_rest_and_nothing_else() {
    let theirs = source(10);
    let log = theirs.own();
    let place = theirs.place_before(log, 12).expect("memory").expect("there");
    let mut wal = open(MemStorage::new(), 1);
    // What was here before goes: it is shorter.
    assert!(wal.store(&groups(&theirs, 1)[..2]).iter().all(Result::is_ok));
    for applied in [11, 12 + 256, u64::MAX] {
        assert!(matches!(wal.adopt(log, &place, applied), Err(StoreError::BadGroup(GroupError::Mislabelled(_)))), "{applied}");
    }
    wal.adopt(log, &place, 13).expect("memory");
    assert_eq!((wal.base(log), wal.durable(log), wal.applied(log)), (12, 12, 13));
    let mut wal = open(wal.storage().clone(), 1);
    assert_eq!((wal.base(log), wal.durable(log), wal.applied(log)), (12, 12, 13));
    assert_eq!(wal.read(log, 13, 1).expect("nothing yet"), []);
    let rest = groups(&theirs, 13);
    assert_eq!(wal.store(&rest[1..2]), [Err(StoreError::Gap { have: 12 })]);
    assert_eq!(wal.store(&rest), vec![Ok(Stored::New); 4]);
    let again: Vec<_> = (1..=10).map(|n| Ok(if n <= 6 { Stored::Past } else { Stored::Duplicate })).collect();
    assert_eq!(wal.store(&groups(&theirs, 1)), again);
    assert_holds_from(&open(wal.storage().clone(), 1), log, 12, 20);
    // An older place changes nothing.
    let older = theirs.place_before(log, 4).expect("memory").expect("there");
    wal.adopt(log, &older, 4).expect("nothing to do");
    assert_holds_from(&wal, log, 12, 20);
    assert_eq!(wal.applied(log), 13);
}

#[test]
fn a_false_place_a_frozen_log_and_a_rollback_are_refused_by_name() {
    let theirs = source(10);
    let log = theirs.own();
    let place = theirs.place_before(log, 12).expect("memory").expect("there");
    let mut wal = open(MemStorage::new(), 1);
    assert!(matches!(wal.adopt(log_of(3, 1), &place, 12), Err(StoreError::BadGroup(GroupError::Signature { .. }))));
    assert_eq!(wal.states().len(), 1, "nothing came of it");
    let mut own = open(MemStorage::new(), 2);
    assert_eq!(own.adopt(log, &place, 12), Err(StoreError::Rollback { have: 0, claimed: 12 }));
    own.renew(Incarnation(2)).expect("fresh");
    own.adopt(log, &place, 12).expect("a former log is like any other's");
    assert_eq!(own.durable(log), 12);

    let mut other = open(MemStorage::new(), 2);
    other.append(1, &payloads(100, 2, 40)).expect("memory");
    wal.store(&groups(&other, 1));
    assert!(matches!(wal.store(&groups(&theirs, 1)[..1])[..], [Err(StoreError::Fork { .. })]));
    let have = wal.durable(log);
    assert!(wal.applied(log) == 0 && have > 0 && have < 12);
    assert!(matches!(wal.adopt(log, &place, 12), Err(StoreError::Fork { .. })));
    assert_eq!((wal.applied(log), wal.durable(log)), (have, have), "the state has taken in what is here");
}

#[test]
fn a_frozen_log_is_never_applied_past_its_end_by_a_place_since_no_more_of_it_comes() {
    let theirs = source(10);
    let log = theirs.own();
    let mut other = open(MemStorage::new(), 2);
    other.append(1, &payloads(100, 1, 40)).expect("memory");
    let frozen = |first: &[Group], second: &[Group]| {
        let mut wal = open(MemStorage::new(), 1);
        assert!(wal.store(first).iter().all(Result::is_ok));
        assert_eq!(wal.store(second)[0], Err(StoreError::Fork { seq: 1 }));
        wal
    };
    let mut wal = frozen(&groups(&theirs, 1)[..4], &groups(&other, 1));
    wal.adopt(log, &theirs.place_before(log, 9).expect("memory").expect("a seal at 8"), 9).expect("as far as it is here");
    assert_eq!((wal.durable(log), wal.applied(log)), (8, 8));
    let mut wal = frozen(&groups(&other, 1), &groups(&theirs, 1)[..1]);
    wal.adopt_beginning(log, 5).expect("as far as it is here");
    assert_eq!((wal.durable(log), wal.applied(log)), (1, 1));
}

#[test]
fn a_place_in_the_own_log_proves_that_this_node_was_set_back_or_nothing() {
    let theirs = source(10);
    let place = |upto| theirs.place_before(theirs.own(), upto).expect("memory").expect("there");
    let mut own = source(4);
    assert_eq!(own.durable(own.own()), 8);
    assert_eq!(own.own_place(&place(6)), Ok(()));
    assert_eq!(own.own_place(&place(12)), Err(StoreError::Rollback { have: 8, claimed: 12 }));
    // Numbers that were used twice, in groups of the same borders and of others.
    own.append(1, &payloads(100, 2, 40)).expect("memory");
    assert_eq!(own.own_place(&place(10)), Err(StoreError::Rollback { have: 10, claimed: 10 }));
    own.append(1, &payloads(100, 3, 40)).expect("memory");
    assert_eq!(own.own_place(&place(12)), Err(StoreError::Rollback { have: 13, claimed: 12 }));
    assert_eq!(own.own_place(&place(8)), Ok(()));
    let false_place = Base { proof: [0; crate::sync::record::SEAL_BYTES], ..place(8) };
    assert!(matches!(own.own_place(&false_place), Err(StoreError::BadGroup(_))));
    own.renew(Incarnation(9)).expect("fresh");
    assert!(matches!(own.own_place(&place(12)), Err(StoreError::BadGroup(GroupError::Signature { .. }))), "of another log");
    // What is let go of here is nothing to compare with.
    let mut cut = source(10);
    let base = cut.truncate(cut.own(), 12).expect("memory");
    assert!(base > 4);
    for upto in [4, base, base + 2] {
        assert_eq!(cut.own_place(&place(upto)), Ok(()), "{upto}");
    }
}

#[test]
fn a_group_across_the_base_is_a_fork() {
    let theirs = source(10);
    let log = theirs.own();
    let mut wal = open(MemStorage::new(), 1);
    wal.adopt(log, &theirs.place_before(log, 12).expect("memory").expect("there"), 12).expect("memory");
    let mut other = open(MemStorage::new(), 2);
    let long = other.append(1, &payloads(1, 13, 40)).expect("memory");
    assert_eq!(wal.store(&long), [Err(StoreError::Fork { seq: 1 })]);
}

#[test]
fn a_base_that_does_not_check_is_damage_and_never_a_shorter_log() {
    let mut wal = source(20);
    let log = wal.own();
    let base = wal.truncate(log, 20).expect("memory");
    let path = format!("{}base", log_dir(&log));
    for bit in 0..146 * 8 {
        let mut disk = wal.storage().clone();
        disk.files_mut().get_mut(&path).expect("there")[bit / 8] ^= 1 << (bit % 8);
        let (opened, damages) = Wal::open(disk, key(2), Incarnation(7)).expect("recovery needs no help");
        assert_eq!(damages.len(), 1, "bit {bit}");
        assert!(!damages[0].set_aside.is_empty() && opened.own() != log, "bit {bit}: {}", damages[0]);
    }
    assert!(base > 0);
}

#[test]
fn a_follower_and_an_inspector_begin_at_the_base() {
    let mut wal = source(20);
    let log = wal.own();
    let mut behind = Reader::open(wal.storage().clone()).expect("memory");
    let before = behind.poll(usize::MAX).expect("memory").len();
    assert_eq!(before, 20);
    let base = wal.truncate(log, 20).expect("memory");
    let mut reader = Reader::open(wal.storage().clone()).expect("memory");
    let seen = reader.poll(usize::MAX).expect("memory");
    assert_eq!(seen.first().map(|group| group.first), Some(base + 1));
    assert_eq!(seen.last().map(|group| group.last), Some(40));
    let report = &inspect(wal.storage(), &mut |seen| assert!(seen.sealed)).expect("memory")[0];
    assert_eq!((report.base, report.last), (base, 40));
}

#[test]
fn a_power_cut_while_letting_go_or_beginning_anew_loses_nothing_that_was_to_stay() {
    for seed in 0..1500 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let disk = Faulty::default();
        let mut wal = open(disk.clone(), 1);
        wal.set_segment_max(rng.u64(100..1500));
        let own = rng.u64(1..12);
        (0..own).for_each(|n| drop(wal.append(1, &payloads(2 * n + 1, 2, 40)).expect("works")));
        let theirs = source(rng.u64(4..12));
        let log = theirs.own();
        let before = rng.usize(..4);
        wal.store(&groups(&theirs, 1)[..before]);
        let place = theirs.place_before(log, rng.u64(2..8)).expect("memory").expect("there");
        disk.cut_power_after(rng.u32(..14));
        let let_go = rng.u64(..24);
        let base = wal.truncate(wal.own(), let_go);
        let adopted = wal.adopt(log, &place, place.seq);
        let (wal, damages) = Wal::open(disk.after_power_cut(&mut rng), key(1), Incarnation(9)).expect("recovery needs no help");
        assert!(damages.is_empty(), "seed {seed}: {}", damages[0]);
        let (now, own_log) = (wal.base(log_of(1, 1)), log_of(1, 1));
        assert!(now <= let_go && base.is_ok_and(|base| base == now) | (wal.durable(own_log) == 2 * own), "seed {seed}");
        assert_holds_from(&wal, own_log, now, 2 * own);
        let had = 2 * before as u64;
        let come = wal.durable(log);
        assert!(come == had || come == place.seq.max(had), "seed {seed}: {come}");
        assert!(adopted.is_err() || come >= place.seq, "seed {seed}");
        if wal.base(log) == 0 {
            assert_holds(&wal, log, had, 40);
        } else {
            assert_eq!(wal.base(log), place.seq, "seed {seed}");
            assert!(read_all(&wal, log).is_err());
        }
    }
}

#[test]
fn a_log_whose_first_group_is_applied_in_part_elsewhere_begins_with_it_and_goes_on_behind_the_place() {
    let mut from = open(MemStorage::new(), 2);
    from.append(1, &payloads(1, 5, 40)).expect("memory");
    let log = from.own();
    let mut wal = open(MemStorage::new(), 3);
    wal.adopt_beginning(log, 3).expect("memory");
    assert!(wal.adopt_beginning(log, 256).is_err(), "there is a seal before that");
    let mut wal = open(wal.storage().clone(), 3);
    assert_eq!((wal.applied(log), wal.durable(log), wal.base(log)), (3, 0, 0));
    assert_eq!(wal.store(&groups(&from, 1)), [Ok(Stored::New)]);
    wal.adopt_beginning(log, 2).expect("memory");
    assert_eq!((wal.applied(log), wal.durable(log)), (3, 5));
}

#[test]
fn the_places_where_a_log_can_be_cut_are_where_it_is_cut() {
    let mut wal = source(20);
    let log = wal.own();
    let (cuts, rest) = wal.cuts(log);
    assert!(cuts.len() > 3 && rest > 0 && cuts.iter().all(|(_, bytes)| *bytes > 0));
    for (seq, bytes) in cuts {
        let before: u64 = wal.cuts(log).0.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(wal.truncate(log, seq).expect("memory"), seq);
        assert_eq!(before - wal.cuts(log).0.iter().map(|(_, bytes)| bytes).sum::<u64>(), bytes);
    }
    assert_eq!(wal.cuts(log), (Vec::new(), rest));
}
