//! The carrier for real life: tokio for sockets and timers, threads for the log and the application's apply callback.
//!
//! Carries and decides nothing: every decision is the mesh's, taken in [`Shell::step`], the only place that locks it.

pub mod apply;
pub mod disk;
pub mod link;
pub mod listen;
pub mod log;
pub mod ring;
pub mod runtime;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::base::{CloseReason, Event, Level, LinkId, PeerId, Stats, Time};
use crate::driver::apply::{ApplyQueue, ApplyRequest};
use crate::driver::link::LinkShared;
use crate::driver::log::LogQueue;
use crate::driver::ring::{EventRing, Item};
use crate::mesh::Mesh;
use crate::mesh::io::{Input, Output};
use crate::session::LocalParty;

/// Where a log line goes; must return quickly and not call back into the node.
pub type LogSink = Box<dyn Fn(Level, &str) + Send + Sync>;

/// A node's log: a level that can change at any time, and where lines go.
#[derive(Default)]
pub(crate) struct LogOutlet {
    least: std::sync::atomic::AtomicU8,
    sink: RwLock<Option<LogSink>>,
}

impl LogOutlet {
    /// Replaces the sink and the least level it gets.
    pub(crate) fn set(&self, least: Level, sink: Option<LogSink>) {
        self.least.store(least as u8, Ordering::Relaxed);
        *self.sink.write() = sink;
    }

    pub(crate) fn set_level(&self, least: Level) {
        self.least.store(least as u8, Ordering::Relaxed);
    }

    /// Writes a line if anybody listens at that level. The text is made only then.
    pub(crate) fn write(&self, level: Level, text: impl FnOnce() -> String) {
        if level as u8 >= self.least.load(Ordering::Relaxed)
            && let Some(sink) = self.sink.read().as_ref()
        {
            sink(level, &text());
        }
    }
}

/// Everything one running node shares between its tasks and threads.
pub struct Shell {
    /// The decisions. Locked in `step` and in read-only snapshots, nowhere else.
    mesh: Mutex<Mesh>,
    pub(crate) ring: Arc<EventRing>,
    pub(crate) log: LogQueue,
    pub(crate) apply: ApplyQueue,
    pub(crate) party: Arc<LocalParty>,
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
    log_sink: Arc<LogOutlet>,
    pub(crate) dial_timeout: Duration,
    /// Rung when the last link is gone, for whoever stops the node.
    drained: (Mutex<()>, parking_lot::Condvar, Notify),
}

impl std::fmt::Debug for Shell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shell({})", self.party.identity.id().short())
    }
}

impl Shell {
    #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
    pub(crate) fn new(mesh: Mesh, party: Arc<LocalParty>, ring: Arc<EventRing>, log_sink: Arc<LogOutlet>, handle: Handle) -> Arc<Shell> {
        Arc::new(Shell {
            mesh: Mutex::new(mesh),
            ring,
            log: LogQueue::default(),
            apply: ApplyQueue::default(),
            party,
            links: RwLock::default(),
            routes: RwLock::default(),
            handle,
            started: Instant::now(),
            timer: Notify::new(),
            armed: AtomicU64::new(u64::MAX),
            bytes_sent: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            past_frames: Mutex::new((0, 0)),
            log_sink,
            drained: Default::default(),
            dial_timeout: crate::base::limits::DIAL_TIMEOUT,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
    fn now(&self) -> Time {
        Time::ZERO + Instant::now().duration_since(self.started)
    }

    /// Tells the mesh what happened and carries out what it decides, all under one lock, without waiting.
    pub(crate) fn step(self: &Arc<Self>, input: Input) {
        let mut mesh = self.mesh.lock();
        mesh.handle(self.now(), input);
        while let Some(output) = mesh.next_output() {
            self.carry(output);
        }
        let deadline = mesh.deadline().map_or(u64::MAX, |time| time.0);
        drop(mesh);
        if self.armed.swap(deadline, Ordering::Relaxed) > deadline {
            self.timer.notify_one();
        }
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
    pub(crate) async fn run_timer(self: Arc<Self>) {
        loop {
            let due = Time(self.armed.load(Ordering::Relaxed));
            let now = self.now();
            if due <= now {
                self.step(Input::Tick);
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
            Output::Dial { link, endpoint } => {
                let shared = self.add_link(link);
                self.handle.spawn(listen::dial(self.clone(), shared, endpoint));
            }
            Output::Send { link, message } => {
                if let Some(shared) = self.links.read().get(&link)
                    && !shared.push(&message)
                {
                    shared.close(CloseReason::SlowReader);
                }
            }
            Output::Close { link, reason } => {
                if let Some(shared) = self.links.read().get(&link) {
                    shared.close(reason);
                }
            }
            Output::Route { peer, link } => self.route(peer, link),
            Output::Event(event) => self.emit(event),
            Output::Store { link, group } => self.log.store(link, group),
            Output::Read { link, log, from, max_bytes } => self.log.read_for_link(link, log, from, max_bytes),
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
        self.write_log(event.level(), || event.to_string());
        self.ring.push(Item::Event(event));
    }

    /// Writes a log line if anybody listens at that level.
    pub(crate) fn write_log(&self, level: Level, text: impl FnOnce() -> String) {
        self.log_sink.write(level, text);
    }

    pub(crate) fn add_link(&self, id: LinkId) -> Arc<LinkShared> {
        let shared = LinkShared::new(id);
        self.links.write().insert(id, shared.clone());
        shared
    }

    /// Drops the driver's knowledge of a link whose task ends.
    pub(crate) fn forget(&self, id: LinkId, frames_sent: u64) {
        let mut links = self.links.write();
        let removed = links.remove(&id);
        let empty = links.is_empty();
        drop(links);
        if empty {
            drop(self.drained.0.lock());
            self.drained.1.notify_all();
            self.drained.2.notify_waiters();
        }
        if let Some(shared) = removed {
            let mut past = self.past_frames.lock();
            past.0 += frames_sent;
            past.1 += shared.frames_received.load(Ordering::Relaxed);
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

    /// Ends every link with a reason; the tasks follow on their own.
    pub(crate) fn close_all(&self, reason: &CloseReason) -> usize {
        let links = self.links.read();
        links.values().for_each(|link| link.close(reason.clone()));
        links.len()
    }

    /// Waits until every link's task has ended, or `grace` is over. Not on a thread the tasks need.
    pub(crate) fn wait_drained(&self, grace: Duration) {
        #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
        let deadline = Instant::now() + grace;
        let mut guard = self.drained.0.lock();
        while !self.links.read().is_empty() {
            if self.drained.1.wait_until(&mut guard, deadline).timed_out() {
                return;
            }
        }
    }

    /// The same for async code.
    pub(crate) async fn drained(&self, grace: Duration) {
        let all_gone = async {
            loop {
                let rung = self.drained.2.notified();
                if self.links.read().is_empty() {
                    return;
                }
                rung.await;
            }
        };
        // Links that do not end in time are cut off with the runtime's tasks.
        let _ = tokio::time::timeout(grace, all_gone).await;
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
        stats
    }
}
