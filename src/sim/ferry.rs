//! The script of two halves that never meet, and one node that goes to and fro between them. Does nothing itself.

use crate::sim::script::{Action, Script};

/// Longer than any script: a partition lasts until the next one.
const FOR_GOOD_MS: u64 = 24 * 3_600_000;
/// How long the first node stays with a half: a dead link noticed (15 s), dials at their longest pause (16.5 s), what is written.
const STAY_MS: u64 = 50_000;

impl Script {
    /// The first node is with the left half, then with none, then with the right one, and so on; everybody writes and falls meanwhile. After
    /// the last record it goes to each half once more, and to the first of them again: then everybody has everything, while the halves are
    /// still apart.
    pub(super) fn ferry(nodes: usize, rng: &mut fastrand::Rng) -> Script {
        let half = |node: usize| u8::from(node > nodes / 2);
        let islands = |at: u8| (0..nodes).map(|node| if node == 0 { at } else { half(node) }).collect::<Vec<u8>>();
        let apart = |at: u8| Action::Partition { islands: islands(at), millis: FOR_GOOD_MS };
        let (mut steps, mut at, mut side) = (vec![(1, apart(2))], 5_000, rng.u8(..2));
        let busy = rng.u32(2..6);
        for round in 0..busy + 3 {
            let (comes, stay) = (at, STAY_MS + rng.u64(..20_000));
            steps.push((comes, apart(side)));
            steps.push((comes + stay, apart(2)));
            at = comes + stay + rng.u64(100..30_000);
            side = 1 - side;
            if round >= busy {
                continue;
            }
            for _ in 0..rng.u32(2..8) {
                let (node, records) = (rng.usize(..nodes), rng.u64(1..6));
                let action = match rng.u8(..8) {
                    0 => Action::Cut { pick: rng.u64(..) },
                    1 => Action::Crash { node, power: rng.bool(), back_ms: Some(rng.u64(10..5_000)) },
                    2 => Action::CrashAtSync { node: 0 },
                    3 => Action::Pause { node, millis: rng.u64(100..8_000) },
                    _ => Action::Write { node, records },
                };
                steps.push((comes + rng.u64(..stay), action));
            }
        }
        steps.push((at, Action::Expect { nodes: (0..nodes).collect() }));
        steps.sort_by_key(|(at, _)| *at);
        Script::plan(steps)
    }

    /// Who dials whom: each half a row, and the first node one of each.
    pub(super) fn ferry_edges(nodes: usize) -> Vec<(usize, usize)> {
        let right = nodes / 2 + 1;
        let row = |from: usize, to: usize| (from + 1..to).map(|node| (node, node - 1));
        row(1, right).chain(row(right, nodes)).chain([(0, 1), (0, right)]).collect()
    }
}
