//! One file as the system's memory and the platter see it. Never decides when something fails, only what is left.

use std::collections::BTreeMap;

const BLOCK_BYTES: usize = 512;
/// States of one un-synced block that are remembered.
const VERSIONS_MAX: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// What reads see.
    pub(super) seen: Vec<u8>,
    /// What a power cut cannot take.
    pub(super) kept: Vec<u8>,
    /// Whether a power cut leaves the file's name.
    pub(super) linked: bool,
    /// Blocks that differ or may differ, with the states they went through since the last sync.
    pub(super) dirty: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Lengths the file went through since the last sync.
    lens: Vec<usize>,
}

/// What a power cut leaves of the un-synced blocks.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    Lost,
    Kept,
    /// Those before this block.
    Prefix(usize),
    /// Each as the dice fall, in any state it went through.
    Dice,
}

fn block(bytes: &[u8], index: usize) -> &[u8] {
    let start = (index * BLOCK_BYTES).min(bytes.len());
    &bytes[start..(start + BLOCK_BYTES).min(bytes.len())]
}

/// Puts a block's state in its place, as far as the file reaches.
fn put(bytes: &mut [u8], index: usize, state: &[u8]) {
    let start = (index * BLOCK_BYTES).min(bytes.len());
    let end = (start + BLOCK_BYTES).min(bytes.len());
    bytes[start..end].fill(0);
    let n = state.len().min(end - start);
    bytes[start..start + n].copy_from_slice(&state[..n]);
}

impl File {
    /// Notes that bytes in this range, and perhaps the length, have changed.
    fn note(&mut self, from: usize, to: usize) {
        if from < to {
            for index in from / BLOCK_BYTES..=(to - 1) / BLOCK_BYTES {
                let state = block(&self.seen, index).to_vec();
                let states = self.dirty.entry(index).or_default();
                if states.len() == VERSIONS_MAX {
                    states.remove(0);
                }
                states.push(state);
            }
        }
        if self.lens.last() != Some(&self.seen.len()) {
            self.lens.push(self.seen.len());
        }
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        let (old, end) = (self.seen.len(), offset + data.len());
        if old < end {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(data);
        self.note(offset.min(old), end);
    }

    /// Makes room: zeros up to `len`.
    pub(super) fn grow(&mut self, len: usize) {
        let old = self.seen.len();
        if old < len {
            self.seen.resize(len, 0);
            self.note(old, len);
        }
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let old = self.seen.len();
        if len < old {
            self.seen.truncate(len);
            self.note(len, old);
        }
    }

    pub(super) fn sync(&mut self) {
        self.kept.resize(self.seen.len(), 0);
        for index in std::mem::take(&mut self.dirty).into_keys() {
            put(&mut self.kept, index, block(&self.seen, index));
        }
        self.lens.clear();
        self.linked = true;
    }

    /// A bit flips, on the platter and for whoever reads.
    pub(super) fn rot(&mut self, rng: &mut fastrand::Rng) {
        self.sync();
        let (at, bit) = (rng.usize(..self.seen.len()), 1 << rng.u8(..8));
        self.seen[at] ^= bit;
        self.kept[at] ^= bit;
    }

    /// The system gave up on the dirty pages: some were written, all count as clean.
    pub(super) fn sync_failed(&mut self, rng: &mut fastrand::Rng) {
        if rng.bool() {
            self.kept.resize(self.seen.len(), 0);
            self.lens.clear();
        }
        for index in std::mem::take(&mut self.dirty).into_keys() {
            if rng.bool() {
                put(&mut self.kept, index, block(&self.seen, index));
            }
        }
    }

    /// The power fails. `false`: the file's name is gone too.
    pub(super) fn lose_power(&mut self, fate: Fate, rng: &mut fastrand::Rng) -> bool {
        let stays = self.linked || matches!(fate, Fate::Kept | Fate::Prefix(_)) || (matches!(fate, Fate::Dice) && rng.bool());
        let len = match fate {
            Fate::Lost => self.kept.len(),
            Fate::Kept | Fate::Prefix(_) => self.seen.len(),
            Fate::Dice => match rng.usize(..=self.lens.len()) {
                0 => self.kept.len(),
                n => self.lens[n - 1],
            },
        };
        self.kept.resize(len, 0);
        for (index, states) in std::mem::take(&mut self.dirty) {
            let state = match fate {
                Fate::Lost => None,
                Fate::Kept => states.last(),
                Fate::Prefix(end) => states.last().filter(|_| index < end),
                Fate::Dice => rng.usize(..=states.len()).checked_sub(1).and_then(|n| states.get(n)),
            };
            if let Some(state) = state {
                put(&mut self.kept, index, state);
            }
        }
        self.lens.clear();
        self.seen.clone_from(&self.kept);
        self.linked = true;
        stays
    }
}
