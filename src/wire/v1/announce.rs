//! The discovery announcement as v1 writes and scans it. Never a JSON parser: it finds keys as text, like the C++ code.
//!
//! What a live node sends and accepts is [`crate::wire::announce`].

use crate::base::limits::ANNOUNCE_MAX_BYTES;
use crate::wire::v1::Capabilities;

/// `DiscoveryAnnounce`. Text is bytes: v1 does not ask for UTF-8.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DiscoveryAnnounce {
    /// The announcer's name.
    pub node_id: Vec<u8>,
    /// Where it listens.
    pub tcp_port: u16,
    /// Unix time in milliseconds.
    pub ts_ms: u64,
    /// Random.
    pub nonce: u64,
    /// Written, never read.
    pub capabilities: Capabilities,
}

impl DiscoveryAnnounce {
    /// The datagram, cut at 512 bytes if it is longer, whatever that does to the JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = b"{\"node_id\":".to_vec();
        quote(&self.node_id, &mut out);
        out.extend_from_slice(format!(",\"tcp_port\":{},\"ts_ms\":{},\"nonce\":{}", self.tcp_port, self.ts_ms, self.nonce).as_bytes());
        for (i, (key, value)) in self.capabilities.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b",\"cap\":{" } else { b"," });
            quote(key, &mut out);
            out.push(b':');
            quote(value, &mut out);
        }
        out.extend_from_slice(if self.capabilities.is_empty() { b"}" } else { b"}}" });
        out.truncate(ANNOUNCE_MAX_BYTES);
        out
    }

    /// The announcement in a datagram, if v1 finds one there.
    pub fn from_json(text: &[u8]) -> Option<DiscoveryAnnounce> {
        if text.len() > ANNOUNCE_MAX_BYTES || text.first() != Some(&b'{') || text.last() != Some(&b'}') {
            return None;
        }
        let node_id = string_after(text, "node_id")?;
        let tcp_port = u16::try_from(number_after(text, "tcp_port")?).ok().filter(|port| *port > 0)?;
        let (ts_ms, nonce) = (number_after(text, "ts_ms")?, number_after(text, "nonce")?);
        Some(DiscoveryAnnounce { node_id, tcp_port, ts_ms, nonce, capabilities: Vec::new() })
    }
}

/// Five escapes; every other byte as it is.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

/// What follows the first colon after the first occurrence of the quoted key, white space skipped.
fn value_after<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let quoted = format!("\"{key}\"");
    let at = text.windows(quoted.len()).position(|window| window == quoted.as_bytes())?;
    let rest = &text[at..];
    let rest = &rest[rest.iter().position(|byte| *byte == b':')? + 1..];
    let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r')).unwrap_or(rest.len());
    Some(&rest[start..])
}

/// A string that is not empty. A backslash vanishes and the next byte stays; the end of the text ends the string too.
fn string_after(text: &[u8], key: &str) -> Option<Vec<u8>> {
    let mut bytes = value_after(text, key)?.strip_prefix(b"\"")?.iter();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => out.push(*bytes.next().unwrap_or(&b'\\')),
            other => out.push(*other),
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Leading digits as a number that wraps at 2^64.
fn number_after(text: &[u8], key: &str) -> Option<u64> {
    let value = value_after(text, key)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |sum, digit| Some(sum.unwrap_or(0u64).wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))))
}
