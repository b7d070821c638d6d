//! The carrier's part in comparing logs: whatever verdict the input chooses.

use std::collections::VecDeque;

use vixp2p::base::{LinkId, LogId, limits};
use vixp2p::mesh::Input;
use vixp2p::mesh::io::{Compared, SealRecord};
use vixp2p::sync::{GroupError, StoreError};

use super::Carrier;

/// What the mesh wants about seals.
#[derive(Default)]
pub(super) struct Seals {
    wanted: Option<Vec<LogId>>,
    compared: VecDeque<(LinkId, LogId, SealRecord)>,
}

impl Carrier {
    pub(super) fn wants_seals(&mut self, logs: Vec<LogId>) {
        assert!(!logs.is_empty() && logs.len() <= limits::SEALS_READ_AT_ONCE);
        assert!(self.seals.wanted.replace(logs).is_none(), "read one after the other");
    }

    pub(super) fn wants_compared(&mut self, link: LinkId, log: LogId, seal: SealRecord) {
        assert!(!self.seals.compared.iter().any(|(other, ..)| *other == link), "compared one after the other");
        self.seals.compared.push_back((link, log, seal));
    }

    /// What was wanted is read, and one seal compared.
    pub(super) fn answer_seals(&mut self, choice: u8) {
        if let Some(logs) = self.seals.wanted.take() {
            let last = |log: LogId| (log, (choice & 1 == 0).then(|| SealRecord::read(&made(self.durable(&log), 0)).ok()).flatten());
            let seals = logs.into_iter().map(last).collect();
            self.step(Input::LastSeals { seals });
        }
        let Some((link, log, seal)) = self.seals.compared.pop_front() else { return };
        let verdict = match choice % 8 {
            0 => Compared::Unknown,
            1 => Compared::Failed("disk".into()),
            2 => Compared::False(GroupError::Empty),
            3 | 4 => {
                let why = if log == self.own {
                    self.renew();
                    StoreError::Rollback { have: 1, claimed: seal.last() }
                } else {
                    self.frozen.insert(log);
                    self.step(Input::Forked { link, log, seq: seal.first(), detail: "two truths".into() });
                    StoreError::Fork { seq: seal.first() }
                };
                Compared::Differs { ours: Some(seal).filter(|seal| choice & 16 == 0 && seal.last() <= self.durable(&log)), why }
            }
            _ => Compared::Fits,
        };
        self.step(Input::Compared { link, log, seal, verdict: Box::new(verdict) });
    }
}

/// A seal of one record, in form.
pub(super) fn made(last: u64, head: u8) -> [u8; limits::SEAL_RECORD_BYTES] {
    let mut out = [head; limits::SEAL_RECORD_BYTES];
    out[..4].copy_from_slice(&(limits::SEAL_RECORD_BYTES as u32 - 8).to_le_bytes());
    (out[8], out[9]) = (2, 0);
    out[10..18].copy_from_slice(&last.to_le_bytes());
    out[18..26].fill(0);
    out[26..34].copy_from_slice(&last.to_le_bytes());
    let crc = crc32c::crc32c(&out[8..]);
    out[4..8].copy_from_slice(&crc.to_le_bytes());
    out
}
