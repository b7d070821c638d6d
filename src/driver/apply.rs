//! Giving durable records to the application, in order, on a thread of its own or on the one that reads the event ring.
//!
//! Reads the records back from the log in bounded pieces, so that a slow application costs no memory. Never skips a record.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};

use crate::base::{LogId, limits};
use crate::driver::Shell;
use crate::driver::causes;
use crate::mesh::io::Input;
use crate::outbox;
use crate::sync::{Cause, Group};

/// One replicated record, as the application sees it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Whose log, and which life of it.
    pub log: LogId,
    /// The record's number, from 1, rising; only numbers of the outbox's own records are left out.
    pub seq: u64,
    /// Wall clock of the origin when it appended, microseconds since 1970; information only.
    pub time_us: u64,
    /// What was appended.
    pub payload: &'a [u8],
}

/// The application's answer to a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It took effect; it will not be offered again in this life of the process.
    Applied,
    /// Not now; it is offered again later, and nothing after it before.
    Retry,
    /// Never: its log is parked there ([`Event::ApplyParked`](crate::base::Event::ApplyParked)), over restarts too, until
    /// [`Node::apply_resume`](crate::Node::apply_resume).
    Poison,
}

/// What applies records.
pub type Handler = Box<dyn FnMut(&Record<'_>) -> Outcome + Send>;

/// How far the application's own store has come in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// The last record that took effect; 0 for none yet.
    At(u64),
    /// The library's own note decides.
    Note,
    /// It cannot be told now: nothing may be applied before it is.
    Unknown,
}

impl From<Option<u64>> for Standing {
    fn from(seq: Option<u64>) -> Standing {
        seq.map_or(Standing::Note, Standing::At)
    }
}

/// What tells how far the application's own store has come in a log.
pub type Cursor = Arc<dyn Fn(LogId) -> Standing + Send + Sync>;

/// A range of durable records to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApplyRequest {
    /// Which log.
    pub log: LogId,
    /// First record.
    pub from: u64,
    /// Last record.
    pub upto: u64,
}

/// Something else to do where records are applied, while none is.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

enum Next {
    Job(Job),
    Request(ApplyRequest),
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    /// Requests go through the event ring instead.
    in_ring: bool,
    requests: VecDeque<ApplyRequest>,
    stop: bool,
    /// The application's own word on where it stands, and the logs it was asked about in this run.
    cursor: Option<Cursor>,
    asked: BTreeSet<LogId>,
}

/// Requests waiting for the apply thread: at most one per log, since the mesh has one under way per log.
#[derive(Default)]
pub struct ApplyQueue {
    inner: Mutex<Inner>,
    bell: Condvar,
}

impl std::fmt::Debug for ApplyQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApplyQueue({} waiting)", self.inner.lock().requests.len())
    }
}

impl ApplyQueue {
    /// Takes a request for the thread, or gives it back for the event ring.
    pub(crate) fn offer(&self, request: ApplyRequest) -> Option<ApplyRequest> {
        let mut inner = self.inner.lock();
        if inner.in_ring {
            return Some(request);
        }
        inner.requests.push_back(request);
        self.bell.notify_one();
        None
    }

    /// From now on requests go through the event ring.
    pub(crate) fn use_ring(&self) {
        self.inner.lock().in_ring = true;
    }

    /// The application is asked where it stands before the first record of every log; about `asked` it was.
    pub(crate) fn ask(&self, cursor: Option<Cursor>, asked: BTreeSet<LogId>) {
        let mut inner = self.inner.lock();
        (inner.cursor, inner.asked) = (cursor, asked);
    }

    /// How far the application is by its own word; [`Standing::Note`] without one. No lock is held while it answers.
    pub(crate) fn told(&self, log: LogId) -> Standing {
        let cursor = self.inner.lock().cursor.clone();
        cursor.map_or(Standing::Note, |cursor| cursor(log))
    }

    /// Whether the application has a word of its own on where it stands.
    pub(crate) fn has_cursor(&self) -> bool {
        self.inner.lock().cursor.is_some()
    }

    /// How far the application is by its own word, if this is the first time the log is seen. No lock is held while it answers.
    fn own_cursor(&self, log: LogId) -> Standing {
        let mut inner = self.inner.lock();
        let Some(cursor) = inner.cursor.clone().filter(|_| inner.asked.insert(log)) else { return Standing::Note };
        drop(inner);
        let standing = cursor(log);
        if standing == Standing::Unknown {
            self.inner.lock().asked.remove(&log);
        }
        standing
    }

    /// Runs `job` on the apply thread before any further record; lets it drop if the node stops.
    pub(crate) fn run(&self, job: Job) {
        let mut inner = self.inner.lock();
        if !inner.stop {
            inner.jobs.push_back(job);
            self.bell.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stop = true;
        let jobs = std::mem::take(&mut inner.jobs);
        drop(inner);
        // Whoever waits for them learns that there is no answer.
        drop(jobs);
        self.bell.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.lock().stop
    }

    fn take(&self) -> Option<Next> {
        let mut inner = self.inner.lock();
        loop {
            if inner.stop {
                return None;
            }
            if let Some(job) = inner.jobs.pop_front() {
                return Some(Next::Job(job));
            }
            if let Some(request) = inner.requests.pop_front() {
                return Some(Next::Request(request));
            }
            self.bell.wait(&mut inner);
        }
    }
}

/// Runs the apply thread until [`ApplyQueue::stop`]; gives the handler back for the next start.
pub(crate) fn run(shell: &Arc<Shell>, mut handler: Option<Handler>) -> Option<Handler> {
    while let Some(next) = shell.apply.take() {
        let request = match next {
            Next::Request(request) => request,
            Next::Job(job) => {
                job();
                continue;
            }
        };
        match &mut handler {
            Some(handler) => {
                apply(shell, request, handler);
            }
            None => {
                shell.records_applied.fetch_add(request.upto + 1 - request.from, Ordering::Relaxed);
                shell.log.applied(request.log, request.upto);
                shell.step(Input::Applied { log: request.log, seq: request.upto });
            }
        }
    }
    handler
}

/// Records in a row that took effect: noted also where the handler panics at the one behind them.
struct Run<'a> {
    shell: &'a Shell,
    log: LogId,
    before: u64,
    next: u64,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.next > self.before {
            self.shell.records_applied.fetch_add(self.next - self.before, Ordering::Relaxed);
            self.shell.log.applied(self.log, self.next - 1);
        }
    }
}

/// Why a run of records ended early.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Halt {
    Refused,
    Poisoned,
    /// It comes after records that are not here yet.
    Waits(Vec<Cause>),
}

/// Offers every record of the request to `handler`, until it refuses one or the node stops; the last record that is applied.
pub(crate) fn apply(shell: &Arc<Shell>, request: ApplyRequest, handler: &mut dyn FnMut(&Record<'_>) -> Outcome) -> u64 {
    let ApplyRequest { log, from, upto } = request;
    let mut next = from;
    // A log that appeared after the start: what it holds may be in the application's store already.
    match shell.apply.own_cursor(log) {
        Standing::At(seq) if seq >= from => {
            next = seq.saturating_add(1);
            shell.log.applied(log, seq.min(upto));
            shell.step(Input::Applied { log, seq });
        }
        Standing::Unknown => {
            shell.step(Input::ApplyRefused { log, seq: from });
            return from - 1;
        }
        Standing::At(_) | Standing::Note => {}
    }
    // Where a record may have to wait, what is read behind it is read in vain: one group first, and more as long as none does.
    let mut room = if shell.causal { 1 } else { limits::READ_RECORDS_MAX_BYTES };
    while next <= upto && !shell.apply.is_stopping() {
        let groups = shell.log.read_blocking(log, next, room);
        room = (room * 16).min(limits::READ_RECORDS_MAX_BYTES);
        let before = next;
        let mut run = Run { shell, log, before, next };
        let halt = offer(shell, &groups, log, &mut run.next, upto, handler);
        next = run.next;
        drop(run);
        if next > before {
            shell.step(Input::Applied { log, seq: next - 1 });
        }
        // Nothing there: the log cannot be read now (an event has said so), and the range is offered again later.
        let unreadable = next == before && !shell.apply.is_stopping();
        match halt {
            Some(Halt::Waits(causes)) => shell.step(Input::ApplyWaits { log, seq: next, causes }),
            Some(Halt::Poisoned) => shell.step(Input::ApplyPoisoned { log, seq: next }),
            Some(Halt::Refused) => shell.step(Input::ApplyRefused { log, seq: next }),
            None if unreadable => shell.step(Input::ApplyRefused { log, seq: next }),
            None => continue,
        }
        break;
    }
    next - 1
}

/// Offers the records of `groups` from `next` to `upto` and moves `next`; why it ended before their end, if an answer was the reason.
fn offer(
    shell: &Shell,
    groups: &[Group],
    log: LogId,
    next: &mut u64,
    upto: u64,
    handler: &mut dyn FnMut(&Record<'_>) -> Outcome,
) -> Option<Halt> {
    for entry in groups.iter().flat_map(Group::entries) {
        if entry.seq > upto || shell.apply.is_stopping() {
            return None;
        }
        if entry.seq != *next {
            continue;
        }
        if let Err(lacks) = causes::may_apply(shell, log, &entry) {
            return Some(Halt::Waits(lacks));
        }
        if outbox::is_ours(&entry.payload) {
            // None of the application's.
            *next += 1;
            continue;
        }
        let record = Record { log, seq: entry.seq, time_us: entry.time_us, payload: &entry.payload };
        match handler(&record) {
            Outcome::Applied => *next += 1,
            Outcome::Retry => return Some(Halt::Refused),
            Outcome::Poison => return Some(Halt::Poisoned),
        }
    }
    None
}
