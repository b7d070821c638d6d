//! The loop of discovery: datagrams to and from the machine, on a thread and a poller of its own. What is found is the mesh's to dial.
//!
//! Never decides: `discovery` says what is sent to whom. A network that cannot be used is tried again, and costs a log line.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mio::{Events, Interest, Poll, Token, Waker};
use parking_lot::Mutex;

use crate::base::config::Listen;
use crate::base::{Config, DiscoveryConfig, DiscoveryMode, Error, Event, Level, Result, Time, limits};
use crate::discovery::{Discovery, DiscoverySettings, Output, PathId, Seals};
use crate::driver::Shell;
#[cfg(feature = "mdns")]
use crate::driver::mdns::{Mdns, Naming};
use crate::driver::paths::{self, Path, Place};
use crate::mesh::io::Input;

const WAKE: Token = Token(usize::MAX);

/// Discovery of one run of a node, before its thread runs.
#[derive(Debug)]
pub(crate) struct Beacon {
    config: DiscoveryConfig,
    listen: Listen,
    dial: bool,
    /// Label and port for mDNS, and whether others are looked for by it.
    #[cfg(feature = "mdns")]
    naming: (String, u16, bool),
    machine: Arc<Mutex<Discovery>>,
    poll: Poll,
    ending: Arc<Ending>,
    paths: BTreeMap<PathId, Path>,
    last_path: u32,
    /// Places that could not be used, so that each is said once.
    faulty: BTreeSet<(String, bool)>,
    buffer: Vec<u8>,
}

/// How to end a beacon.
#[derive(Debug)]
pub(crate) struct Ending {
    waker: Waker,
    now: AtomicBool,
}

impl Ending {
    /// Whether it is to end.
    #[cfg(feature = "mdns")]
    pub(super) fn is_near(&self) -> bool {
        self.now.load(Ordering::SeqCst)
    }

    /// Has it look for what is to be carried out.
    #[cfg(feature = "mdns")]
    pub(super) fn wake(&self) {
        let _ = self.waker.wake();
    }

    /// Ends it soon.
    pub(crate) fn end(&self) {
        self.now.store(true, Ordering::SeqCst);
        // A poller that cannot be woken wakes for the next look at the interfaces.
        let _ = self.waker.wake();
    }
}

impl Beacon {
    /// Everything but sockets and thread; `None` if discovery is off. `port` is where the node listens, `now` the shell's time.
    #[expect(clippy::disallowed_methods, reason = "announcements carry the wall clock")]
    pub(crate) fn prepare(config: &Config, port: u16, now: Time) -> Result<Option<Beacon>> {
        let Some(discovery) = config.discovery.clone() else { return Ok(None) };
        let failed = |e: io::Error| Error::io("starting discovery")(e);
        let poll = Poll::new().map_err(failed)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(failed)?;
        let seed = getrandom::u64().map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))?;
        let unix_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let machine = Discovery::new(DiscoverySettings {
            node_id: config.node_id.clone(),
            tcp_port: port,
            config: discovery.clone(),
            unix_ms: unix_ms.saturating_sub(now.as_millis()),
            seals: Seals::new(config.psk.as_ref(), config.psk_previous.as_ref()),
            seed,
        });
        Ok(Some(Beacon {
            config: discovery,
            listen: config.listen.clone(),
            dial: config.dial,
            #[cfg(feature = "mdns")]
            naming: (config.node_id.clone(), port, config.psk.is_none()),
            machine: Arc::new(Mutex::new(machine)),
            poll,
            ending: Arc::new(Ending { waker, now: AtomicBool::new(false) }),
            paths: BTreeMap::new(),
            last_path: 0,
            faulty: BTreeSet::new(),
            // One more, so that a datagram that is too long is seen to be.
            buffer: vec![0; limits::ANNOUNCE_MAX_BYTES + 1],
        }))
    }

    /// What it has found, for others to look at.
    pub(crate) fn machine(&self) -> Arc<Mutex<Discovery>> {
        self.machine.clone()
    }

    pub(crate) fn ending(&self) -> Arc<Ending> {
        self.ending.clone()
    }

    /// The thread's work.
    pub(crate) fn run(mut self, shell: &Arc<Shell>) {
        #[cfg(feature = "mdns")]
        let _mdns = self.name_this_node(shell);
        let mut events = Events::with_capacity(64);
        let (mut rescan, mut unread) = (shell.now(), BTreeSet::new());
        while !self.ending.now.load(Ordering::SeqCst) && shell.failure().is_none() {
            let now = shell.now();
            if rescan <= now {
                self.look_at_interfaces(shell, now);
                rescan = now + limits::DISCOVERY_RESCAN;
            }
            self.machine.lock().tick(now);
            self.carry(shell);
            let due = self.machine.lock().deadline().map_or(rescan, |at| at.min(rescan));
            let wait = if unread.is_empty() { due.since(shell.now()) } else { Duration::ZERO };
            match self.poll.poll(&mut events, Some(wait)) {
                Ok(()) => unread.extend(events.iter().map(|event| event.token()).filter(|token| *token != WAKE)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    shell.write_log(Level::Error, || format!("discovery ended, its poller failed: {e}"));
                    return;
                }
            }
            unread.retain(|token| self.read(shell, *token));
        }
    }

    /// Begins mDNS, if it is wanted.
    #[cfg(feature = "mdns")]
    fn name_this_node(&self, shell: &Arc<Shell>) -> Option<Mdns> {
        if !self.config.mdns {
            return None;
        }
        let (node_id, port, look) = self.naming.clone();
        if !look {
            shell.write_log(Level::Info, || {
                "mDNS names this node and finds nobody: with a secret only announcements that prove it count".into()
            });
        }
        let begun = getrandom::u64().map_err(|e| format!("the system has no random numbers: {e}")).and_then(|run| {
            let naming = Naming { node_id, port, look, run };
            Mdns::start((&self.config, &self.listen), &naming, (self.machine.clone(), self.ending.clone()), shell)
        });
        begun.map_err(|e| shell.write_log(Level::Warn, || format!("mDNS is off: {e}"))).ok()
    }

    /// Opens what has come and closes what has gone.
    fn look_at_interfaces(&mut self, shell: &Shell, now: Time) {
        if self.config.mode == DiscoveryMode::Off {
            return;
        }
        let places = match paths::places(&self.config, &self.listen) {
            Ok(places) => places,
            Err(e) => return shell.write_log(Level::Warn, || format!("discovery cannot list the interfaces: {e}")),
        };
        let before = self.paths.len();
        self.paths.retain(|_, path| places.contains(&path.place));
        let mut changed = before != self.paths.len();
        for place in places {
            if self.paths.values().all(|path| path.place != place) {
                changed |= self.open(shell, place);
            }
        }
        if changed {
            self.machine.lock().set_paths(now, self.paths.keys().copied());
        }
    }

    fn open(&mut self, shell: &Shell, place: Place) -> bool {
        let (what, ip) = ((place.name.clone(), place.ip.is_ipv4()), place.ip);
        let id = PathId(self.last_path + 1);
        let opened = Path::open(&self.config, place).and_then(|mut path| {
            let [everybody, alone] = tokens(id);
            self.poll.registry().register(&mut path.everybody, everybody, Interest::READABLE)?;
            self.poll.registry().register(&mut path.alone, alone, Interest::READABLE)?;
            Ok(path)
        });
        match opened {
            Ok(path) => {
                shell.write_log(Level::Debug, || format!("discovery uses {} ({ip})", what.0));
                self.faulty.remove(&what);
                self.last_path = id.0;
                self.paths.insert(id, path);
                true
            }
            Err(e) => {
                // An IPv6 address is not there before the system has made sure that it is nobody else's.
                let level = if e.kind() == io::ErrorKind::AddrNotAvailable { Level::Debug } else { Level::Warn };
                if self.faulty.len() < limits::DISCOVERY_INTERFACES_MAX && self.faulty.insert(what.clone()) {
                    let port = self.config.port;
                    shell.write_log(level, || format!("discovery cannot use {} ({ip}, UDP port {port}) and goes on trying: {e}", what.0));
                }
                false
            }
        }
    }

    /// Reads what is there, or a share of it; whether there may be more.
    fn read(&mut self, shell: &Arc<Shell>, token: Token) -> bool {
        let id = PathId((token.0 / 2) as u32);
        for _ in 0..limits::DISCOVERY_BATCH {
            let Some(path) = self.paths.get(&id) else { return false };
            let socket = if tokens(id)[0] == token { &path.everybody } else { &path.alone };
            match socket.recv_from(&mut self.buffer) {
                Ok((len, from)) => self.machine.lock().receive(shell.now(), id, from, &self.buffer[..len]),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                // What was sent earlier met a closed port; nothing of this socket is lost.
                Err(_) => {}
            }
            self.carry(shell);
        }
        true
    }

    fn carry(&mut self, shell: &Arc<Shell>) {
        loop {
            let Some(output) = self.machine.lock().next_output() else { return };
            match output {
                Output::Announce { path, datagram } => {
                    let Some(path) = self.paths.get(&path) else { continue };
                    path.destinations.iter().for_each(|to| send(path, &datagram, *to));
                }
                Output::Answer { path, to, datagram } => {
                    if let Some(path) = self.paths.get(&path) {
                        send(path, &datagram, to);
                    }
                }
                Output::Heard { endpoint, fresh, restarted, proven } => {
                    shell.step(Input::Heard { endpoint, fresh, restarted, proven });
                }
                Output::Found { node_id, endpoint, new, proven } => {
                    if new {
                        shell.emit(Event::PeerDiscovered { node_id, endpoint: endpoint.clone() });
                    }
                    if self.dial {
                        shell.step(Input::Found { endpoint, proven });
                    }
                }
            }
        }
    }
}

/// The tokens of a path's sockets: the one for everybody, the one for this node alone.
fn tokens(PathId(id): PathId) -> [Token; 2] {
    [Token(2 * id as usize), Token(2 * id as usize + 1)]
}

/// Sends, or does not: an announcement that is lost comes again.
fn send(path: &Path, datagram: &[u8], to: SocketAddr) {
    let _ = path.alone.send_to(datagram, to);
}
