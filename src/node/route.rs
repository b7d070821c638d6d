//! Messages to peers that need not be connected, and the ways to them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::base::route::Route;
use crate::base::{Error, PeerId, Result, limits};
use crate::mesh::io::Input;

use super::Node;

impl Node {
    /// Sends a message to a peer, connected or not: over its link, or over relays that the node finds by itself. Sealed end to end; the
    /// recipient gets it as [`Event::Data`](crate::Event::Data) from this node, at most once, in no promised order. Returns its number:
    /// [`Event::Delivered`](crate::Event::Delivered) or [`Event::Undelivered`](crate::Event::Undelivered) tells what became of it within
    /// `life` (`None`: 30 s, at most ten minutes). A node that stops forgets what is under way.
    ///
    /// Answers [`Error::WouldBlock`] while 1024 messages (or 4 MiB) are under way, or the events of 1024 wait to be read.
    ///
    /// For messages that cannot wait to be a record, and for few of them: a link's own [`Node::send`] is faster and keeps order.
    pub fn send_to(&self, peer: PeerId, payload: &[u8], life: Option<Duration>) -> Result<u64> {
        let shell = self.shell()?;
        self.check_other(peer, "a message")?;
        if payload.len() > limits::ROUTED_MAX_BYTES {
            return Err(Error::TooLarge { what: "message over a route", got: payload.len(), max: limits::ROUTED_MAX_BYTES });
        }
        if !self.inner.ring.has_room_for_ends() || !shell.look(|mesh, _| mesh.may_post(payload.len())) {
            return Err(Error::WouldBlock);
        }
        let number = self.inner.posts.fetch_add(1, Ordering::Relaxed) + 1;
        let life = life.unwrap_or(limits::ROUTE_LIFE);
        shell.step(Input::Post { number, to: peer, payload: Bytes::copy_from_slice(payload), life });
        Ok(number)
    }

    /// Says that `peer` is reached by the neighbour `next_hop`, over `ttl` links at most (1 to 8). Taken whenever `next_hop` is connected
    /// and `peer` itself is not; without such a word a way is searched. Holds until it is removed or the node is destroyed.
    pub fn set_route(&self, peer: PeerId, next_hop: PeerId, ttl: u8) -> Result<()> {
        self.check_other(peer, "a route")?;
        self.check_other(next_hop, "a route by a neighbour")?;
        if ttl == 0 || ttl > limits::ROUTE_TTL {
            return Err(Error::Invalid(format!("a route's ttl is {ttl}; possible are 1 to {}", limits::ROUTE_TTL)));
        }
        // Held until the mesh knows: two that set the same route leave the node and its mesh of one mind.
        let mut routes = self.inner.routes.lock();
        if routes.len() >= limits::ROUTES_MAX && !routes.contains_key(&peer) {
            return Err(Error::Invalid(format!("{} routes are set, which is the limit; remove some", routes.len())));
        }
        routes.insert(peer, (next_hop, ttl));
        if let Ok(shell) = self.shell() {
            shell.step(Input::RouteTo { to: peer, way: Some((next_hop, ttl)) });
        }
        Ok(())
    }

    /// Takes back what [`Node::set_route`] said, and forgets what was found by searching. Whether anything had been said.
    pub fn remove_route(&self, peer: PeerId) -> bool {
        let mut routes = self.inner.routes.lock();
        let removed = routes.remove(&peer).is_some();
        if let Ok(shell) = self.shell() {
            shell.step(Input::RouteTo { to: peer, way: None });
        }
        removed
    }

    /// The way a message to `peer` would take now; `None` if one would be searched, or the node does not run.
    pub fn route(&self, peer: PeerId) -> Option<Route> {
        self.shell().ok()?.look(|mesh, _| mesh.resolve(&peer))
    }

    fn check_other(&self, peer: PeerId, what: &str) -> Result<()> {
        if peer == self.id() {
            return Err(Error::Invalid(format!("{what} to this node itself; name another peer")));
        }
        Ok(())
    }
}
