//! The `known_peers` file of a node, and the table that follows from it: changed one at a time, durable before it holds.
//!
//! Never decides about a peer; it writes down what was decided.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::base::trust::{Gate, KnownPeers};
use crate::base::{CloseReason, Error, Event, PeerId, PeerInfo, Result, TrustEntry, TrustPolicy, TrustState, TrustTable, limits};
use crate::driver::log::now_us;

/// The file's name in a data directory.
pub const KNOWN_PEERS_FILE: &str = "known_peers";

/// What a node knows about keys, in its data directory or, without one, in memory.
#[derive(Debug)]
pub struct Keeper {
    path: Option<PathBuf>,
    /// Locked for as long as a change takes, the disk included.
    known: Mutex<KnownPeers>,
    /// What holds; never locked for longer than a look.
    table: RwLock<Arc<TrustTable>>,
}

impl Keeper {
    /// Reads the file of a data directory this process owns; a missing one is an empty one. Lines that cannot be used are reported
    /// and left alone; a file that cannot be read at all is an error, for it may revoke somebody.
    pub fn open(dir: Option<&Path>, policy: TrustPolicy) -> Result<(Keeper, Vec<Event>)> {
        let path = dir.map(|dir| dir.join(KNOWN_PEERS_FILE));
        let (known, faults) = path.as_deref().map(read).transpose()?.unwrap_or_default();
        let table = Arc::new(TrustTable::new(policy, 0, known.entries().cloned()));
        Ok((Keeper { path, known: Mutex::new(known), table: RwLock::new(table) }, faults))
    }

    /// What holds now.
    pub fn table(&self) -> Arc<TrustTable> {
        self.table.read().clone()
    }

    /// Whether a change waits for no disk.
    pub(crate) fn is_in_memory(&self) -> bool {
        self.path.is_none()
    }

    /// A dial's conditions.
    pub(crate) fn gate(&self, expected: Option<PeerId>) -> Gate {
        Gate { table: self.table(), expected }
    }

    /// Every listed key.
    pub fn entries(&self) -> Vec<TrustEntry> {
        self.table().entries().cloned().collect()
    }

    /// Trusts or revokes a key. Blocks until that is durable.
    pub fn set(&self, peer: PeerId, state: TrustState, label: Option<&str>) -> Result<Arc<TrustTable>> {
        let mut locked = self.known.lock();
        let old = locked.get(&peer);
        let label = label.or(old.map(|old| old.label.as_str())).unwrap_or_default().to_owned();
        if label.len() > limits::NODE_ID_MAX_BYTES {
            return Err(Error::TooLarge { what: "label", got: label.len(), max: limits::NODE_ID_MAX_BYTES });
        }
        let listed = locked.entries().count();
        if old.is_none() && listed >= limits::TRUST_ENTRIES_MAX {
            return Err(Error::TooLarge { what: "list of known keys", got: listed + 1, max: limits::TRUST_ENTRIES_MAX });
        }
        let entry = TrustEntry { peer, state, label, added_s: Some(now_s()) };
        let mut known = locked.clone();
        known.set(entry);
        self.replace(&mut locked, known)
    }

    /// Forgets a key, as if it had never been met; `None` if it is not listed. Blocks until that is durable.
    pub fn forget(&self, peer: PeerId) -> Result<Option<Arc<TrustTable>>> {
        let mut locked = self.known.lock();
        let mut known = locked.clone();
        if !known.remove(&peer) {
            return Ok(None);
        }
        self.replace(&mut locked, known).map(Some)
    }

    /// Writes down the key of a peer that is to be pinned, if it is; the new table and what to tell the application. Blocks until
    /// the pin is durable: a peer whose pin could be lost by a power cut is not let in.
    pub(crate) fn pin(&self, info: &PeerInfo, expected: Option<PeerId>) -> Option<(Arc<TrustTable>, Event)> {
        let mut locked = self.known.lock();
        // Judged again by the present table: another link may have pinned the same name in the meantime.
        let standing = self.table().judge(info, expected).ok().filter(|standing| standing.pin)?;
        let mut known = locked.clone();
        known.admit(info, &standing, now_s());
        let written = self.replace(&mut locked, known);
        let told = match &written {
            Ok(_) => Event::PeerPinned { peer: info.id, node_id: info.node_id.clone(), former: standing.moved_from },
            Err(error) => Event::KnownPeersFaulty { detail: format!("key {} is not pinned: {error}", info.id) },
        };
        // A table that did not change has the mesh refuse the peer.
        Some((written.unwrap_or_else(|_| self.table()), told))
    }

    /// Whether the key of a peer is to be written down before it is let in.
    pub(crate) fn must_pin(&self, info: &PeerInfo, expected: Option<PeerId>) -> bool {
        let judged: Result<_, CloseReason> = self.table().judge(info, expected);
        judged.is_ok_and(|standing| standing.pin)
    }

    /// Reads the file again, after somebody has edited it. What cannot be read changes nothing.
    pub fn reload(&self) -> Result<(Arc<TrustTable>, Vec<Event>)> {
        let mut locked = self.known.lock();
        let Some(path) = &self.path else { return Ok((self.table(), Vec::new())) };
        let (known, faults) = read(path)?;
        Ok((self.take(&mut locked, known), faults))
    }

    fn replace(&self, present: &mut KnownPeers, known: KnownPeers) -> Result<Arc<TrustTable>> {
        if let Some(path) = &self.path {
            write(path, &known.format())?;
        }
        Ok(self.take(present, known))
    }

    fn take(&self, present: &mut KnownPeers, known: KnownPeers) -> Arc<TrustTable> {
        let before = self.table();
        let table = Arc::new(TrustTable::new(before.policy(), before.generation() + 1, known.entries().cloned()));
        *present = known;
        *self.table.write() = table.clone();
        table
    }
}

fn now_s() -> u64 {
    now_us() / 1_000_000
}

fn read(path: &Path) -> Result<(KnownPeers, Vec<Event>)> {
    let context = || format!("reading {}", path.display());
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        other => other.map_err(Error::io(context()))?,
    };
    let metadata = file.metadata().map_err(Error::io(context()))?;
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(Error::Invalid(format!(
            "{}: others can write it (mode {:04o}); look through it and run chmod 600 on it",
            path.display(),
            metadata.permissions().mode() & 0o7777
        )));
    }
    let mut bytes = Vec::new();
    file.take(limits::KNOWN_PEERS_MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io(context()))?;
    check_size(path, bytes.len())?;
    let (known, faults) = KnownPeers::parse(&bytes);
    let told = faults.into_iter().map(|fault| Event::KnownPeersFaulty {
        detail: format!("{}, line {}: {}; the line is left out", path.display(), fault.line, fault.why),
    });
    Ok((known, told.collect()))
}

fn check_size(path: &Path, bytes: usize) -> Result<()> {
    if bytes as u64 > limits::KNOWN_PEERS_MAX_BYTES {
        return Err(Error::Invalid(format!("{}: more than {} bytes; shorten it", path.display(), limits::KNOWN_PEERS_MAX_BYTES)));
    }
    Ok(())
}

/// The new file takes the old one's place whole or not at all, and is durable when this returns.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    check_size(path, bytes.len())?;
    put_whole(path, bytes)
}

/// The same for any file of a data directory.
pub(super) fn put_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        // A leftover of a crash would keep its permissions.
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(Error::io(format!("writing {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PeerId {
        PeerId([n; 32])
    }

    fn info(n: u8, node_id: &str, formerly: Vec<PeerId>) -> PeerInfo {
        PeerInfo { id: id(n), node_id: node_id.into(), capabilities: Vec::new(), formerly }
    }

    fn keeper(dir: &Path) -> Keeper {
        Keeper::open(Some(dir), TrustPolicy::Tofu).expect("readable").0
    }

    #[test]
    fn what_was_settled_is_there_after_a_restart_and_only_the_owner_can_read_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let before = keeper(dir.path());
        before.set(id(1), TrustState::Trusted, Some("one")).expect("written");
        before.set(id(2), TrustState::Revoked, None).expect("written");
        before.set(id(3), TrustState::Trusted, None).expect("written");
        assert!(before.forget(id(3)).expect("written").is_some() && before.forget(id(3)).expect("nothing to do").is_none());
        assert_eq!(keeper(dir.path()).entries(), before.entries());
        let mode = fs::metadata(dir.path().join(KNOWN_PEERS_FILE)).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_pin_is_in_the_file_before_anybody_hears_of_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let keeper = keeper(dir.path());
        let (table, told) = keeper.pin(&info(1, "one", vec![]), None).expect("pinned");
        assert!(table.trusts(&id(1)) && matches!(told, Event::PeerPinned { former: None, .. }));
        assert!(self::keeper(dir.path()).table().trusts(&id(1)));
        assert!(keeper.pin(&info(1, "one", vec![]), None).is_none(), "known already");
        assert!(keeper.pin(&info(2, "one", vec![]), None).is_none(), "refused, not pinned");
        let (table, told) = keeper.pin(&info(2, "one", vec![id(1)]), None).expect("moved");
        assert!(table.trusts(&id(2)) && !table.trusts(&id(1)));
        assert!(matches!(told, Event::PeerPinned { former: Some(_), .. }));
    }

    #[test]
    fn a_pin_that_cannot_be_written_holds_nowhere() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let keeper = keeper(dir.path());
        // A directory of that name cannot be replaced by a file.
        fs::create_dir(dir.path().join("known_peers.new")).expect("in the way");
        let (table, told) = keeper.pin(&info(1, "one", vec![]), None).expect("tried");
        assert!(!table.trusts(&id(1)) && matches!(told, Event::KnownPeersFaulty { .. }), "{told}");
        assert!(keeper.set(id(1), TrustState::Trusted, None).is_err() && keeper.entries().is_empty());
    }

    #[test]
    fn a_crash_while_writing_leaves_the_old_file_or_the_new_one() {
        let dir = tempfile::tempdir().expect("temporary directory");
        keeper(dir.path()).set(id(1), TrustState::Revoked, None).expect("written");
        fs::write(dir.path().join("known_peers.new"), "trus").expect("half a file");
        let after = keeper(dir.path());
        assert_eq!(after.table().state_of(&id(1)), Some(TrustState::Revoked));
        after.set(id(2), TrustState::Trusted, None).expect("the leftover is replaced");
        assert_eq!(keeper(dir.path()).entries().len(), 2);
    }

    #[test]
    fn bad_lines_are_named_and_survive_a_change_and_a_file_others_can_write_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join(KNOWN_PEERS_FILE);
        fs::write(&path, "# mine\nrevoked 12ab\n").expect("edited");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let (keeper, faults) = Keeper::open(Some(dir.path()), TrustPolicy::Open).expect("readable");
        assert!(faults.iter().any(|fault| fault.to_string().contains("line 2")), "{faults:?}");
        keeper.set(id(1), TrustState::Trusted, Some("one")).expect("written");
        assert!(fs::read_to_string(&path).expect("text").starts_with("# mine\nrevoked 12ab\ntrusted 01"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("chmod");
        assert!(Keeper::open(Some(dir.path()), TrustPolicy::Open).expect_err("writable").to_string().contains("chmod 600"));
    }

    #[test]
    fn an_edited_file_holds_when_it_is_read_again() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let keeper = keeper(dir.path());
        let before = keeper.table();
        fs::write(dir.path().join(KNOWN_PEERS_FILE), format!("revoked {}\n", id(4))).expect("edited");
        let (table, faults) = keeper.reload().expect("readable");
        assert!(faults.is_empty() && table.generation() > before.generation());
        assert_eq!(table.state_of(&id(4)), Some(TrustState::Revoked));
    }
}
