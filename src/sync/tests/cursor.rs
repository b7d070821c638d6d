//! Where the application stands, after power cuts, failed syncs and damage.

use super::disk::Faulty;
use super::{key, log_of, open, payloads};
use crate::base::Incarnation;
use crate::sync::{MemStorage, Wal};

/// A node's log on `disk` that holds `count` records of another node, one a group.
fn holding(disk: &Faulty, count: u64) -> Wal<Faulty> {
    let (mut wal, _) = Wal::open(disk.clone(), key(1), Incarnation(7)).expect("opens");
    wal.set_segment_max(800);
    let mut source = open(MemStorage::new(), 2);
    for seq in 1..=count {
        let groups = source.append(0, &payloads(seq, 1, 10)).expect("memory");
        assert!(wal.store(&groups).iter().all(Result::is_ok));
    }
    wal
}

fn after_power_cut(disk: &Faulty, seed: u64) -> Wal<Faulty> {
    let disk = disk.after_power_cut(&mut fastrand::Rng::with_seed(seed));
    Wal::open(disk, key(1), Incarnation(8)).expect("opens").0
}

#[test]
fn a_power_cut_takes_no_more_than_the_notes_after_the_last_sync_and_never_adds_any() {
    let log = log_of(2, 1);
    let mut stood = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = Faulty::default();
        let mut wal = holding(&disk, 20);
        (1..=9).for_each(|seq| wal.set_applied(log, seq).expect("works"));
        assert!(!wal.sync_cursors(4).expect("works"));
        (10..=17).for_each(|seq| wal.set_applied(log, seq).expect("works"));
        let applied = after_power_cut(&disk, seed).applied(log);
        assert!((9..=17).contains(&applied), "seed {seed}: {applied}");
        stood.insert(applied);
    }
    assert!(stood.contains(&9) && stood.contains(&17), "{stood:?}");
}

#[test]
fn no_power_cut_has_a_log_applied_to_less_than_where_it_begins_after_records_went() {
    let log = log_of(2, 1);
    for seed in 0..50 {
        let disk = Faulty::default();
        let mut wal = holding(&disk, 20);
        (1..=17).for_each(|seq| wal.set_applied(log, seq).expect("works"));
        let base = wal.truncate(log, 20).expect("works");
        assert!((5..=17).contains(&base), "{base}");
        let wal = after_power_cut(&disk, seed);
        assert_eq!((wal.base(log), wal.applied(log)), (base, 17), "seed {seed}");
    }
}

#[test]
fn a_record_a_log_is_parked_at_survives_a_power_cut_and_goes_when_it_is_passed() {
    let log = log_of(2, 1);
    let parked = |wal: &Wal<Faulty>| wal.states().into_iter().find(|s| s.log == log).map(|s| (s.applied, s.parked));
    for seed in 0..50 {
        let disk = Faulty::default();
        let mut wal = holding(&disk, 9);
        wal.park(log, 4, Some(5)).expect("works");
        assert_eq!(parked(&after_power_cut(&disk, seed)), Some((4, Some(5))), "seed {seed}");
        wal.set_applied(log, 3).expect("old news");
        assert_eq!(parked(&wal), Some((4, Some(5))));
        wal.park(log, 4, None).expect("works");
        assert_eq!(parked(&after_power_cut(&disk, seed)), Some((4, None)), "seed {seed}");
        wal.park(log, 4, Some(5)).expect("works");
        wal.set_applied(log, 6).expect("the application went past it");
        assert_eq!(parked(&wal), Some((6, None)));
    }
}

#[test]
fn a_failed_sync_of_a_note_is_not_repeated_as_if_it_could_succeed() {
    let log = log_of(2, 1);
    let disk = Faulty::default();
    let mut wal = holding(&disk, 9);
    wal.set_applied(log, 5).expect("works");
    disk.cut_power_after(0);
    assert!(wal.sync_cursors(9).is_err());
    let disk = disk.after_kill();
    assert!(!wal.sync_cursors(9).expect("written once more, then synced"));
    for seed in 0..50 {
        assert_eq!(after_power_cut(&disk, seed).applied(log), 5, "seed {seed}");
    }
}

#[test]
fn a_note_found_after_a_failed_sync_of_the_process_before_is_written_again_before_it_counts() {
    let log = log_of(2, 1);
    for seed in 0..50 {
        let disk = Faulty::default();
        // What a failed sync leaves depends on the writes before.
        let mut wal = holding(&disk, 6 + seed);
        wal.set_applied(log, 5).expect("works");
        disk.fail_syncs_of("applied", 1);
        assert!(wal.sync_cursors(9).is_err());
        let (mut wal, _) = Wal::open(disk.after_kill(), key(1), Incarnation(7)).expect("opens");
        assert_eq!(wal.applied(log), 5, "it is seen, and a sync alone would not write it");
        assert!(!wal.sync_cursors(9).expect("works"));
        assert_eq!(after_power_cut(&disk, seed).applied(log), 5, "seed {seed}");
    }
}

#[test]
fn the_places_of_many_logs_are_synced_a_few_at_a_time() {
    let disk = Faulty::default();
    let (mut wal, _) = Wal::open(disk.clone(), key(1), Incarnation(7)).expect("opens");
    for n in 2..=6 {
        let groups = open(MemStorage::new(), n).append(0, &payloads(1, 1, 10)).expect("memory");
        assert!(wal.store(&groups).iter().all(Result::is_ok));
        wal.set_applied(log_of(n, 1), 1).expect("works");
    }
    assert_eq!([(); 3].map(|()| wal.sync_cursors(2).expect("works")), [true, true, false]);
    let after = after_power_cut(&disk, 1);
    assert!((2..=6).all(|n| after.applied(log_of(n, 1)) == 1));
}

#[test]
fn a_note_that_cannot_be_written_does_not_spoil_the_one_before_it() {
    let log = log_of(2, 1);
    let disk = Faulty::default();
    let mut wal = holding(&disk, 9);
    wal.set_applied(log, 3).expect("works");
    assert!(!wal.sync_cursors(9).expect("works"));
    wal.set_applied(log, 5).expect("works");
    disk.cut_power_after(0);
    assert!(wal.set_applied(log, 7).is_err(), "torn in the middle");
    let disk = disk.after_kill();
    assert!(!wal.sync_cursors(9).expect("works again"));
    for seed in 0..50 {
        assert_eq!(after_power_cut(&disk, seed).applied(log), 5, "seed {seed}");
    }
}

#[test]
fn no_log_waits_for_its_sync_because_others_are_noted_again_and_again() {
    let disk = Faulty::default();
    let (mut wal, _) = Wal::open(disk.clone(), key(1), Incarnation(7)).expect("opens");
    for n in 2..=7 {
        let groups = open(MemStorage::new(), n).append(0, &payloads(1, 9, 10)).expect("memory");
        assert!(wal.store(&groups).iter().all(Result::is_ok));
        wal.set_applied(log_of(n, 1), 1).expect("works");
    }
    // The first ones in the order of their ids, which have news before the others had their turn.
    let busy: Vec<_> = wal.states().iter().map(|state| state.log).filter(|log| *log != wal.own()).take(4).collect();
    for round in 2..=4 {
        assert!(wal.sync_cursors(2).is_ok());
        busy.iter().for_each(|log| wal.set_applied(*log, round).expect("works"));
    }
    let after = after_power_cut(&disk, 3);
    assert!((2..=7).all(|n| after.applied(log_of(n, 1)) >= 1));
}
