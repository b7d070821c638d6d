//! What the application sets while it runs, which snapshots go, and when one is made for the cap.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::base::{Config, Incarnation, LogId, PeerId, limits};
use crate::crypto::{Identity, Secret};
use crate::driver::snapshots::{Archive, SnapshotHandler, cut, section};
use crate::outbox::OpId;
use crate::snapshot::retention::Kept;
use crate::snapshot::{Place, SnapshotId};

struct Nothing;

impl SnapshotHandler for Nothing {
    fn write(&mut self, own: u64, _out: &mut dyn Write) -> io::Result<u64> {
        Ok(own)
    }

    fn read(&mut self, _places: &[Place], _input: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> LogId {
    LogId { origin: PeerId([3; 32]), incarnation: Incarnation(1) }
}

fn archive() -> Archive {
    let identity = Arc::new(Identity::from_seed(&Secret::new([7; 32])));
    Archive::open(&Config::new("test"), identity).expect("memory").0
}

fn make(archive: &Archive, state: &[u8], applied: u64) -> SnapshotId {
    let mut store = archive.store.lock();
    let mut making = store.begin_make().expect("memory");
    store.make_more(&mut making, state).expect("memory");
    let places = vec![Place { log: log(), applied, sealed: None }];
    store.finish_make(making, archive.identity.as_ref(), (applied, "test"), places).expect("memory")
}

#[test]
fn a_handler_that_runs_is_set_all_the_same_and_one_that_is_taken_away_meanwhile_does_not_come_back() {
    let archive = archive();
    assert!(!archive.has_handler() && archive.with_handler(|_| ()).is_none());
    archive.set_handler(Some(Box::new(Nothing)));
    assert_eq!(archive.with_handler(|_| archive.has_handler()), Some(true));
    assert!(archive.has_handler());
    archive.with_handler(|_| archive.set_handler(None)).expect("there is one");
    assert!(!archive.has_handler() && archive.with_handler(|_| ()).is_none());
    archive.set_handler(Some(Box::new(Nothing)));
    archive.with_handler(|_| archive.set_handler(Some(Box::new(Nothing)))).expect("there is one");
    assert!(archive.has_handler() && archive.with_handler(|_| ()).is_some());
}

#[test]
fn a_state_has_the_name_of_the_configuration_and_the_ready_made_one_a_name_of_its_own() {
    let mut archive = archive();
    assert_eq!(archive.schema(), "");
    archive.name_form("ready made");
    assert_eq!(archive.schema(), "ready made");
    archive.config.schema = "orders 3".into();
    assert_eq!(archive.schema(), "orders 3");
}

#[test]
fn the_snapshot_that_a_peer_is_fetching_outlives_later_ones() {
    let archive = archive();
    let ids: Vec<SnapshotId> = (1..=5).map(|n| make(&archive, &[n as u8], n)).collect();
    archive.note_read(ids[0]);
    archive.note_read(ids[1]);
    archive.note_read(ids[4]);
    assert_eq!(archive.drop_old(), [ids[2], ids[0]], "of older ones the last that was read stays");
    assert_eq!(archive.held().iter().map(|held| held.id).collect::<Vec<_>>(), [ids[4], ids[3], ids[1]]);
    assert!(archive.held().len() < limits::SNAPSHOTS_HELD_MAX);
}

#[test]
fn what_a_snapshot_carries_of_the_outbox_is_an_error_where_it_cannot_be_read() {
    let archive = archive();
    let id = OpId { log: log(), seq: 1 };
    assert!(section::all(&archive).expect("none").is_none() && section::find(&archive, &id).expect("none").is_none());
    make(&archive, b"something else", 1);
    assert!(section::all(&archive).is_err() && section::find(&archive, &id).is_err());
}

#[test]
fn a_snapshot_is_made_for_the_cap_only_if_it_can_let_something_go_and_once() {
    let kept = |cuts: &[(u64, u64)]| BTreeMap::from([(log(), Kept { cuts: cuts.to_vec(), rest: 1 << 30 })]);
    let (full, none) = (kept(&[(10, 100), (20, 100)]), BTreeMap::new());
    let at = |applied| [Place { log: log(), applied, sealed: None }];
    assert!(cut::may_help(&full, &[], &none) && cut::may_help(&full, &at(19), &none));
    assert!(!cut::may_help(&kept(&[]), &[], &none), "one file, or a log that is parked at its beginning");
    assert!(!cut::may_help(&full, &at(20), &none), "the newest one has it all, and something else keeps the records");
    let tried = BTreeMap::from([(log(), 20)]);
    assert!(!cut::may_help(&full, &at(5), &tried), "the provider does not take it in");
    assert!(cut::may_help(&kept(&[(20, 100), (30, 100)]), &at(5), &tried), "there is more now");
}
