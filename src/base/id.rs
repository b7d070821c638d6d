//! Names of things: peers by key, links by number, logs by origin and incarnation.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// A node's identity: its Ed25519 public key. Text form: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl PeerId {
    /// The first eight hex digits, for log lines where the whole key would drown the sentence.
    pub fn short(&self) -> String {
        hex(&self.0[..4])
    }

    /// The raw public key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]]).map(char::from).collect()
}

/// Bytes of a hex text of either case; `None` for an odd length or another character.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    // The digits may be a secret's: the vector never grows, which would leave a copy behind, and what was read of a wrong text is wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 2));
    for pair in digits.chunks_exact(2) {
        bytes.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(std::mem::take(&mut *bytes))
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.short())
    }
}

impl FromStr for PeerId {
    type Err = crate::base::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(PeerId)
            .ok_or_else(|| crate::base::Error::Invalid(format!("peer id \"{text}\" is not 64 hex digits")))
    }
}

impl Serialize for PeerId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One connection of this node, numbered from 1 in the order of opening; never reused within a process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct LinkId(pub u64);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link#{}", self.0)
    }
}

/// A life of an origin's log: random, made with the data directory, changed when the log may have been rolled back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One append-only log: whose it is and which life of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct LogId {
    /// The node that writes the log.
    pub origin: PeerId,
    /// Which of the origin's logs.
    pub incarnation: Incarnation,
}

/// A range of records of a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct LogRange {
    /// Which log.
    pub log: LogId,
    /// First record.
    pub first: u64,
    /// Last record, inclusive.
    pub last: u64,
}

/// Who the other end of a link proved to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerInfo {
    /// The key it signed with.
    pub id: PeerId,
    /// Its label, bound under its signature, chosen by itself.
    pub node_id: String,
    /// What it says it can do, sorted by key.
    pub capabilities: Vec<(String, String)>,
    /// Keys it had before and proved so by rotation records, the newest first.
    pub formerly: Vec<PeerId>,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.origin.short(), self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_survives_its_text_form() {
        let id = PeerId([0xa7; 32]);
        assert_eq!(id.to_string().parse::<PeerId>().expect("own text parses"), id);
        assert_eq!(id.short(), "a7a7a7a7");
    }

    #[test]
    fn a_peer_id_of_another_length_or_alphabet_is_refused() {
        for text in ["", "a7", &"a7".repeat(33), &"zz".repeat(32), &"a7".repeat(32)[1..]] {
            assert!(text.parse::<PeerId>().is_err(), "{text}");
        }
    }
}
