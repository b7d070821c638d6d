//! Durable appends of embedded stores: SQLite with a write-ahead log and synchronous=FULL, redb, fjall.
//!
//! A commit is answered once it is on the disk. Several writers share a store as they would in an application that cares: one thread
//! commits all that waits in one transaction. Never measures what is not synced.

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use crate::Result;

/// Something that makes records durable, all of a call at once.
trait Store: Send {
    fn commit(&mut self, first: u64, records: &[Vec<u8>]) -> Result<()>;
}

struct Sqlite(rusqlite::Connection);

impl Sqlite {
    fn open(dir: &Path) -> Result<Sqlite> {
        let db = rusqlite::Connection::open(dir.join("store.sqlite"))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, record BLOB NOT NULL)", [])?;
        Ok(Sqlite(db))
    }
}

impl Store for Sqlite {
    fn commit(&mut self, first: u64, records: &[Vec<u8>]) -> Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO log VALUES (?, ?)")?;
            for (seq, record) in (first..).zip(records) {
                insert.execute((i64::try_from(seq)?, record))?;
            }
        }
        Ok(transaction.commit()?)
    }
}

struct Redb(redb::Database);

impl Redb {
    const LOG: redb::TableDefinition<'static, u64, &'static [u8]> = redb::TableDefinition::new("log");
}

impl Store for Redb {
    fn commit(&mut self, first: u64, records: &[Vec<u8>]) -> Result<()> {
        // Durability::Immediate is what a transaction has if nothing else is said.
        let transaction = self.0.begin_write()?;
        {
            let mut log = transaction.open_table(Redb::LOG)?;
            for (seq, record) in (first..).zip(records) {
                log.insert(seq, record.as_slice())?;
            }
        }
        Ok(transaction.commit()?)
    }
}

struct Fjall {
    db: fjall::Database,
    log: fjall::Keyspace,
}

impl Fjall {
    fn open(dir: &Path) -> Result<Fjall> {
        let db = fjall::Database::builder(dir.join("store.fjall")).open()?;
        let log = db.keyspace("log", fjall::KeyspaceCreateOptions::default)?;
        Ok(Fjall { db, log })
    }
}

impl Store for Fjall {
    fn commit(&mut self, first: u64, records: &[Vec<u8>]) -> Result<()> {
        let mut batch = self.db.batch();
        for (seq, record) in (first..).zip(records) {
            batch.insert(&self.log, seq.to_be_bytes(), record.as_slice());
        }
        batch.commit()?;
        Ok(self.db.persist(fjall::PersistMode::SyncData)?)
    }
}

/// Prints how many records of `size` bytes a second `writers` threads make durable, each waiting for its own.
pub(crate) fn append(name: &str, writers: usize, size: usize, secs: f64, dir: &Path) -> Result<()> {
    let mut store: Box<dyn Store> = match name {
        "sqlite" => Box::new(Sqlite::open(dir)?),
        "redb" => Box::new(Redb(redb::Database::create(dir.join("store.redb"))?)),
        "fjall" => Box::new(Fjall::open(dir)?),
        other => return Err(format!("unknown store {other}").into()),
    };
    // What a store makes when it is first written to is not measured.
    store.commit(0, &[vec![7; size]])?;
    let rate = if writers == 1 { alone(store, size, secs)? } else { shared(store, writers, size, secs)? };
    println!("{rate}");
    Ok(())
}

fn alone(mut store: Box<dyn Store>, size: usize, secs: f64) -> Result<f64> {
    let record = [vec![7; size]];
    let (start, mut done) = (Instant::now(), 0u64);
    while start.elapsed().as_secs_f64() < secs {
        done += 1;
        store.commit(done, &record)?;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

fn shared(mut store: Box<dyn Store>, writers: usize, size: usize, secs: f64) -> Result<f64> {
    let (queue, waiting) = mpsc::channel::<(Vec<u8>, mpsc::SyncSender<()>)>();
    let committer = std::thread::spawn(move || -> Result<u64> {
        let mut done = 0;
        while let Ok(first) = waiting.recv() {
            let (records, answers): (Vec<_>, Vec<_>) = std::iter::once(first).chain(waiting.try_iter()).unzip();
            store.commit(done + 1, &records)?;
            done += records.len() as u64;
            for answer in answers {
                // A writer that ended wants no answer.
                let _ = answer.send(());
            }
        }
        Ok(done)
    });
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..writers {
            let queue = queue.clone();
            scope.spawn(move || {
                let (answer, answered) = mpsc::sync_channel(1);
                while start.elapsed().as_secs_f64() < secs {
                    if queue.send((vec![7; size], answer.clone())).is_err() || answered.recv().is_err() {
                        break;
                    }
                }
            });
        }
    });
    let took = start.elapsed().as_secs_f64();
    drop(queue);
    let done = committer.join().map_err(|_| "the store's thread panicked")??;
    Ok(done as f64 / took)
}
