//! Records accepted without waiting for the disk: what a killed process leaves, what a power cut leaves, what a failing disk does.

use bytes::Bytes;

use super::crash::random_payloads;
use super::disk::Faulty;
use super::{assert_holds, key, log_of, open, payload, payloads, read_all};
use crate::base::Incarnation;
use crate::sync::{DamageKind, Group, Wal};

const LEN: usize = 50;

fn found(wal: &Wal<Faulty>) -> Vec<Bytes> {
    read_all(wal, wal.own()).expect("reads").into_iter().map(|entry| entry.payload).collect()
}

fn payloads_of(groups: &[Group]) -> Vec<Bytes> {
    groups.iter().flat_map(Group::entries).map(|entry| entry.payload).collect()
}

#[test]
fn accepted_records_cost_no_sync_and_are_no_part_of_the_log_before_the_flush() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    for seq in 1..=100 {
        assert_eq!(wal.append_buffered(0, &[payload(seq, LEN)]).expect("works"), seq..=seq);
    }
    assert_eq!(disk.calls(), (100, 0));
    assert_eq!((wal.durable(wal.own()), wal.read(wal.own(), 1, usize::MAX).expect("reads").len()), (0, 0));
    let groups = wal.flush().expect("works");
    assert_eq!(payloads_of(&groups), payloads(1, 100, LEN));
    assert_eq!((disk.calls(), wal.accepted_bytes()), ((100, 1), 0));
    assert_holds(&wal, wal.own(), 100, LEN);
    assert!(wal.flush().expect("nothing to do").is_empty());
    wal.append(0, &payloads(101, 5, LEN)).expect("works");
    assert_holds(&open(disk.after_kill(), 1), log_of(1, 1), 105, LEN);
}

#[test]
fn nothing_is_done_with_the_own_log_over_the_head_of_accepted_records() {
    let mut wal = open(Faulty::default(), 1);
    wal.append_buffered(0, &payloads(1, 3, LEN)).expect("works");
    let refused = wal.append(0, &payloads(4, 1, LEN)).expect_err("not flushed").to_string();
    assert!(refused.contains("records 1..=3 were accepted and are not durable yet"), "{refused}");
    assert!(wal.renew(Incarnation(2)).is_err());
    let disk = wal.storage().clone();
    wal.close().expect("works");
    assert_holds(&open(disk.after_power_cut(&mut fastrand::Rng::with_seed(1)), 1), log_of(1, 1), 3, LEN);
}

#[test]
fn a_failed_sync_of_accepted_records_costs_none_of_them_while_the_process_lives() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    wal.append(0, &payloads(1, 5, LEN)).expect("works");
    wal.append_buffered(0, &payloads(6, 5, LEN)).expect("works");
    // The first sync and the one after everything was written anew.
    disk.fail_syncs(2);
    let first = wal.flush().expect_err("the disk fails").to_string();
    assert!(first.contains("input/output error"), "{first}");
    assert!(wal.append_buffered(0, &payloads(11, 1, LEN)).is_err(), "what was accepted comes first");
    while let Err(error) = wal.flush() {
        assert!(error.to_string().contains("input/output error"), "{error}");
    }
    wal.append_buffered(0, &payloads(11, 5, LEN)).expect("works again");
    wal.flush().expect("works");
    assert_holds(&open(disk.after_power_cut(&mut fastrand::Rng::with_seed(2)), 1), log_of(1, 1), 15, LEN);
}

#[test]
fn a_full_disk_refuses_records_and_keeps_those_it_accepted() {
    let disk = Faulty::default();
    let mut wal = open(disk.clone(), 1);
    wal.append_buffered(0, &payloads(1, 5, LEN)).expect("works");
    disk.set_room(Some(100));
    assert!(wal.append_buffered(0, &payloads(6, 20, LEN)).expect_err("full").to_string().contains("no space left"));
    disk.set_room(None);
    assert_eq!(wal.append_buffered(0, &payloads(6, 2, LEN)).expect("room again"), 6..=7);
    assert_holds(&open(disk.after_kill(), 1), log_of(1, 1), 7, LEN);
}

#[test]
fn a_kill_loses_nothing_accepted_and_a_power_cut_nothing_flushed() {
    for seed in 0..1500 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut disk = Faulty::default();
        let mut durable: Vec<Bytes> = Vec::new();
        for life in 1..6 {
            let (mut wal, damages) = Wal::open(disk.clone(), key(1), Incarnation(life)).expect("recovery needs no help");
            assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "seed {seed}: {damages:?}");
            wal.set_segment_max(rng.u64(1..20_000));
            let mut accepted = Vec::new();
            for _ in 0..rng.u32(1..12) {
                match rng.u8(..12) {
                    0 => disk.fail_syncs(rng.u32(..3)),
                    1 => disk.set_room(rng.bool().then(|| rng.usize(..2000))),
                    2 => disk.cut_power_after(rng.u32(..8)),
                    3..10 => {
                        let payloads = random_payloads(&mut rng);
                        if let Ok(range) = wal.append_buffered(0, &payloads) {
                            accepted.extend(payloads);
                            assert_eq!(*range.end(), (durable.len() + accepted.len()) as u64, "seed {seed}");
                        }
                    }
                    _ => {
                        if let Ok(groups) = wal.flush() {
                            assert_eq!(payloads_of(&groups), accepted, "seed {seed}");
                            durable.append(&mut accepted);
                        }
                    }
                }
            }
            let kill = rng.bool();
            if kill {
                durable.append(&mut accepted);
            }
            disk = if kill { disk.after_kill() } else { disk.after_power_cut(&mut rng) };
            let now = found(&open_again(&disk, seed));
            assert!(now.starts_with(&durable), "seed {seed}, life {life}: {} of {} left", now.len(), durable.len());
            durable = now;
        }
    }
}

fn open_again(disk: &Faulty, seed: u64) -> Wal<Faulty> {
    let (wal, damages) = Wal::open(disk.clone(), key(1), Incarnation(99)).expect("recovery needs no help");
    assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "seed {seed}: {damages:?}");
    wal
}
