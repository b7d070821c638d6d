//! A group whose seal and chain were proven ahead of its turn, on whatever thread had time. Stores nothing and trusts no claim: the
//! proof says "after this head", and counts only where that head is the log's.

use crate::sync::group::{Group, verify_group};
use crate::sync::record::{Record, SEAL_BYTES};
use crate::sync::seal::{Head, Seal};

/// A group, with a proof if there is one.
#[derive(Clone, Debug)]
pub struct Proven {
    group: Group,
    /// The head it was proven to follow, and the head after it.
    proof: Option<(Head, Head)>,
}

impl From<Group> for Proven {
    fn from(group: Group) -> Proven {
        Proven { group, proof: None }
    }
}

impl Proven {
    /// The group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Takes the group out.
    pub fn into_group(self) -> Group {
        self.group
    }

    /// Whether it has a proof.
    pub fn is_proven(&self) -> bool {
        self.proof.is_some()
    }

    /// Proves it behind `prev`. What fails gets no proof: whoever stores it judges.
    pub fn prove(&mut self, prev: &Head) {
        self.proof = verify_group(&self.group.log, prev, &self.group).ok().map(|head| (*prev, head));
    }

    /// The head after it, by its own word.
    pub fn claimed_head(&self) -> Option<Head> {
        let at = self.group.bytes.len().checked_sub(SEAL_BYTES)?;
        Seal::decode(&Record::decode(self.group.bytes.get(at..)?).ok()?).ok().map(|seal| seal.head)
    }

    /// The head after it, if it was proven to follow `prev`.
    pub(super) fn after(&self, prev: &Head) -> Option<Head> {
        self.proof.filter(|(proven, _)| proven == prev).map(|(_, head)| head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Incarnation, LogId};
    use crate::crypto::{Identity, Secret};
    use crate::sync::{MemStorage, Wal};
    use crate::sync::{StoreError, Stored, encode_group, log_head};

    #[test]
    fn a_proof_counts_only_behind_the_head_it_was_made_for() {
        let writer = Identity::from_seed(&Secret::new([7; 32]));
        let log = LogId { origin: writer.id(), incarnation: Incarnation(1) };
        let (one, head) = encode_group(log, &log_head(&log), 1, 5, &["one".into()], &writer);
        let (two, _) = encode_group(log, &head, 2, 5, &["two".into()], &writer);
        // The same writer sealed this one behind another first record.
        let (_, elsewhere) = encode_group(log, &log_head(&log), 1, 5, &["other".into()], &writer);
        let (stray, _) = encode_group(log, &elsewhere, 2, 5, &["two".into()], &writer);
        let (mut one, mut two, mut stray) = (Proven::from(one), Proven::from(two), Proven::from(stray));
        assert_eq!(one.claimed_head(), Some(head));
        one.prove(&log_head(&log));
        stray.prove(&elsewhere);
        assert!(one.is_proven() && stray.is_proven());
        two.prove(&elsewhere);
        assert!(!two.is_proven());

        let me = std::sync::Arc::new(Identity::from_seed(&Secret::new([8; 32])));
        let (mut wal, _) = Wal::open(MemStorage::new(), me, Incarnation(2)).expect("empty disk");
        let verdicts = wal.store_proven(&[one, stray, two]);
        assert_eq!(verdicts, [Ok(Stored::New), Err(StoreError::Diverged { have: 1 }), Ok(Stored::New)]);
    }

    #[test]
    fn what_is_no_group_claims_no_head() {
        let log = LogId { origin: crate::base::PeerId([1; 32]), incarnation: Incarnation(1) };
        for bytes in [&b""[..], &[0; 10], &[0xff; SEAL_BYTES + 40]] {
            let mut group = Proven::from(Group { log, first: 1, last: 1, bytes: bytes::Bytes::copy_from_slice(bytes) });
            assert_eq!(group.claimed_head(), None);
            group.prove(&[0; 32]);
            assert!(!group.is_proven());
        }
    }
}
