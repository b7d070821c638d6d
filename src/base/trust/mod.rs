//! Whose key counts: what is settled about keys, and what a peer that has proven its own is worth by it.
//!
//! One table, one question ([`TrustTable::judge`]). Never reads a file, and never changes by being asked: who pins does so with
//! [`KnownPeers`] and hands out a new table.

pub mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use crate::base::close::{CloseReason, Distrust};
use crate::base::error::Error;
use crate::base::id::{PeerId, PeerInfo};
use crate::base::limits;

pub use file::{Fault, KnownPeers};

/// Who is let in, and with whom records are exchanged. A revoked key is refused under every policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustPolicy {
    /// Anybody is let in; only listed keys are trusted.
    #[default]
    Open,
    /// Trust on first use: the first key of a node_id is pinned and trusted, another one refused.
    Tofu,
    /// Only keys that are listed, or named by whoever dials.
    Pinned,
    /// Only listed keys, whoever dials.
    AllowList,
}

impl TrustPolicy {
    /// The policy's name in files, options and messages.
    pub fn name(self) -> &'static str {
        match self {
            TrustPolicy::Open => "open",
            TrustPolicy::Tofu => "tofu",
            TrustPolicy::Pinned => "pinned",
            TrustPolicy::AllowList => "allow_list",
        }
    }
}

impl fmt::Display for TrustPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TrustPolicy {
    type Err = Error;

    fn from_str(text: &str) -> Result<TrustPolicy, Error> {
        [TrustPolicy::Open, TrustPolicy::Tofu, TrustPolicy::Pinned, TrustPolicy::AllowList]
            .into_iter()
            .find(|policy| policy.name() == text.replace('-', "_"))
            .ok_or_else(|| Error::Invalid(format!("trust policy \"{text}\": expected open, tofu, pinned or allow_list")))
    }
}

/// What is settled about a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustState {
    /// A person trusts it, whatever node_id it shows.
    Trusted,
    /// It was the first that came with its node_id (policy tofu); trusted under that node_id.
    Pinned,
    /// Refused for good.
    Revoked,
}

impl TrustState {
    /// The state's name in files, options and messages.
    pub fn name(self) -> &'static str {
        match self {
            TrustState::Trusted => "trusted",
            TrustState::Pinned => "pinned",
            TrustState::Revoked => "revoked",
        }
    }
}

impl fmt::Display for TrustState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One key and what is settled about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TrustEntry {
    /// The key.
    pub peer: PeerId,
    /// What is settled.
    pub state: TrustState,
    /// Its node_id if it was pinned, else whatever a person calls it. May be empty; may hold anything a peer can send.
    pub label: String,
    /// When it was added, in seconds since 1970, if that is known.
    pub added_s: Option<u64>,
}

/// What a peer that may come in is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Whether records are exchanged with it.
    pub trusted: bool,
    /// Whether its key is to be written down first, as pinned or in the place of `moved_from`.
    pub pin: bool,
    /// The listed key it had before, whose place it takes.
    pub moved_from: Option<PeerId>,
}

impl Standing {
    const TRUSTED: Standing = Standing { trusted: true, pin: false, moved_from: None };
    const STRANGER: Standing = Standing { trusted: false, pin: false, moved_from: None };
}

/// A policy and the keys it is about. Immutable: a change is a new table of the next generation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrustTable {
    policy: TrustPolicy,
    generation: u64,
    entries: BTreeMap<PeerId, TrustEntry>,
    /// Who may use a label, of the keys that are not revoked.
    names: BTreeMap<String, BTreeSet<PeerId>>,
}

/// What a dial asks of who answers: the table as it stood, and the key it wants.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Judges.
    pub table: Arc<TrustTable>,
    /// The only key that will do, if one was named.
    pub expected: Option<PeerId>,
}

impl Gate {
    /// See [`TrustTable::judge`].
    pub fn judge(&self, info: &PeerInfo) -> Result<Standing, CloseReason> {
        self.table.judge(info, self.expected)
    }
}

impl TrustTable {
    /// A table of these keys. Of two tables of one node the one of the greater `generation` is the newer.
    pub fn new(policy: TrustPolicy, generation: u64, entries: impl IntoIterator<Item = TrustEntry>) -> TrustTable {
        let entries: BTreeMap<PeerId, TrustEntry> = entries.into_iter().map(|entry| (entry.peer, entry)).collect();
        let mut names: BTreeMap<String, BTreeSet<PeerId>> = BTreeMap::new();
        for entry in entries.values().filter(|e| e.state != TrustState::Revoked && !e.label.is_empty()) {
            names.entry(entry.label.clone()).or_default().insert(entry.peer);
        }
        TrustTable { policy, generation, entries, names }
    }

    /// A table that trusts these keys and nobody else: simulations and tests.
    pub fn of_friends(friends: impl IntoIterator<Item = PeerId>) -> TrustTable {
        let entry = |peer| TrustEntry { peer, state: TrustState::Trusted, label: String::new(), added_s: None };
        TrustTable::new(TrustPolicy::AllowList, 0, friends.into_iter().map(entry))
    }

    /// The policy.
    pub fn policy(&self) -> TrustPolicy {
        self.policy
    }

    /// Which of this node's tables it is.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Every listed key.
    pub fn entries(&self) -> impl Iterator<Item = &TrustEntry> {
        self.entries.values()
    }

    /// What is settled about a key.
    pub fn state_of(&self, peer: &PeerId) -> Option<TrustState> {
        self.entries.get(peer).map(|entry| entry.state)
    }

    /// Whether a key is listed and not revoked.
    pub fn trusts(&self, peer: &PeerId) -> bool {
        matches!(self.state_of(peer), Some(TrustState::Trusted | TrustState::Pinned))
    }

    /// Whether a peer may come in, and what it is worth. `expected` is the key its dialler named.
    pub fn judge(&self, info: &PeerInfo, expected: Option<PeerId>) -> Result<Standing, CloseReason> {
        let entry = self.entries.get(&info.id);
        let revoked = |key: &&PeerId| self.state_of(key) == Some(TrustState::Revoked);
        let by_a_person = entry.is_some_and(|e| e.state == TrustState::Trusted);
        let formerly = info.formerly.iter().filter(|_| !by_a_person);
        if let Some(key) = std::iter::once(&info.id).chain(formerly).find(revoked) {
            return Err(CloseReason::Revoked(format!("key {} is revoked in known_peers here", key.short())));
        }
        if let Some(wanted) = expected.filter(|wanted| *wanted != info.id) {
            return Err(CloseReason::Untrusted(Distrust::Unexpected { wanted, got: info.id }));
        }
        match entry {
            Some(entry) if entry.state == TrustState::Pinned && !self.may_be_called(info, entry.peer) => Err(self.changed(info)),
            Some(entry) => Ok(Standing { pin: self.renames(info, entry), ..Standing::TRUSTED }),
            None => self.judge_unlisted(info, expected),
        }
    }

    fn judge_unlisted(&self, info: &PeerInfo, expected: Option<PeerId>) -> Result<Standing, CloseReason> {
        if let Some(old) = info.formerly.iter().find_map(|key| self.entries.get(key)) {
            if old.state == TrustState::Pinned && !self.may_be_called(info, old.peer) {
                return Err(self.changed(info));
            }
            return Ok(Standing { trusted: true, pin: true, moved_from: Some(old.peer) });
        }
        let unlisted = Err(CloseReason::Untrusted(Distrust::Unlisted { peer: info.id, policy: self.policy }));
        match self.policy {
            TrustPolicy::Open => Ok(Standing::STRANGER),
            TrustPolicy::Tofu if self.names.contains_key(&info.node_id) => Err(self.changed(info)),
            TrustPolicy::Tofu if self.entries.len() >= limits::TRUST_ENTRIES_MAX => {
                Err(CloseReason::Untrusted(Distrust::Full { entries: self.entries.len() }))
            }
            TrustPolicy::Tofu => Ok(Standing { trusted: true, pin: true, moved_from: None }),
            TrustPolicy::Pinned if expected == Some(info.id) => Ok(Standing::TRUSTED),
            TrustPolicy::Pinned | TrustPolicy::AllowList => unlisted,
        }
    }

    /// Whether the pinned key `by` vouches for the peer's node_id: nobody else has it. Only tofu binds keys to labels.
    fn may_be_called(&self, info: &PeerInfo, by: PeerId) -> bool {
        self.policy != TrustPolicy::Tofu || self.names.get(&info.node_id).is_none_or(|owners| owners.contains(&by))
    }

    /// Whether a pinned key has taken a new node_id, so that its pin follows.
    fn renames(&self, info: &PeerInfo, entry: &TrustEntry) -> bool {
        self.policy == TrustPolicy::Tofu && entry.state == TrustState::Pinned && entry.label != info.node_id
    }

    fn changed(&self, info: &PeerInfo) -> CloseReason {
        let owner = self.names.get(&info.node_id).and_then(BTreeSet::first).copied();
        CloseReason::Untrusted(Distrust::Changed { node_id: info.node_id.clone(), pinned: owner.unwrap_or(info.id), got: info.id })
    }
}

#[cfg(test)]
mod tests;
