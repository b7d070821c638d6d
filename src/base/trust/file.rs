//! The text of `known_peers`: one line a key, for people to read and edit.
//!
//! ```text
//! trusted <64 hex digits> <label>         a person trusts this key
//! pinned  <64 hex digits> <node_id>       the first key that came with this node_id
//! revoked <64 hex digits> <label>         refused for good
//! # anything                              a comment, also at the end of a line
//! ```
//!
//! Never drops what it does not understand: such lines, comments and empty lines are written back as they were.

use std::collections::BTreeMap;

use crate::base::id::{PeerId, PeerInfo};
use crate::base::limits;
use crate::base::trust::{Standing, TrustEntry, TrustState};

/// A line that says nothing usable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    /// Without its line feed.
    text: Vec<u8>,
    /// The key it is about; `None` for comments and what is not understood.
    peer: Option<PeerId>,
}

/// A file of known peers: its lines, and what they say.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownPeers {
    lines: Vec<Line>,
    entries: BTreeMap<PeerId, TrustEntry>,
}

impl KnownPeers {
    /// Reads a file's bytes. Lines that cannot be used are named and kept.
    pub fn parse(bytes: &[u8]) -> (KnownPeers, Vec<Fault>) {
        let (mut known, mut faults) = (KnownPeers::default(), Vec::new());
        let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for (at, text) in body.split(|byte| *byte == b'\n').enumerate().take_while(|_| !bytes.is_empty()) {
            let read = read_line(text);
            // A line that repeats a key goes with the key when that is changed.
            let peer = read.as_ref().ok().and_then(|entry| entry.as_ref().map(|entry| entry.peer));
            if let Err(why) = read.and_then(|entry| entry.map_or(Ok(()), |entry| known.learn(entry))) {
                faults.push(Fault { line: at + 1, why });
            }
            known.lines.push(Line { text: text.to_vec(), peer });
        }
        (known, faults)
    }

    /// Takes in what a line says. Of two lines about one key the first counts, unless one of them revokes it.
    fn learn(&mut self, entry: TrustEntry) -> Result<(), String> {
        let peer = entry.peer;
        let revokes = entry.state == TrustState::Revoked;
        if self.entries.get(&peer).is_some_and(|known| known.state == entry.state || !revokes) {
            return Err(format!("key {} stands in an earlier line already", peer.short()));
        }
        if self.entries.len() >= limits::TRUST_ENTRIES_MAX && !self.entries.contains_key(&peer) {
            return Err(format!("more than {} keys; this one is left out", limits::TRUST_ENTRIES_MAX));
        }
        self.entries.insert(peer, entry);
        Ok(())
    }

    /// The file's bytes.
    pub fn format(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|line| line.text.iter().copied().chain([b'\n'])).collect()
    }

    /// Every key and what is settled about it.
    pub fn entries(&self) -> impl Iterator<Item = &TrustEntry> {
        self.entries.values()
    }

    /// What is settled about a key.
    pub fn get(&self, peer: &PeerId) -> Option<&TrustEntry> {
        self.entries.get(peer)
    }

    /// Settles a key, in the place of what was said about it.
    pub fn set(&mut self, entry: TrustEntry) {
        let peer = entry.peer;
        self.replace(peer, entry);
    }

    /// Forgets a key. Whether it was there.
    pub fn remove(&mut self, peer: &PeerId) -> bool {
        self.lines.retain(|line| line.peer != Some(*peer));
        self.entries.remove(peer).is_some()
    }

    /// Writes down the key of a peer whose standing asks for that.
    pub fn admit(&mut self, info: &PeerInfo, standing: &Standing, now_s: u64) {
        if !standing.pin {
            return;
        }
        let old = standing.moved_from.and_then(|old| self.entries.get(&old)).cloned();
        let by_a_person = old.as_ref().filter(|old| old.state == TrustState::Trusted);
        let (state, label) = match by_a_person {
            Some(old) => (old.state, old.label.clone()),
            None => (TrustState::Pinned, info.node_id.clone()),
        };
        let entry = TrustEntry { peer: info.id, state, label, added_s: Some(now_s) };
        self.replace(old.map_or(info.id, |old| old.peer), entry);
    }

    /// Puts an entry where the key `place` stood, or at the end.
    fn replace(&mut self, place: PeerId, entry: TrustEntry) {
        let line = Line { text: write_line(&entry).into_bytes(), peer: Some(entry.peer) };
        let at = self.lines.iter().position(|line| line.peer == Some(place)).unwrap_or(self.lines.len());
        let ours = |line: &Line| line.peer == Some(place) || line.peer == Some(entry.peer);
        let before = self.lines[..at].iter().filter(|line| ours(line)).count();
        self.lines.retain(|line| !ours(line));
        self.lines.insert(at - before, line);
        self.entries.remove(&place);
        self.entries.insert(entry.peer, entry);
    }
}

fn read_line(bytes: &[u8]) -> Result<Option<TrustEntry>, String> {
    if bytes.len() > limits::KNOWN_PEERS_LINE_MAX_BYTES {
        return Err(format!("{} bytes, limit is {}", bytes.len(), limits::KNOWN_PEERS_LINE_MAX_BYTES));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    let (text, comment) = text.split_once('#').unwrap_or((text, ""));
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let state = match word {
        "trusted" => TrustState::Trusted,
        "pinned" => TrustState::Pinned,
        "revoked" => TrustState::Revoked,
        _ => return Err("expected \"trusted\", \"pinned\" or \"revoked\", a key of 64 hex digits and a label".into()),
    };
    let rest = rest.trim_start();
    let (key, label) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let peer = key.parse::<PeerId>().map_err(|_| format!("after \"{word}\" comes a key of 64 hex digits"))?;
    let label = unescape(label.trim_start()).ok_or("the label has a broken escape; it is \\u{HEX} or \\\\")?;
    if label.len() > limits::NODE_ID_MAX_BYTES {
        return Err(format!("label of {} bytes, limit is {}", label.len(), limits::NODE_ID_MAX_BYTES));
    }
    if state == TrustState::Pinned && label.is_empty() {
        return Err("a pinned key needs the node_id it is pinned to".into());
    }
    let added_s = comment.trim().strip_prefix("since ").and_then(|seconds| seconds.parse().ok());
    Ok(Some(TrustEntry { peer, state, label, added_s }))
}

fn write_line(entry: &TrustEntry) -> String {
    let mut line = format!("{} {}", entry.state, entry.peer);
    if !entry.label.is_empty() {
        line.push(' ');
        line.push_str(&escape(&entry.label));
    }
    if let Some(seconds) = entry.added_s {
        line.push_str(&format!(" # since {seconds}"));
    }
    line
}

/// A label as it stands in the file: one line, no comment, nothing that steers a terminal or turns the writing direction.
pub fn escape(label: &str) -> String {
    let mut text = String::with_capacity(label.len());
    for (at, c) in label.char_indices() {
        let edge = at == 0 || at + c.len_utf8() == label.len();
        match c {
            '\\' => text.push_str("\\\\"),
            '#' => text.extend(c.escape_unicode()),
            ' ' if !edge => text.push(c),
            c if c.is_ascii_graphic() || c.is_alphanumeric() => text.push(c),
            c => text.extend(c.escape_unicode()),
        }
    }
    text
}

fn unescape(text: &str) -> Option<String> {
    let (mut label, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        label.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('\\') {
            label.push('\\');
            rest = after;
        } else {
            let (digits, after) = rest.strip_prefix("u{")?.split_once('}')?;
            label.push(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?);
            rest = after;
        }
    }
    label.push_str(rest);
    Some(label)
}
