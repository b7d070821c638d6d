//! The registry's file: entries in an embedded database, many changes a transaction. Never decides what stays.

use std::path::Path;

use parking_lot::Mutex;
use redb::{Database, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};
use vixp2p::base::limits;
use vixp2p::registry::Entry;
use vixp2p::registry::table::EntryKey;

use crate::failure::Failure;

/// Key and entry, both as JSON.
const ENTRIES: TableDefinition<'_, &str, &str> = TableDefinition::new("entries");

/// Changes of one transaction.
const BATCH_MAX: usize = 256;

enum Change {
    Put(Box<Entry>, oneshot::Sender<()>),
    Remove(Vec<EntryKey>),
    Close(oneshot::Sender<()>),
}

/// The way to the thread that owns the file.
pub(super) struct Store {
    changes: mpsc::Sender<Change>,
    /// What found no place; it goes with the next removal.
    unremoved: Mutex<Vec<EntryKey>>,
}

impl Store {
    /// Opens or makes the file; what is in it.
    pub(super) fn open(path: &Path) -> Result<(Store, Vec<Entry>), Failure> {
        let refuse = |error: redb::Error| Failure::Runtime(format!("--data {}: {error}", path.display()));
        let database = Database::create(path).map_err(|error| refuse(error.into()))?;
        let entries = load(&database).map_err(refuse)?;
        let (changes, queue) = mpsc::channel(limits::REGISTRY_CHANGES_MAX);
        let work = move || write_all(&database, queue);
        std::thread::Builder::new().name("vixp2p-registry".into()).spawn(work).map_err(Failure::io("starting the file's thread"))?;
        Ok((Store { changes, unremoved: Mutex::default() }, entries))
    }

    /// Puts an entry; whether it is in the file.
    pub(super) async fn put(&self, entry: Entry) -> bool {
        let (tell, told) = oneshot::channel();
        self.changes.send(Change::Put(Box::new(entry), tell)).await.is_ok() && told.await.is_ok()
    }

    /// Removes entries, some time. One that stays is over at the next start all the same.
    pub(super) fn remove(&self, keys: Vec<EntryKey>) {
        let mut unremoved = self.unremoved.lock();
        unremoved.extend(keys);
        if let Ok(place) = self.changes.try_reserve() {
            place.send(Change::Remove(std::mem::take(&mut unremoved)));
        }
        // They are at most those of the table, unless the file takes nothing for a long time.
        unremoved.truncate(limits::REGISTRY_ENTRIES_MAX);
    }

    /// Waits until everything before is in the file.
    pub(super) async fn close(&self) {
        let (tell, told) = oneshot::channel();
        if self.changes.send(Change::Close(tell)).await.is_ok() {
            // The thread's end is an answer too.
            let _ = told.await;
        }
    }
}

/// Every entry that can be read; others are of no use and are dropped.
fn load(database: &Database) -> Result<Vec<Entry>, redb::Error> {
    let transaction = database.begin_write()?;
    let mut entries = Vec::new();
    {
        let mut table = transaction.open_table(ENTRIES)?;
        let mut useless = Vec::new();
        for row in table.iter()? {
            let (key, value) = row?;
            match serde_json::from_str::<Entry>(value.value()) {
                Ok(entry) if entries.len() < limits::REGISTRY_ENTRIES_MAX => entries.push(entry),
                _ => useless.push(key.value().to_owned()),
            }
        }
        for key in useless {
            table.remove(key.as_str())?;
        }
    }
    transaction.commit()?;
    Ok(entries)
}

/// Writes until nobody has changes any more. Whoever waits for a change that cannot be written hears that its sender is gone.
fn write_all(database: &Database, mut queue: mpsc::Receiver<Change>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX
            && let Ok(change) = queue.try_recv()
        {
            batch.push(change);
        }
        match write(database, &batch) {
            Ok(()) => batch.into_iter().for_each(|change| {
                if let Change::Put(_, tell) | Change::Close(tell) = change {
                    // Whoever waited may have gone.
                    let _ = tell.send(());
                }
            }),
            Err(error) => {
                // With stderr closed the answers still tell.
                let _ =
                    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("vixp2p: the registry's file takes nothing: {error}\n"));
            }
        }
    }
}

fn write(database: &Database, batch: &[Change]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(ENTRIES)?;
        for change in batch {
            match change {
                Change::Put(entry, _) => {
                    let value = serde_json::to_string(entry).unwrap_or_default();
                    table.insert(name(&entry.key()).as_str(), value.as_str())?;
                }
                Change::Remove(keys) => {
                    for key in keys {
                        table.remove(name(key).as_str())?;
                    }
                }
                Change::Close(_) => {}
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn name(key: &EntryKey) -> String {
    serde_json::to_string(key).unwrap_or_default()
}
