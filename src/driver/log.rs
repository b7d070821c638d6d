//! The log's own thread: takes appends, groups to store and reads in batches, so that one fsync serves many callers.
//!
//! Owner of the [`Wal`], but for an append that is done where it is asked for (`lend`). Never decides what is replicated; it says what is
//! durable and does what it is asked.

mod append;
mod lend;
mod notes;
mod renew;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

use crate::base::config::Durability;
use crate::base::{CloseReason, Error, Event, Level, LinkId, LogId, LogRange, Result, limits};
use crate::driver::Shell;
use crate::driver::asks::{self, Ask, Behind};
use crate::driver::progress::Progress;
use crate::driver::prove::{self, Arrivals, Job, Prover};
use crate::driver::runtime::ThreadStart;
use crate::driver::workers::NodeWal;
use crate::mesh::io::Input;
use crate::sync::{Group, Proven, Storage, StoreError, Wal, WalError};

pub(crate) use append::flush;
pub(crate) use renew::renew;

use append::{accept, append};
use lend::Place;
use notes::Notes;

/// Where it is told to which log records went, and with which numbers.
type Reply = Box<dyn FnOnce(Result<LogRange>) + Send>;

struct Append {
    payloads: Vec<Bytes>,
    /// Answered once it is durable, also where others are not.
    is_durable: bool,
    reply: Reply,
}

enum ReadFor {
    Link(LinkId),
    Caller(Box<dyn FnOnce(Fetched) + Send>),
}

/// What was read, or the last record that is not kept if the first one asked for is not.
pub(crate) type Fetched = std::result::Result<Vec<Group>, u64>;

struct Read {
    log: LogId,
    from: u64,
    max_bytes: usize,
    to: ReadFor,
}

#[derive(Default)]
struct Pending {
    appends: VecDeque<Append>,
    append_records: usize,
    append_bytes: usize,
    stores: Arrivals,
    reads: VecDeque<Read>,
    applied: Vec<(LogId, u64)>,
    /// After those: where the application stands in a log, and the record it is stuck at.
    parks: Vec<(LogId, u64, Option<u64>)>,
    asks: Vec<Ask>,
    stop: bool,
    place: Place,
    /// Its thread waits for the log to come back.
    is_wanted: bool,
}

impl Pending {
    /// Whether another append may wait.
    fn has_room(&self) -> bool {
        self.append_records < limits::APPEND_QUEUE_MAX && self.append_bytes < limits::APPEND_QUEUE_MAX_BYTES
    }

    fn is_idle(&self) -> bool {
        self.appends.is_empty()
            && self.stores.is_empty()
            && self.reads.is_empty()
            && self.applied.is_empty()
            && self.parks.is_empty()
            && self.asks.is_empty()
    }
}

/// What waits for the log's thread. Appends are bounded here, visibly; stores by the replication window; reads one per link.
#[derive(Default)]
pub struct LogQueue {
    pending: Mutex<Pending>,
    bell: Condvar,
    /// Rings when a group waits that can be proven.
    unproven: Condvar,
    room: Condvar,
    async_room: Notify,
    /// Rings when a log moves here or at a peer, and when the node stops.
    pub(crate) progress: Progress,
}

impl std::fmt::Debug for LogQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LogQueue")
    }
}

impl LogQueue {
    /// Has the log's thread append records, one at least, and blocks until they are durable.
    fn append_queued(&self, mut pending: MutexGuard<'_, Pending>, payloads: Vec<Bytes>, is_durable: bool) -> Result<LogRange> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        while !pending.has_room() && !pending.stop {
            self.room.wait(&mut pending);
        }
        let reply: Reply = Box::new(move |answer| drop(tell.send(answer)));
        self.enqueue(&mut pending, Append { payloads, is_durable, reply })?;
        drop(pending);
        told.recv().unwrap_or(Err(Error::Stopped))
    }

    /// [`LogQueue::append_queued`] that returns once the records are durable, also under `Durability::Buffered`.
    pub(crate) fn append_durable(&self, payloads: Vec<Bytes>) -> Result<LogRange> {
        check(&payloads)?;
        self.append_queued(self.pending.lock(), payloads, true)
    }

    /// Appends records, one at least, and resolves once they are durable.
    pub(crate) async fn append(&self, payloads: Vec<Bytes>) -> Result<LogRange> {
        check(&payloads)?;
        let (tell, told) = oneshot::channel();
        let mut tell = Some(tell);
        let mut payloads = Some(payloads);
        loop {
            let room = self.async_room.notified();
            {
                let mut pending = self.pending.lock();
                if pending.has_room() || pending.stop {
                    if let (Some(tell), Some(payloads)) = (tell.take(), payloads.take()) {
                        let reply: Reply = Box::new(move |answer| drop(tell.send(answer)));
                        self.enqueue(&mut pending, Append { payloads, is_durable: false, reply })?;
                    }
                    break;
                }
            }
            room.await;
        }
        told.await.unwrap_or(Err(Error::Stopped))
    }

    fn enqueue(&self, pending: &mut Pending, append: Append) -> Result<()> {
        if pending.stop {
            return Err(Error::Stopped);
        }
        pending.append_records += append.payloads.len();
        pending.append_bytes += append.payloads.iter().map(Bytes::len).sum::<usize>();
        pending.appends.push_back(append);
        self.bell.notify_one();
        Ok(())
    }

    pub(crate) fn store(&self, link: LinkId, group: Group) {
        if self.pending.lock().stores.push(link, group) {
            self.unproven.notify_one();
        }
        self.bell.notify_one();
    }

    /// What the prover does next, waited for; `None` when it is time to end.
    pub(crate) fn next_job(&self) -> Option<Job> {
        let mut pending = self.pending.lock();
        loop {
            if let Some(job) = pending.stores.next_job() {
                return Some(job);
            }
            if pending.stop {
                return None;
            }
            self.unproven.wait(&mut pending);
        }
    }

    /// A group is proven, or cannot be.
    pub(crate) fn job_done(&self, job: Job) {
        self.pending.lock().stores.done(job);
    }

    pub(crate) fn read_for_link(&self, link: LinkId, log: LogId, from: u64, max_bytes: usize) {
        self.pending.lock().reads.push_back(Read { log, from, max_bytes, to: ReadFor::Link(link) });
        self.bell.notify_one();
    }

    /// Reads whole groups from `from` on; empty if there are none (any more) or the node stops. Blocks; not for async code.
    pub(crate) fn read_blocking(&self, log: LogId, from: u64, max_bytes: usize) -> Vec<Group> {
        self.fetch_blocking(log, from, max_bytes).unwrap_or_default()
    }

    /// [`LogQueue::read_blocking`] that tells what is not kept any more.
    pub(crate) fn fetch_blocking(&self, log: LogId, from: u64, max_bytes: usize) -> Fetched {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.read(log, from, max_bytes, Box::new(move |fetched| drop(tell.send(fetched))));
        told.recv().unwrap_or(Ok(Vec::new()))
    }

    /// [`LogQueue::fetch_blocking`] for async code.
    pub(crate) async fn fetch(&self, log: LogId, from: u64, max_bytes: usize) -> Fetched {
        let (tell, told) = oneshot::channel();
        self.read(log, from, max_bytes, Box::new(move |fetched| drop(tell.send(fetched))));
        told.await.unwrap_or(Ok(Vec::new()))
    }

    fn read(&self, log: LogId, from: u64, max_bytes: usize, reply: Box<dyn FnOnce(Fetched) + Send>) {
        let mut pending = self.pending.lock();
        // Without an answer the way back is dropped, which is one.
        if !pending.stop {
            pending.reads.push_back(Read { log, from, max_bytes, to: ReadFor::Caller(reply) });
            self.bell.notify_one();
        }
    }

    pub(crate) fn ask(&self, ask: Ask) {
        let mut pending = self.pending.lock();
        if !pending.stop {
            pending.asks.push(ask);
            self.bell.notify_one();
        }
    }

    /// Blocks until everything accepted before is durable; the last durable record of the own log.
    pub(crate) fn flush_blocking(&self) -> Result<u64> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.ask(Ask::Flush(Box::new(move |answer| drop(tell.send(answer)))));
        told.recv().unwrap_or(Err(Error::Stopped))
    }

    /// [`LogQueue::flush_blocking`] for async code.
    pub(crate) async fn flush(&self) -> Result<u64> {
        let (tell, told) = oneshot::channel();
        self.ask(Ask::Flush(Box::new(move |answer| drop(tell.send(answer)))));
        told.await.unwrap_or(Err(Error::Stopped))
    }

    /// What lies behind each of these records; nothing once the node stops. Blocks.
    pub(crate) fn behind_blocking(&self, places: Vec<(LogId, u64)>) -> Vec<Behind> {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.ask(Ask::Behind(places, Box::new(move |answer| drop(tell.send(answer)))));
        told.recv().unwrap_or_default()
    }

    /// [`LogQueue::behind_blocking`] for async code.
    pub(crate) async fn behind(&self, places: Vec<(LogId, u64)>) -> Vec<Behind> {
        let (tell, told) = oneshot::channel();
        self.ask(Ask::Behind(places, Box::new(move |answer| drop(tell.send(answer)))));
        told.await.unwrap_or_default()
    }

    pub(crate) fn applied(&self, log: LogId, seq: u64) {
        self.pending.lock().applied.push((log, seq));
        self.bell.notify_one();
    }

    pub(crate) fn park(&self, log: LogId, applied: u64, parked: Option<u64>) {
        self.pending.lock().parks.push((log, applied, parked));
        self.bell.notify_one();
    }

    /// The thread finishes what waits and ends.
    pub(crate) fn stop(&self) {
        self.pending.lock().stop = true;
        self.wake_all();
    }

    /// Nobody will do what waits: whoever waits for an answer learns that there is none.
    pub(crate) fn abandon(&self) {
        let mut pending = self.pending.lock();
        let place = std::mem::take(&mut pending.place);
        // What took effect is noted all the same, if the log's thread is not what broke.
        let (applied, parks) = (std::mem::take(&mut pending.applied), std::mem::take(&mut pending.parks));
        let waiting = std::mem::replace(&mut *pending, Pending { stop: true, place, applied, parks, ..Pending::default() });
        drop(pending);
        drop(waiting);
        self.wake_all();
    }

    fn wake_all(&self) {
        self.bell.notify_one();
        self.unproven.notify_all();
        self.room.notify_all();
        self.async_room.notify_waiters();
        self.progress.end();
    }
}

/// A batch of work, and the groups in it that peers pushed.
type Work = (Pending, Vec<(LinkId, Proven)>);

/// Whether every payload fits a record.
pub(crate) fn check(payloads: &[Bytes]) -> Result<()> {
    let large = payloads.iter().find(|payload| payload.len() > limits::RECORD_PAYLOAD_MAX_BYTES);
    large.map_or(Ok(()), |large| Err(Error::TooLarge { what: "record", got: large.len(), max: limits::RECORD_PAYLOAD_MAX_BYTES }))
}

/// Runs the log's thread until [`LogQueue::stop`]; gives the log back so that a stopped node can start again, unless a caller who had
/// it on loan broke it.
pub(crate) fn run(shell: &Arc<Shell>, mut wal: NodeWal, durability: Durability, on_start: Option<ThreadStart>) -> Option<NodeWal> {
    let _here = shell.log.here();
    let (mut prover, mut notes) = (Prover::new(on_start), Notes::default());
    // When what was accepted is to be durable, and when the application's places are.
    let (mut due, mut cursors_due) = (None, Some(now()));
    let lends = durability == Durability::Durable;
    loop {
        let lends = lends && !wal.is_set_back();
        let (back, work) = shell.log.take(wal, lends, [due, cursors_due].into_iter().flatten().min())?;
        wal = back;
        let Some((work, stores)) = work else { break };
        prover.begin_for(shell, stores.len());
        if wal.is_set_back() && !work.appends.is_empty() {
            drop(renew(shell, &mut wal, "this node's log was set back"));
        }
        match durability {
            Durability::Durable => append(shell, &mut wal, work.appends),
            Durability::Buffered => accept(shell, &mut wal, work.appends),
        }
        // Others' word about the own log is judged by all of it.
        let is_judged = stores.iter().any(|(_, group)| group.group().log == wal.own());
        if is_judged || due.is_some_and(|due| now() >= due) {
            let pause = if flush(shell, &mut wal) { limits::BUFFERED_SYNC_EVERY } else { limits::BUFFERED_RETRY_AFTER };
            due = Some(now() + pause);
        }
        if wal.accepted_bytes() == 0 {
            due = None;
        } else if due.is_none() {
            due = Some(now() + limits::BUFFERED_SYNC_EVERY);
        }
        prove::store(shell, &mut wal, stores);
        let mut refused = |error| told(shell, Err(error), ());
        if notes.take(&mut wal, work.applied, work.parks, &mut refused) && cursors_due.is_none() {
            cursors_due = Some(now() + limits::CURSOR_SYNC_EVERY);
        }
        for ask in work.asks {
            asks::answer(shell, &mut wal, ask);
        }
        for read in work.reads {
            answer(shell, &wal, read);
        }
        if cursors_due.is_some_and(|due| now() >= due) {
            let (all, later) = (notes.retry(&mut wal), Some(now() + limits::CURSOR_SYNC_EVERY));
            cursors_due = match wal.sync_cursors(limits::CURSOR_SYNCS_AT_ONCE) {
                Ok(true) => Some(now()),
                Ok(false) => later.filter(|_| !all),
                error => told(shell, error.map(|_| None), later),
            };
        }
    }
    prover.end();
    flush(shell, &mut wal);
    notes.retry(&mut wal);
    told(shell, wal.sync_cursors(usize::MAX), false);
    Some(wal)
}

/// What the log answered, or `otherwise` after an event that says why it did not.
fn told<T>(shell: &Shell, answer: std::result::Result<T, WalError>, otherwise: T) -> T {
    answer.unwrap_or_else(|e| {
        shell.emit(Event::LogFailed { detail: e.to_string() });
        otherwise
    })
}

pub(crate) fn refuse<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, link: LinkId, group: &Group, error: StoreError) {
    let detail = error.to_string();
    match &error {
        StoreError::Fork { seq } => return shell.step(Input::Forked { link, log: group.log, seq: *seq, detail }),
        StoreError::Diverged { .. } => {
            shell.write_log(Level::Warn, || format!("{} from {link}: {detail}", group.log));
            return shell.step(Input::Diverged { link, log: group.log });
        }
        StoreError::Disk(_) => shell.emit(Event::LogFailed { detail: detail.clone() }),
        StoreError::Rollback { .. } => drop(renew(shell, wal, &detail)),
        _ => {}
    }
    let reason = if error.blames_peer() { CloseReason::Protocol(detail) } else { CloseReason::Lost(detail) };
    shell.step(Input::StoreFailed { link, log: group.log, durable: wal.durable(group.log), reason });
}

fn answer<S: Storage>(shell: &Arc<Shell>, wal: &Wal<S>, read: Read) {
    let fetched = match wal.read(read.log, read.from, read.max_bytes) {
        Ok(groups) => Ok(groups),
        // No damage: what was let go is in a snapshot.
        Err(WalError::Truncated { base, .. }) => Err(base),
        Err(error) => {
            shell.emit(Event::LogDamaged { detail: error.to_string() });
            Ok(Vec::new())
        }
    };
    match read.to {
        ReadFor::Link(link) => shell.step(Input::ReadDone { link, log: read.log, groups: fetched.unwrap_or_default() }),
        // The caller may have gone; then nobody wants the answer.
        ReadFor::Caller(reply) => reply(fetched),
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for the information in a record; a clock before 1970 reads as zero.
#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}
