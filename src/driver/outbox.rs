//! Carries the outbox: reads every log into it, writes its receipts, seals and opens what is for one node. Decides nothing itself.
//!
//! Begun at the first use in a run of the node. One thread follows the logs, those of this node first, so that what was executed is
//! known before anything is offered; it never runs the application's code.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::base::{Error, LogId, LogRange, PeerId, Result, limits};
use crate::crypto::Secret;
use crate::crypto::parcel;
use crate::driver::Shell;
use crate::driver::runtime::{self, ThreadStart};
use crate::driver::snapshots::section;
use crate::driver::subscribe::{LogRecord, Subscribe, Subscription};
use crate::driver::workers::guarded;
use crate::mesh::io::Input;
use crate::outbox::{Body, Claimed, Held, OpId, OpView, Outbox, Refusal, RetryPolicy, State, Target};
use crate::wire::cursor::Writer;

/// An operation to be executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operation {
    /// Which.
    pub id: OpId,
    /// What is to be done, in the sender's words.
    pub kind: String,
    /// Idempotency key; empty for none. Kept with the effect it makes the effect happen once whatever fails.
    pub key: Vec<u8>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The sender's wall clock when it put it, microseconds since 1970; information only.
    pub time_us: u64,
    /// What the sender gave.
    pub payload: Vec<u8>,
}

struct Inside {
    outbox: Outbox,
    /// Every record that was durable when it began has been read.
    caught_up: bool,
    /// What this node has executed is known: something may be claimed.
    ready: bool,
    ended: bool,
}

/// The outbox of a running node.
pub(crate) struct Room {
    inside: Mutex<Inside>,
    /// Rung at every change.
    bell: Condvar,
    /// Held while receipts are written, so that none is written twice.
    writing: Mutex<()>,
    /// Something has changed that the thread did not know of when it began to wait: it looks again.
    stirred: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// This node's keys, the present and earlier ones.
    mine: Vec<PeerId>,
}

/// Where a running node keeps its outbox, once it was asked for.
#[derive(Default)]
pub(crate) struct Slot {
    room: Mutex<Option<Arc<Room>>>,
    /// This node's earlier keys, and what a thread begins with.
    prepared: OnceLock<(Vec<PeerId>, Option<ThreadStart>)>,
}

impl Slot {
    /// What the outbox is begun with, if it is.
    pub(crate) fn prepare(&self, formerly: &[PeerId], on_start: Option<ThreadStart>) {
        let _ = self.prepared.set((formerly.to_vec(), on_start));
    }

    /// The outbox, begun if need be.
    pub(crate) fn room(&self, shell: &Arc<Shell>) -> Result<Arc<Room>> {
        let mut room = self.room.lock();
        if let Some(room) = room.as_ref() {
            return Ok(room.clone());
        }
        let (formerly, on_start) = self.prepared.get().cloned().unwrap_or_default();
        Ok(room.insert(Room::begin(shell, &formerly, on_start)?).clone())
    }

    /// Waits for its thread, once the log takes nothing more.
    pub(crate) fn end(&self) {
        let room = self.room.lock().take();
        let thread = room.and_then(|room| room.thread.lock().take());
        // A panic there has been reported by its own event.
        let _ = thread.map(JoinHandle::join);
    }
}

/// Answers a peer's OutboxPull, on a thread that may wait: the logs may have to be read first.
pub(crate) fn answer(shell: &Arc<Shell>, (peer, target): (PeerId, PeerId), max: usize) {
    let theirs = shell.clone();
    shell.handle.spawn_blocking(move || {
        let room = theirs.outbox.room(&theirs).and_then(|room| room.wait_caught_up().map(|()| room));
        // A node that stops answers nobody.
        if let Ok(room) = room {
            let ranges = room.pull(target, max);
            theirs.step(Input::TellHeld { peer, target, ranges });
        }
    });
}

impl Room {
    /// Begins to follow the logs of a running node.
    pub(crate) fn begin(shell: &Arc<Shell>, formerly: &[PeerId], on_start: Option<ThreadStart>) -> Result<Arc<Room>> {
        let seed = getrandom::u64().map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))?;
        let outbox = Outbox::new(shell.party.identity.id(), formerly, RetryPolicy::default(), seed);
        let mine = formerly.iter().copied().chain([shell.party.identity.id()]).collect();
        let room = Arc::new(Room {
            inside: Mutex::new(Inside { outbox, caught_up: false, ready: false, ended: false }),
            bell: Condvar::new(),
            writing: Mutex::new(()),
            stirred: AtomicBool::new(false),
            thread: Mutex::new(None),
            mine,
        });
        let (theirs, shell) = (room.clone(), Arc::downgrade(shell));
        let work = move || {
            if let Some(shell) = shell.upgrade() {
                // An end of the node is the only one there is.
                let _ = guarded(&shell, "the outbox", || theirs.follow(&shell));
            }
            theirs.inside.lock().ended = true;
            theirs.bell.notify_all();
        };
        *room.thread.lock() = Some(runtime::spawn("vixp2p-outbox", on_start, work)?);
        Ok(room)
    }

    /// The body of the thread.
    fn follow(&self, shell: &Arc<Shell>) -> Result<()> {
        self.recall(shell);
        let own: Vec<(LogId, u64)> =
            shell.look(|mesh, _| mesh.durables()).into_iter().filter(|(log, _)| self.mine.contains(&log.origin)).collect();
        let mut wanted = Subscribe::all();
        for (log, durable) in &own {
            self.read(shell, LogRange { log: *log, first: 1, last: *durable }, false)?;
            wanted = wanted.and(*log, durable + 1);
        }
        self.inside.lock().ready = true;
        let mut logs = Subscription::new(shell, wanted).unfiltered();
        let retry = || now().checked_add(limits::REPLICA_RETRY);
        // What could not be read is tried again then.
        let mut again = None;
        loop {
            self.stirred.store(false, Ordering::SeqCst);
            let mut due = self.due(shell);
            if again.is_none_or(|at| now() >= at) {
                again = if self.take_left_out(shell)? { None } else { retry() };
            }
            due = due.into_iter().chain(again).min();
            match self.write_receipts(shell) {
                // An event has said so; they come again.
                Err(Error::Log(_)) => due = due.into_iter().chain(retry()).min(),
                done => done?,
            }
            // What is there, before what is to come is waited for.
            let mut changed = false;
            while let Some(record) = self.kept(shell, &mut logs, Some(now()))? {
                self.inside.lock().outbox.record(record.log, record.seq, &record.payload);
                changed |= crate::outbox::is_ours(&record.payload);
            }
            self.inside.lock().caught_up = true;
            self.bell.notify_all();
            if !changed && let Some(record) = self.kept(shell, &mut logs, due)? {
                self.inside.lock().outbox.record(record.log, record.seq, &record.payload);
            }
            let now = shell.now();
            self.inside.lock().outbox.tick(now);
            self.bell.notify_all();
        }
    }

    /// The next record that is kept; those before it are in a snapshot, whose outbox is taken.
    fn kept(&self, shell: &Arc<Shell>, logs: &mut Subscription, deadline: Option<Instant>) -> Result<Option<LogRecord>> {
        loop {
            match logs.next_unless(deadline, &|| self.stirred.load(Ordering::SeqCst)) {
                Err(Error::Truncated { .. }) => self.recall(shell),
                answer => return answer,
            }
        }
    }

    /// Takes what the newest snapshot here carries of the outbox.
    fn recall(&self, shell: &Shell) {
        let Some((upto, records)) = shell.snapshots.get().and_then(|archive| carried(shell, section::all(archive))) else { return };
        let mut inside = self.inside.lock();
        inside.outbox.recall(&upto, &mut |visit| records.iter().for_each(|record| visit(record.log, record.seq, &record.payload)));
        // There may be receipts to write.
        self.stirred.store(true, Ordering::SeqCst);
    }

    /// Reads again what there was no room for, as far as there is room now; `false` if not all of that could be read.
    fn take_left_out(&self, shell: &Arc<Shell>) -> Result<bool> {
        while let Some(range) = { self.inside.lock().outbox.left_out() } {
            if !self.read(shell, range, true)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads records that are durable; all of them, or those that there is room for and that can be read now. `false` if one cannot.
    fn read(&self, shell: &Arc<Shell>, LogRange { log, first, last }: LogRange, for_room: bool) -> Result<bool> {
        let mut records = Subscription::new(shell, Subscribe::log(log, first)).unfiltered();
        let mut at = first.saturating_sub(1);
        while at < last {
            match records.next_before(for_room.then(now)) {
                Ok(Some(record)) => {
                    at = record.seq;
                    let mut inside = self.inside.lock();
                    inside.outbox.record(log, record.seq, &record.payload);
                    if for_room && inside.outbox.is_full() {
                        break;
                    }
                }
                Ok(None) if for_room => return Ok(false),
                Ok(None) => {}
                Err(Error::Truncated { base, .. }) => {
                    // A newer snapshot than the one that was read before this began.
                    self.recall(shell);
                    self.inside.lock().outbox.gone(log, base);
                    at = base;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits until an operation that this node put is over, or `deadline`; where it stands then.
    pub(crate) fn wait(&self, shell: &Shell, id: &OpId, deadline: Option<Instant>) -> Result<State> {
        let mut inside = self.inside.lock();
        loop {
            let gone = || Error::Invalid(format!("operation {id} was not put by this node, or is settled"));
            let state = inside.outbox.stands(id).ok_or_else(gone)?;
            if matches!(state, State::Done | State::PermanentFailed) {
                return Ok(state);
            }
            if deadline.is_some_and(|deadline| now() >= deadline) {
                drop(inside);
                return self.hear(shell).outbox.stands(id).ok_or_else(gone);
            }
            if inside.ended {
                return Err(Error::from(shell));
            }
            match deadline {
                Some(until) => drop(self.bell.wait_until(&mut inside, until)),
                None => self.bell.wait(&mut inside),
            }
        }
    }

    /// Every operation that this node put or is to execute.
    pub(crate) fn list(&self, shell: &Shell) -> Vec<OpView> {
        self.hear(shell).outbox.list()
    }

    /// Takes how far peers have the own logs on their disks.
    fn hear(&self, shell: &Shell) -> MutexGuard<'_, Inside> {
        let views: Vec<_> = shell.look(|mesh, _| {
            let own = mesh.durables().into_iter().filter(|(log, _)| self.mine.contains(&log.origin));
            own.filter_map(|(log, _)| mesh.log(log)).collect()
        });
        let mut inside = self.inside.lock();
        for view in views {
            view.acked.iter().for_each(|acked| inside.outbox.held(acked.peer, view.log, acked.durable));
        }
        inside
    }

    /// When something may be claimed or times out next; what has timed out by now has.
    fn due(&self, shell: &Shell) -> Option<Instant> {
        let mut inside = self.inside.lock();
        let at = shell.now();
        inside.outbox.tick(at);
        inside.outbox.deadline(at).and_then(|due| now().checked_add(due.since(at)))
    }

    /// Appends the receipts that are not in the own log yet. Blocks until they are durable; what the disk refuses stays to be
    /// written.
    fn write_receipts(&self, shell: &Shell) -> Result<()> {
        let _writing = self.writing.lock();
        loop {
            let receipts = self.inside.lock().outbox.unwritten();
            if receipts.is_empty() {
                return Ok(());
            }
            for chunk in receipts.chunks(limits::GROUP_MAX_RECORDS) {
                let records = chunk.iter().map(|receipt| Bytes::from(Body::Receipt(receipt.clone()).encode())).collect();
                shell.log.append_durable(records)?;
                chunk.iter().for_each(|receipt| self.inside.lock().outbox.written(receipt));
            }
            self.bell.notify_all();
        }
    }

    /// Blocks until everything that was durable when it began has been read.
    pub(crate) fn wait_caught_up(&self) -> Result<()> {
        let mut inside = self.inside.lock();
        while !inside.caught_up && !inside.ended {
            self.bell.wait(&mut inside);
        }
        if inside.caught_up { Ok(()) } else { Err(Error::Stopped) }
    }

    /// Puts an operation; its number once it is durable.
    pub(crate) fn put(&self, shell: &Shell, target: Target, kind: &str, key: &[u8], payload: &[u8]) -> Result<OpId> {
        let too_large = |what, got, max| if got > max { Err(Error::TooLarge { what, got, max }) } else { Ok(()) };
        too_large("kind of an operation", kind.len(), limits::OUTBOX_KIND_MAX_BYTES)?;
        too_large("idempotency key", key.len(), limits::OUTBOX_KEY_MAX_BYTES)?;
        too_large("operation", payload.len(), limits::RECORD_PAYLOAD_MAX_BYTES - limits::OUTBOX_ENVELOPE_MAX_BYTES)?;
        if self.inside.lock().outbox.is_sent_full() {
            return Err(Error::WouldBlock);
        }
        let payload = match target {
            Target::All => payload.to_vec(),
            Target::Peer(peer) => seal(shell, peer, kind, key, payload)?,
        };
        let body = Body::Put { target, kind: kind.to_owned(), key: key.to_vec(), payload };
        let appended = shell.log.append_durable(vec![body.encode().into()])?;
        let id = OpId { log: appended.log, seq: appended.first };
        self.inside.lock().outbox.put(id, target, kind.to_owned(), key.to_vec());
        self.bell.notify_all();
        Ok(id)
    }

    /// The next operation for this node that is due, waited for until `deadline`.
    pub(crate) fn claim(&self, shell: &Shell, deadline: Option<Instant>) -> Result<Option<Operation>> {
        let mut inside = self.inside.lock();
        loop {
            let at = shell.now();
            let was_idle = !inside.outbox.has_unwritten();
            let claimed = inside.ready.then(|| inside.outbox.claim(at, 1).pop()).flatten();
            // This claim may time out before what the thread waits for; an earlier one's time may have been its last.
            if claimed.is_some() || (was_idle && inside.outbox.has_unwritten()) {
                self.stir(shell);
            }
            if let Some(claimed) = claimed {
                drop(inside);
                if let Some(operation) = self.fetch(shell, claimed)? {
                    return Ok(Some(operation));
                }
                inside = self.inside.lock();
                continue;
            }
            if inside.ended || shell.log.progress.has_ended() {
                return Err(Error::from(shell));
            }
            if deadline.is_some_and(|deadline| now() >= deadline) {
                return Ok(None);
            }
            let due = inside.outbox.deadline(at).and_then(|due| now().checked_add(due.since(at)));
            match deadline.into_iter().chain(due).min() {
                Some(until) => drop(self.bell.wait_until(&mut inside, until)),
                None => self.bell.wait(&mut inside),
            }
        }
    }

    /// Reads what a claimed operation is about. One that cannot be read is tried again, one that cannot be opened never can be.
    fn fetch(&self, shell: &Shell, claimed: Claimed) -> Result<Option<Operation>> {
        let Claimed { id, kind, key, attempt } = claimed;
        let groups = shell.log.read_blocking(id.log, id.seq, 1);
        let entry = groups.iter().flat_map(crate::sync::Group::entries).find(|entry| entry.seq == id.seq);
        let found = entry.map(|entry| (entry.time_us, entry.payload.to_vec()));
        let found = found.or_else(|| {
            let record = carried(shell, section::find(shell.snapshots.get()?, &id))?;
            Some((record.time_us, record.payload))
        });
        let body = found.as_ref().and_then(|(_, payload)| Body::decode(payload).ok());
        let (Some((time_us, _)), Some(Body::Put { target, payload, .. })) = (found, body) else {
            self.give_up(shell, &id, false, "the record cannot be read")?;
            return Ok(None);
        };
        let payload = match target {
            Target::All => Some(payload),
            Target::Peer(_) => open(shell, id.log.origin, &kind, &key, &payload),
        };
        let Some(payload) = payload else {
            self.give_up(shell, &id, true, "the seal cannot be opened with this node's key and secret")?;
            return Ok(None);
        };
        Ok(Some(Operation { id, kind, key, attempt, time_us, payload }))
    }

    /// A claimed operation has taken effect; its receipt is durable when this returns.
    pub(crate) fn done(&self, shell: &Shell, id: &OpId) -> Result<()> {
        self.inside.lock().outbox.done(id).map_err(refused)?;
        self.write_receipt(shell, id)
    }

    /// A claimed operation could not be executed.
    pub(crate) fn fail(&self, shell: &Shell, id: &OpId, for_good: bool, detail: &str) -> Result<()> {
        self.inside.lock().outbox.fail(shell.now(), id, for_good, detail).map_err(refused)?;
        self.bell.notify_all();
        self.stir(shell);
        self.write_receipt(shell, id)
    }

    /// Writes the receipt of an operation that has one, with all others. What the disk refuses the thread tries again; only of this one's
    /// the caller is told.
    fn write_receipt(&self, shell: &Shell, id: &OpId) -> Result<()> {
        let why = match self.write_receipts(shell) {
            Err(Error::Log(why)) => why,
            done => return done,
        };
        self.stir(shell);
        if self.inside.lock().outbox.is_unwritten(id) { Err(Error::Log(why)) } else { Ok(()) }
    }

    /// Has the thread look again for what is due and what is to be written.
    fn stir(&self, shell: &Shell) {
        self.stirred.store(true, Ordering::SeqCst);
        shell.log.progress.ring();
    }

    /// [`Room::fail`] of one that nobody has seen: its receipt comes when the disk lets it.
    fn give_up(&self, shell: &Shell, id: &OpId, for_good: bool, detail: &str) -> Result<()> {
        match self.fail(shell, id, for_good, detail) {
            Err(Error::Log(_)) => Ok(()),
            done => done,
        }
    }

    pub(crate) fn pull(&self, target: PeerId, max: usize) -> Vec<Held> {
        self.inside.lock().outbox.pull(target, max)
    }

    /// Settles the operations given, put by this node, or all that are finished; how many there were.
    pub(crate) fn settle(&self, shell: &Shell, ops: Option<Vec<OpId>>) -> Result<usize> {
        let ops = {
            let inside = self.inside.lock();
            let ops = ops.unwrap_or_else(|| inside.outbox.finished());
            ops.into_iter().filter(|op| inside.outbox.has_sent(op)).collect::<Vec<_>>()
        };
        for chunk in ops.chunks(limits::OUTBOX_SETTLED_MAX) {
            shell.log.append_durable(vec![Body::Settled(chunk.to_vec()).encode().into()])?;
            self.inside.lock().outbox.settle(chunk);
        }
        self.bell.notify_all();
        Ok(ops.len())
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::Invalid(refusal.to_string())
}

/// What is bound to the parcel beside sender and target.
fn header(kind: &str, key: &[u8]) -> Vec<u8> {
    let mut header = b"vixp2p outbox v1\0".to_vec();
    let mut w = Writer::new(&mut header);
    w.str(kind);
    w.bytes_var(key);
    header
}

fn seal(shell: &Shell, to: PeerId, kind: &str, key: &[u8], payload: &[u8]) -> Result<Vec<u8>> {
    let mut ephemeral = Secret::<32>::zero();
    getrandom::fill(ephemeral.expose_mut()).map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))?;
    let identity = &shell.party.identity;
    if to == identity.id() {
        return Err(Error::Invalid("an operation for this node itself needs no outbox; do it".into()));
    }
    let sealed = parcel::seal(identity, &to, shell.party.cluster(), &ephemeral, &header(kind, key), payload);
    sealed.map(|sealed| sealed.bytes).ok_or_else(|| Error::Invalid(format!("{to} is no public key")))
}

fn open(shell: &Shell, from: PeerId, kind: &str, key: &[u8], parcel: &[u8]) -> Option<Vec<u8>> {
    let party = &shell.party;
    parcel::open(&party.identity, &from, party.clusters(), &header(kind, key), parcel).ok().map(|opened| opened.payload)
}

#[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
fn now() -> Instant {
    Instant::now()
}

/// What a snapshot carries of the outbox; where that cannot be read, nothing after an event.
fn carried<T>(shell: &Shell, read: std::io::Result<Option<T>>) -> Option<T> {
    read.unwrap_or_else(|e| {
        let what = "what the newest snapshot carries of the outbox cannot be read";
        let detail = format!("{what}: {e}; operations and executed keys whose records are gone may be forgotten");
        shell.emit(crate::base::Event::LogDamaged { detail });
        None
    })
}
