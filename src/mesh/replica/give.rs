//! t
use crate::base::{CloseReason, LinkId, Time};
use crate::mesh::io::SnapshotInput;
use crate::mesh::out::Outbox;
use crate::mesh::replica::Replica;
use crate::wire::message::{SnapshotData, SnapshotFetch, SnapshotOffer};

impl Replica {
    pub(in crate::mesh) fn snapshot(&mut self, _now: Time, _told: SnapshotInput, _out: &mut Outbox) -> Option<(LinkId, CloseReason)> {
        None
    }
    pub(in crate::mesh) fn offered(&mut self, _n: Time, _l: LinkId, _o: SnapshotOffer, _out: &mut Outbox) -> Result<(), CloseReason> {
        Ok(())
    }
    pub(in crate::mesh) fn fetched(&mut self, _l: LinkId, _f: SnapshotFetch, _out: &mut Outbox) -> Result<(), CloseReason> {
        Ok(())
    }
    pub(in crate::mesh) fn part_came(&mut self, _n: Time, _l: LinkId, _d: SnapshotData, _out: &mut Outbox) -> Result<(), CloseReason> {
        Ok(())
    }
}
