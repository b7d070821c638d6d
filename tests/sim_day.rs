//! A day of moderate life holds no more memory at its end than after its first hours, but for what is allowed below: what a node keeps is
//! what it needs, not what happened.
//!
//! `VIXP2P_SIM_DAYS=1000 cargo test --release --test sim_day` plays as many days (`make sim-days`). The allocator counts what the
//! thread holds; a node's machines, its log and its disks are weighed apart, so that no growth of one hides behind another. Logs are let go of twice
//! an hour, as a node with a limit does: from the second time on there are two snapshots.

#[path = "common/alloc.rs"]
mod alloc;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;

use vixp2p::sim::{Options, Report, run};

use alloc::live;

/// What discovery remembers of a run that is over, against replays, in a table that ends at 4,096 runs (`DISCOVERY_RUNS_MAX`): 24 bytes in a
/// B-tree whose leaves hold five to eleven of them, and 8 in a queue that doubles.
const RUN_BYTES: usize = 88;

/// So many hours of three nodes that announce themselves: everybody writes, links break and come back, B and C die and lose power, A
/// lives through it all. Each hour is like the next but for the order in which things happen, and ends in calm.
fn day(hours: u64, seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut text = String::from("nodes 3\nlan\nsegments 700\nlinks B-A C-B A-C\nkeys 10m\n");
    for hour in 0..hours {
        let mut faults = vec![
            "B dies for 30s",
            "C loses power for 1m",
            "islands A BC for 2m",
            "islands AB C for 20s",
            "A>B blocked for 30s",
            "C flaps 3 times for 5s",
            "A pauses for 10s",
            "B refuses 300 of 1000",
        ];
        rng.shuffle(&mut faults);
        let second = hour * 3_600;
        for (slot, fault) in (1..).zip(faults) {
            let at = second + slot * 300 + rng.u64(..60);
            for node in ["A", "B", "C"] {
                writeln!(text, "at {}s {node} writes 2\nat {}s {node} sends 3", at - 5, at + 6).expect("memory");
            }
            writeln!(text, "at {at}s {fault}\nat {}s B refuses 0 of 1000", at + 20).expect("memory");
        }
        for at in [1_700, 3_400] {
            for (node, later) in [("A", 0), ("B", 10), ("C", 20)] {
                writeln!(text, "at {}s {node} truncates", second + at + later).expect("memory");
            }
        }
    }
    writeln!(text, "at {}s expect A B C", hours * 3_600).expect("memory");
    text
}

fn play(hours: u64, seed: u64) -> Report {
    let options = Options { seed, text: Some(day(hours, seed)), weigh: Some(live), ..Options::default() };
    run(&options, &mut io::sink()).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Processes that began again in a run.
fn restarts(report: &Report) -> usize {
    (report.counts.kills + report.counts.power_cuts) as usize
}

/// Whose machines, and whose log, hold more than a twentieth more than in the first hours.
fn grown(hours: &[Report; 3], after: &Report) -> BTreeSet<String> {
    let mut grown = BTreeSet::new();
    let slack = RUN_BYTES * (restarts(after) - restarts(&hours[2]));
    for (node, name) in ["A", "B", "C"].into_iter().enumerate() {
        for (part, what, slack) in [(0, "machines", slack), (1, "log", 0)] {
            let before = hours.iter().map(|hour| hour.live[node][part]).max().unwrap_or(0);
            assert!(before > 1_000, "{name}'s {what} was not weighed");
            if after.live[node][part] * 20 > (before + slack) * 21 {
                grown.insert(format!("{name}'s {what}"));
            }
        }
    }
    grown
}

/// Asserts that nobody holds more after the day than at its beginning; says who holds what. What is open at one moment is no growth (a log
/// holds a thirtieth more or less from hour to hour, on the fifth day as on the first), so whoever seems to have grown is weighed an hour
/// and two hours apart once more, and has grown only if it was heavier each time. What the simulated disk holds is not judged: it remembers what a
/// power cut could bring back.
fn is_no_heavier(seed: u64) {
    let hours = [1, 2, 3].map(|hours| play(hours, seed));
    let day = play(25, seed);
    let [one, two, three] = hours.each_ref().map(|hour| hour.live.clone());
    println!("seed {seed}: {one:?}, {two:?} and {three:?} after the first hours, {:?} after a day", day.live);
    assert!(day.records > 20 * hours[0].records && restarts(&day) >= 40, "{day}");
    let mut grown_by_then = grown(&hours, &day);
    for hours_then in [24, 23] {
        if !grown_by_then.is_empty() {
            let again = play(hours_then, seed);
            println!("seed {seed}: {:?} after {hours_then} hours, for {grown_by_then:?}", again.live);
            let grown_again = grown(&hours, &again);
            grown_by_then.retain(|one| grown_again.contains(one));
        }
    }
    assert!(grown_by_then.is_empty(), "seed {seed}: {grown_by_then:?} grew in a day");
}

#[test]
fn a_node_holds_no_more_after_a_day_than_after_an_hour() {
    let days = std::env::var("VIXP2P_SIM_DAYS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let next = std::sync::atomic::AtomicU64::new(1);
    let play = || {
        loop {
            let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if seed > days {
                return;
            }
            is_no_heavier(seed);
        }
    };
    std::thread::scope(|scope| {
        let players: Vec<_> = (0..2).map(|_| scope.spawn(play)).collect();
        players.into_iter().for_each(|player| player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
}
