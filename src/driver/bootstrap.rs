//! The client of a registry: announces the node, asks for peers, and offers what it is told to the mesh as endpoints worth a dial.
//!
//! Never trusts an answer, and never holds up the node: its failures are log lines and longer pauses.

use std::sync::Arc;

use crate::base::event::printable;
use crate::base::{BootstrapConfig, BootstrapMode, Level};
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
    let mut news = News { shell: shell.clone(), announce: None, peers: None };
    loop {
        if bootstrap.config.mode == BootstrapMode::PullAndAnnounce && bootstrap.port != 0 {
            let said = announce(&bootstrap).await;
            news.announced(said);
        }
        let pause = match pull(&bootstrap.config).await {
            Ok(peers) => {
                news.pulled(Ok(peers.len()));
                shell.bootstrap_peers.lock().clone_from(&peers);
                offer(&shell, &bootstrap, &mut poller, &peers);
                poller.answered()
            }
            Err(why) => {
                news.pulled(Err(why));
                poller.failed()
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

/// Log lines about the registry: what stays as it was is told at a level few listen to.
struct News {
    shell: Arc<Shell>,
    announce: Option<Result<(), String>>,
    peers: Option<Result<(), String>>,
}

impl News {
    fn announced(&mut self, now: Result<(), String>) {
        let fresh = self.announce.as_ref() != Some(&now);
        let text = match &now {
            Ok(()) => "registry: announced".to_owned(),
            Err(why) => format!("registry: announcement failed: {}", printable(why)),
        };
        self.write(fresh, now.is_err(), text);
        self.announce = Some(now);
    }

    fn pulled(&mut self, now: Result<usize, String>) {
        let (now, text) = match now {
            Ok(count) => (Ok(()), format!("registry: {count} peers named")),
            Err(why) => {
                let text = format!("registry: no peers learned: {}; asked again later", printable(&why));
                (Err(why), text)
            }
        };
        let fresh = self.peers.as_ref() != Some(&now);
        self.write(fresh, now.is_err(), text);
        self.peers = Some(now);
    }

    fn write(&self, fresh: bool, bad: bool, text: String) {
        let level = match (fresh, bad) {
            (false, _) => Level::Debug,
            (true, true) => Level::Warn,
            (true, false) => Level::Info,
        };
        self.shell.write_log(level, || text);
    }
}
