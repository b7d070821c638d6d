//! Discovery on the simulated network: nodes announce themselves to those they share a segment with, as the driver's beacon does.
//!
//! Two nodes share a segment if one is to stay connected to the other, so that rows and trees stay what they are. A datagram is late,
//! or lost: it never waits for a partition to end. Decides nothing.

use core::net::SocketAddr;

use crate::base::config::Psk;
use crate::base::{DiscoveryConfig, limits};
use crate::discovery::{Discovery, DiscoverySettings, Output, PathId, Seals};
use crate::mesh::io::Input;
use crate::sim::check::Check;
use crate::sim::node::{endpoint, name};
use crate::sim::world::{What, World};

/// The one network there is.
const PATH: PathId = PathId(1);

/// Whence a node's datagrams come.
fn address(node: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, (node >> 8) as u8, node as u8], limits::DISCOVERY_PORT))
}

/// The node at an address.
fn node_at(address: SocketAddr) -> Option<usize> {
    match address {
        SocketAddr::V4(address) => match address.ip().octets() {
            [10, 0, high, low] => Some(usize::from(high) << 8 | usize::from(low)),
            _ => None,
        },
        SocketAddr::V6(_) => None,
    }
}

impl World<'_> {
    /// A node that has just started announces itself, if the network is one where nodes do.
    pub(super) fn begin_beacon(&mut self, node: usize) -> Check {
        if !self.profile.lan {
            return Ok(());
        }
        let psk = self.profile.psk.map(Psk::new);
        let settings = DiscoverySettings {
            node_id: name(node).to_string(),
            tcp_port: endpoint(node).port,
            config: DiscoveryConfig::default(),
            unix_ms: 0,
            seals: Seals::new(psk.as_ref(), None),
            seed: self.rng.u64(..),
        };
        let now = self.now;
        if let Some(life) = &mut self.nodes[node].life {
            life.beacon = Some(Discovery::new(settings));
            life.beacon.iter_mut().for_each(|beacon| beacon.set_paths(now, [PATH]));
        }
        self.carry_beacon(node)
    }

    /// A beacon does what is due.
    pub(super) fn beacon_turn(&mut self, node: usize) -> Check {
        let now = self.now;
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        if life.beacon_armed.is_some_and(|at| at <= now) {
            life.beacon_armed = None;
        }
        life.beacon.iter_mut().for_each(|beacon| beacon.tick(now));
        self.carry_beacon(node)
    }

    /// A datagram comes to where a node may be.
    pub(super) fn datagram(&mut self, from: usize, to: usize, datagram: &[u8]) -> Check {
        let now = self.now;
        if let Some(beacon) = self.nodes[to].life.as_mut().and_then(|life| life.beacon.as_mut()) {
            beacon.receive(now, PATH, address(from), datagram);
        }
        self.carry_beacon(to)
    }

    fn carry_beacon(&mut self, node: usize) -> Check {
        while let Some(output) = self.nodes[node].life.as_mut().and_then(|life| life.beacon.as_mut()?.next_output()) {
            match output {
                Output::Announce { datagram, .. } => {
                    for to in 0..self.nodes.len() {
                        if self.share_a_segment(node, to) {
                            self.throw(node, to, datagram.clone());
                        }
                    }
                }
                Output::Answer { to, datagram, .. } => {
                    if let Some(to) = node_at(to).filter(|to| *to < self.nodes.len()) {
                        self.throw(node, to, datagram);
                    }
                }
                Output::Found { endpoint, proven, .. } => self.step(node, Input::Found { endpoint, proven })?,
                Output::Heard { endpoint, fresh, restarted, proven } => {
                    self.step(node, Input::Heard { endpoint, fresh, restarted, proven })?;
                }
            }
        }
        let now = self.now;
        let Some(life) = &mut self.nodes[node].life else { return Ok(()) };
        let due = life.beacon.as_ref().and_then(Discovery::deadline).map(|due| due.max(now));
        if let Some(due) = due.filter(|due| life.beacon_armed.is_none_or(|at| at > *due)) {
            life.beacon_armed = Some(due);
            let life = life.number;
            self.at(due, What::Beacon { node, life });
        }
        Ok(())
    }

    fn share_a_segment(&self, a: usize, b: usize) -> bool {
        self.profile.edges.iter().any(|edge| *edge == (a, b) || *edge == (b, a))
    }

    fn throw(&mut self, from: usize, to: usize, datagram: Vec<u8>) {
        let latency = self.net.latency(&mut self.rng);
        let lost = self.rng.u32(..1000) < self.profile.dial_loss;
        if !lost && !self.net.blocks(from, to) {
            self.after(latency, What::Datagram { from, to, datagram });
        }
    }
}
