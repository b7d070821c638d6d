//! The client of a registry: announces the node, asks for peers, and offers what it is told to the mesh as endpoints worth a dial.
//!
//! Never trusts an answer, and never holds up the node: its failures are events and longer pauses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::base::event::printable;
use crate::base::{BootstrapConfig, BootstrapMode, Event, Level};
use crate::driver::{Present, Shell, http};
use crate::mesh::io::Input;
use crate::registry::json::{Announcement, BootstrapPeer, read_peers};
use crate::registry::poll::Poller;

/// What a started node tells its client.
pub(crate) struct Bootstrap {
    pub(crate) config: BootstrapConfig,
    pub(crate) node_id: String,
    /// Where the node listens, 0 if it does not.
    pub(crate) port: u16,
    /// Whether the node dials at all.
    pub(crate) dial: bool,
}

/// Asks at once and again after every pause, until the node's tasks are ended.
pub(crate) async fn run(shell: Arc<Shell>, bootstrap: Bootstrap, _present: Present) {
    let seed = getrandom::u64().unwrap_or(0);
    let mut poller = Poller::new(&bootstrap.config, &bootstrap.node_id, bootstrap.port, seed);
    let mut news = News { shell: shell.clone(), announce: None, peers: None, named: BTreeSet::new() };
    loop {
        if bootstrap.config.mode == BootstrapMode::PullAndAnnounce && bootstrap.port != 0 {
            let said = announce(&bootstrap).await;
            news.announced(said);
        }
        let pause = match pull(&bootstrap.config).await {
            Ok(peers) => {
                news.named(peers.iter().filter(|peer| !poller.is_own(peer)));
                shell.bootstrap_peers.lock().clone_from(&peers);
                offer(&shell, &bootstrap, &mut poller, &peers);
                poller.answered()
            }
            Err(why) => {
                let pause = poller.failed();
                news.failed(why, pause);
                pause
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn announce(bootstrap: &Bootstrap) -> Result<(), String> {
    let Bootstrap { config, node_id, port, .. } = bootstrap;
    let announcement = Announcement { node_id: node_id.clone(), tcp_port: *port, host: config.announce_host.clone() };
    http::post(config, "/announce", announcement.to_json()).await.map(drop)
}

async fn pull(config: &BootstrapConfig) -> Result<Vec<BootstrapPeer>, String> {
    let most = config.max_peers_per_poll;
    let body = http::get(config, &format!("/peers?limit={most}")).await?;
    read_peers(&body, most as usize).map_err(|e| e.to_string())
}

fn offer(shell: &Arc<Shell>, bootstrap: &Bootstrap, poller: &mut Poller, peers: &[BootstrapPeer]) {
    if !bootstrap.dial {
        return;
    }
    let found = shell.look(|mesh, now| poller.worth_a_dial(now, peers, |endpoint| mesh.keeps(endpoint)));
    for endpoint in found {
        shell.step(Input::Connect { endpoint, manual: false, expected: None });
    }
}

/// What is told about the registry: every change once; what stays as it was is a log line at a level few listen to.
struct News {
    shell: Arc<Shell>,
    announce: Option<Result<(), String>>,
    peers: Option<Result<(), String>>,
    /// Whom the last answer named.
    named: BTreeSet<(String, String, u16)>,
}

impl News {
    fn announced(&mut self, now: Result<(), String>) {
        if self.announce.as_ref() != Some(&now) {
            match &now {
                Ok(()) => self.shell.write_log(Level::Info, || "registry: announced".to_owned()),
                Err(why) => {
                    self.shell.emit(Event::RegistryFailed { detail: format!("announcement failed: {why}"), retry_in_ms: None });
                }
            }
        }
        self.announce = Some(now);
    }

    fn named<'a>(&mut self, peers: impl Iterator<Item = &'a BootstrapPeer>) {
        let mut named = BTreeSet::new();
        let (mut count, mut new_count) = (0, 0);
        for peer in peers {
            let key = (peer.node_id.clone(), peer.host.clone(), peer.tcp_port);
            count += 1;
            if !self.named.contains(&key) && !named.contains(&key) {
                new_count += 1;
                self.shell.emit(Event::PeerNamed { node_id: peer.node_id.clone(), endpoint: peer.endpoint() });
            }
            named.insert(key);
        }
        self.named = named;
        if new_count > 0 || self.peers != Some(Ok(())) {
            self.shell.emit(Event::RegistryAnswered { count, new_count });
        } else {
            self.shell.write_log(Level::Debug, || format!("registry: {count} peers named, none of them new"));
        }
        self.peers = Some(Ok(()));
    }

    fn failed(&mut self, why: String, pause: Duration) {
        let now = Err(why);
        if let Err(why) = &now
            && self.peers.as_ref() != Some(&now)
        {
            let retry_in_ms = Some(pause.as_millis() as u64);
            self.shell.emit(Event::RegistryFailed { detail: format!("no peers learned: {why}"), retry_in_ms });
        } else if let Err(why) = &now {
            self.shell.write_log(Level::Debug, || format!("registry: no peers learned: {}; as before", printable(why)));
        }
        self.peers = Some(now);
    }
}
