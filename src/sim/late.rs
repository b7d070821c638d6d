//! The script of the late joiner: who writes, who lets go, who is killed, who is set back. Does nothing itself.

use crate::sim::script::{Action, Script};

impl Script {
    /// The last node writes alone while the others let go of what they have written; then it comes, and is killed ten times. In half of
    /// the worlds one of the others loses its power meanwhile and comes back as an early copy of itself.
    pub(super) fn late(nodes: usize, rng: &mut fastrand::Rng) -> Script {
        let (last, mut steps) = (nodes - 1, Vec::new());
        for round in 0..6 {
            steps.extend((0..nodes).map(|node| (2_000 + round * 2_000 + rng.u64(..1_500), Action::Write { node, records: rng.u64(1..9) })));
        }
        steps.extend((0..last).map(|node| (20_000 + rng.u64(..5_000), Action::Truncate { node })));
        steps.extend((0..nodes).map(|node| (26_000, Action::Write { node, records: rng.u64(..5) })));
        steps.extend((0..last).filter(|to| *to == 0 || rng.bool()).map(|to| (30_000, Action::Connect { from: last, to })));
        let set_back = rng.bool().then(|| rng.usize(..last));
        if let Some(node) = set_back {
            let at = rng.u64(30_000..50_000);
            steps.push((rng.u64(3_000..20_000), Action::Save { node }));
            steps.push((at, Action::Restore { node, back_ms: rng.u64(10..3_000) }));
            // Before it is told what it was, it would use numbers twice: then no state has everything.
            steps.push((at + 60_000, Action::Write { node, records: rng.u64(1..9) }));
        }
        late_faults(nodes, set_back, rng, &mut steps);
        steps.sort_by_key(|(at, _)| *at);
        Script::plan(steps)
    }
}

fn late_faults(nodes: usize, set_back: Option<usize>, rng: &mut fastrand::Rng, steps: &mut Vec<(u64, Action)>) {
    let last = nodes - 1;
    // Some strike while it is off; in most seeds the others while it fetches or takes in.
    let (mut at, gap_ms) = (30_000, [300, 700, 1_500][rng.usize(..3)]);
    for _ in 0..36 {
        at += rng.u64(20..gap_ms);
        let (node, power) = (last, rng.bool());
        let action = match rng.u8(..3) {
            0 => Action::Crash { node, power, back_ms: Some(rng.u64(10..300)) },
            _ => Action::ArmCrash { node, changes: rng.u32(1..25), power },
        };
        steps.push((at, action));
    }
    for node in (0..nodes).filter(|_| rng.bool()).collect::<Vec<_>>() {
        let (reads, takes, millis) = (rng.u32(..600), rng.u32(..1000), 1 << rng.u32(12..15));
        steps.push((rng.u64(29_000..34_000), Action::SickShelf { node, reads, takes, millis }));
    }
    for _ in 0..rng.u32(..12) {
        let (node, other) = (rng.usize(..nodes), rng.usize(..last));
        let action = match rng.u8(..8) {
            0..4 if set_back != Some(node) => Action::Write { node, records: rng.u64(1..6) },
            // Two that both let go of what the other lacks are apart for good: no state has everything.
            4 if set_back.is_none() => Action::Truncate { node: 0 },
            5 => Action::Cut { pick: rng.u64(..) },
            6 => Action::ArmCrash { node: other, changes: rng.u32(1..25), power: rng.bool() },
            _ => Action::Pause { node, millis: 1 << rng.u32(8..14) },
        };
        steps.push((rng.u64(30_000..48_000), action));
    }
}
