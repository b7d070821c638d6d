//! What registry and client write each other, as v1 does: announcements, lists of peers, errors. Decides nothing.

use std::fmt;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::base::bootstrap::dialable;
use crate::base::{Endpoint, Error, Result, limits};

/// The body of a POST to `announce`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Announcement {
    /// The announcer's label.
    pub node_id: String,
    /// Where it listens, not 0.
    pub tcp_port: u16,
    /// Its host, if that is not the address the registry sees.
    #[serde(default)]
    pub host: Option<String>,
}

/// The announcement as it is written: the members of v1 in the order of v1, the host behind them.
#[derive(Serialize)]
struct Written<'a> {
    node_id: &'a str,
    tcp_port: u16,
    cap: Capabilities,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
}

#[derive(Serialize)]
struct Capabilities {
    proto: &'static str,
    transport: &'static str,
}

impl Announcement {
    /// The body.
    pub fn to_json(&self) -> String {
        let cap = Capabilities { proto: "1.0", transport: "tcp" };
        let written = Written { node_id: &self.node_id, tcp_port: self.tcp_port, cap, host: self.host.as_deref() };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads a body: every known member once, unknown ones ignored. The error says what is wrong with it.
    pub fn parse(body: &[u8]) -> Result<Announcement, String> {
        let announcement: Announcement = serde_json::from_slice(body).map_err(|e| format!("the body is no announcement: {e}"))?;
        if announcement.node_id.is_empty() || announcement.node_id.len() > limits::NODE_ID_MAX_BYTES {
            return Err(format!("node_id has {} bytes, expected 1 to {}", announcement.node_id.len(), limits::NODE_ID_MAX_BYTES));
        }
        if announcement.tcp_port == 0 {
            return Err("tcp_port is 0, expected 1 to 65535".into());
        }
        if let Some(host) = &announcement.host {
            dialable(host, announcement.tcp_port).map_err(|_| "host is no name and no address".to_owned())?;
        }
        Ok(announcement)
    }
}

/// A peer as a registry names it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct BootstrapPeer {
    /// Its label; may be empty.
    pub node_id: String,
    /// Where it is reached.
    pub host: String,
    /// Where it listens.
    pub tcp_port: u16,
}

impl BootstrapPeer {
    /// Where to dial.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::tcp(self.host.clone(), self.tcp_port)
    }
}

/// The answer to `peers`: as many as fit an answer.
pub fn write_peers<'a>(peers: impl IntoIterator<Item = &'a BootstrapPeer>) -> String {
    let mut text = String::from("{\"peers\":[");
    for peer in peers {
        let object = serde_json::to_string(peer).unwrap_or_default();
        if text.len() + object.len() + 3 > limits::REGISTRY_ANSWER_MAX_BYTES {
            break;
        }
        if !text.ends_with('[') {
            text.push(',');
        }
        text.push_str(&object);
    }
    text.push_str("]}");
    text
}

/// Reads an answer: the first `max` entries that can be dialled; others are passed over.
pub fn read_peers(body: &[u8], max: usize) -> Result<Vec<BootstrapPeer>> {
    #[derive(Deserialize)]
    struct Answer {
        peers: Usable,
    }
    let Answer { peers: Usable(mut peers) } =
        serde_json::from_slice(body).map_err(|e| Error::Invalid(format!("the registry's answer is no list of peers: {e}")))?;
    peers.truncate(max);
    Ok(peers)
}

/// The entries of a list that can be dialled.
struct Usable(Vec<BootstrapPeer>);

#[derive(Deserialize)]
struct Candidate {
    #[serde(default)]
    node_id: String,
    host: String,
    tcp_port: u16,
    transport: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Lax {
    Candidate(Candidate),
    Other(IgnoredAny),
}

impl Lax {
    fn usable(self) -> Option<BootstrapPeer> {
        let Lax::Candidate(Candidate { node_id, host, tcp_port, transport }) = self else { return None };
        let fits = node_id.len() <= limits::NODE_ID_MAX_BYTES && transport.is_none_or(|name| name == "tcp");
        (fits && dialable(&host, tcp_port).is_ok()).then_some(BootstrapPeer { node_id, host, tcp_port })
    }
}

impl<'de> Deserialize<'de> for Usable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Usable, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Usable;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of peers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Usable, A::Error> {
                let mut peers = Vec::new();
                while let Some(lax) = access.next_element::<Lax>()? {
                    if peers.len() < limits::BOOTSTRAP_PEERS_MAX {
                        peers.extend(lax.usable());
                    }
                }
                Ok(Usable(peers))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// The body of an answer that is no success.
pub fn write_error(error: &str, hint: &str) -> String {
    #[derive(Serialize)]
    struct Refused<'a> {
        ok: bool,
        error: &'a str,
        hint: &'a str,
    }
    serde_json::to_string(&Refused { ok: false, error, hint }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer(node_id: &str, host: &str, tcp_port: u16) -> BootstrapPeer {
        BootstrapPeer { node_id: node_id.into(), host: host.into(), tcp_port }
    }

    #[test]
    fn an_announcement_is_written_byte_for_byte_as_v1_writes_it() {
        let announcement = Announcement { node_id: "a\"b\\".into(), tcp_port: 9001, host: None };
        assert_eq!(announcement.to_json(), r#"{"node_id":"a\"b\\","tcp_port":9001,"cap":{"proto":"1.0","transport":"tcp"}}"#);
        let placed = Announcement { host: Some("h".into()), ..announcement };
        assert!(placed.to_json().ends_with(r#"},"host":"h"}"#));
    }

    #[test]
    fn what_is_no_announcement_is_refused() {
        for text in [
            "",
            "[]",
            r#"{"node_id":"n"}"#,
            r#"{"node_id":"","tcp_port":1}"#,
            r#"{"node_id":"n","tcp_port":0}"#,
            r#"{"node_id":"n","tcp_port":65536}"#,
            r#"{"node_id":"n","tcp_port":"1"}"#,
            r#"{"node_id":"n","node_id":"m","tcp_port":1}"#,
            r#"{"node_id":"n","tcp_port":1,"host":"a b"}"#,
            r#"{"node_id":"n","tcp_port":1,"host":""}"#,
            r#"{"node_id":"n","tcp_port":1}x"#,
        ] {
            assert!(Announcement::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Announcement::parse(&[b'['; 60_000]).is_err(), "deep");
    }

    #[test]
    fn an_entry_that_cannot_be_dialled_is_passed_over_and_takes_nothing_from_the_next() {
        let body = br#"{"x":1,"peers":[{"node_id":"a","host":"h1"},7,{"host":"h2","tcp_port":2},{"host":"h3","tcp_port":3,"transport":"quic"},
            {"host":"","tcp_port":4},{"host":"h5","tcp_port":65536},{"host":"[h6]","tcp_port":6},{"node_id":"g","host":"h7","tcp_port":7,"transport":"tcp"}]}"#;
        assert_eq!(read_peers(body, 20).expect("JSON"), [peer("", "h2", 2), peer("g", "h7", 7)]);
        assert_eq!(read_peers(body, 1).expect("JSON").len(), 1);
        assert!(read_peers(b"[]", 20).is_err() && read_peers(b"<html>", 20).is_err() && read_peers(b"", 20).is_err());
    }

    #[test]
    fn an_answer_stays_below_what_v1_reads() {
        let peers: Vec<_> = (1..2000).map(|port| peer(&"\u{1}".repeat(255), &"h".repeat(253), port)).collect();
        let text = write_peers(&peers);
        assert!(text.len() <= limits::REGISTRY_ANSWER_MAX_BYTES);
        assert!(!read_peers(text.as_bytes(), 2000).expect("JSON").is_empty());
        assert_eq!(write_peers(&[]), r#"{"peers":[]}"#);
        assert_eq!(write_peers(&[peer("n", "::1", 1)]), r#"{"peers":[{"node_id":"n","host":"::1","tcp_port":1}]}"#);
    }

    #[test]
    fn an_error_says_what_and_what_to_do() {
        assert_eq!(write_error("e", "do \"this\""), r#"{"ok":false,"error":"e","hint":"do \"this\""}"#);
    }

    proptest! {
        #[test]
        fn an_announcement_survives_its_body(node_id in ".{1,60}", tcp_port in 1u16.., host in prop::option::of("[a-z0-9.-]{1,40}")) {
            let announcement = Announcement { node_id, tcp_port, host };
            prop_assert_eq!(Announcement::parse(announcement.to_json().as_bytes()), Ok(announcement));
        }

        #[test]
        fn a_list_of_peers_survives_its_body(list in prop::collection::vec((".{0,60}", "[a-z0-9.-]{1,40}", 1u16..), 0..20)) {
            let peers: Vec<_> = list.iter().map(|(node_id, host, port)| peer(node_id, host, *port)).collect();
            prop_assert_eq!(read_peers(write_peers(&peers).as_bytes(), 20).expect("JSON"), peers);
        }

        #[test]
        fn any_body_is_read_or_refused_without_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_peers(&body, 20);
            let _ = Announcement::parse(&body);
        }
    }
}
