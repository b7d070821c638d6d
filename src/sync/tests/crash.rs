//! Power cuts at any moment, any subset of un-synced blocks lost: nothing acknowledged goes missing or changes.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::disk::Faulty;
use super::{key, open, read_all};
use crate::base::{Incarnation, LogId};
use crate::sync::{DamageKind, Group, MemStorage, Stored, Wal};

/// What was acknowledged, and by nature must stay.
type Acknowledged = BTreeMap<LogId, Vec<Bytes>>;

pub(super) fn random_payloads(rng: &mut fastrand::Rng) -> Vec<Bytes> {
    let count = if rng.u8(..10) == 0 { rng.usize(200..400) } else { rng.usize(1..6) };
    (0..count).map(|_| Bytes::from((0..rng.usize(..300)).map(|_| rng.u8(..)).collect::<Vec<_>>())).collect()
}

/// Works until the power goes.
fn work(wal: &mut Wal<Faulty>, source: &mut Wal<MemStorage>, rng: &mut fastrand::Rng, disk: &Faulty, acked: &mut Acknowledged) {
    for _ in 0..rng.u32(1..12) {
        match rng.u8(..10) {
            0 => disk.fail_syncs(rng.u32(..3)),
            1 => disk.set_room(rng.bool().then(|| rng.usize(..2000))),
            2 => disk.cut_power_after(rng.u32(..8)),
            3..7 => {
                let payloads = random_payloads(rng);
                if wal.append(0, &payloads).is_ok() {
                    acked.entry(wal.own()).or_default().extend(payloads);
                }
            }
            _ => {
                source.append(0, &random_payloads(rng)).expect("memory");
                let groups = source.read(source.own(), wal.durable(source.own()) + 1, rng.usize(1..40_000)).expect("memory");
                for (verdict, group) in wal.store(&groups).iter().zip(&groups) {
                    if *verdict == Ok(Stored::New) {
                        acked.entry(group.log).or_default().extend(group.entries().map(|entry| entry.payload));
                    }
                }
            }
        }
    }
}

/// Every acknowledged record is there. What was written and not acknowledged may be there behind it, and counts from then on.
fn check(wal: &Wal<Faulty>, acked: &mut Acknowledged, seed: u64) {
    for (log, known) in acked.iter() {
        assert!(wal.durable(*log) >= known.len() as u64, "seed {seed}: {log} ends at {}", wal.durable(*log));
    }
    for state in wal.states() {
        let found: Vec<Bytes> = read_all(wal, state.log).expect("reads").into_iter().map(|entry| entry.payload).collect();
        assert_eq!(found.len() as u64, state.durable, "seed {seed}");
        let known = acked.entry(state.log).or_default();
        assert!(found.len() >= known.len(), "seed {seed}: {} of {} left", found.len(), known.len());
        assert!(found.starts_with(known), "seed {seed}");
        *known = found;
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_a_power_cut_leaves_of_unsynced_blocks() {
    for seed in (0..600).chain([23, 303, 37782, 38982, 102_542]) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut disk = Faulty::default();
        let mut acked = Acknowledged::new();
        let mut source = open(MemStorage::new(), 2);
        for life in 1..6 {
            let (mut wal, _) = Wal::open(disk.clone(), key(1), Incarnation(life)).expect("recovery needs no help");
            wal.set_segment_max(rng.u64(1..20_000));
            check(&wal, &mut acked, seed);
            work(&mut wal, &mut source, &mut rng, &disk, &mut acked);
            if rng.bool() {
                let _ = wal.close();
            }
            disk = if rng.u8(..4) == 0 { disk.after_kill() } else { disk.after_power_cut(&mut rng) };
        }
    }
}

#[test]
fn a_power_cut_during_recovery_itself_loses_nothing() {
    for seed in (0..600).chain([23, 303, 37782, 38982, 102_542]) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let disk = Faulty::default();
        let mut wal = open(disk.clone(), 1);
        wal.set_segment_max(rng.u64(1..5_000));
        let mut acked: Vec<Bytes> = Vec::new();
        for _ in 0..rng.u32(1..6) {
            let payloads = random_payloads(&mut rng);
            wal.append(0, &payloads).expect("works");
            acked.extend(payloads);
        }
        disk.cut_power_after(rng.u32(..2));
        let _ = wal.append(0, &random_payloads(&mut rng));
        let mut disk = disk.after_power_cut(&mut rng);
        for life in 2..6 {
            disk.cut_power_after(rng.u32(..6));
            let _ = Wal::open(disk.clone(), key(1), Incarnation(life));
            disk = disk.after_power_cut(&mut rng);
        }
        let (wal, _) = Wal::open(disk, key(1), Incarnation(9)).expect("recovery needs no help");
        let log = super::log_of(1, 1);
        let found: Vec<Group> = wal.read(log, 1, usize::MAX).expect("reads");
        let found: Vec<Bytes> = found.iter().flat_map(Group::entries).map(|entry| entry.payload).collect();
        assert!(found.starts_with(&acked), "seed {seed}: {} of {}", found.len(), acked.len());
    }
}

/// Opens the log after a crash: what it cuts off was never acknowledged, and nothing looks like damage.
fn recover(disk: Faulty, life: u64, seed: u64) -> Wal<Faulty> {
    let (wal, damages) = Wal::open(disk, key(1), Incarnation(life)).expect("recovery needs no help");
    assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "seed {seed}: {damages:?}");
    wal
}

/// Lives of a few operations each (write, sync, cut, rename, new files and directories); after each of them the power fails in
/// `STATES_A_STOP` ways, `STATES_A_SEED` in all.
fn crash_states(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut disk = Faulty::default();
        let mut acked = Acknowledged::new();
        let mut source = open(MemStorage::new(), 2);
        for life in 1..=LIVES {
            let mut wal = recover(disk.clone(), life, seed);
            wal.set_segment_max(rng.u64(1_000..20_000));
            check(&wal, &mut acked, seed);
            for round in 0..STOPS_A_LIFE {
                work(&mut wal, &mut source, &mut rng, &disk, &mut acked);
                if rng.u8(..4) == 0 {
                    let _ = wal.renew(Incarnation(10 * life + round));
                }
                for _ in 0..STATES_A_STOP {
                    check(&recover(disk.after_power_cut(&mut rng), 99, seed), &mut acked.clone(), seed);
                }
            }
            disk = disk.after_power_cut(&mut rng);
        }
    }
}

const LIVES: u64 = 3;
const STOPS_A_LIFE: u64 = 2;
const STATES_A_STOP: u64 = 20;
const STATES_A_SEED: u64 = LIVES * STOPS_A_LIFE * STATES_A_STOP;

#[test]
fn a_hundred_thousand_random_crash_states_hold_everything_acknowledged() {
    crash_states(0..100_000_u64.div_ceil(STATES_A_SEED));
}

/// `make crash N=...`: other states than those above, one thread a core.
#[test]
#[ignore = "minutes: a million states"]
fn a_million_random_crash_states_hold_everything_acknowledged() {
    let states: u64 = std::env::var("VIXP2P_CRASH_STATES").map_or(1_000_000, |n| n.parse().expect("a number"));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let each = states.div_ceil(STATES_A_SEED).div_ceil(threads);
    std::thread::scope(|scope| {
        (0..threads).for_each(|n| drop(scope.spawn(move || crash_states(10_000 + n * each..10_000 + (n + 1) * each))));
    });
    eprintln!("{} crash states, nothing acknowledged was lost", threads * each * STATES_A_SEED);
}
