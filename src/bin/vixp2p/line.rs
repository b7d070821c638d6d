//! A record as one line of text, and back: any bytes fit, nothing can steer a terminal, and no two payloads look alike.
//!
//! Never reads or writes a file.

use std::fmt::Write;

use vixp2p::PeerId;
use vixp2p::base::{Incarnation, LogId};

/// `payload` on one line: printable UTF-8 as it is, `\` as `\\`, line feed and tab as `\n` and `\t`, any other byte as `\xNN`.
pub(crate) fn escape(payload: &[u8]) -> String {
    let mut line = String::with_capacity(payload.len());
    for chunk in payload.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => line.push_str("\\\\"),
                '\n' => line.push_str("\\n"),
                '\t' => line.push_str("\\t"),
                c if is_plain(c) => line.push(c),
                c => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_hex(&mut line, byte)),
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(&mut line, *byte));
    }
    line
}

/// Neither a control character nor one that reorders, hides or breaks lines.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn push_hex(line: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(line, "\\x{byte:02x}");
}

/// The bytes that [`escape`] made `line` of; `None` if it did not make it.
pub(crate) fn unescape(line: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let used = match escaped.as_bytes().first()? {
            b'\\' => push(&mut bytes, b'\\'),
            b'n' => push(&mut bytes, b'\n'),
            b't' => push(&mut bytes, b'\t'),
            b'x' => push(&mut bytes, *vixp2p::base::id::from_hex(escaped.get(1..3)?)?.first()?) + 2,
            _ => return None,
        };
        rest = escaped.get(used..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

fn push(bytes: &mut Vec<u8>, byte: u8) -> usize {
    bytes.push(byte);
    1
}

/// `origin seq payload`.
pub(crate) fn short(log: LogId, seq: u64, payload: &[u8]) -> String {
    format!("{} {seq} {}", log.origin, escape(payload))
}

/// `origin seq incarnation payload`: everything there is to know.
pub(crate) fn long(log: LogId, seq: u64, payload: &[u8]) -> String {
    format!("{} {seq} {} {}", log.origin, log.incarnation, escape(payload))
}

/// Reads what [`long`] wrote.
pub(crate) fn parse_long(line: &str) -> Option<(LogId, u64, Vec<u8>)> {
    let mut fields = line.splitn(4, ' ');
    let origin: PeerId = fields.next()?.parse().ok()?;
    let seq = fields.next()?.parse().ok()?;
    let incarnation = u64::from_str_radix(fields.next()?, 16).ok()?;
    let payload = unescape(fields.next()?)?;
    Some((LogId { origin, incarnation: Incarnation(incarnation) }, seq, payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOADS: [&[u8]; 7] =
        [b"", b"plain text", b"a\\x41\\", b"two\nlines\tand\r\x1b[2J", "gr\u{fc}n \u{202e}".as_bytes(), &[0xff, 0, 0x80, b'a'], b" "];

    #[test]
    fn any_payload_survives_its_line() {
        let log = LogId { origin: PeerId([0xab; 32]), incarnation: Incarnation(7) };
        for payload in PAYLOADS {
            let line = long(log, 12, payload);
            assert!(!line.chars().any(char::is_control), "{line}");
            assert_eq!(parse_long(&line), Some((log, 12, payload.to_vec())), "{line}");
        }
    }

    #[test]
    fn readable_text_stays_readable() {
        assert_eq!(escape("name = \"gr\u{fc}n\"".as_bytes()), "name = \"gr\u{fc}n\"");
    }

    #[test]
    fn a_line_of_somebody_else_is_refused() {
        for line in ["", "a b c d", "\\", "\\q", "\\x4", "\\xzz"] {
            assert!(parse_long(line).is_none(), "{line}");
        }
        assert!(unescape("\\x\u{fc}").is_none());
    }
}
