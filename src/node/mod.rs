//! The public handle of a node: open, start, connect, send, append, take events, stop.
//!
//! Thin: checks arguments and passes them on. Every decision is the mesh's, every byte moves in the driver.

mod appending;
mod applying;
mod behind;
mod lifecycle;
mod outbox;
mod progress;
mod route;
mod snapshots;
mod trust;
mod values;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::thread::{JoinHandle, ThreadId};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::base::{CloseReason, Config, Discovered, Endpoint, Error, Event, Incarnation, Level, LogId, PeerId, Result, Stats, limits};
use crate::crypto::{Identity, Suite};
use crate::driver::apply::{self, ApplyRequest, Cursor, Handler, Outcome, Record};
use crate::driver::book::Book;
use crate::driver::disk::{DirectoryLock, DiskStorage};
use crate::driver::keyfile;
use crate::driver::known::Keeper;
use crate::driver::link::PeerSender;
use crate::driver::outlet::{LogOutlet, LogSink};
use crate::driver::ring::{EventRing, Item, Signal};
use crate::driver::runtime::ThreadStart;
use crate::driver::snapshots::Archive;
use crate::driver::workers::{NodeWal, Workers};
use crate::driver::{Shell, http};
use crate::mesh::io::Input;
use crate::mesh::{LogView, PeerSnapshot, TargetSnapshot};
use crate::registry::BootstrapPeer;
use crate::session::LocalParty;
use crate::sync::{LogState, MemStorage, Storage, Wal};

pub use crate::driver::outbox::Operation;
pub use crate::driver::snapshots::SnapshotHandler;
pub use crate::driver::snapshots::cut::Truncated;
pub use crate::driver::subscribe::{Canceller, LogRecord, Subscribe, Subscription};
pub use crate::snapshot::{Place, SnapshotId};
pub use outbox::NodeOutbox;
pub use progress::{AckLevel, Ackers, Acks, Lag, LogProgress, PeerProgress};
pub use snapshots::SnapshotView;
pub use values::LastValues;

/// A node. Cheap to clone; all clones are the same node. Dropping the last one ends it without waiting.
///
/// Handlers and log sinks may call the node, except [`Node::stop`] and [`Node::stop_blocking`]. A line of the log's own thread, or
/// of one that is appending, is no occasion to wait for the log: appending, flushing, reading and the outbox are [`Error::Invalid`] in the
/// sink then, [`Node::sync_status`] knows no bytes and times, and no sink may ask [`LastValues`]. One that keeps a clone keeps the node alive: give it a [`WeakNode`].
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

/// A node that ends although this is still there.
#[derive(Clone, Debug)]
pub struct WeakNode {
    inner: Weak<Inner>,
}

impl WeakNode {
    /// The node, if it still exists.
    pub fn upgrade(&self) -> Option<Node> {
        self.inner.upgrade().map(|inner| Node { inner })
    }
}

struct Inner {
    config: Config,
    identity: Arc<Identity>,
    formerly: Vec<PeerId>,
    party: Arc<LocalParty>,
    keeper: Arc<Keeper>,
    book: Option<Arc<Book>>,
    archive: Arc<Archive>,
    /// Ways the application has given: next hop and ttl by peer.
    routes: Mutex<BTreeMap<PeerId, (PeerId, u8)>>,
    /// Messages over routes so far. Goes on over stop and start, as their events do.
    posts: AtomicU64,
    ring: Arc<EventRing>,
    outlet: Arc<LogOutlet>,
    /// The running part; a quick look for calls that need it.
    shell: RwLock<Option<Arc<Shell>>>,
    state: Mutex<State>,
    /// Rung when `State::ending` is over.
    ended: Condvar,
    lock: Option<Arc<DirectoryLock>>,
}

/// What only `start` and `stop` change. Never locked while a thread of the node is waited for.
struct State {
    wal: Option<NodeWal>,
    handler: Option<Handler>,
    cursor: Option<Cursor>,
    apply_in_ring: bool,
    on_thread_start: Option<ThreadStart>,
    workers: Option<Workers>,
    port: u16,
    /// Somebody ends the workers just now, and this is their apply thread.
    ending: Option<ThreadId>,
    /// The apply thread of a node that was stopped from within its handler.
    lingering: Option<JoinHandle<Option<Handler>>>,
    /// What broke in the last run: the node can only be destroyed.
    failed: Option<String>,
    /// How far other logs were applied when a record written while the node did not run named that.
    named: Option<Vec<(LogId, u64)>>,
    /// What a start that is under way, or did not come about, has found: told once the ring is open.
    found: Vec<Event>,
}

impl Node {
    /// Takes the data directory (if any), the identity and the log. Opens no socket.
    ///
    /// Damage found in the log is reported by [`Event::LogDamaged`] events. Fails if a setting is unusable, the directory belongs to
    /// another process, or the key file or log cannot be read.
    pub fn open(mut config: Config) -> Result<Node> {
        config.validate()?;
        config.bootstrap.as_ref().map_or(Ok(()), http::check)?;
        let (lock, keys, storage): (_, _, Box<dyn Storage>) = match &config.data_dir {
            Some(dir) => {
                let lock = DirectoryLock::take(dir)?;
                let keys = keyfile::load_or_create(dir, &lock, config.key_passphrase.take().as_ref())?;
                (Some(Arc::new(lock)), keys, Box::new(DiskStorage::new(dir)))
            }
            None => (None, ephemeral_keys(&mut config)?, Box::new(MemStorage::new())),
        };
        let (keeper, faults) = Keeper::open(config.data_dir.as_deref(), config.trust_policy())?;
        let (book, strange) = match config.data_dir.as_deref().filter(|_| config.remember_peers).map(Book::open).transpose()? {
            Some((book, strange)) => (Some(Arc::new(book)), strange),
            None => (None, Vec::new()),
        };
        let (identity, formerly) = (Arc::new(keys.identity), keys.history.keys());
        let party = LocalParty::new(identity.clone(), &config.node_id, &config.capabilities, config.psk.as_ref())?
            .with_previous_psk(config.psk_previous.as_ref())
            .with_suites(Suite::supported(config.key_agreement))
            .with_rotations(keys.history.records())?;
        let fresh = getrandom::u64().map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))?;
        let (mut wal, damages) = Wal::open(storage, identity.clone(), Incarnation(fresh)).map_err(|e| Error::Log(e.to_string()))?;
        wal.set_segment_max(config.snapshots.segment_bytes());
        settle_former_logs(&mut wal, &formerly)?;
        let ring = Arc::new(EventRing::default());
        for damage in damages {
            ring.push(Item::Event(Event::LogDamaged { detail: damage.to_string() }));
        }
        let (archive, damaged) = Archive::open(&config, identity.clone())?;
        for fault in faults.into_iter().chain(strange).chain(damaged) {
            ring.push(Item::Event(fault));
        }
        let state = State {
            wal: Some(wal),
            handler: None,
            cursor: None,
            apply_in_ring: false,
            on_thread_start: None,
            workers: None,
            port: 0,
            ending: None,
            lingering: None,
            failed: None,
            named: None,
            found: Vec::new(),
        };
        let node_id = crate::base::event::printable(&config.node_id);
        let inner = Inner {
            config,
            identity,
            formerly,
            party: Arc::new(party),
            keeper: Arc::new(keeper),
            book,
            archive: Arc::new(archive),
            routes: Mutex::default(),
            posts: AtomicU64::new(0),
            ring,
            outlet: Arc::new(LogOutlet::of(&node_id)),
            shell: RwLock::new(None),
            state: Mutex::new(state),
            ended: Condvar::new(),
            lock,
        };
        Ok(Node { inner: Arc::new(inner) })
    }

    /// The node without keeping it alive: for handlers and log sinks that call it.
    pub fn downgrade(&self) -> WeakNode {
        WeakNode { inner: Arc::downgrade(&self.inner) }
    }

    /// This node's identity.
    pub fn id(&self) -> PeerId {
        self.inner.identity.id()
    }

    /// The keys this node had before, the newest first: its earlier logs are theirs.
    pub fn formerly(&self) -> &[PeerId] {
        &self.inner.formerly
    }

    /// This node's label.
    pub fn node_id(&self) -> &str {
        &self.inner.config.node_id
    }

    /// Sets where log lines of at least `least` go. The sink must return quickly, for a part of the node waits meanwhile; what it may
    /// call is said at [`Node`]. Lines come one at a time, in order.
    pub fn on_log(&self, least: Level, sink: impl Fn(Level, &str) + Send + Sync + 'static) {
        self.inner.outlet.set(least, Some(Box::new(sink)));
    }

    pub(crate) fn set_log_sink(&self, least: Level, sink: Option<LogSink>) {
        self.inner.outlet.set(least, sink);
    }

    /// Changes the least level of log lines. At [`Level::Trace`] events that are told on request only ([`Event::on_request`]) come too.
    pub fn set_log_level(&self, least: Level) {
        self.inner.outlet.set_level(least);
    }

    /// Whether events on request come, where that does not follow from the level of log lines.
    pub(crate) fn tell_everything(&self, wanted: bool) {
        self.inner.outlet.set_everything(wanted);
    }

    fn shell(&self) -> Result<Arc<Shell>> {
        let shell = self.inner.shell.read().clone().ok_or(Error::Stopped)?;
        if shell.failure().is_some() { Err(Error::from(&*shell)) } else { Ok(shell) }
    }

    /// The same for calls that may wait for the log's thread.
    fn shell_to_wait_for(&self) -> Result<Arc<Shell>> {
        let shell = self.shell()?;
        shell.may_wait().map(|()| shell)
    }

    /// Wants a link to `endpoint`, now and again after every loss, until [`Node::disconnect`]. Returns at once; events tell the rest.
    pub fn connect(&self, endpoint: Endpoint) -> Result<()> {
        self.dial(endpoint, None)
    }

    fn dial(&self, endpoint: Endpoint, expected: Option<PeerId>) -> Result<()> {
        let shell = self.shell()?;
        if !self.inner.config.dial {
            return Err(Error::Invalid(format!("dialling is switched off; {endpoint} is not connected")));
        }
        shell.step(Input::Connect { endpoint, manual: true, expected });
        Ok(())
    }

    /// Ends the link to `peer`, stops dialling it, and forgets where it was reached.
    pub fn disconnect(&self, peer: PeerId) -> Result<()> {
        let shell = self.shell()?;
        shell.step(Input::Disconnect { peer });
        shell.note_address(|book| book.forget_peer(peer));
        Ok(())
    }

    /// Stops dialling `endpoint`, also one where nobody ever answered; a link that stands stays.
    pub fn forget_endpoint(&self, endpoint: Endpoint) -> Result<()> {
        let shell = self.shell()?;
        shell.note_address(|book| book.forget_endpoint(&endpoint));
        shell.step(Input::Forget { endpoint });
        Ok(())
    }

    /// The network is another one (an interface came or went, the machine woke up): every link is asked for a sign of life and closed
    /// without one, and what is not connected is dialled at once, however often that failed before. Returns at once.
    pub fn network_changed(&self) -> Result<()> {
        self.shell()?.step(Input::NetworkChanged);
        Ok(())
    }

    /// Agrees on fresh keys with a connected peer, ahead of time; [`Event::FreshKeys`] tells when both directions use them.
    pub fn rekey(&self, peer: PeerId) -> Result<()> {
        let shell = self.shell()?;
        shell.route_to(&peer).ok_or(Error::NotConnected(peer))?;
        shell.step(Input::Rekey { peer });
        Ok(())
    }

    /// Everybody this node knows of, connected or not.
    pub fn peers(&self) -> Vec<PeerSnapshot> {
        self.shell().map(|shell| shell.look(|mesh, now| mesh.peers(now))).unwrap_or_default()
    }

    /// Every endpoint this node dials, and every one it tried in vain: what to look at when a peer is missing.
    pub fn targets(&self) -> Vec<TargetSnapshot> {
        self.shell().map(|shell| shell.look(|mesh, now| mesh.targets(now))).unwrap_or_default()
    }

    /// What the registry named last; rumours, empty without a registry and while the node does not run.
    pub fn bootstrap_peers(&self) -> Vec<BootstrapPeer> {
        self.shell().map(|shell| shell.bootstrap_peers.lock().clone()).unwrap_or_default()
    }

    /// Every node that announces itself on a network of this one; empty while this one does not run, or discovery is off.
    pub fn discovered(&self) -> Vec<Discovered> {
        let Ok(shell) = self.shell() else { return Vec::new() };
        shell.discovery.get().map(|machine| machine.lock().snapshot(shell.now())).unwrap_or_default()
    }

    /// The node's counters; zeros while it does not run.
    pub fn stats(&self) -> Stats {
        self.shell().map(|shell| shell.stats()).unwrap_or_default()
    }

    /// The way to send messages to a connected peer; keep it for as long as the link lives.
    pub fn sender(&self, peer: PeerId) -> Result<PeerSender> {
        let link = self.shell()?.route_to(&peer).ok_or(Error::NotConnected(peer))?;
        Ok(PeerSender { peer, link })
    }

    /// Queues a message to one peer, or says [`Error::WouldBlock`] and takes nothing.
    pub fn send(&self, peer: PeerId, payload: &[u8]) -> Result<()> {
        self.sender(peer)?.try_send(payload)
    }

    /// Queues a message to every connected peer; the number of peers whose queue took it.
    pub fn broadcast(&self, payload: &[u8]) -> Result<usize> {
        if payload.len() > limits::MESSAGE_MAX_BYTES {
            return Err(Error::TooLarge { what: "message", got: payload.len(), max: limits::MESSAGE_MAX_BYTES });
        }
        let routes = self.shell()?.all_routes();
        Ok(routes.into_iter().filter(|(peer, link)| PeerSender { peer: *peer, link: link.clone() }.try_send(payload).is_ok()).count())
    }

    /// Appends records to this node's log and resolves once they are durable: the numbers of the first and the last, (0, 0) for none.
    /// Under [`Durability::Buffered`](crate::base::config::Durability) a running node resolves once they are accepted, before the disk has them.
    /// Once polled, the records may be appended even if the future is dropped.
    pub async fn append(&self, payloads: Vec<Bytes>) -> Result<(u64, u64)> {
        self.append_records(payloads).await.map(|appended| (appended.first, appended.last))
    }

    /// [`Node::append`] for threads without a runtime: blocks until the records are durable, or accepted (`Config::durability`).
    pub fn append_blocking(&self, payloads: Vec<Bytes>) -> Result<(u64, u64)> {
        self.append_records_blocking(payloads).map(|appended| (appended.first, appended.last))
    }

    /// The log this node appends to.
    pub fn own_log(&self) -> LogId {
        match self.shell() {
            Ok(shell) => shell.look(|mesh, _| mesh.own_log()),
            Err(_) => {
                let state = self.inner.state.lock();
                state.wal.as_ref().map_or(LogId { origin: self.id(), incarnation: Incarnation(0) }, Wal::own)
            }
        }
    }

    /// How far every log has come here, and at every connected peer.
    pub fn logs(&self) -> Vec<LogView> {
        let offline = || {
            let state = self.inner.state.lock();
            let view = |s: LogState| LogView {
                log: s.log,
                durable: s.durable,
                applied: s.applied.min(s.durable),
                parked: s.parked,
                waits: None,
                frozen: s.frozen.is_some(),
                acked: Vec::new(),
            };
            state.wal.as_ref().map(|wal| wal.states().into_iter().map(view).collect()).unwrap_or_default()
        };
        self.shell().map_or_else(|_| offline(), |shell| shell.look(|mesh, _| mesh.logs()))
    }

    /// Waits for the next event; `None` once the node has stopped and everything was taken.
    pub async fn next_event(&self) -> Option<Event> {
        loop {
            if let Item::Event(event) = self.inner.ring.pop().await? {
                return Some(event);
            }
        }
    }

    /// The next event, if there is one.
    pub fn try_next_event(&self) -> Option<Event> {
        loop {
            if let Item::Event(event) = self.inner.ring.try_pop()? {
                return Some(event);
            }
        }
    }

    /// Blocks for the next event; `None` after `timeout`, or once the node has stopped and everything was taken.
    pub fn wait_event(&self, timeout: Duration) -> Option<Event> {
        loop {
            if let Item::Event(event) = self.inner.ring.pop_blocking(timeout)? {
                return Some(event);
            }
        }
    }

    /// For surfaces that apply on the thread that takes events: from the next start requests come as [`Item::Apply`].
    pub(crate) fn apply_through_ring(&self) {
        self.inner.state.lock().apply_in_ring = true;
    }

    /// Has [`Node::apply`] return after the present record, for good in this run: what is applied can still be noted before a stop.
    pub(crate) fn stop_applying(&self) {
        if let Ok(shell) = self.shell() {
            shell.apply.stop();
        }
    }

    /// Runs one apply request that came through the ring; the last record that is applied.
    pub(crate) fn apply(&self, request: ApplyRequest, handler: &mut dyn FnMut(&Record<'_>) -> Outcome) -> u64 {
        self.shell().map_or(request.from - 1, |shell| apply::apply(&shell, request, handler))
    }

    pub(crate) fn ring(&self) -> &EventRing {
        &self.inner.ring
    }

    pub(crate) fn set_signal(&self, signal: Signal) {
        self.inner.ring.set_signal(signal);
    }

    pub(crate) fn set_thread_start(&self, on_start: ThreadStart) {
        self.inner.state.lock().on_thread_start = Some(on_start);
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({} \"{}\")", self.id().short(), self.node_id())
    }
}

/// The keys of a node without a data directory: those of a key file, or fresh ones.
fn ephemeral_keys(config: &mut Config) -> Result<keyfile::Keys> {
    match &config.key_file {
        Some(path) => keyfile::load_file(path, config.key_passphrase.take().as_ref()),
        None => keyfile::Keys::random(),
    }
}

/// A payload from elsewhere that the application appends must not speak as the outbox.
fn check_marks(payloads: &[Bytes]) -> Result<()> {
    if payloads.iter().any(|payload| crate::outbox::is_ours(payload)) {
        return Err(Error::Invalid("a record begins with the outbox's mark (ff 76 69 78 6f 75 74 01), which is the outbox's own".into()));
    }
    Ok(())
}

/// What this node appended under an earlier key is its own: nothing of it is offered to the application.
fn settle_former_logs(wal: &mut NodeWal, formerly: &[PeerId]) -> Result<()> {
    let behind = |state: &LogState| formerly.contains(&state.log.origin) && state.applied < state.durable;
    for state in wal.states().into_iter().filter(behind) {
        wal.move_applied(state.log, state.durable).map_err(|e| Error::Log(e.to_string()))?;
    }
    Ok(())
}

/// A request that a failed node never answered did not meet a stopped node.
fn unanswered(error: Error, shell: &Shell) -> Error {
    if matches!(error, Error::Stopped) { Error::from(shell) } else { error }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Some(workers) = state.workers.take() {
            workers.shell.close_all(&CloseReason::Shutdown);
            workers.let_go();
        }
        if let Some(wal) = state.wal.take() {
            // What cannot be made durable is offered to the application again.
            let _ = wal.close();
        }
        if let Some(book) = &self.book {
            // Without it peers are found by other ways.
            let _ = book.close();
        }
        self.ring.close();
    }
}
