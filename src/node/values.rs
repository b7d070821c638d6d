//! The ready-made state of a node: the last value of each key, replicated, in snapshots, and there again after a restart.

use std::io::{self, Read, Write};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::base::{Error, LogId, Result, limits};
use crate::driver::apply::{Outcome, Standing};
use crate::driver::log::now_us;
use crate::driver::snapshots::SnapshotHandler;
use crate::driver::values::{Values, payload};
use crate::snapshot::Place;
use crate::sync::Group;

use super::{Inner, Node};

/// The last value of each key, over all nodes that share records: a map that every one of them may change. The later change wins by the
/// clock of whoever made it, and always over what it had seen.
#[derive(Clone)]
pub struct LastValues {
    values: Arc<Mutex<Values>>,
    node: Weak<Inner>,
}

impl Node {
    /// Keeps the last value of each key: takes the place of [`Node::on_apply`], [`Node::on_cursor`] and [`Node::on_snapshot`]. Call it
    /// before the first start, on every node of the cluster. All of it is in memory; the file `values` of the data directory has it too.
    pub fn keep_last_values(&self) -> Result<LastValues> {
        let values = Arc::new(Mutex::new(Values::open(self.inner.config.data_dir.as_deref())?));
        self.take_own(&mut values.lock())?;
        let theirs = values.clone();
        self.on_apply(move |record| match theirs.lock().take(record.log, record.seq, record.payload) {
            Ok(()) => Outcome::Applied,
            Err(_) => Outcome::Retry,
        });
        let theirs = values.clone();
        self.on_cursor(move |log| Standing::from(Some(theirs.lock().cursor(&log).unwrap_or(0))));
        self.on_snapshot(Handler { values: values.clone(), own: Arc::downgrade(&self.inner) });
        Ok(LastValues { values, node: Arc::downgrade(&self.inner) })
    }

    /// What this node wrote before it ended and its file does not have.
    fn take_own(&self, values: &mut Values) -> Result<()> {
        let state = self.inner.state.lock();
        let wal = state.wal.as_ref().ok_or_else(|| Error::Invalid("keep_last_values comes before start".into()))?;
        for log in wal.states().into_iter().map(|state| state.log).filter(|log| self.is_own(*log)) {
            let mut next = values.cursor(&log).unwrap_or(0).max(wal.base(log)) + 1;
            while next <= wal.durable(log) {
                let groups = wal.read(log, next, limits::READ_RECORDS_MAX_BYTES).map_err(|e| Error::Log(e.to_string()))?;
                for entry in groups.iter().flat_map(Group::entries) {
                    values.take(log, entry.seq, &entry.payload).map_err(Error::io("writing the last values".to_owned()))?;
                }
                next =
                    groups.last().map(|group| group.last).ok_or_else(|| Error::Log(format!("record {next} of {log} cannot be read")))? + 1;
            }
        }
        Ok(())
    }
}

impl LastValues {
    /// Gives a key a value; durable here and on its way to the others when it returns. Blocks.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.change(key, Some(value))
    }

    /// Takes a key's value away. Blocks.
    pub fn remove(&self, key: &[u8]) -> Result<()> {
        self.change(key, None)
    }

    fn change(&self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let node = self.node.upgrade().map(|inner| Node { inner }).ok_or(Error::Stopped)?;
        // One change at a time, so that the file has the own log's records in their order.
        let mut values = self.values.lock();
        let payload = payload(values.time_for(key, now_us()), key, value)?;
        let (seq, _) = node.append_blocking(vec![Bytes::from(payload.clone())])?;
        values.take(node.own_log(), seq, &payload).map_err(Error::io("writing the last values".to_owned()))
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.values.lock().get(key)
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
        let log: Option<LogId> = self.own.upgrade().map(|inner| Node { inner }.own_log());
        let mut values = self.values.lock();
        values.settle()?;
        values.write_to(out)?;
        Ok(log.and_then(|log| values.cursor(&log)).unwrap_or(0).min(own))
    }

    fn read(&mut self, places: &[Place], input: &mut dyn Read) -> io::Result<()> {
        let places: Vec<(LogId, u64)> = places.iter().map(|place| (place.log, place.applied)).collect();
        self.values.lock().read_from(input, &places)
    }
}
