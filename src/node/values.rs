//! The ready-made state of a node: the last value of each key, replicated, in snapshots, and there again after a restart.

use std::io::{self, Read, Write};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::base::config::Durability;
use crate::base::{Error, Event, LogId, LogRange, Result, limits};
use crate::driver::apply::{Outcome, Standing};
use crate::driver::log::now_us;
use crate::driver::ring::Item;
use crate::driver::snapshots::{self, SnapshotHandler};
use crate::driver::values::{Values, payload};
use crate::driver::workers::NodeWal;
use crate::snapshot::Place;
use crate::sync::Group;

use super::{Inner, Node};

/// What snapshots of this state are called where the configuration calls them nothing: no other application takes them for its own.
const FORM: &str = "last values 1";

/// The last value of each key, over all nodes that share records: a map that every one of them may change. The later change wins by the
/// clock of whoever made it, and always over what it had seen.
#[derive(Clone)]
pub struct LastValues {
    values: Arc<Mutex<Values>>,
    /// Held by whoever changes one, so that the file has the own log's records in their order. Whoever applies does not wait for it.
    changing: Arc<Mutex<()>>,
    node: Weak<Inner>,
}

impl Node {
    /// Keeps the last value of each key: takes the place of [`Node::on_apply`], [`Node::on_cursor`] and [`Node::on_snapshot`]. Call it
    /// before the first start, on every node of the cluster. All of it is in memory; the file `values` of the data directory has it too.
    pub fn keep_last_values(&self) -> Result<LastValues> {
        let mut values = Values::open(self.inner.config.data_dir.as_deref())?;
        if let Some(detail) = values.damage.take() {
            self.inner.ring.push(Item::Event(Event::LogDamaged { detail }));
        }
        // Until all is set no other thread starts the node.
        let mut state = self.inner.state.lock();
        let wal = state.wal.as_ref().ok_or_else(|| Error::Invalid("keep_last_values comes before start".into()))?;
        self.take_own(wal, &mut values)?;
        let values = Arc::new(Mutex::new(values));
        let (archive, own) = (&self.inner.archive, Arc::downgrade(&self.inner));
        archive.name_form(FORM);
        // Applied on the apply thread, which makes snapshots too.
        archive.set_gate(None);
        archive.set_handler(Some(Box::new(Handler { values: values.clone(), own: own.clone() })));
        let theirs = values.clone();
        state.handler = Some(Box::new(move |record| match theirs.lock().take(record.log, record.seq, record.payload) {
            Ok(()) => Outcome::Applied,
            Err(_) => Outcome::Retry,
        }));
        let theirs = values.clone();
        state.cursor = Some(Arc::new(move |log| Standing::from(Some(theirs.lock().cursor(&log).unwrap_or(0)))));
        state.apply_in_ring = false;
        Ok(LastValues { values, changing: Arc::default(), node: own })
    }

    /// What this node wrote before it ended and its file does not have; from the newest snapshot where the records are gone.
    fn take_own(&self, wal: &NodeWal, values: &mut Values) -> Result<()> {
        for log in wal.states().into_iter().map(|state| state.log).filter(|log| self.is_own(*log)) {
            let (base, lacks) = (wal.base(log), |values: &Values| values.cursor(&log).unwrap_or(0) < wal.base(log));
            if lacks(values) {
                let read = self.inner.archive.read_newest(|places, input| values.read_from(input, &places_of(places)));
                let why = read.err().map(|e| format!(" ({e})")).unwrap_or_default();
                if lacks(values) {
                    let at = values.cursor(&log).unwrap_or(0);
                    return Err(Error::Log(format!(
                        "the last values stand at record {at} of {log}, records up to {base} are no longer kept, and no snapshot here has \
                         them{why}: restore the file values, or begin with an empty data directory"
                    )));
                }
            }
            let mut next = values.cursor(&log).unwrap_or(0) + 1;
            while next <= wal.durable(log) {
                let groups = wal.read(log, next, limits::READ_RECORDS_MAX_BYTES).map_err(|e| Error::Log(e.to_string()))?;
                for entry in groups.iter().flat_map(Group::entries) {
                    values.take_own(log, entry.seq, &entry.payload);
                }
                next =
                    groups.last().map(|group| group.last).ok_or_else(|| Error::Log(format!("record {next} of {log} cannot be read")))? + 1;
            }
        }
        Ok(())
    }

    /// Takes what this node's logs hold and the values lack: an append whose end was not heard of, and records of an earlier log that
    /// came back from peers, which are not applied.
    fn catch_up(&self, values: &mut Values) -> Result<()> {
        let shell = match self.shell() {
            Err(Error::Stopped) => {
                let state = self.inner.state.lock();
                return self.take_own(state.wal.as_ref().ok_or(Error::Stopped)?, values);
            }
            other => other?,
        };
        let own = shell.log.flush_blocking()?;
        for place in snapshots::log::places(&shell, own)?.1.into_iter().filter(|place| self.is_own(place.log)) {
            let log = place.log;
            let mut next = values.cursor(&log).unwrap_or(0) + 1;
            while next <= place.applied {
                let gone =
                    |base: u64| Error::Log(format!("records {next} to {base} of {log} are no longer kept, and the values lack them"));
                let groups = shell.log.fetch_blocking(log, next, limits::READ_RECORDS_MAX_BYTES).map_err(gone)?;
                let last = groups.last().map(|group| group.last);
                let last = last.ok_or_else(|| Error::Log(format!("record {next} of {log} cannot be read")))?;
                for entry in groups.iter().flat_map(Group::entries) {
                    values.take_own(log, entry.seq, &entry.payload);
                }
                next = last + 1;
            }
        }
        Ok(())
    }
}

fn places_of(places: &[Place]) -> Vec<(LogId, u64)> {
    places.iter().map(|place| (place.log, place.applied)).collect()
}

impl LastValues {
    /// Gives a key a value; durable here, whatever [`Config::durability`](crate::Config) says, and on its way to the others when it returns.
    /// Blocks.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(key, Some(value))
    }

    /// Takes a key's value away. Blocks.
    pub fn remove(&self, key: &[u8]) -> Result<()> {
        self.change(key, None)
    }

    fn change(&self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let node = self.node.upgrade().map(|inner| Node { inner }).ok_or(Error::Stopped)?;
        let _one = self.changing.lock();
        let payload = {
            let mut values = self.values.lock();
            if values.lacks_own {
                node.catch_up(&mut values)?;
                values.lacks_own = false;
            }
            Bytes::from(payload(values.time_for(key, now_us()), key, value)?)
        };
        // Nothing is locked meanwhile but other changes: who appends may be asked how far the values are.
        let mut appended = node.append_records_blocking(vec![payload.clone()]);
        if node.inner.config.durability == Durability::Buffered {
            // The file must not be ahead of the log, whose numbers a power cut would have used again.
            appended = appended.and_then(|range| node.flush_blocking().map(|_| range));
        }
        let mut values = self.values.lock();
        // It may be in the log all the same.
        values.lacks_own |= appended.is_err();
        let LogRange { log, first, .. } = appended?;
        values.take_own(log, first, &payload);
        Ok(())
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.values.lock().get(key)
    }

    /// The first key that has a value, or the first behind `after`: for going through all of them, one at a time, while others come.
    pub fn next_key(&self, after: Option<&[u8]>) -> Option<Vec<u8>> {
        self.values.lock().next_key(after).map(<[u8]>::to_vec)
    }

    /// Every key that has a value, with it, in the order of the keys.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.values.lock().entries()
    }
}

impl std::fmt::Debug for LastValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LastValues")
    }
}

struct Handler {
    values: Arc<Mutex<Values>>,
    own: Weak<Inner>,
}

impl SnapshotHandler for Handler {
    fn write(&mut self, own: u64, out: &mut dyn Write) -> io::Result<u64> {
        let mut values = self.values.lock();
        let node = self.own.upgrade().map(|inner| Node { inner });
        node.as_ref().map_or(Ok(()), |node| node.catch_up(&mut values)).map_err(io::Error::other)?;
        let log: Option<LogId> = node.map(|node| node.own_log());
        values.settle()?;
        values.write_to(out)?;
        Ok(log.and_then(|log| values.cursor(&log)).unwrap_or(0).min(own))
    }

    fn read(&mut self, places: &[Place], input: &mut dyn Read) -> io::Result<()> {
        self.values.lock().read_from(input, &places_of(places))
    }
}
