//! What proves that a parcel came to its recipient, to its sender and to those who carry it.
//!
//! ```text
//! receipt ──BLAKE3──► opened ──BLAKE3──► pledge        run key ──keyed BLAKE3 of a run──► proof
//! ```
//!
//! `receipt` and the run key are secrets of the two ends. The pledge travels in the clear before the box: whoever tells what it was made
//! of has it from the recipient. A relay sees by that which way leads there; what run the recipient has only the sender can tell.
//!
//! Never seals or opens.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Where the pledge stands in a parcel: behind its version and its ephemeral key.
const PLEDGE_AT: usize = 1 + 32;

/// What the ends of one parcel know of it. Wiped on drop, never printed.
#[derive(Clone)]
pub struct Answers {
    receipt: Zeroizing<[u8; 32]>,
    run_key: Zeroizing<[u8; 32]>,
}

/// The run of a recipient, with the proofs that it opened the parcel, for anybody, and that this is its run, for the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProvenRun {
    /// The run.
    pub run: u64,
    /// What the pledge was made of.
    pub opened: [u8; 32],
    /// Made with the run key.
    pub proof: [u8; 32],
}

/// What a parcel promises to be answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pledge(pub [u8; 32]);

impl Answers {
    /// Of two secrets that only the ends can make.
    pub fn new(receipt: [u8; 32], run_key: [u8; 32]) -> Answers {
        Answers { receipt: Zeroizing::new(receipt), run_key: Zeroizing::new(run_key) }
    }

    /// Told when the parcel is taken; no secret from then on.
    pub fn receipt(&self) -> [u8; 32] {
        *self.receipt
    }

    /// For the head of the parcel.
    pub fn pledge(&self) -> Pledge {
        Pledge(hash(&hash(&self.receipt)))
    }

    /// Told when the parcel is for another run than this one.
    pub fn run(&self, run: u64) -> ProvenRun {
        let proof = *blake3::keyed_hash(&self.run_key, &run.to_le_bytes()).as_bytes();
        ProvenRun { run, opened: hash(&self.receipt), proof }
    }

    /// Whether the recipient told this, in constant time.
    pub fn proves_receipt(&self, told: &[u8; 32]) -> bool {
        self.receipt.ct_eq(told).into()
    }

    /// Whether the recipient told this, in constant time.
    pub fn proves_run(&self, told: &ProvenRun) -> bool {
        self.run(told.run).proof.ct_eq(&told.proof).into()
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers(..)")
    }
}

impl Pledge {
    /// That of a parcel; `None`: it is too short to be one.
    pub fn of_parcel(parcel: &[u8]) -> Option<Pledge> {
        parcel.get(PLEDGE_AT..)?.first_chunk().copied().map(Pledge)
    }

    /// The one which that receipt keeps.
    pub fn kept_by_receipt(receipt: &[u8; 32]) -> Pledge {
        Pledge::kept_by_opened(&hash(receipt))
    }

    /// That of the parcel which was opened by whoever told this first.
    pub fn kept_by_opened(opened: &[u8; 32]) -> Pledge {
        Pledge(hash(opened))
    }
}

fn hash(bytes: &[u8; 32]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_opened_it_can_prove_that_and_its_run_and_no_receipt() {
        let answers = Answers::new([1; 32], [2; 32]);
        let (pledge, run) = (answers.pledge(), answers.run(7));
        assert!(Pledge::kept_by_receipt(&answers.receipt()) == pledge && Pledge::kept_by_opened(&run.opened) == pledge);
        assert!(Pledge::kept_by_receipt(&run.opened) != pledge && Pledge::kept_by_opened(&answers.receipt()) != pledge);
        assert!(answers.proves_receipt(&[1; 32]) && !answers.proves_receipt(&run.opened));
        assert!(answers.proves_run(&run) && !answers.proves_run(&ProvenRun { run: 8, ..run }));
        assert!(!Answers::new([1; 32], [3; 32]).proves_run(&run), "a receipt that was told does not make runs");
        assert_eq!(format!("{answers:?}"), "Answers(..)");
    }

    #[test]
    fn a_pledge_stands_behind_the_ephemeral_key() {
        let parcel: Vec<u8> = (0..90).collect();
        assert_eq!(Pledge::of_parcel(&parcel).map(|pledge| (pledge.0[0], pledge.0[31])), Some((33, 64)));
        assert_eq!(Pledge::of_parcel(&parcel[..64]), None);
        assert_eq!(Pledge::of_parcel(&[]), None);
    }
}
