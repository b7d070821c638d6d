//! The outbox: verbs for everything a mesh can ask of its carrier. Never decides and never reorders.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::{CloseReason, Endpoint, Event, LinkId, LogId, PeerId};
use crate::mesh::io::{Output, SealRecord, SnapshotOutput};
use crate::sync::Group;
use crate::wire::Message;
use crate::wire::message::Parcel;

/// Outputs in the order they were decided, until the carrier takes them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Output>,
}

impl Outbox {
    /// The oldest output not taken yet.
    pub(super) fn next(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub(super) fn dial(&mut self, link: LinkId, endpoint: Endpoint, expected: Option<PeerId>) {
        self.queue.push_back(Output::Dial { link, endpoint, expected });
    }

    pub(super) fn send(&mut self, link: LinkId, message: Message) {
        self.queue.push_back(Output::Send { link, message });
    }

    pub(super) fn close(&mut self, link: LinkId, reason: CloseReason) {
        self.queue.push_back(Output::Close { link, reason });
    }

    pub(super) fn rekey(&mut self, link: LinkId, fresh: bool) {
        self.queue.push_back(Output::Rekey { link, fresh });
    }

    pub(super) fn route(&mut self, peer: PeerId, link: Option<LinkId>) {
        self.queue.push_back(Output::Route { peer, link });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.queue.push_back(Output::Event(event));
    }

    pub(super) fn store(&mut self, link: LinkId, group: Group) {
        self.queue.push_back(Output::Store { link, group });
    }

    pub(super) fn read(&mut self, link: LinkId, log: LogId, from: u64, max_bytes: usize) {
        self.queue.push_back(Output::Read { link, log, from, max_bytes });
    }

    pub(super) fn last_seals(&mut self, logs: Vec<LogId>) {
        self.queue.push_back(Output::LastSeals { logs });
    }

    pub(super) fn compare(&mut self, link: LinkId, log: LogId, seal: SealRecord) {
        self.queue.push_back(Output::Compare { link, log, seal });
    }

    pub(super) fn seal(&mut self, number: u64, to: PeerId, (from_run, to_run): (u64, u64), payload: Bytes) {
        self.queue.push_back(Output::Seal { number, to, from_run, to_run, payload });
    }

    pub(super) fn open(&mut self, ticket: u64, parcel: Parcel) {
        self.queue.push_back(Output::Open { ticket, parcel });
    }

    pub(super) fn apply(&mut self, log: LogId, from: u64, upto: u64) {
        self.queue.push_back(Output::Apply { log, from, upto });
    }

    pub(super) fn snapshot(&mut self, wanted: SnapshotOutput) {
        self.queue.push_back(Output::Snapshot(wanted));
    }

    pub(super) fn park(&mut self, log: LogId, applied: u64, parked: Option<u64>) {
        self.queue.push_back(Output::Park { log, applied, parked });
    }
}
