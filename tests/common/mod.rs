//! What the tests of real nodes share: nodes that remember their events, and a proxy that spoils connections.

#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part of it")]

pub mod lan;
pub mod proxy;

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vixp2p::base::config::Listen;
use vixp2p::base::{CloseReason, LogId, SnapshotConfig, TrustPolicy};
use vixp2p::{Config, Endpoint, Event, Node, PeerId};

/// How long anything may take before a test gives up. Far more than it takes, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Settings of a node on a free port of the loopback, which trusts the first key of every name.
pub fn config(name: &str) -> Config {
    let mut config = Config::new(name);
    config.listen = Listen::On { host: "127.0.0.1".into(), port: 0 };
    config.trust = Some(TrustPolicy::Tofu);
    // Who is connected to whom is the test's to say.
    config.peer_exchange = false;
    config
}

/// Now, for deadlines of tests.
pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "real sockets live in real time")]
    Instant::now()
}

/// Waits until `holds`, asked again and again.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "not in time: {what}");
        #[expect(clippy::disallowed_methods, reason = "the pause of a bounded poll of what has no event")]
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends as soon as the queue has room.
pub fn send(node: &Node, to: PeerId, payload: &[u8]) {
    eventually("room in the queue", || match node.send(to, payload) {
        Ok(()) => true,
        Err(vixp2p::Error::WouldBlock) => false,
        Err(e) => panic!("{e}"),
    });
}

/// A node and the events nobody has asked for yet.
pub struct Peer {
    pub node: Node,
    backlog: VecDeque<Event>,
    messages: VecDeque<Bytes>,
}

impl Peer {
    /// A started node.
    pub fn start(config: Config) -> Peer {
        let peer = Peer::open(config);
        peer.node.start().expect("starts");
        peer
    }

    /// A node that is not started.
    pub fn open(config: Config) -> Peer {
        Peer { node: Node::open(config).expect("opens"), backlog: VecDeque::new(), messages: VecDeque::new() }
    }

    /// A started node on a free port with the default settings.
    pub fn named(name: &str) -> Peer {
        Peer::start(config(name))
    }

    pub fn id(&self) -> PeerId {
        self.node.id()
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::tcp("127.0.0.1", self.node.port())
    }

    /// The first event that `pick` takes, remembered or new. Others are kept for later questions.
    pub fn expect<T>(&mut self, what: &str, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
        if let Some((at, found)) = self.backlog.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?))) {
            self.backlog.remove(at);
            return found;
        }
        let begin = now();
        loop {
            let left = PATIENCE.saturating_sub(begin.elapsed());
            let Some(event) = self.node.wait_event(left) else { panic!("{what}: no such event; seen: {:#?}", self.backlog) };
            match pick(&event) {
                Some(found) => return found,
                None => self.backlog.push_back(event),
            }
        }
    }

    /// Whether an event that is there by now, remembered or waiting, is one of those.
    pub fn has_seen(&mut self, mut is: impl FnMut(&Event) -> bool) -> bool {
        self.backlog.extend(std::iter::from_fn(|| self.node.try_next_event()));
        self.backlog.iter().any(&mut is)
    }

    /// Forgets the events so far.
    pub fn forget(&mut self) {
        self.backlog.clear();
        while self.node.try_next_event().is_some() {}
    }

    pub fn expect_connected(&mut self) -> PeerId {
        self.expect("PeerConnected", |e| if let Event::PeerConnected { peer, .. } = e { Some(*peer) } else { None })
    }

    pub fn expect_disconnected(&mut self) -> CloseReason {
        self.expect("PeerDisconnected", |e| if let Event::PeerDisconnected { reason, .. } = e { Some(reason.clone()) } else { None })
    }

    pub fn expect_connect_failed(&mut self) -> (CloseReason, Option<u64>) {
        self.expect("ConnectFailed", |e| match e {
            Event::ConnectFailed { reason, retry_in_ms, .. } => Some((reason.clone(), *retry_in_ms)),
            _ => None,
        })
    }

    pub fn expect_handshake_failed(&mut self) -> CloseReason {
        self.expect("HandshakeFailed", |e| if let Event::HandshakeFailed { reason, .. } = e { Some(reason.clone()) } else { None })
    }

    pub fn expect_fatal(&mut self) -> String {
        self.expect("Fatal", |e| if let Event::Fatal { detail } = e { Some(detail.clone()) } else { None })
    }

    /// Dials and waits until both sides are connected.
    pub fn join(&mut self, other: &mut Peer) {
        self.node.connect(other.endpoint()).expect("dials");
        assert_eq!(self.expect_connected(), other.id());
        assert_eq!(other.expect_connected(), self.id());
    }

    /// The next messages, so many.
    pub fn receive(&mut self, count: usize) -> Vec<Bytes> {
        while self.messages.len() < count {
            let mut batch = self.expect("Data", |e| if let Event::Data { batch, .. } = e { Some(batch.clone()) } else { None });
            self.messages.extend(std::iter::from_fn(|| batch.pop_front()));
        }
        self.messages.drain(..count).collect()
    }

    /// Sends as soon as the queue has room.
    pub fn send(&self, to: PeerId, payload: &[u8]) {
        send(&self.node, to, payload);
    }

    pub fn append(&self, records: impl IntoIterator<Item = String>) -> (u64, u64) {
        self.node.append_blocking(records.into_iter().map(Bytes::from).collect()).expect("appends")
    }

    /// Waits until a log has come so far here.
    pub fn expect_log(&self, log: LogId, durable: u64, applied: u64) {
        eventually("the log's progress", || {
            self.node.logs().iter().any(|view| view.log == log && view.durable >= durable && view.applied >= applied)
        });
    }
}

/// Settings under which a file of the log has 64 KiB, so that a few records can go.
pub fn in_small_files(name: &str, dir: &Path) -> Config {
    let mut config = config(name);
    config.data_dir = Some(dir.join(name));
    config.snapshots = SnapshotConfig { schema: "test".into(), log_max_bytes: Some(512 * 1024), ..SnapshotConfig::default() };
    config
}

/// A record of one of 64 keys, that long and a few bytes more.
pub fn record(n: usize, len: usize) -> Vec<u8> {
    let mut record = format!("key {}=value {n} ", n % 64).into_bytes();
    record.extend((0..len).map(|i| (i * 31 + n * 7) as u8));
    record
}

/// Opens a directory whose last owner may still be on its way out.
pub fn open_again(config: &Config) -> Peer {
    let mut node = None;
    eventually("the directory to be free", || {
        node = Node::open(config.clone()).ok();
        node.is_some()
    });
    drop(node);
    Peer::open(config.clone())
}
