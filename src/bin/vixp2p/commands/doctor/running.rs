//! The running node's part of `doctor`: what it knows about every endpoint it dials. Never dials for it.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::Mutex;
use vixp2p::Node;
use vixp2p::base::{Event, Level, PeerState};
use vixp2p::mesh::TargetSnapshot;

use super::words;
use super::{Finding, Question};
use crate::args::NodeArgs;

/// Warnings that are kept for the doctor.
const LATELY_MAX: usize = 16;

/// What the program knows beside its node.
#[derive(Debug)]
pub(crate) struct About {
    dial: bool,
    discovery: bool,
    interfaces: Vec<String>,
    registry: bool,
    lately: Mutex<VecDeque<(Instant, String)>>,
}

impl About {
    pub(crate) fn new(args: &NodeArgs) -> About {
        About {
            dial: !args.no_connect,
            discovery: args.discovery.config().is_some(),
            interfaces: args.discovery.disc_iface.clone(),
            registry: args.bootstrap.url().is_some(),
            lately: Mutex::default(),
        }
    }

    /// Keeps what went wrong; what came of dials stands with their endpoints.
    pub(crate) fn note(&self, event: &Event) {
        if event.level() < Level::Warn || matches!(event, Event::ConnectFailed { .. }) {
            return;
        }
        let mut lately = self.lately.lock();
        if lately.len() >= LATELY_MAX {
            lately.pop_front();
        }
        lately.push_back((now(), event.to_string()));
    }
}

#[expect(clippy::disallowed_methods, reason = "how long ago something happened is for people")]
fn now() -> Instant {
    Instant::now()
}

/// Everything the node can say about `question`.
pub(crate) fn examine(node: &Node, about: &About, question: &Question) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("node", format!("{} is {}, process {}", node.node_id(), node.id(), std::process::id()))];
    findings.push(match node.port() {
        0 => Finding::note("port", "not_listening", "it listens on no TCP port: it dials others, who cannot dial it"),
        port => Finding::ok("port", format!("listens on {port}")),
    });
    let targets: Vec<TargetSnapshot> = node.targets();
    let chosen = |target: &&TargetSnapshot| question.endpoints.is_empty() || question.endpoints.contains(&target.endpoint.to_string());
    findings.extend(targets.iter().filter(chosen).map(|target| of_target(node, target, !question.endpoints.is_empty())));
    let unknown = question.endpoints.iter().filter(|wanted| targets.iter().all(|target| target.endpoint.to_string() != **wanted));
    findings.extend(unknown.map(|endpoint| not_dialled(node, about, endpoint)));
    findings.extend(peers(node, about, targets.is_empty()));
    findings.extend(node.unread().map(|unread| {
        let peers: Vec<String> = unread.peers.iter().map(|peer| peer.short()).collect();
        let says = format!(
            "has taken no messages for {} ms: {} links are not read meanwhile ({})",
            unread.since_ms_ago,
            unread.links,
            peers.join(", ")
        );
        Finding::bad("application", "behind", says, "have it take its messages: whoever sends them waits")
    }));
    findings.extend(finders(about));
    findings.extend(about.lately.lock().iter().map(|(at, text)| {
        let seconds = now().saturating_duration_since(*at).as_secs();
        Finding::note("lately", "lately", format!("{seconds} s ago: {text}"))
    }));
    findings.push(clock());
    findings
}

pub(crate) fn clock() -> Finding {
    Finding::note("clock", "irrelevant", "plays no part: two nodes connect whatever their clocks show")
}

/// How an endpoint stands. One that only a rumour named is worth a note, unless it was asked about.
fn of_target(node: &Node, target: &TargetSnapshot, asked: bool) -> Finding {
    let endpoint = target.endpoint.to_string();
    let id = target.id.map_or(String::new(), |id| format!(" by {}", id.short()));
    let finding = match (target.state, &target.last_reason) {
        (PeerState::Connected, _) => Finding::ok(&endpoint, format!("connected{id}")),
        (PeerState::Stale, _) => Finding::bad(
            &endpoint,
            "stale",
            format!("connected{id}, but silent although asked"),
            "the network swallows what is sent, or the other machine hangs; it is closed and dialled again soon",
        ),
        (PeerState::Connecting | PeerState::Handshaking, Some(reason)) if target.failures > 0 => {
            let mut finding = words::failed(&endpoint, reason, Some(node.id()));
            finding.says = format!("{} ({} failures in a row), and tried again just now", finding.says, target.failures);
            finding
        }
        (state @ (PeerState::Connecting | PeerState::Handshaking), _) => {
            let says = format!("{state} for {} ms, handshake: {}, {} failures before", target.since_ms_ago, target.stage, target.failures);
            Finding::note(&endpoint, state.name(), says)
        }
        (PeerState::Disconnected | PeerState::Closed, Some(reason)) => {
            let mut finding = words::failed(&endpoint, reason, Some(node.id()));
            if target.failures > 1 {
                finding.says = format!("{} ({} failures in a row)", finding.says, target.failures);
            }
            finding
        }
        (PeerState::Disconnected | PeerState::Closed, None) => Finding::note(&endpoint, "waiting", "not tried yet"),
    };
    let verdict = if !target.wanted && !asked && finding.verdict == super::Verdict::Bad { super::Verdict::Note } else { finding.verdict };
    Finding { verdict, next_attempt_in_ms: target.next_attempt_in_ms, ..finding }
}

fn not_dialled(node: &Node, about: &About, endpoint: &str) -> Finding {
    let connected = node.peers().into_iter().find(|peer| peer.state == PeerState::Connected && peer.endpoint.to_string() == endpoint);
    match connected {
        Some(peer) => Finding::ok(endpoint, format!("connected by {}, which dialled this node", peer.node_id)),
        None if !about.dial => {
            Finding::bad(endpoint, "no_connect", "this node dials nobody", "start it without --no-connect, or have the other side dial")
        }
        None => {
            let advice = "start the node with --connect and that address, or have it found by discovery or a registry";
            Finding::bad(endpoint, "not_wanted", "this node was not told to dial it, and heard of nobody there", advice)
        }
    }
}

fn peers(node: &Node, about: &About, no_targets: bool) -> Vec<Finding> {
    let peers = node.peers();
    let connected = peers.iter().filter(|peer| peer.state == PeerState::Connected).count();
    let mut findings = Vec::new();
    match connected {
        0 if !about.dial => findings.push(Finding::note("peers", "no_connect", "none connected, and this node waits for others to dial")),
        0 if no_targets => {
            let advice = "name one with --connect or --registry, or let discovery find one on the own networks";
            findings.push(Finding::bad("peers", "alone", "none connected, and this node knows of nobody to dial", advice));
        }
        0 => findings.push(Finding::note("peers", "none", "none connected")),
        n => findings.push(Finding::ok("peers", format!("{n} connected"))),
    }
    for peer in peers.iter().filter(|peer| peer.state == PeerState::Connected && !peer.trusted) {
        let id = peer.id.map_or(String::new(), |id| id.to_string());
        let says = format!("{} is connected, but not trusted here: no records are exchanged", peer.node_id);
        let advice = format!("here, if the key is right: vixp2p trust add {id} --data DIR");
        findings.push(Finding { advice, ..Finding::note("trust", "untrusted", says) });
    }
    findings
}

/// What finds others: interfaces, discovery, the registry.
pub(crate) fn finders(about: &About) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !about.discovery {
        findings.push(Finding::note("discovery", "off", "off: nodes on the own networks are not found"));
    } else if let Some(finding) = interfaces(&about.interfaces) {
        findings.push(finding);
    }
    if !about.registry {
        findings.push(Finding::note("registry", "off", "none is asked"));
    }
    findings
}

/// The interfaces of the machine, or the named ones.
pub(crate) fn interfaces(named: &[String]) -> Option<Finding> {
    let all = if_addrs::get_if_addrs().ok()?;
    let wanted = |name: &str, loopback: bool| if named.is_empty() { !loopback } else { named.iter().any(|wanted| wanted == name) };
    let mut up: Vec<String> = all
        .iter()
        .filter(|interface| wanted(&interface.name, interface.is_loopback()))
        .map(|interface| format!("{} ({})", interface.name, interface.ip()))
        .collect();
    up.sort();
    up.dedup();
    if !up.is_empty() {
        return Some(Finding::ok("interfaces", up.join(", ")));
    }
    let says = if named.is_empty() { "none is up but loopback".to_owned() } else { format!("{} is not up", named.join(", ")) };
    let advice = "bring the interface up, or name another with --disc-iface".to_owned();
    Some(Finding { advice, ..Finding::note("interfaces", "no_interface", says + ": this machine reaches only itself") })
}
