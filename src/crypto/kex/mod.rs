//! Key agreement: one side offers a key share for each group it knows, the other answers the one it chooses.
//!
//! Ephemeral secrets are handed in and wiped with their owner. One exception draws random numbers of its own: aws-lc's ML-KEM, unless
//! the secrets are marked reproducible. Never decides which group is used; that is the suite's choice.

pub mod x25519;
mod xwing;

use crate::crypto::Secret;
use crate::crypto::schedule::{self, HASH_BYTES};

/// How two sides agree on a secret. The number is the first byte of a suite's number, and names a key share on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Group {
    /// X25519 (RFC 7748).
    X25519 = 1,
    /// X-Wing: X25519 and ML-KEM-768 together (draft-connolly-cfrg-xwing-kem-10); holds as long as either does.
    XWing = 2,
}

impl Group {
    /// The group's number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// The random values one side puts into one key agreement.
#[derive(Debug)]
pub struct KexSecrets {
    /// The secret of the X25519 group. X-Wing's X25519 part has another one.
    pub x25519: Secret<32>,
    /// X-Wing's decapsulation key seed (its first half), or its encapsulation seed.
    pub xwing: Secret<64>,
    /// Compute everything from these values, by the slower provider where it takes that. For tests and the simulator.
    pub reproducible: bool,
}

/// The secret halves of the key shares one side has offered.
#[derive(Debug)]
pub struct Offer {
    x25519: Option<x25519::KeyPair>,
    xwing: Option<xwing::KeyPair>,
}

impl Offer {
    /// Key pairs for these groups.
    pub fn new(groups: &[Group], secrets: &KexSecrets) -> Offer {
        Offer {
            x25519: groups.contains(&Group::X25519).then(|| x25519::KeyPair::from_secret(&secrets.x25519)),
            xwing: groups.contains(&Group::XWing).then(|| xwing::KeyPair::new(secrets)),
        }
    }

    /// What the peer gets for a group: 32 bytes for X25519, 1,216 for X-Wing; `None` if it is not offered.
    pub fn share(&self, group: Group) -> Option<&[u8]> {
        match group {
            Group::X25519 => self.x25519.as_ref().map(|pair| pair.public().as_slice()),
            Group::XWing => self.xwing.as_ref().map(xwing::KeyPair::public),
        }
    }

    /// The shared secret of an answer; `None` if the answer is malformed or adds nothing (a small-order point).
    pub fn complete(&self, group: Group, answer: &[u8]) -> Option<Secret<32>> {
        match group {
            Group::X25519 => self.x25519.as_ref()?.agree(answer.try_into().ok()?),
            Group::XWing => self.xwing.as_ref()?.open(answer),
        }
    }
}

/// Has the provider do beforehand what it does once in a process before it draws its first random number (aws-lc, for ML-KEM, collects
/// entropy of its own: 20 to 40 ms), so that no handshake waits for it.
pub fn prepare() {
    #[cfg(feature = "aws-lc")]
    {
        // Whoever needs random numbers next hears of a failure.
        let _ = aws_lc_rs::rand::fill(&mut [0; 1]);
    }
}

/// Answers a share: what goes back (32 bytes for X25519, 1,120 for X-Wing) and the shared secret; `None` as in [`Offer::complete`].
pub fn answer(group: Group, share: &[u8], secrets: &KexSecrets) -> Option<(Vec<u8>, Secret<32>)> {
    match group {
        Group::X25519 => {
            let pair = x25519::KeyPair::from_secret(&secrets.x25519);
            let shared = pair.agree(share.try_into().ok()?)?;
            Some((pair.public().to_vec(), shared))
        }
        Group::XWing => xwing::seal_to(share, secrets),
    }
}

/// What an agreement inside a session adds to its traffic secrets: bound to both shares, since X25519 alone does not bind them.
pub fn fresh(shared: &Secret<32>, share: &[u8], answer: &[u8]) -> Secret<HASH_BYTES> {
    schedule::expand(&schedule::extract(b"vixp2p fresh keys", shared.expose()), "fresh", &schedule::hash(&[share, answer]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn secrets(byte: u8) -> KexSecrets {
        KexSecrets { x25519: Secret::new([byte; 32]), xwing: Secret::new([byte; 64]), reproducible: byte.is_multiple_of(2) }
    }

    #[test]
    fn both_sides_of_every_group_find_the_same_secret() {
        for group in [Group::X25519, Group::XWing] {
            for (a, b) in [(1, 2), (2, 1), (3, 5), (4, 6)] {
                let offer = Offer::new(&[group], &secrets(a));
                let (reply, theirs) = answer(group, offer.share(group).expect("offered"), &secrets(b)).expect("honest");
                let ours = offer.complete(group, &reply).expect("honest");
                assert_eq!(ours.expose(), theirs.expose(), "{group:?} {a} {b}");
            }
        }
    }

    #[test]
    fn shares_and_answers_of_the_wrong_length_or_an_unoffered_group_are_refused() {
        let offer = Offer::new(&[Group::X25519, Group::XWing], &secrets(1));
        for group in [Group::X25519, Group::XWing] {
            let share = offer.share(group).expect("offered").to_vec();
            for len in [0, 1, 31, 33, 1119, 1121, 1215, 1217] {
                assert!(answer(group, &vec![9; len], &secrets(2)).is_none(), "{group:?} share of {len}");
                assert!(offer.complete(group, &vec![9; len]).is_none(), "{group:?} answer of {len}");
            }
            assert!(answer(group, &share, &secrets(2)).is_some());
        }
        assert!(Offer::new(&[Group::X25519], &secrets(1)).share(Group::XWing).is_none());
        assert!(Offer::new(&[Group::X25519], &secrets(1)).complete(Group::XWing, &[0; 1120]).is_none());
    }
}
