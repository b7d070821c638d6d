//! Following logs from within the program: every record from a place on, live afterwards, in pieces of bounded size.
//!
//! Reads what is durable and nothing else, in order within each log. Keeps no place for anybody: who wants to go on later keeps the
//! cursor. Never holds up the node: a follower that does not take what it wanted costs one piece of memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::base::{Error, LogId, Result, limits};
use crate::driver::Shell;
use crate::driver::log::Fetched;
use crate::driver::progress::Watcher;
use crate::outbox;
use crate::sync::Group;
use crate::sync::group::Entries;

/// One durable record of any log, this node's own among them. Records of the outbox are not the application's and left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRecord {
    /// Whose log, and which life of it.
    pub log: LogId,
    /// The record's number, from 1.
    pub seq: u64,
    /// Wall clock of the origin when it appended, microseconds since 1970; information only.
    pub time_us: u64,
    /// What was appended.
    pub payload: Bytes,
}

/// What to follow, and from where.
#[derive(Clone, Debug, Default)]
pub struct Subscribe {
    from: BTreeMap<LogId, u64>,
    all: bool,
    at_end: bool,
}

impl Subscribe {
    /// One log from record `seq` on. More can be added by [`Subscribe::and`].
    pub fn log(log: LogId, seq: u64) -> Subscribe {
        Subscribe::default().and(log, seq)
    }

    /// Every log from its first record on, also such that come later.
    pub fn all() -> Subscribe {
        Subscribe { all: true, ..Subscribe::default() }
    }

    /// Every log, each from its present end on; logs that come later from their first record on.
    pub fn new_records() -> Subscribe {
        Subscribe { all: true, at_end: true, ..Subscribe::default() }
    }

    /// That log from record `seq` on, whatever is said of the others.
    pub fn and(mut self, log: LogId, seq: u64) -> Subscribe {
        self.from.insert(log, seq.max(1));
        self
    }
}

/// Records of one log that were read and not given out yet.
struct Piece {
    log: LogId,
    entries: std::iter::Flatten<std::vec::IntoIter<Entries>>,
}

/// Follows logs of a running node. Ends when the node stops; dropping it is all it takes to cancel it.
pub struct Subscription {
    shell: Weak<Shell>,
    all: bool,
    /// Next record to give out.
    next: BTreeMap<LogId, u64>,
    /// Logs that could not be read, and when to try again.
    parked: BTreeMap<LogId, Instant>,
    piece: Option<Piece>,
    turn: Option<LogId>,
    watcher: Option<u64>,
    /// When the watcher is called next although nothing has moved.
    rings_at: Option<Instant>,
    cancelled: Arc<AtomicBool>,
    /// Whether records of the outbox are given out.
    unfiltered: bool,
}

/// Ends a subscription from elsewhere, also one that waits.
#[derive(Clone, Debug)]
pub struct Canceller {
    shell: Weak<Shell>,
    cancelled: Arc<AtomicBool>,
}

impl Canceller {
    /// The subscription answers [`Error::Stopped`] from now on.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        if let Some(shell) = self.shell.upgrade() {
            shell.log.progress.ring();
        }
    }

    /// Blocks until the bell has rung since `seen`, the deadline is over, or there is nothing to wait for any more.
    pub(crate) fn wait(&self, seen: u64, deadline: Option<Instant>) {
        if let Some(shell) = self.shell.upgrade() {
            shell.log.progress.wait(seen, deadline);
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subscription({} logs{})", self.next.len(), if self.all { ", and those to come" } else { "" })
    }
}

/// What to do next.
enum Step {
    Read(LogId, u64),
    /// Nothing is there; wait until the bell has rung, or until then.
    Wait(Option<Instant>),
}

/// What a look that does not wait has found.
pub(crate) enum Look {
    Record(LogRecord),
    /// Nothing is there; look again when the bell has rung since this, or then.
    Nothing(u64, Option<Instant>),
}

impl Subscription {
    pub(crate) fn new(shell: &Arc<Shell>, wanted: Subscribe) -> Subscription {
        let mut next = wanted.from;
        if wanted.at_end {
            for (log, durable) in shell.look(|mesh, _| mesh.durables()) {
                next.entry(log).or_insert(durable + 1);
            }
        }
        let (parked, shell) = (BTreeMap::new(), Arc::downgrade(shell));
        let (piece, turn, watcher, rings_at, cancelled) = (None, None, None, None, Arc::default());
        Subscription { shell, all: wanted.all, next, parked, piece, turn, watcher, rings_at, cancelled, unfiltered: false }
    }

    /// The same with the records of the outbox.
    pub(crate) fn unfiltered(mut self) -> Subscription {
        self.unfiltered = true;
        self
    }

    /// What ends it while another thread waits in it.
    pub fn canceller(&self) -> Canceller {
        Canceller { shell: self.shell.clone(), cancelled: self.cancelled.clone() }
    }

    /// Waits for the next record. [`Error::Stopped`] once the node stops; [`Error::Truncated`] once where records are not kept any more,
    /// after which this goes on behind them. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<LogRecord> {
        loop {
            if let Some(record) = self.take() {
                return Ok(record);
            }
            let (shell, seen) = self.running()?;
            match self.step(&shell) {
                Step::Read(log, from) => {
                    let fetched = shell.log.fetch(log, from, limits::SUBSCRIBE_READ_BYTES).await;
                    self.arrived(&shell, log, fetched)?;
                }
                Step::Wait(None) => shell.log.progress.moved(seen).await,
                Step::Wait(Some(until)) => {
                    tokio::select! {
                        () = shell.log.progress.moved(seen) => {}
                        () = tokio::time::sleep_until(until.into()) => {}
                    }
                }
            }
        }
    }

    /// The next record if there is one, for threads without a runtime: blocks while it is read, but not for one to come.
    pub fn try_next(&mut self) -> Result<Option<LogRecord>> {
        self.next_before(Some(now()))
    }

    /// [`Subscription::next`] for threads without a runtime; `None` after `timeout`.
    pub fn next_blocking(&mut self, timeout: Duration) -> Result<Option<LogRecord>> {
        self.next_before(now().checked_add(timeout))
    }

    /// The next record that is there before `deadline`; without one it waits for as long as the node runs.
    pub(crate) fn next_before(&mut self, deadline: Option<Instant>) -> Result<Option<LogRecord>> {
        self.next_unless(deadline, &|| false)
    }

    /// The same, or nothing as soon as `over` says so when the log's bell rings.
    pub(crate) fn next_unless(&mut self, deadline: Option<Instant>, over: &dyn Fn() -> bool) -> Result<Option<LogRecord>> {
        let bell = self.canceller();
        loop {
            match self.look()? {
                Look::Record(record) => return Ok(Some(record)),
                Look::Nothing(..) if is_over(deadline) || over() => return Ok(None),
                Look::Nothing(seen, until) => bell.wait(seen, deadline.into_iter().chain(until).min()),
            }
        }
    }

    /// The next record if there is one: blocks while it is read, and never longer.
    pub(crate) fn look(&mut self) -> Result<Look> {
        loop {
            if let Some(record) = self.take() {
                // It may have been cancelled while the disk was read: who did that expects no more.
                return if self.is_cancelled() { Err(Error::Stopped) } else { Ok(Look::Record(record)) };
            }
            let (shell, seen) = self.running()?;
            match self.step(&shell) {
                Step::Read(log, from) => {
                    let fetched = shell.log.fetch_blocking(log, from, limits::SUBSCRIBE_READ_BYTES);
                    self.arrived(&shell, log, fetched)?;
                }
                Step::Wait(until) => {
                    until.into_iter().for_each(|until| self.ring_at(&shell, until));
                    return Ok(Look::Nothing(seen, until));
                }
            }
        }
    }

    /// The record each log goes on with: what [`Subscribe::and`] takes to go on here another time.
    pub fn cursor(&self) -> Vec<(LogId, u64)> {
        self.next.iter().map(|(log, seq)| (*log, *seq)).collect()
    }

    /// Has `watcher` called whenever there may be more; until this is dropped.
    pub(crate) fn watch(&mut self, watcher: Watcher) {
        if let Some(shell) = self.shell.upgrade() {
            self.watcher = Some(shell.log.progress.watch(watcher));
        }
    }

    /// Sees to it that a watcher is called when a log that could not be read is to be tried again: it keeps no time of its own.
    fn ring_at(&mut self, shell: &Arc<Shell>, until: Instant) {
        if self.watcher.is_none() || self.rings_at == Some(until) {
            return;
        }
        self.rings_at = Some(until);
        let theirs = Arc::downgrade(shell);
        shell.handle.spawn(async move {
            tokio::time::sleep_until(until.into()).await;
            theirs.upgrade().into_iter().for_each(|shell| shell.log.progress.ring());
        });
    }

    /// The node, and how often the bell had rung before it was seen to run: a ring that ends this is not missed.
    fn running(&self) -> Result<(Arc<Shell>, u64)> {
        let shell = self.shell.upgrade().ok_or(Error::Stopped)?;
        shell.may_wait()?;
        let seen = shell.log.progress.moves();
        if self.is_cancelled() {
            return Err(Error::Stopped);
        }
        if shell.failure().is_some() || shell.log.progress.has_ended() { Err(Error::from(&*shell)) } else { Ok((shell, seen)) }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// A record that was read before.
    fn take(&mut self) -> Option<LogRecord> {
        let Piece { log, entries } = self.piece.as_mut()?;
        let (log, next) = (*log, self.next.entry(*log).or_insert(1));
        for entry in entries {
            if entry.seq == *next {
                *next += 1;
                if !self.unfiltered && outbox::is_ours(&entry.payload) {
                    continue;
                }
                return Some(LogRecord { log, seq: entry.seq, time_us: entry.time_us, payload: entry.payload });
            }
        }
        self.piece = None;
        None
    }

    /// The next log in turn that has more than was given out.
    fn step(&mut self, shell: &Shell) -> Step {
        let durable: BTreeMap<LogId, u64> = shell.look(|mesh, _| mesh.durables()).into_iter().collect();
        if self.all {
            for log in durable.iter().filter(|(_, end)| **end > 0).map(|(log, _)| *log) {
                self.next.entry(log).or_insert(1);
            }
        }
        let now = now();
        self.parked.retain(|_, until| *until > now);
        let is_due = |(log, next): &(&LogId, &u64)| durable.get(*log).is_some_and(|end| end >= *next) && !self.parked.contains_key(*log);
        let after = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.next.range((after, Bound::Unbounded)).find(is_due).or_else(|| self.next.iter().find(is_due));
        match found.map(|(log, next)| (*log, *next)) {
            Some((log, next)) => {
                self.turn = Some(log);
                Step::Read(log, next)
            }
            None => Step::Wait(self.parked.values().min().copied()),
        }
    }

    fn arrived(&mut self, shell: &Shell, log: LogId, fetched: Fetched) -> Result<()> {
        let groups = fetched.map_err(|base| {
            // Told once; then it goes on behind the gap.
            self.next.insert(log, base + 1);
            Error::Truncated { log, base }
        })?;
        if groups.is_empty() && !shell.log.progress.has_ended() {
            // It cannot be read where it should be; an event has said so.
            self.parked.insert(log, now() + limits::REPLICA_RETRY);
        }
        let entries: Vec<Entries> = groups.iter().map(Group::entries).collect();
        self.piece = Some(Piece { log, entries: entries.into_iter().flatten() });
        Ok(())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let (Some(number), Some(shell)) = (self.watcher, self.shell.upgrade()) {
            shell.log.progress.unwatch(number);
        }
    }
}

/// Whether a deadline has come.
pub(crate) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| now() >= deadline)
}

#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::config::Durability;
    use crate::base::{Config, Incarnation};
    use crate::crypto::{Identity, Secret};
    use crate::driver::workers::Workers;
    use crate::mesh::{Mesh, MeshSettings};
    use crate::session::LocalParty;
    use crate::sync::{MemStorage, Storage, Wal};

    #[test]
    fn a_subscription_tells_once_what_is_not_kept_and_goes_on_behind_it() {
        let identity = Arc::new(Identity::from_seed(&Secret::new([7; 32])));
        let config = Config::new("n");
        let party = LocalParty::new(identity.clone(), "n", &config.capabilities, None).expect("small");
        let disk: Box<dyn Storage> = Box::new(MemStorage::new());
        let (mut wal, _) = Wal::open(disk, identity.clone(), Incarnation(1)).expect("empty disk");
        wal.set_segment_max(800);
        let log = wal.own();
        (0..40).for_each(|n| drop(wal.append(1, &[Bytes::from(vec![n; 40])]).expect("memory")));
        let base = wal.truncate(log, 20).expect("memory");
        assert!((1..=20).contains(&base));
        let mesh = Mesh::resume(MeshSettings::from_config(&config, identity.id()), wal.states(), log, 1);
        let (keeper, _) = crate::driver::known::Keeper::open(None, config.trust_policy()).expect("no file");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let shell = Shell::new(mesh, (Arc::new(party), Arc::new(keeper), None), Arc::default(), Arc::default(), runtime.handle().clone());
        let workers = Workers::begin(shell.clone(), None, (wal, Durability::Durable, None), None, None).expect("threads");
        let mut all = Subscription::new(&shell, Subscribe::all());
        assert!(matches!(all.try_next(), Err(Error::Truncated { log: of, base: upto }) if (of, upto) == (log, base)));
        assert_eq!(all.cursor(), [(log, base + 1)]);
        for seq in base + 1..=40 {
            assert_eq!(all.try_next().expect("kept").map(|record| record.seq), Some(seq));
        }
        assert_eq!(all.try_next().expect("runs"), None);
        let damage = std::iter::from_fn(|| shell.ring.try_pop()).any(|item| format!("{item:?}").contains("LogDamaged"));
        assert!(!damage, "a gap is no damage");
        drop(shell);
        drop(workers.end());
    }
}
