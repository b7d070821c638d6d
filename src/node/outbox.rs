//! Directed work: operations for one node or all, executed once, answered for by their targets. Passes everything on to the driver.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::{Error, PeerId, Result};
use crate::driver::Shell;
use crate::driver::outbox::{Operation, Room};
use crate::mesh::io::Input;
use crate::outbox::{Held, OpId, OpView, State, Target};

use super::Node;

/// The outbox of a running node. Ends with the run: after a stop and a start ask the node for it again.
///
/// Every call blocks until what it says is durable.
#[derive(Clone)]
pub struct NodeOutbox {
    shell: Arc<Shell>,
    room: Arc<Room>,
}

impl std::fmt::Debug for NodeOutbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeOutbox")
    }
}

impl Node {
    /// The node's outbox. The first call in a run reads every log that is here once, and blocks meanwhile; a node that is to execute
    /// operations calls it after every start.
    pub fn outbox(&self) -> Result<NodeOutbox> {
        let shell = self.shell_to_wait_for()?;
        let room = shell.outbox.room(&shell)?;
        room.wait_caught_up()?;
        Ok(NodeOutbox { shell, room })
    }
}

impl NodeOutbox {
    /// Puts an operation for one node, sealed so that nobody else can read it, or for all. It is carried by whoever meets and
    /// executed once, however often an operation with the same `key` (if not empty) is put. After an error it may be in the log all
    /// the same: put again with the same key it is executed once.
    pub fn put(&self, target: Target, kind: &str, key: &[u8], payload: &[u8]) -> Result<OpId> {
        self.shell.may_wait()?;
        self.room.put(&self.shell, target, kind, key, payload)
    }

    /// Takes an operation for this node, to be executed and reported by [`NodeOutbox::done`] or [`NodeOutbox::fail`] within half a
    /// minute; otherwise it is offered again. `None` if none is due within `timeout`.
    pub fn claim(&self, timeout: Duration) -> Result<Option<Operation>> {
        #[expect(clippy::disallowed_methods, reason = "the caller's timeout is in real time")]
        let deadline = Instant::now().checked_add(timeout);
        self.shell.may_wait()?;
        self.room.claim(&self.shell, deadline)
    }

    /// A claimed operation has taken effect. When this returns its receipt is durable, and it is never offered again; if the program
    /// ends before, it is offered once more. After [`Error::Log`](crate::Error::Log) the receipt is written as soon as the disk lets it.
    pub fn done(&self, id: &OpId) -> Result<()> {
        self.shell.may_wait()?;
        self.room.done(&self.shell, id)
    }

    /// A claimed operation could not be executed. It is tried again, eight times in all, or given up at once if that is no use
    /// (`for_good`); the sender is told of the end, by a receipt as [`NodeOutbox::done`] writes it. One with the key of another that was
    /// reported done late is answered as that one.
    pub fn fail(&self, id: &OpId, for_good: bool, detail: &str) -> Result<()> {
        self.shell.may_wait()?;
        self.room.fail(&self.shell, id, for_good, detail)
    }

    /// Waits until an operation that this node put is over ([`State::Done`] or [`State::PermanentFailed`]), or `timeout`; where it stands
    /// then.
    pub fn wait(&self, id: &OpId, timeout: Duration) -> Result<State> {
        #[expect(clippy::disallowed_methods, reason = "the caller's timeout is in real time")]
        let deadline = Instant::now().checked_add(timeout);
        self.shell.may_wait()?;
        self.room.wait(&self.shell, id, deadline)
    }

    /// Every operation that this node put, or is to execute.
    pub fn list(&self) -> Vec<OpView> {
        self.room.list(&self.shell)
    }

    /// Lists those that are finished no more; how many there were.
    pub fn prune(&self) -> Result<usize> {
        self.shell.may_wait()?;
        self.room.settle(&self.shell, None)
    }

    /// Takes an operation back that this node put: targets that have not claimed it will not execute it. Whether there was one.
    pub fn withdraw(&self, id: OpId) -> Result<bool> {
        self.shell.may_wait()?;
        self.room.settle(&self.shell, Some(vec![id])).map(|count| count > 0)
    }

    /// Asks a connected peer for where operations for `target` lie in the logs it carries; if it trusts this node,
    /// [`Event::OutboxHeld`](crate::Event) tells. Their records come by replication, as all do.
    pub fn ask(&self, peer: PeerId, target: PeerId, max_items: u32) -> Result<()> {
        self.shell.route_to(&peer).ok_or(Error::NotConnected(peer))?;
        self.shell.step(Input::PullOutbox { peer, target, max_items });
        Ok(())
    }

    /// Where operations for `target` lie in the logs here that it has not answered for, whoever put them.
    pub fn pull(&self, target: PeerId, max_items: usize) -> Vec<Held> {
        self.room.pull(target, max_items)
    }
}
