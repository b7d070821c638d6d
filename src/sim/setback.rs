//! The script of a writer that is set back again and again: who is with whom meanwhile. Does nothing itself.

use crate::sim::script::{Action, Script};

impl Script {
    /// The first node writes, is copied, writes on to some of the others, and comes back as its copy, with others or none around: then it
    /// often writes at once, before anybody can tell it what it was. So several histories of its log lie on several nodes.
    pub(super) fn set_back(nodes: usize, rng: &mut fastrand::Rng) -> Script {
        let mut steps = vec![(2_000, Action::Write { node: 0, records: rng.u64(1..6) }), (6_000, Action::Save { node: 0 })];
        let mut at = 7_000;
        for _ in 0..rng.u32(2..6) {
            let back_ms = rng.u64(10..2_000);
            let islands = |rng: &mut fastrand::Rng| (0..nodes).map(|_| rng.u8(..3)).collect::<Vec<u8>>();
            steps.push((at, Action::Partition { islands: islands(rng), millis: rng.u64(1_000..12_000) }));
            steps.push((at + rng.u64(10..3_000), Action::Write { node: 0, records: rng.u64(1..8) }));
            steps.push((at + 4_000, Action::Restore { node: 0, back_ms }));
            steps.push((at + rng.u64(3_000..5_000), Action::Partition { islands: islands(rng), millis: rng.u64(1_000..12_000) }));
            for _ in 0..rng.u32(..5) {
                let (node, records) = (rng.usize(..nodes), rng.u64(1..5));
                let action = match rng.u8(..6) {
                    0 => Action::Cut { pick: rng.u64(..) },
                    1 => Action::Crash { node, power: rng.bool(), back_ms: Some(rng.u64(10..3_000)) },
                    2 => Action::Pause { node, millis: rng.u64(100..4_000) },
                    3 => Action::Heal,
                    _ => Action::Write { node, records },
                };
                steps.push((at + rng.u64(..12_000), action));
            }
            if rng.u8(..3) == 0 {
                steps.push((at + 11_000, Action::Save { node: 0 }));
            }
            at += rng.u64(6_000..20_000);
        }
        steps.sort_by_key(|(at, _)| *at);
        Script::plan(steps)
    }
}
