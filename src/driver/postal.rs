//! Two tasks that seal and open messages over routes, outside the node's lock and one after the other.
//!
//! Decides nothing. What waits here is bounded by the mesh: own messages by `POSTS_MAX`, parcels to open by `OPENINGS_MAX`, copies that
//! were not sent by the rates of a relay.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::base::PeerId;
use crate::crypto::Secret;
use crate::driver::{Present, Shell};
use crate::mesh::io::Input;
use crate::wire::message::{Parcel, ParcelId, route};

/// Something to do outside the lock.
#[derive(Debug)]
pub(crate) enum Job {
    /// An own message.
    Seal { number: u64, to: PeerId, from_run: u64, to_run: u64, payload: Bytes },
    /// A link's queue was full.
    Unsent(ParcelId),
    /// A parcel to this node.
    Open { ticket: u64, parcel: Parcel },
}

/// The way to the two tasks.
#[derive(Debug)]
pub(crate) struct Postal {
    sealing: UnboundedSender<Job>,
    opening: UnboundedSender<Job>,
    waiting: Mutex<Option<[UnboundedReceiver<Job>; 2]>>,
}

impl Default for Postal {
    fn default() -> Postal {
        let ((sealing, to_seal), (opening, to_open)) = (unbounded_channel(), unbounded_channel());
        Postal { sealing, opening, waiting: Mutex::new(Some([to_seal, to_open])) }
    }
}

impl Postal {
    /// Queues a job; lost when the node stops, as is everything it was about.
    pub(crate) fn queue(&self, job: Job) {
        let queue = if matches!(job, Job::Open { .. }) { &self.opening } else { &self.sealing };
        let _ = queue.send(job);
    }

    /// What the two tasks run on; once.
    pub(crate) fn take(&self) -> Option<[UnboundedReceiver<Job>; 2]> {
        self.waiting.lock().take()
    }
}

/// Runs one queue until the node's tasks are ended.
pub(crate) async fn run(shell: Arc<Shell>, mut jobs: UnboundedReceiver<Job>, _present: Present) {
    while let Some(job) = jobs.recv().await {
        if let Job::Open { .. } = job {
            // An application that does not take what is there gets no more of it, as with links.
            shell.ring.data_room().await;
        }
        if let Some(input) = done(&shell, job) {
            shell.step(input);
        }
        tokio::task::yield_now().await;
    }
}

fn done(shell: &Shell, job: Job) -> Option<Input> {
    Some(match job {
        Job::Seal { number, to, from_run, to_run, payload } => {
            let mut ephemeral = Secret::zero();
            // Without random numbers nothing is sealed, and the message ends with its life.
            getrandom::fill(ephemeral.expose_mut()).ok()?;
            let sealed = shell.party.seal_parcel(&to, &route::header(from_run, to_run, number), &payload, &ephemeral);
            Input::Sealed { number, to_run, sealed: sealed.map(|sealed| (sealed.bytes.into(), sealed.answers)) }
        }
        Job::Unsent(id) => Input::Unsent { id },
        Job::Open { ticket, parcel } => {
            let opened = shell.party.open_parcel(&parcel.id.from, &parcel.header(), &parcel.sealed);
            Input::Opened { ticket, opened: opened.map(|opened| (opened.payload.into(), opened.answers)) }
        }
    })
}
