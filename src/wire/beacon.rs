//! A whole discovery datagram: the announcement of v1, and behind it the members a live node adds, its padding and its MAC.
//!
//! ```text
//! {"node_id":"a","tcp_port":9001,"ts_ms":1,"nonce":2,"cap":{..}      members of v1
//!     ,"re":7,"ask":true                                             in an answer
//!     ................                                               spaces
//!     ,"mac":"<64 hex digits>"                                       over every byte before it
//! }
//! ```
//!
//! Never computes a MAC and never judges one: it says which bytes are covered.

use serde::Deserialize;

use crate::base::id::{from_hex, hex};
use crate::base::limits;
use crate::wire::announce::Announce;
use crate::wire::cursor::WireError;

const MAC_BEGIN: &str = ",\"mac\":\"";
const MAC_END: &str = "\"}";
/// Bytes of the member `mac` with the bracket that closes the object.
const MAC_TAIL_BYTES: usize = MAC_BEGIN.len() + 64 + MAC_END.len();

/// What makes the MAC of the bytes it is given.
pub type Mac<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];

/// What one node tells another in one datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beacon {
    /// What v1 knows.
    pub announce: Announce,
    /// The nonce of the announcement this one answers.
    pub re: Option<u64>,
    /// The sender has no proof yet that the other one is there now, and asks for an answer.
    pub ask: bool,
}

/// The members beside those of v1; others are ignored.
#[derive(Deserialize)]
struct Added {
    re: Option<u64>,
    #[serde(default)]
    ask: bool,
}

impl Beacon {
    /// The datagram, filled up with spaces to `room` bytes. `mac` makes the MAC of the bytes before it. Refused if it does not fit.
    pub fn write(&self, room: usize, mac: Option<Mac<'_>>) -> Result<Vec<u8>, WireError> {
        let mut text = self.announce.to_json()?;
        text.pop();
        if let Some(re) = self.re {
            text.push_str(&format!(",\"re\":{re}"));
        }
        if self.ask {
            text.push_str(",\"ask\":true");
        }
        let tail = if mac.is_some() { MAC_TAIL_BYTES } else { 1 };
        let room = room.min(limits::ANNOUNCE_MAX_BYTES);
        if text.len() + tail > room {
            return Err(WireError::TooLarge { got: (text.len() + tail) as u64, max: room as u64 });
        }
        text.extend(std::iter::repeat_n(' ', room - tail - text.len()));
        match mac {
            Some(mac) => {
                let mac = mac(text.as_bytes());
                text.push_str(MAC_BEGIN);
                text.push_str(&hex(&mac));
                text.push_str(MAC_END);
            }
            None => text.push('}'),
        }
        Ok(text.into_bytes())
    }

    /// Reads a whole datagram; the MAC, if there is one, is not looked at.
    pub fn parse(datagram: &[u8]) -> Result<Beacon, WireError> {
        let announce = Announce::parse(datagram)?;
        let Added { re, ask } =
            serde_json::from_slice(datagram).map_err(|_| WireError::Malformed("announcement has a member of the wrong form"))?;
        Ok(Beacon { announce, re, ask })
    }

    /// The bytes a MAC covers, and the MAC; `None` if the datagram does not end with one.
    pub fn sealed(datagram: &[u8]) -> Option<(&[u8], [u8; 32])> {
        let at = datagram.len().checked_sub(MAC_TAIL_BYTES).filter(|_| datagram.len() <= limits::ANNOUNCE_MAX_BYTES)?;
        let (covered, tail) = datagram.split_at(at);
        let digits = tail.strip_prefix(MAC_BEGIN.as_bytes())?.strip_suffix(MAC_END.as_bytes())?;
        let mac = from_hex(std::str::from_utf8(digits).ok()?)?;
        Some((covered, mac.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::v1::DiscoveryAnnounce;

    fn beacon(re: Option<u64>, ask: bool) -> Beacon {
        let capabilities = BTreeMap::from([("proto".to_owned(), "1.0".to_owned())]);
        let announce = Announce { node_id: "node-a".into(), tcp_port: 9001, ts_ms: 1, nonce: 2, capabilities };
        Beacon { announce, re, ask }
    }

    #[test]
    fn a_padded_datagram_with_a_mac_has_the_asked_length_and_the_members_in_their_order() {
        let mac = |covered: &[u8]| [covered.len() as u8; 32];
        let datagram = beacon(Some(7), true).write(300, Some(&mac)).expect("fits");
        assert_eq!(datagram.len(), 300);
        let text = std::str::from_utf8(&datagram).expect("UTF-8");
        assert!(
            text.starts_with(r#"{"node_id":"node-a","tcp_port":9001,"ts_ms":1,"nonce":2,"cap":{"proto":"1.0"},"re":7,"ask":true  "#),
            "{text}"
        );
        let (covered, mac) = Beacon::sealed(&datagram).expect("a MAC");
        assert_eq!((covered.len(), mac), (300 - MAC_TAIL_BYTES, [(300 - MAC_TAIL_BYTES) as u8; 32]));
        assert_eq!(Beacon::parse(&datagram), Ok(beacon(Some(7), true)));
    }

    #[test]
    fn a_datagram_without_additions_is_the_announcement_of_v1_with_spaces() {
        let plain = beacon(None, false);
        let json = plain.announce.to_json().expect("short");
        assert_eq!(plain.write(json.len(), None), Ok(json.clone().into_bytes()));
        assert!(plain.write(json.len() - 1, None).is_err());
        let padded = plain.write(usize::MAX, None).expect("fits");
        assert_eq!(padded.len(), limits::ANNOUNCE_MAX_BYTES);
        let v1 = DiscoveryAnnounce::from_json(&padded).expect("v1 reads it");
        assert_eq!((v1.node_id.as_slice(), v1.tcp_port, v1.nonce), (b"node-a".as_slice(), 9001, 2));
    }

    #[test]
    fn members_of_the_wrong_form_are_refused_and_a_mac_elsewhere_is_none() {
        for added in [r#","re":-1"#, r#","re":1,"re":1"#, r#","ask":1"#] {
            let text = format!(r#"{{"node_id":"a","tcp_port":1,"ts_ms":1,"nonce":2{added}}}"#);
            assert!(Beacon::parse(text.as_bytes()).is_err(), "{text}");
        }
        let zeros = "0".repeat(64);
        for text in [format!(",\"mac\":\"{zeros}\" }}"), format!(",\"mac\":\"{}g\"}}", &zeros[1..]), format!(",\"mac\":\"{zeros}1\"}}")] {
            assert_eq!(Beacon::sealed(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_beacon_survives_its_datagram(node_id in ".{1,60}", nonce: u64, re: Option<u64>, ask: bool, room in 0..600usize, sealed: bool) {
            let beacon = Beacon { announce: Announce { node_id, nonce, ..beacon(None, false).announce }, re, ask };
            let mac = |_: &[u8]| [9; 32];
            let mac: Option<Mac<'_>> = if sealed { Some(&mac) } else { None };
            if let Ok(datagram) = beacon.write(room, mac) {
                prop_assert_eq!(datagram.len(), room.min(limits::ANNOUNCE_MAX_BYTES));
                prop_assert_eq!(Beacon::sealed(&datagram).is_some(), sealed);
                prop_assert_eq!(Beacon::parse(&datagram), Ok(beacon));
            }
        }

        #[test]
        fn any_datagram_is_read_or_refused_without_panic(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = (Beacon::parse(&datagram), Beacon::sealed(&datagram));
        }
    }
}
