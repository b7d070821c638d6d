//! Letting go of records: who takes records from here is noted on disk, and what nobody counted needs any more goes.
//!
//! The table is written when somebody new comes, before anything goes, and at the end. What is lost of it keeps more, never less.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::base::{Error, Event, Level, LogId, PeerId, Result, limits};
use crate::driver::apply::Standing;
use crate::driver::known::put_whole;
use crate::driver::log::now_us;
use crate::driver::snapshots::{Archive, log, make};
use crate::driver::{Present, Shell};
use crate::snapshot::retention::{self, Kept, Plan, Rule};
use crate::snapshot::{Place, Replicas};

/// The file's name in a data directory.
pub(crate) const REPLICAS_FILE: &str = "replicas";

/// Replicas and the file they live in.
pub(crate) struct Table {
    path: Option<PathBuf>,
    /// A leaf lock, never held while the disk is waited for.
    known: Mutex<Replicas>,
    /// Held by whoever writes or cuts.
    writing: Mutex<()>,
    /// The last cuts there were when a snapshot was last made for the cap.
    tried: Mutex<BTreeMap<LogId, u64>>,
}

impl Table {
    /// Reads the table of a data directory; one that cannot be read counts as empty and is told.
    pub(super) fn open(dir: Option<PathBuf>) -> (Table, Option<String>) {
        let path = dir.map(|dir| dir.join(REPLICAS_FILE));
        let (known, fault) = match path.as_deref().map_or(Ok(Replicas::default()), read) {
            Ok(known) => (known, None),
            Err(why) => (Replicas::default(), Some(why)),
        };
        (Table { path, known: Mutex::new(known), writing: Mutex::new(()), tried: Mutex::default() }, fault)
    }

    /// A trusted peer is connected. Whether that is to be written down.
    pub(crate) fn heard(&self, peer: PeerId) -> bool {
        let mut known = self.known.lock();
        let now = now_us();
        let before = known.known().find(|(of, _)| *of == peer).map(|(_, heard_us)| heard_us);
        known.heard(peer, now);
        before.is_none_or(|before| now.saturating_sub(before) >= limits::ADDRESS_BOOK_REFRESH.as_micros() as u64)
    }

    /// Takes what connected peers have said so far.
    fn fold(&self, shell: &Shell) {
        let views = shell.look(|mesh, _| mesh.logs());
        let (mut known, now) = (self.known.lock(), now_us());
        for (log, acked) in views.iter().flat_map(|view| view.acked.iter().map(|acked| (view.log, acked))) {
            known.heard(acked.peer, now);
            known.acked(acked.peer, log, acked.durable);
        }
    }

    /// Takes what connected peers have said, and writes the table. Blocks.
    pub(crate) fn write(&self, shell: &Shell) -> Result<()> {
        self.fold(shell);
        let _writing = self.writing.lock();
        let bytes = self.known.lock().to_bytes();
        self.path.as_deref().map_or(Ok(()), |path| put_whole(path, &bytes))
    }

    /// Those that count if trusted.
    fn trusted(&self, shell: &Shell) -> Replicas {
        let table = shell.keeper.table();
        let mut known = self.known.lock().clone();
        let strangers: Vec<PeerId> = known.known().map(|(peer, _)| peer).filter(|peer| !table.trusts(peer)).collect();
        strangers.into_iter().for_each(|peer| known.forget(peer));
        known
    }
}

fn read(path: &Path) -> std::result::Result<Replicas, String> {
    let fault = |why: String| format!("{}: {why}; peers that are away may have to take a snapshot", path.display());
    match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Replicas::default()),
        Err(e) => Err(fault(e.to_string())),
        Ok(bytes) => Replicas::from_bytes(&bytes).map_err(|e| fault(e.to_string())),
    }
}

/// Takes note of replicas that come and go. Called under the node's lock.
pub(crate) fn note(shell: &Arc<Shell>, event: &Event) {
    let (peer, may_write) = match event {
        Event::PeerConnected { peer, trusted: true, .. } | Event::TrustChanged { peer, trusted: true, .. } => (*peer, true),
        Event::PeerDisconnected { peer, .. } => (*peer, false),
        _ => return,
    };
    let Some(archive) = shell.snapshots.get() else { return };
    let is_known = may_write || archive.replicas.known.lock().known().any(|(known, _)| known == peer);
    if is_known && archive.replicas.heard(peer) && may_write {
        let (shell, archive) = (shell.clone(), archive.clone());
        let present = shell.present();
        shell.handle.clone().spawn_blocking(move || {
            let _present = present;
            if let Err(e) = archive.replicas.write(&shell) {
                shell.emit(Event::LogFailed { detail: e.to_string() });
            }
        });
    }
}

/// Looks from time to time at what is kept. Runs until the node's tasks are ended.
pub(crate) async fn run(shell: Arc<Shell>, _present: Present) {
    loop {
        tokio::time::sleep(limits::RETENTION_LOOK_EVERY).await;
        let (theirs, present) = (shell.clone(), shell.present());
        let look = move || {
            let _present = present;
            keep_cap(&theirs)
        };
        let looked = shell.handle.spawn_blocking(look).await;
        if let Ok(Err(e)) = looked {
            shell.write_log(Level::Warn, || format!("the logs cannot be kept within their cap: {e}"));
        }
    }
}

/// What truncation let go of.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Truncated {
    /// The last record that is not kept, by log; logs that are whole are left out.
    pub bases: BTreeMap<LogId, u64>,
    /// Bytes of files that went.
    pub bytes: u64,
}

/// Lets go of everything that the newest snapshot holds and that nobody counted needs. Blocks.
pub(crate) fn truncate(shell: &Arc<Shell>) -> Result<Truncated> {
    let archive = shell.snapshots.get().ok_or(Error::Stopped)?;
    archive.replicas.write(shell)?;
    archive.secure_newest()?;
    let (places, kept) = (archive.newest_places(), log::kept(shell)?);
    let rule = Rule { now_us: now_us(), lease: archive.config.lease, cap: archive.config.log_max_bytes };
    let Plan { upto, forced, .. } = retention::plan(&places, &archive.replicas.trusted(shell), &kept, &rule);
    let upto = taken_effect(shell, upto)?;
    for (peer, logs) in forced {
        shell.emit(Event::SnapshotNeeded { peer, count: logs.len() as u64 });
    }
    let mut bases = log::cut_to(shell, upto)?;
    let bytes = kept.iter().map(|(log, kept)| bytes_upto(kept, bases.get(log).copied().unwrap_or(0))).sum();
    bases.retain(|_, base| *base > 0);
    Ok(Truncated { bases, bytes })
}

/// Of the records up to there only those that the application says it has: others would have to come again. Asked where records are
/// applied, while none is. Blocks.
fn taken_effect(shell: &Arc<Shell>, upto: BTreeMap<LogId, u64>) -> Result<BTreeMap<LogId, u64>> {
    if !shell.apply.has_cursor() {
        return Ok(upto);
    }
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let theirs = shell.clone();
    shell.apply.run(Box::new(move || {
        let Some(archive) = theirs.snapshots.get() else { return };
        archive.exclusively(&mut || {
            // The own logs are not applied, and the outbox's records are none of the application's.
            let at_most = |log: LogId, seq: u64| match theirs.apply.told(log) {
                Standing::At(applied) if log.origin != archive.identity.id() => applied.min(seq),
                Standing::Unknown => 0,
                Standing::At(_) | Standing::Note => seq,
            };
            drop(tell.send(upto.iter().map(|(log, seq)| (*log, at_most(*log, *seq))).collect()));
        });
    }));
    told.recv().map_err(|_| Error::Stopped)
}

fn bytes_upto(kept: &Kept, base: u64) -> u64 {
    kept.cuts.iter().take_while(|(seq, _)| *seq <= base).map(|(_, bytes)| bytes).sum()
}

/// Whether a newer snapshot can have something go: there are cuts behind `places`, and since `tried` new ones.
pub(super) fn may_help(kept: &BTreeMap<LogId, Kept>, places: &[Place], tried: &BTreeMap<LogId, u64>) -> bool {
    let places: BTreeMap<LogId, u64> = places.iter().map(|place| (place.log, place.applied)).collect();
    let before = |log| places.get(log).max(tried.get(log)).copied().unwrap_or(0);
    last_cuts(kept).iter().any(|(log, cut)| *cut > before(log))
}

fn last_cuts(kept: &BTreeMap<LogId, Kept>) -> BTreeMap<LogId, u64> {
    kept.iter().filter_map(|(log, kept)| Some((*log, kept.cuts.last()?.0))).collect()
}

impl Archive {
    fn secure_newest(&self) -> Result<()> {
        let mut store = self.store.lock();
        let newest = store.held().first().map(|held| held.id);
        newest.map_or(Ok(()), |id| store.secure(&id)).map_err(make::failed)
    }

    /// What may go because the newest snapshot holds it.
    fn newest_places(&self) -> Vec<Place> {
        self.held().into_iter().next().map(|held| held.manifest.places).unwrap_or_default()
    }
}

/// Holds the cap on the size of the logs: a snapshot if the newest one is too old for it, then lets go. Blocks.
pub(crate) fn keep_cap(shell: &Arc<Shell>) -> Result<()> {
    let archive = shell.snapshots.get().ok_or(Error::Stopped)?;
    archive.replicas.write(shell)?;
    let Some(cap) = archive.config.log_max_bytes else { return Ok(()) };
    let size: u64 = log::kept(shell)?.values().map(|kept| kept.cuts.iter().map(|(_, bytes)| bytes).sum::<u64>() + kept.rest).sum();
    if size <= cap {
        return Ok(());
    }
    let before = truncate(shell)?;
    if size - before.bytes.min(size) <= cap || !archive.has_handler() {
        return Ok(());
    }
    let kept = log::kept(shell)?;
    let is_worth_it = may_help(&kept, &archive.newest_places(), &archive.replicas.tried.lock());
    if is_worth_it {
        *archive.replicas.tried.lock() = last_cuts(&kept);
        make_blocking(shell)?;
        truncate(shell)?;
    }
    Ok(())
}

/// Makes a snapshot on the apply thread and waits for it.
pub(crate) fn make_blocking(shell: &Arc<Shell>) -> Result<crate::wire::message::SnapshotId> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let theirs = shell.clone();
    shell.apply.run(Box::new(move || drop(tell.send(make::now(&theirs)))));
    told.recv().unwrap_or(Err(Error::Stopped))
}
