//! Where logs stand: following them, waiting until others have them, and seeing how far everybody is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::base::{Error, LogId, PeerId, Result, limits};
use crate::driver::Shell;
use crate::driver::asks::{self, Behind};
use crate::driver::log::now_us;
use crate::driver::subscribe::{Subscribe, Subscription};
use crate::mesh::{LogAcked, LogView, LogWait};

use super::Node;

/// What a peer has to have done with a record to count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AckLevel {
    /// It is on its disk.
    #[default]
    Durable,
    /// Its application has applied it.
    Applied,
}

/// Whose word is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ackers {
    /// So many peers, whoever they are.
    Any(usize),
    /// Each of these.
    All(Vec<PeerId>),
}

/// Who has acknowledged a record.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Acks {
    /// Whether everybody waited for has.
    pub complete: bool,
    /// Whoever has, in the order of the keys.
    pub peers: Vec<PeerId>,
}

/// How far somebody is behind what is durable here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Lag {
    /// Records.
    pub records: u64,
    /// Bytes of log, exact up to 64 KiB and close to it beyond. Where peers stand at more than 1,024 different places, bytes and time are
    /// 0 for some of them, those in the own log last.
    pub bytes: u64,
    /// Age of the first record behind, by the origin's clock then and this node's now; 0 if the origin's clock was ahead.
    pub ms: u64,
}

/// A connected peer's place in a log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PeerProgress {
    /// Who.
    pub peer: PeerId,
    /// Highest record durable there, as it said itself.
    pub durable: u64,
    /// Highest record applied there, as it said itself.
    pub applied: u64,
    /// What is durable here and not there.
    pub lag: Lag,
}

/// A log's place here and at every connected peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LogProgress {
    /// Which log.
    pub log: LogId,
    /// Whether this node appends to it.
    pub own: bool,
    /// Highest record durable here.
    pub durable: u64,
    /// Highest record applied here.
    pub applied: u64,
    /// What is durable here and not applied.
    pub lag: Lag,
    /// The application is stuck at this record, which it called poison: see [`Node::apply_resume`].
    pub parked: Option<u64>,
    /// In causal mode: the next record comes after others, which are not applied here yet.
    pub waits: Option<LogWait>,
    /// Two histories of the log were seen: nothing more of it is stored here.
    pub frozen: bool,
    /// Peers connected now that have said how far they are.
    pub peers: Vec<PeerProgress>,
}

impl Node {
    /// Resolves when everything that was accepted before is durable: the number of the own log's last durable record. Only a node
    /// with [`Durability::Buffered`](crate::base::config::Durability) has anything to wait for.
    pub async fn flush(&self) -> Result<u64> {
        match self.shell_to_wait_for() {
            Ok(shell) => shell.log.flush().await,
            Err(Error::Stopped) => self.flush_offline(),
            Err(e) => Err(e),
        }
    }

    /// [`Node::flush`] for threads without a runtime.
    pub fn flush_blocking(&self) -> Result<u64> {
        match self.shell_to_wait_for() {
            Ok(shell) => shell.log.flush_blocking(),
            Err(Error::Stopped) => self.flush_offline(),
            Err(e) => Err(e),
        }
    }

    fn flush_offline(&self) -> Result<u64> {
        let mut state = self.inner.state.lock();
        let wal = state.wal.as_mut().ok_or(Error::Stopped)?;
        wal.flush().map_err(|e| Error::Log(e.to_string()))?;
        Ok(wal.durable(wal.own()))
    }

    /// Follows logs of the running node, its own among them: records from a place on, live afterwards. Ends when the node stops.
    pub fn subscribe(&self, wanted: Subscribe) -> Result<Subscription> {
        Ok(Subscription::new(&self.shell()?, wanted))
    }

    /// Resolves when the peers waited for have a record and all before it. What a peer said counts while this waits, whether or not
    /// it is connected afterwards; what it said to earlier links does not, since it says so again when it connects. Of a log of this
    /// node, a peer that has more than this node does not count: the data directory was rolled back, and what the peer has may be
    /// other records. [`Error::Log`] once appending goes on in another log for that reason.
    pub async fn wait_for_ack(&self, log: LogId, seq: u64, ackers: &Ackers, level: AckLevel) -> Result<Acks> {
        let mut tally = Tally::new((log, seq), ackers, level, self.is_own(log));
        loop {
            let shell = self.shell_to_wait_for()?;
            let moves = shell.log.progress.moves();
            if tally.look(&shell)? {
                return Ok(tally.acks(true));
            }
            shell.log.progress.moved(moves).await;
        }
    }

    /// [`Node::wait_for_ack`] for threads without a runtime; after `timeout` whoever has acknowledged by then. `None` waits for as
    /// long as the node runs.
    pub fn wait_for_ack_blocking(
        &self,
        (log, seq): (LogId, u64),
        ackers: &Ackers,
        level: AckLevel,
        timeout: Option<Duration>,
    ) -> Result<Acks> {
        let deadline = timeout.and_then(|timeout| now().checked_add(timeout));
        let mut tally = Tally::new((log, seq), ackers, level, self.is_own(log));
        loop {
            let shell = self.shell_to_wait_for()?;
            let moves = shell.log.progress.moves();
            if tally.look(&shell)? {
                return Ok(tally.acks(true));
            }
            if deadline.is_some_and(|deadline| now() >= deadline) {
                return Ok(tally.acks(false));
            }
            shell.log.progress.wait(moves, deadline);
        }
    }

    /// How far every log is here and at every connected peer, and how far each is behind: the own log first.
    pub async fn sync_status(&self) -> Vec<LogProgress> {
        let (own, views, places) = self.places();
        let behind = match self.shell_to_wait_for() {
            Ok(shell) => shell.log.behind(places.clone()).await,
            Err(_) => self.behind_offline(&places),
        };
        progress(own, views, &places, &behind)
    }

    /// [`Node::sync_status`] for threads without a runtime.
    pub fn sync_status_blocking(&self) -> Vec<LogProgress> {
        let (own, views, places) = self.places();
        let behind = match self.shell_to_wait_for() {
            Ok(shell) => shell.log.behind_blocking(places.clone()),
            Err(_) => self.behind_offline(&places),
        };
        progress(own, views, &places, &behind)
    }

    fn behind_offline(&self, places: &[(LogId, u64)]) -> Vec<Behind> {
        self.inner.state.lock().wal.as_ref().map(|wal| asks::behind(wal, places)).unwrap_or_default()
    }

    /// Every log, and the places in it where somebody is behind.
    fn places(&self) -> (LogId, Vec<LogView>, Vec<(LogId, u64)>) {
        let (own, views) = (self.own_log(), self.logs());
        let mut places = BTreeSet::new();
        for view in &views {
            let applied = Some(view.applied).filter(|_| view.log.origin != own.origin);
            let all = applied.into_iter().chain(view.acked.iter().map(|acked| acked.durable));
            places.extend(all.filter(|seq| *seq < view.durable).map(|seq| (view.log, seq)));
        }
        // Those of the own log first: of very many places the others' say no bytes and no time.
        let (mut places, others): (Vec<_>, Vec<_>) = places.into_iter().partition(|(log, _)| *log == own);
        places.extend(others);
        places.truncate(limits::STATUS_PLACES_MAX);
        (own, views, places)
    }
}

fn progress(own: LogId, views: Vec<LogView>, places: &[(LogId, u64)], behind: &[Behind]) -> Vec<LogProgress> {
    let measured: BTreeMap<(LogId, u64), Behind> = places.iter().copied().zip(behind.iter().copied()).collect();
    let now = now_us();
    let lag = |log: LogId, at: u64, durable: u64| {
        let Behind { bytes, since_us } = measured.get(&(log, at)).copied().unwrap_or_default();
        let ms = if since_us == 0 { 0 } else { now.saturating_sub(since_us) / 1000 };
        Lag { records: durable.saturating_sub(at), bytes, ms }
    };
    let mut all: Vec<LogProgress> = views
        .into_iter()
        .map(|LogView { log, durable, applied, parked, waits, frozen, acked }| {
            let peer =
                |a: LogAcked| PeerProgress { peer: a.peer, durable: a.durable, applied: a.applied, lag: lag(log, a.durable, durable) };
            let here = if log.origin == own.origin { Lag::default() } else { lag(log, applied, durable) };
            let peers = acked.into_iter().map(peer).collect();
            LogProgress { log, own: log == own, durable, applied, lag: here, parked, waits, frozen, peers }
        })
        .collect();
    all.sort_by_key(|progress| !progress.own);
    all
}

/// Who has acknowledged so far.
struct Tally<'a> {
    log: LogId,
    seq: u64,
    ackers: &'a Ackers,
    level: AckLevel,
    /// Whether this node, or an earlier key of it, wrote the log.
    own: bool,
    /// The log this node appended to when the wait began.
    appending_to: Option<LogId>,
    seen: BTreeSet<PeerId>,
}

impl Tally<'_> {
    fn new((log, seq): (LogId, u64), ackers: &Ackers, level: AckLevel, own: bool) -> Tally<'_> {
        Tally { log, seq, ackers, level, own, appending_to: None, seen: BTreeSet::new() }
    }

    /// Takes what the node knows now; whether that is enough.
    fn look(&mut self, shell: &Shell) -> Result<bool> {
        let (now, view) = shell.look(|mesh, _| (mesh.own_log(), mesh.log(self.log)));
        let before = *self.appending_to.get_or_insert(now);
        if self.own && self.log != now && (self.log == before || view.as_ref().is_some_and(|view| view.frozen)) {
            return Err(Error::Log(format!(
                "{} was rolled back: peers may have another record {}; appending goes on in {now}, append to that again",
                self.log, self.seq
            )));
        }
        Ok(self.count(view))
    }

    /// Takes what is known now; whether that is enough. Nobody is enough for nobody as soon as the record is durable here.
    fn count(&mut self, view: Option<LogView>) -> bool {
        let Some(view) = view.filter(|view| view.log == self.log) else { return false };
        let has = |acked: &&LogAcked| match self.level {
            AckLevel::Durable => acked.durable >= self.seq,
            AckLevel::Applied => acked.applied >= self.seq,
        };
        // A peer cannot have more of what only this node writes, unless this node has lost it.
        let is_same = |acked: &&LogAcked| !self.own || acked.durable <= view.durable;
        self.seen.extend(view.acked.iter().filter(is_same).filter(has).map(|acked| acked.peer));
        let enough = match self.ackers {
            Ackers::Any(count) => self.seen.len() >= *count,
            Ackers::All(peers) => peers.iter().all(|peer| self.seen.contains(peer)),
        };
        enough && view.durable >= self.seq
    }

    fn acks(&self, complete: bool) -> Acks {
        Acks { complete, peers: self.seen.iter().copied().collect() }
    }
}

#[expect(clippy::disallowed_methods, reason = "the caller's timeout is in real time")]
fn now() -> Instant {
    Instant::now()
}
