//! The simulator holds the machines to their promises, and these tests hold the simulator to its own.
//!
//! `VIXP2P_SIM_SEEDS=2000 cargo test --release --test sim` plays more seeds, from `VIXP2P_SIM_FROM` on; a failure prints the command that plays it
//! again.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use vixp2p::sim::{Failure, Options, Report, Sabotage, Scenario, run};

/// Seeds of one storm test unless the environment asks for more.
const SEEDS: u64 = 2_000;

fn seeds() -> u64 {
    std::env::var("VIXP2P_SIM_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

/// The seed a long test begins with: `VIXP2P_SIM_FROM`, so that a campaign can be played in parts.
fn first() -> u64 {
    std::env::var("VIXP2P_SIM_FROM").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn play(options: &Options) -> Result<Report, Failure> {
    run(options, &mut io::sink())
}

fn passes(options: &Options) -> Report {
    play(options).unwrap_or_else(|failure| panic!("{failure}"))
}

fn scenario(scenario: Scenario, seed: u64, nodes: usize) -> Options {
    Options { seed, nodes, scenario, ..Options::default() }
}

/// `VIXP2P_SIM_SAME=1000` plays as many seeds twice.
#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let seeds = std::env::var("VIXP2P_SIM_SAME").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 1..=seeds {
        let (first, again) = (passes(&storm(seed)), passes(&storm(seed)));
        assert_eq!((&first.trace_hash, first.steps), (&again.trace_hash, again.steps), "seed {seed}");
        hashes.insert(first.trace_hash);
    }
    assert_eq!(hashes.len(), seeds as usize);
}

#[test]
fn a_trace_that_is_written_is_the_trace_that_is_hashed() {
    let options = Options { seed: 4, steps: 600, trace: true, ..Options::default() };
    let mut text = Vec::new();
    let report = run(&options, &mut text).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(blake3::hash(&text).to_hex().as_str(), report.trace_hash);
    assert_eq!(passes(&Options { trace: false, ..options }).trace_hash, report.trace_hash);
}

/// The storm of a seed: three to nine nodes that are to write two hundred to two thousand records, few more often than many.
fn storm(seed: u64) -> Options {
    let nodes = 3 + (seed % 7) as usize;
    let writes = 2_000 / (1 + seed / 7 % 10);
    Options { seed, nodes, writes, steps: (200 + 100 * (seed % 3)) * nodes as u64, ..Options::default() }
}

#[test]
fn operations_reach_a_target_their_sender_never_meets_are_executed_once_and_answered_to_its_next_life() {
    let mut repeated = 0;
    for seed in 1..=seeds() {
        let report = passes(&scenario(Scenario::Mail, seed, 3 + (seed % 2) as usize));
        assert!(report.counts.power_cuts > 0, "seed {seed}");
        repeated += report.counts.repeated;
    }
    assert!(repeated > 0, "no crash ever struck between an effect and its receipt");
}

/// The late joiner of reliability: snapshot and tail come to what reading everything comes to, whatever kills it on the way.
/// `VIXP2P_SIM_LATE=10000` plays as many seeds.
#[test]
fn a_late_joiner_has_the_state_of_one_that_read_everything_wherever_it_is_killed() {
    let seeds = std::env::var("VIXP2P_SIM_LATE").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let (mut taken, mut finished, mut crashes) = (0, 0, 0);
    let (mut set_back, mut shown, mut unread, mut not_taken) = (0, 0, 0, 0);
    for seed in 1..=seeds {
        let report = passes(&scenario(Scenario::Late, seed, 3 + (seed % 3) as usize));
        assert!(report.counts.truncated > 0 && report.counts.snapshots > 1, "seed {seed}: {report}");
        taken += u64::from(report.counts.installed + report.counts.finished > 0);
        finished += report.counts.finished;
        crashes += report.counts.kills + report.counts.power_cuts;
        (set_back, shown) = (set_back + report.counts.set_back, shown + report.counts.shown);
        (unread, not_taken) = (unread + report.counts.unread, not_taken + report.counts.not_taken);
    }
    assert!(taken > seeds * 9 / 10, "{taken} of {seeds} joiners took a snapshot");
    assert!(crashes > seeds * 8 && finished > seeds / 20, "{crashes} crashes, {finished} between mark and end");
    // The others' disks, consumers and backups strike as well.
    println!("{set_back} set back shown by a snapshot, {shown} by a seal");
    assert!(set_back + shown > seeds / 20, "{set_back} nodes were shown by a snapshot that they were set back, {shown} by a seal");
    assert!(unread > seeds / 20 && not_taken > seeds / 20, "{unread} parts were not read, {not_taken} states not taken in");
}

/// `VIXP2P_SIM_SET_BACK=10000` plays as many seeds.
#[test]
fn a_writer_that_is_set_back_and_writes_at_once_learns_of_it_and_so_does_everybody_who_holds_another_history() {
    let seeds = std::env::var("VIXP2P_SIM_SET_BACK").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let (mut forks, mut compared, mut shown) = (0, 0, 0);
    for seed in 1..=seeds {
        // The end of every run checks that two linked nodes with two histories both know.
        let counts = passes(&scenario(Scenario::SetBack, seed, 3 + (seed % 3) as usize)).counts;
        (forks, compared, shown) = (forks + counts.forks, compared + counts.compared, shown + counts.shown);
    }
    assert!(forks > seeds && compared > seeds / 2 && shown > seeds / 4, "{forks} forks, {compared} by seals, {shown} set back");
}

/// What a player of storms saw: sums, and seeds that failed.
type Outcome = ([u64; 5], Vec<u64>);

#[test]
fn storms_of_every_seed_break_no_rule_and_end_with_equal_nodes() {
    let (next, short, lapses) = (AtomicU64::new(first()), AtomicU64::new(0), AtomicU64::new(0));
    let play_on = || {
        let (mut sum, mut healed, mut failed) = ([0; 5], Vec::new(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first() + seeds() {
                return ((sum, failed), healed);
            }
            if seed.is_multiple_of(10_000) {
                eprintln!("at seed {seed}");
            }
            let report = match play(&storm(seed)) {
                Ok(report) => report,
                Err(failure) => {
                    // Said at once: the others may take hours yet.
                    eprintln!("{failure}");
                    failed.push(seed);
                    continue;
                }
            };
            let c = report.counts;
            short.fetch_add(u64::from(report.records < 200), Ordering::Relaxed);
            lapses.fetch_add(c.late_lapses, Ordering::Relaxed);
            let counts = [report.records, c.kills + c.power_cuts, c.before_sync, c.quarantined, c.parked];
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            healed.push((report.allowed_ms, report.spread_ms, seed));
        }
    };
    let (outcomes, healed): (Vec<Outcome>, Vec<Vec<_>>) = std::thread::scope(|scope| {
        let players: Vec<_> = (0..2).map(|_| scope.spawn(play_on)).collect();
        players.into_iter().map(|player| player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).unzip()
    });
    show(healed.concat());
    let (sums, failed): (Vec<[u64; 5]>, Vec<Vec<u64>>) = outcomes.into_iter().unzip();
    assert!(failed.concat().is_empty(), "a rule was broken by seeds {:?}", failed.concat());
    assert!(lapses.load(Ordering::Relaxed) <= 2 + seeds() / 1_000, "{lapses:?} times somebody forgot what it knew");
    // Full disks and crashes leave some with less than they were to write.
    assert!(short.load(Ordering::Relaxed) < seeds() / 2, "{short:?} of {} storms had less than 200 records", seeds());
    let [records, crashes, before_sync, quarantined, parked] = [0, 1, 2, 3, 4].map(|i| sums.iter().map(|sum| sum[i]).sum::<u64>());
    assert!(records > seeds() * 200 && crashes > seeds() / 2 && before_sync > 0, "the storms were mild: {sums:?}");
    assert!(quarantined > seeds() / 100 && parked > seeds() / 100, "the storms were mild: {sums:?}");
}

/// How long it took until all were equal, by how long it may take (to a second), with the seeds that took longest.
fn show(healed: Vec<(u64, u64, u64)>) {
    let mut groups: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for (allowed, took, seed) in healed {
        groups.entry(allowed / 1_000).or_default().push((took, seed));
    }
    for (allowed, mut took) in groups {
        took.sort_unstable();
        let at = |per_mille: usize| took[(took.len() - 1) * per_mille / 1_000].0;
        let longest: Vec<_> = took.iter().rev().take(12).collect();
        println!(
            "{} seeds that may take {allowed} s: half took {} ms, 90 % {}, 99 % {}, 99.9 % {}; (ms, seed) of the longest {longest:?}",
            took.len(),
            at(500),
            at(900),
            at(990),
            at(999)
        );
    }
}

#[test]
fn a_storm_that_fails_is_made_smaller_and_still_fails() {
    let fails = |seed| Options { seed, nodes: 3, steps: 2_000, sabotage: Some(Sabotage::SwapApply), ..Options::default() };
    let options = (1..=16).map(fails).find(|options| play(options).is_err()).expect("one of them is noticed");
    let whole = play(&options).expect_err("fails");
    let shrunk = vixp2p::sim::shrink(&options, 80).expect("fails");
    assert!(shrunk.failure.options.steps <= whole.step && shrunk.runs <= 80, "{shrunk:#?}");
    assert!(shrunk.script.iter().any(|line| line.contains("writes")) && shrunk.script.len() < 20, "{:#?}", shrunk.script);
    assert_eq!(play(&shrunk.failure.options).expect_err("fails again").what, shrunk.failure.what);
    assert!(vixp2p::sim::shrink(&Options { seed: 1, steps: 300, faults: false, ..Options::default() }, 9).is_none());
}

#[test]
fn nothing_is_lost_when_nothing_fails() {
    for seed in 1..=5 {
        let report = passes(&Options { seed, nodes: 4, faults: false, ..Options::default() });
        assert_eq!((report.counts.refused, report.counts.repeated, report.counts.kills), (0, 0, 0));
        assert_eq!(report.records, report.counts.appended);
        assert_eq!(report.counts.applied, report.records * 3);
    }
}

#[test]
fn two_halves_that_wrote_apart_are_equal_after_the_partition() {
    for seed in 1..=5 {
        let report = passes(&scenario(Scenario::PartitionHeals, seed, 4));
        assert_eq!((report.counts.partitions, report.records), (1, 5 + 10 * 4 * 3), "seed {seed}");
    }
}

#[test]
fn a_crash_between_write_and_sync_loses_nothing_that_was_acknowledged() {
    let mut struck = 0;
    for seed in 1..=8 {
        let report = passes(&scenario(Scenario::CrashBeforeSync, seed, 3));
        struck += report.counts.before_sync;
    }
    assert!(struck >= 8 * 8, "struck {struck} times");
}

#[test]
fn records_reach_a_node_that_never_met_their_writer() {
    for seed in 1..=5 {
        let report = passes(&scenario(Scenario::Transitive, seed, 3));
        assert_eq!(report.records, 20);
    }
}

/// `VIXP2P_SIM_FERRY=10000` plays as many seeds.
#[test]
fn two_halves_that_never_meet_are_equal_by_one_that_goes_to_and_fro() {
    let seeds = std::env::var("VIXP2P_SIM_FERRY").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut crashes = 0;
    for seed in 1..=seeds {
        // The script expects it while the halves are apart.
        let report = passes(&scenario(Scenario::Ferry, seed, if seed.is_multiple_of(4) { 3 + (seed % 5) as usize } else { 7 }));
        crashes += report.counts.kills + report.counts.power_cuts;
    }
    assert!(crashes > seeds, "{crashes} crashes");
}

#[test]
fn nodes_that_dial_each_other_at_once_keep_one_link_per_pair() {
    for seed in 1..=5 {
        // The end of every run checks that each pair has one connection and that both sides mean the same one.
        let report = passes(&scenario(Scenario::SimultaneousDial, seed, 3));
        assert!(report.counts.connections > 6, "seed {seed}: {} connections", report.counts.connections);
    }
}

/// `VIXP2P_SIM_ALL_DIAL_ALL=1000` plays so many seeds with 32 nodes.
#[test]
fn thirty_two_nodes_that_all_dial_each_other_at_once_end_with_one_link_a_pair_and_lose_no_message() {
    let many = std::env::var("VIXP2P_SIM_ALL_DIAL_ALL").ok().and_then(|text| text.parse().ok());
    let large = (1..=many.unwrap_or(2)).map(|seed| (seed, 32));
    let small = (1..=if many.is_some() { 0 } else { 60 }).map(|seed| (seed, 2 + seed as usize % 6));
    for (seed, nodes) in small.chain(large) {
        // The end of every run checks that each pair has one connection and that both sides mean the same one.
        let counts = passes(&scenario(Scenario::AllDialAll, seed, nodes)).counts;
        let pairs = (nodes * (nodes - 1) / 2) as u64;
        assert!(counts.connections > pairs || nodes < 5, "seed {seed}: {} connections of {pairs} pairs", counts.connections);
        assert!(counts.messages >= 4 * pairs, "seed {seed}: {} messages", counts.messages);
    }
}

#[test]
fn nodes_that_know_only_the_first_one_end_up_linked_by_one_link_per_pair() {
    for seed in 1..=seeds() / 2 {
        // The end of every run checks that.
        let nodes = 3 + (seed % 6) as usize;
        let report = passes(&scenario(Scenario::Introductions, seed, nodes));
        assert!(report.counts.connections as usize >= nodes * (nodes - 1) / 2, "seed {seed}");
    }
}

#[test]
fn messages_over_relays_arrive_once_and_unaltered_or_their_senders_are_told() {
    let first = first();
    let next = AtomicU64::new(first);
    let play_on = || {
        let (mut sums, mut failures) = ([0; 3], Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds() {
                return (sums, failures);
            }
            match play(&scenario(Scenario::Relays, seed, 3 + (seed % 4) as usize)) {
                Ok(Report { counts, .. }) => {
                    let counts = [counts.routed, counts.given_up, counts.lies];
                    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                }
                Err(failure) => failures.push(failure.to_string()),
            }
        }
    };
    let played: Vec<_> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..2).map(|_| scope.spawn(play_on)).collect();
        players.into_iter().map(|player| player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    // What the honest could bring there and did not fails its seed.
    let failures: Vec<&str> = played.iter().flat_map(|(_, failures)| failures).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} seeds failed\n{}", failures.len(), failures.join("\n"));
    let [arrived, given_up, lies] = [0, 1, 2].map(|i| played.iter().map(|(sums, _)| sums[i]).sum::<u64>());
    assert!(arrived > 15 * seeds() && given_up > seeds(), "{arrived} arrived, {given_up} were given up");
    assert!(lies > 10 * seeds(), "{lies} lies were told");
}

/// Whether enough of a few seeds notice the broken rule, with a sentence that has `word` in it. Not every one does: what was lost may
/// come again with what follows it.
fn is_caught(sabotage: Sabotage, word: &str) {
    let causal = if sabotage == Sabotage::IgnoreCauses { 3 } else { 1 };
    let failures: Vec<Failure> = (1..=16)
        .map(|n| n * causal)
        .filter_map(|seed| play(&Options { seed, nodes: 3, steps: 2_000, sabotage: Some(sabotage), ..Options::default() }).err())
        .collect();
    assert!(failures.len() >= 5, "{sabotage:?} was noticed by {} of 16 seeds", failures.len());
    assert!(failures.iter().any(|failure| failure.what.contains(word)), "{sabotage:?}: {failures:#?}");
    assert!(failures.iter().all(|failure| failure.to_string().contains("vixp2p simulate --seed")));
}

#[test]
fn a_disk_that_lies_about_sync_is_caught() {
    is_caught(Sabotage::LyingSync, "synced disk has");
}

#[test]
fn an_ack_before_the_write_is_caught() {
    is_caught(Sabotage::DurableBeforeWrite, "synced disk has");
}

#[test]
fn a_record_that_is_not_applied_is_caught() {
    is_caught(Sabotage::SkipApply, "applied");
}

#[test]
fn records_in_another_order_are_caught() {
    is_caught(Sabotage::SwapApply, "belongs");
}

#[test]
fn an_altered_record_is_caught() {
    is_caught(Sabotage::AlterPayload, "than its origin wrote there");
}

#[test]
fn a_pushed_group_that_is_thrown_away_is_caught() {
    is_caught(Sabotage::LoseStore, "after everything was healed");
}

#[test]
fn records_before_what_their_writer_had_applied_are_caught() {
    is_caught(Sabotage::IgnoreCauses, "whose writer had applied");
}

#[test]
fn in_causal_storms_records_wait_and_all_of_them_come() {
    let reports: Vec<Report> =
        (1..=12).map(|n| passes(&Options { seed: 3 * n, nodes: 3 + (n % 4) as usize, steps: 2_000, ..Options::default() })).collect();
    let waited: u64 = reports.iter().map(|report| report.counts.waited).sum();
    assert!(waited > 20, "{waited} records had to wait");
}

#[test]
fn two_histories_that_nobody_compares_are_caught_and_so_are_acks_that_do_not_count() {
    let play = |seed| play(&Options { sabotage: Some(Sabotage::LoseSeals), ..scenario(Scenario::SetBack, seed, 4) });
    let failures: Vec<String> = (1..=24).filter_map(|seed| Some(play(seed).err()?.what)).collect();
    for word in ["two histories", "does not count"] {
        assert!(failures.iter().any(|what| what.contains(word)), "{word}: {failures:#?}");
    }
}

#[test]
fn a_forgotten_cursor_is_caught() {
    is_caught(Sabotage::ForgetCursor, "the application has applied");
}
