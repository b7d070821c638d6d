//! The carrier for real life: tokio for sockets and timers, threads for the log and the application's apply callback.
//!
//! Carries and decides nothing: every decision is the mesh's, taken in [`Shell::step`], the only place that locks it.

pub mod apply;
pub(crate) mod asks;
pub(crate) mod beacon;
pub(crate) mod behind;
pub(crate) mod book;
pub(crate) mod bootstrap;
pub(crate) mod causes;
pub(crate) mod compare;
pub mod disk;
pub(crate) mod handshake;
pub(crate) mod http;
pub mod keyfile;
pub mod known;
pub mod link;
pub mod listen;
pub mod log;
#[cfg(feature = "mdns")]
mod mdns;
pub mod outbox;
pub(crate) mod outlet;
mod paths;
mod patience;
pub(crate) mod postal;
pub(crate) mod progress;
pub(crate) mod prove;
pub mod ring;
pub mod runtime;
pub mod snapshots;
pub mod subscribe;
pub(crate) mod transport;
pub(crate) mod values;
pub(crate) mod workers;

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::base::{CloseReason, Error, Event, Level, LinkId, PeerId, Result, Stats, Time, limits};
use crate::discovery::Discovery;
use crate::driver::apply::{ApplyQueue, ApplyRequest};
use crate::driver::asks::Ask;
use crate::driver::behind::Behind;
use crate::driver::book::Book;
use crate::driver::known::Keeper;
use crate::driver::link::LinkShared;
use crate::driver::log::LogQueue;
use crate::driver::outlet::LogOutlet;
use crate::driver::postal::{Job, Postal};
use crate::driver::progress::Progress;
use crate::driver::ring::{EventRing, Item};
use crate::mesh::Mesh;
use crate::mesh::io::{Input, Output};
use crate::registry::BootstrapPeer;
use crate::session::LocalParty;
use crate::wire::Message;

pub use crate::driver::outlet::{LogSink, ProcessLogSink, clear_process_log, set_process_log};

/// Everything one running node shares between its tasks and threads.
pub struct Shell {
    /// The decisions. Locked in `step`, in read-only snapshots and in `causes`, nowhere else.
    mesh: Mutex<Mesh>,
    /// Whether records wait for those they depend on.
    causal: bool,
    pub(crate) ring: Arc<EventRing>,
    pub(crate) log: LogQueue,
    pub(crate) apply: ApplyQueue,
    pub(crate) party: Arc<LocalParty>,
    pub(crate) keeper: Arc<Keeper>,
    book: Option<Arc<Book>>,
    links: RwLock<HashMap<LinkId, Arc<LinkShared>>>,
    routes: RwLock<HashMap<PeerId, Arc<LinkShared>>>,
    handle: Handle,
    started: Instant,
    /// Rung when the mesh's deadline moved forward; the timer task re-reads it.
    timer: Notify,
    armed: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
    /// Frames of links that are gone: sent, received.
    past_frames: Mutex<(u64, u64)>,
    pub(crate) records_appended: AtomicU64,
    pub(crate) records_applied: AtomicU64,
    /// What the registry named last.
    pub(crate) bootstrap_peers: Mutex<Vec<BootstrapPeer>>,
    outlet: Arc<LogOutlet>,
    pub(crate) postal: Postal,
    pub(crate) behind: Behind,
    /// Set before the node's links are closed for good: a link that comes later is closed at once.
    closing: AtomicBool,
    /// Links that have said goodbye and are read on.
    draining: Arc<AtomicUsize>,
    /// Tasks that are no links (timer, accept loop) and have not ended.
    present: AtomicUsize,
    /// Rung when the last link or task is gone, for whoever stops the node.
    drained: (Mutex<()>, parking_lot::Condvar),
    /// What discovery hears; a leaf lock. Set once, if it is on.
    pub(crate) discovery: OnceLock<Arc<Mutex<Discovery>>>,
    /// The outbox, once it was asked for.
    pub(crate) outbox: outbox::Slot,
    /// The snapshots of the node.
    pub(crate) snapshots: OnceLock<Arc<snapshots::Archive>>,
    /// What broke. Set once; from then on nothing is decided any more.
    failed: OnceLock<String>,
}

/// The presence of a task that `wait_drained` waits for.
pub(crate) struct Present(Arc<Shell>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::SeqCst);
        self.0.ring_drained();
    }
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shell({})", self.party.identity.id().short())
    }
}

/// A place among the links that are read on after their goodbye.
pub(crate) struct Draining(Arc<AtomicUsize>);

impl Drop for Draining {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shell {
    #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
    pub(crate) fn new(
        mesh: Mesh,
        (party, keeper, book): (Arc<LocalParty>, Arc<Keeper>, Option<Arc<Book>>),
        ring: Arc<EventRing>,
        outlet: Arc<LogOutlet>,
        handle: Handle,
    ) -> Arc<Shell> {
        Arc::new(Shell {
            causal: mesh.is_causal(),
            mesh: Mutex::new(mesh),
            ring,
            log: LogQueue::default(),
            apply: ApplyQueue::default(),
            party,
            keeper,
            book,
            links: RwLock::default(),
            routes: RwLock::default(),
            handle,
            started: Instant::now(),
            timer: Notify::new(),
            armed: AtomicU64::new(u64::MAX),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            past_frames: Mutex::new((0, 0)),
            records_appended: AtomicU64::new(0),
            records_applied: AtomicU64::new(0),
            bootstrap_peers: Mutex::default(),
            outlet,
            postal: Postal::default(),
            behind: Behind::default(),
            closing: AtomicBool::new(false),
            draining: Arc::default(),
            present: AtomicUsize::new(0),
            drained: Default::default(),
            discovery: OnceLock::new(),
            outbox: outbox::Slot::default(),
            snapshots: OnceLock::new(),
            failed: OnceLock::new(),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
    pub(crate) fn now(&self) -> Time {
        Time::ZERO + Instant::now().duration_since(self.started)
    }

    /// Tells the mesh what happened and carries out what it decides, all under one lock, without waiting. A panic in there is the
    /// end of the node's decisions ([`Shell::fail`]), not of the caller. Log lines are written once the lock is released.
    pub(crate) fn step(self: &Arc<Self>, input: Input) {
        if self.failed.get().is_some() {
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.decide(input))) {
            self.fail(format!("a decision panicked: {}", panic_text(panic.as_ref())));
        }
        self.outlet.flush();
    }

    fn decide(self: &Arc<Self>, input: Input) {
        let moved = Progress::is_moved_by(&input);
        let mut mesh = self.mesh.lock();
        mesh.handle(self.now(), input);
        while let Some(output) = mesh.next_output() {
            self.carry(output);
        }
        let deadline = mesh.deadline().map_or(u64::MAX, |time| time.0);
        // Under the lock, so that a step that was overtaken does not put its older deadline back.
        let sooner = self.armed.swap(deadline, Ordering::Relaxed) > deadline;
        drop(mesh);
        if sooner {
            self.timer.notify_one();
        }
        if moved {
            self.log.progress.ring();
        }
    }

    /// Something broke that the node cannot go on without: says so, ends the links, and lets nobody wait for an answer.
    pub(crate) fn fail(&self, detail: String) {
        if self.failed.set(detail.clone()).is_err() {
            return;
        }
        self.emit(Event::Fatal { detail });
        self.apply.stop();
        self.log.abandon();
        self.close_all(&CloseReason::Shutdown);
    }

    /// What broke, if something did.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// Reads something off the mesh without changing it.
    pub(crate) fn look<T>(&self, read: impl FnOnce(&Mesh, Time) -> T) -> T {
        let mesh = self.mesh.lock();
        read(&mesh, self.now())
    }

    /// A number for a connection somebody else opened.
    pub(crate) fn next_link(&self) -> LinkId {
        self.mesh.lock().next_link()
    }

    /// Steps a tick whenever the mesh's deadline comes. Runs until the node's tasks are ended.
    pub(crate) async fn run_timer(self: Arc<Self>, _present: Present) {
        loop {
            let due = Time(self.armed.load(Ordering::Relaxed));
            let now = self.now();
            if self.failed.get().is_some() {
                return;
            }
            if due <= now {
                self.step(Input::Tick);
                tokio::task::yield_now().await;
                continue;
            }
            let sleep = tokio::time::sleep(due.since(now).min(Duration::from_secs(3600)));
            tokio::select! {
                () = sleep => {}
                () = self.timer.notified() => {}
            }
        }
    }

    fn carry(self: &Arc<Self>, output: Output) {
        match output {
            Output::Dial { link, endpoint, expected } => {
                let shared = self.add_link(link);
                self.handle.spawn(listen::dial(self.clone(), shared, endpoint, expected));
            }
            Output::Send { link, message } => {
                if let Some(shared) = self.links.read().get(&link) {
                    match message {
                        Message::Parcel(parcel) if shared.is_full() => self.postal.queue(Job::Unsent(parcel.id)),
                        message if shared.push(&message) => {}
                        _ => shared.close(CloseReason::SlowReader),
                    }
                }
            }
            Output::Rekey { link, fresh } => {
                if let Some(shared) = self.links.read().get(&link) {
                    shared.rekey(fresh);
                }
            }
            Output::Close { link, reason } => {
                if let Some(shared) = self.links.read().get(&link) {
                    shared.close(reason);
                }
            }
            Output::Route { peer, link } => self.route(peer, link),
            Output::Seal { number, to, from_run, to_run, payload } => {
                self.postal.queue(Job::Seal { number, to, from_run, to_run, payload });
            }
            Output::Open { ticket, parcel } => self.postal.queue(Job::Open { ticket, parcel }),
            Output::Event(event) => {
                if let Event::OutboxPulled { peer, target, max_items } = &event {
                    outbox::answer(self, (*peer, *target), *max_items as usize);
                }
                snapshots::cut::note(self, &event);
                self.note(event);
            }
            Output::Store { link, group } => self.log.store(link, group),
            Output::Snapshot(wanted) => snapshots::carry(self, wanted),
            Output::Read { link, log, from, max_bytes } => self.log.read_for_link(link, log, from, max_bytes),
            Output::LastSeals { logs } => self.log.ask(Ask::LastSeals(logs)),
            Output::Compare { link, log, seal } => self.log.ask(Ask::Compare(link, log, seal)),
            Output::Park { log, applied, parked } => self.log.park(log, applied, parked),
            Output::Apply { log, from, upto } => {
                let request = ApplyRequest { log, from, upto };
                if let Some(request) = self.apply.offer(request) {
                    self.ring.push(Item::Apply(request));
                }
            }
        }
    }

    fn route(&self, peer: PeerId, link: Option<LinkId>) {
        let shared = link.and_then(|link| self.links.read().get(&link).cloned());
        let mut routes = self.routes.write();
        match shared {
            Some(shared) => routes.insert(peer, shared),
            None => routes.remove(&peer),
        };
    }

    /// Tells the log and the application.
    pub(crate) fn emit(&self, event: Event) {
        self.note(event);
        self.outlet.flush();
    }

    /// The same with a lock held: the log line is written by the next `flush_log`, here or elsewhere.
    pub(crate) fn note(&self, event: Event) {
        if event.on_request() && !self.outlet.wants_everything() {
            return;
        }
        self.outlet.queue(event.level(), || event.to_string());
        self.ring.push(Item::Event(event));
    }

    /// Refuses what would wait for the thread that it is called from: a log sink may run on the log's.
    pub(crate) fn may_wait(&self) -> Result<()> {
        if self.log.is_here() {
            return Err(Error::Invalid(
                "called from a log sink inside an append or on the log's thread, which it would wait for: have another thread do it".into(),
            ));
        }
        Ok(())
    }

    /// Writes the log lines that are queued. Not to be called with a lock of the node held.
    pub(crate) fn flush_log(&self) {
        self.outlet.flush();
    }

    /// Writes a log line if anybody listens at that level.
    pub(crate) fn write_log(&self, level: Level, text: impl FnOnce() -> String) {
        self.outlet.queue(level, text);
        self.outlet.flush();
    }

    pub(crate) fn add_link(&self, id: LinkId) -> Arc<LinkShared> {
        let shared = LinkShared::new(id);
        self.links.write().insert(id, shared.clone());
        // After the insertion: either `close_all` finds the link, or this finds `closing`.
        if self.closing.load(Ordering::SeqCst) {
            shared.close(CloseReason::Shutdown);
        }
        shared
    }

    /// Drops the driver's knowledge of a link whose task ends, after the mesh was told.
    pub(crate) fn forget(&self, id: LinkId, frames_sent: u64) {
        let removed = self.links.write().remove(&id);
        if let Some(shared) = removed {
            let mut past = self.past_frames.lock();
            past.0 += frames_sent;
            past.1 += shared.frames_received.load(Ordering::Relaxed);
        }
        self.ring_drained();
    }

    /// Marks a task that `wait_drained` is to wait for.
    pub(crate) fn present(self: &Arc<Self>) -> Present {
        self.present.fetch_add(1, Ordering::SeqCst);
        Present(self.clone())
    }

    /// A place for a link that was closed for this reason, if reading it on is of use.
    pub(crate) fn draining(&self, reason: &CloseReason) -> Option<Draining> {
        if reason.blames_peer() || matches!(reason, CloseReason::Stale | CloseReason::Lost(_)) {
            return None;
        }
        let place = Draining(self.draining.clone());
        (self.draining.fetch_add(1, Ordering::Relaxed) < limits::DRAINING_LINKS_MAX).then_some(place)
    }

    fn is_drained(&self) -> bool {
        self.present.load(Ordering::SeqCst) == 0 && self.links.read().is_empty()
    }

    fn ring_drained(&self) {
        if self.is_drained() {
            drop(self.drained.0.lock());
            self.drained.1.notify_all();
        }
    }

    /// Changes the address book, if there is one; a thread that may wait for the disk writes it.
    pub(crate) fn note_address(self: &Arc<Self>, change: impl FnOnce(&Book) -> bool) {
        if let Some(book) = self.book.as_ref().filter(|book| change(book)) {
            let (book, shell) = (book.clone(), self.clone());
            self.handle.spawn_blocking(move || {
                if let Err(e) = book.write() {
                    shell.emit(Event::AddressBookFaulty { detail: e.to_string() });
                }
            });
        }
    }

    /// The link that application traffic to `peer` takes.
    pub(crate) fn route_to(&self, peer: &PeerId) -> Option<Arc<LinkShared>> {
        self.routes.read().get(peer).cloned()
    }

    /// Every connected peer and its link.
    pub(crate) fn all_routes(&self) -> Vec<(PeerId, Arc<LinkShared>)> {
        self.routes.read().iter().map(|(peer, link)| (*peer, link.clone())).collect()
    }

    /// Ends every link with a reason, those that come later too; the tasks follow on their own.
    pub(crate) fn close_all(&self, reason: &CloseReason) {
        self.closing.store(true, Ordering::SeqCst);
        self.links.read().values().for_each(|link| link.close(reason.clone()));
    }

    /// Whether every link is to end.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Waits until every task has ended, or `grace` is over: a link takes up to `STOP_GRACE` for its goodbye. Not on a thread the
    /// tasks need.
    pub(crate) fn wait_drained(&self, grace: Duration) {
        #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
        let deadline = Instant::now() + grace;
        let mut guard = self.drained.0.lock();
        while !self.is_drained() {
            if self.drained.1.wait_until(&mut guard, deadline).timed_out() {
                return;
            }
        }
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.bytes_sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_received(&self, bytes: usize) {
        self.bytes_received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The mesh's counters and the transport's.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.look(|mesh, _| mesh.stats());
        let (mut sent, mut received) = *self.past_frames.lock();
        for link in self.links.read().values() {
            sent += link.send.lock().as_ref().map_or(0, crate::session::SendHalf::frames);
            received += link.frames_received.load(Ordering::Relaxed);
        }
        stats.frames_sent = sent;
        stats.frames_received = received;
        stats.bytes_sent = self.bytes_sent.load(Ordering::Relaxed);
        stats.bytes_received = self.bytes_received.load(Ordering::Relaxed);
        stats.records_appended = self.records_appended.load(Ordering::Relaxed);
        stats.records_applied = self.records_applied.load(Ordering::Relaxed);
        stats
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}
