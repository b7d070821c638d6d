//! The discovery announcement of a live node: the JSON of v1, written whole or not at all, read as JSON with every cap.
//!
//! Never trusts: a datagram is a rumour that somebody listens somewhere. The lax v1 form is `wire::v1::announce`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::limits;
use crate::wire::cursor::WireError;

/// One announcement. Unknown JSON members are ignored, known ones must be there once, `cap` may be missing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Announce {
    /// The announcer's label.
    pub node_id: String,
    /// Where it listens, not 0.
    pub tcp_port: u16,
    /// Unix time in milliseconds, by the announcer's clock.
    pub ts_ms: u64,
    /// Random; tells two announcements apart.
    pub nonce: u64,
    /// What the announcer says it can do.
    #[serde(rename = "cap", default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "each_key_once")]
    pub capabilities: BTreeMap<String, String>,
}

impl Announce {
    /// The datagram. Refuses what [`Announce::parse`] would refuse, a text over 512 bytes among it; v1 cuts it there.
    pub fn to_json(&self) -> Result<String, WireError> {
        self.check()?;
        let text = serde_json::to_string(self).map_err(|_| WireError::Malformed("announcement cannot be written as JSON"))?;
        within(text.len(), limits::ANNOUNCE_MAX_BYTES)?;
        Ok(text)
    }

    /// The announcement that is the whole of a datagram.
    pub fn parse(datagram: &[u8]) -> Result<Announce, WireError> {
        within(datagram.len(), limits::ANNOUNCE_MAX_BYTES)?;
        let announce: Announce =
            serde_json::from_slice(datagram).map_err(|_| WireError::Malformed("announcement is not JSON of the right form"))?;
        announce.check()?;
        Ok(announce)
    }

    fn check(&self) -> Result<(), WireError> {
        if self.node_id.is_empty() {
            return Err(WireError::Malformed("announcement without node_id"));
        }
        if self.tcp_port == 0 {
            return Err(WireError::Range { what: "announced tcp_port", got: 0, min: 1 });
        }
        within(self.node_id.len(), limits::NODE_ID_MAX_BYTES)?;
        within(self.capabilities.len(), limits::CAPABILITIES_MAX)?;
        self.capabilities.iter().flat_map(|(key, value)| [key, value]).try_for_each(|text| within(text.len(), limits::CAPABILITY_MAX_BYTES))
    }
}

fn within(got: usize, max: usize) -> Result<(), WireError> {
    if got > max { Err(WireError::TooLarge { got: got as u64, max: max as u64 }) } else { Ok(()) }
}

/// A map in which a repeated key is an error, not the last word.
fn each_key_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct EachOnce;

    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((key, value)) = access.next_entry()? {
                if map.insert(key, value).is_some() {
                    return Err(A::Error::custom("a key stands twice"));
                }
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(EachOnce)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::v1::DiscoveryAnnounce;

    fn announce() -> Announce {
        let capabilities = [("proto", "1.0"), ("transport", "tcp")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Announce { node_id: "node-a".into(), tcp_port: 9001, ts_ms: 1, nonce: 2, capabilities }
    }

    #[test]
    fn an_announcement_is_written_as_v1_writes_it() {
        let text = announce().to_json().expect("short");
        assert_eq!(text, r#"{"node_id":"node-a","tcp_port":9001,"ts_ms":1,"nonce":2,"cap":{"proto":"1.0","transport":"tcp"}}"#);
        let bare = Announce { capabilities: BTreeMap::new(), ..announce() };
        assert_eq!(bare.to_json().expect("short"), r#"{"node_id":"node-a","tcp_port":9001,"ts_ms":1,"nonce":2}"#);
    }

    #[test]
    fn an_announcement_over_512_bytes_is_refused_instead_of_cut() {
        let long = Announce { capabilities: [("k".repeat(255), "v".repeat(255))].into(), ..announce() };
        assert!(matches!(long.to_json(), Err(WireError::TooLarge { max: 512, .. })));
        let padded = format!("{}{}", announce().to_json().expect("short"), " ".repeat(500));
        assert!(matches!(Announce::parse(padded.as_bytes()), Err(WireError::TooLarge { max: 512, .. })));
    }

    #[test]
    fn unknown_members_are_ignored_so_that_later_versions_can_add_some() {
        let text = br#"{"v":2,"nonce":2,"ts_ms":1,"tcp_port":9001,"node_id":"node-a","mac":[1,{"x":null}]}"#;
        assert_eq!(Announce::parse(text), Ok(Announce { capabilities: BTreeMap::new(), ..announce() }));
    }

    #[test]
    fn what_only_a_text_search_would_accept_is_refused() {
        for text in [
            r#"{"node_id":"n","tcp_port":9001.9,"ts_ms":1,"nonce":2}"#,
            r#"{"node_id":"n","tcp_port":18446744073709560617,"ts_ms":1,"nonce":2}"#,
            r#"{"node_id":"n","tcp_port":0,"ts_ms":1,"nonce":2}"#,
            r#"{"node_id":"","tcp_port":1,"ts_ms":1,"nonce":2}"#,
            r#"{"node_id":"n" "tcp_port":9001 junk "ts_ms":1 "nonce":2}}"#,
            r#"{"cap":{"node_id":"n","tcp_port":1,"ts_ms":1,"nonce":2}}"#,
            r#"{"tcp_port":9001,"ts_ms":1,"nonce":2,"node_id":"n}"#,
            r#"{"node_id":"n","node_id":"m","tcp_port":1,"ts_ms":1,"nonce":2}"#,
            r#"{"node_id":"n","tcp_port":1,"ts_ms":1,"nonce":2,"cap":{"a":"1","a":"2"}}"#,
            r#"{"node_id":"n","tcp_port":1,"ts_ms":1,"nonce":2,"cap":{"a":1}}"#,
            r#"{"node_id":"n","tcp_port":1,"ts_ms":1,"nonce":2}{}"#,
            "[]",
            "",
        ] {
            assert!(Announce::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Announce::parse(b"{\"node_id\":\"\xff\",\"tcp_port\":1,\"ts_ms\":1,\"nonce\":2}").is_err());
    }

    proptest! {
        #[test]
        fn an_announcement_survives_its_datagram(
            node_id in ".{1,60}", tcp_port in 1u16.., ts_ms: u64, nonce: u64, caps in prop::collection::btree_map(".{0,5}", ".{0,5}", 0..4),
        ) {
            let announce = Announce { node_id, tcp_port, ts_ms, nonce, capabilities: caps };
            match announce.to_json() {
                Ok(text) => prop_assert_eq!(Announce::parse(text.as_bytes()), Ok(announce)),
                Err(e) => prop_assert!(matches!(e, WireError::TooLarge { .. }), "{}", e),
            }
        }

        #[test]
        fn v1_nodes_understand_a_plainly_named_node(node_id in "[a-zA-Z0-9 ._-]{1,60}", tcp_port in 1u16.., ts_ms: u64, nonce: u64) {
            let announce = Announce { node_id: node_id.clone(), tcp_port, ts_ms, nonce, capabilities: BTreeMap::new() };
            let text = announce.to_json().expect("short");
            let v1 = DiscoveryAnnounce { node_id: node_id.into_bytes(), tcp_port, ts_ms, nonce, capabilities: Vec::new() };
            prop_assert_eq!(text.as_bytes(), v1.to_json());
            prop_assert_eq!(DiscoveryAnnounce::from_json(text.as_bytes()), Some(v1));
        }

        #[test]
        fn any_datagram_is_parsed_or_refused_without_panic(datagram in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Announce::parse(&datagram);
        }
    }
}
