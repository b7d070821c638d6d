//! The disk's own pace, a plain preallocated file written and synced in batches, and the log's on the same disk.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use vixp2p::{Config, Node};

use crate::Result;

/// Room made in advance, with zeros that are on the disk, and used again from the front when it is full.
const FILE_BYTES: usize = 64 << 20;

/// Records of `record` bytes per second when every `batch` of them is written and synced at once.
pub(crate) fn synced_records(dir: &Path, record: usize, batch: usize, secs: f64) -> Result<f64> {
    let path = dir.join(format!("vixp2p-bench-disk-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let block = vec![7u8; record * batch];
    let room = FILE_BYTES.max(block.len());
    file.write_all_at(&vec![0; room], 0)?;
    file.sync_all()?;
    let start = Instant::now();
    let (mut at, mut records) = (0, 0u64);
    while start.elapsed().as_secs_f64() < secs {
        if at + block.len() > room {
            at = 0;
        }
        file.write_all_at(&block, at as u64)?;
        file.sync_data()?;
        at += block.len();
        records += batch as u64;
    }
    let rate = records as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Records of `record` bytes per second of a plain log that `writers` threads share: one thread takes what waits, writes it behind
/// the rest, syncs and answers.
pub(crate) fn plain_log(dir: &Path, record: usize, writers: usize, secs: f64) -> Result<f64> {
    let path = dir.join(format!("vixp2p-bench-{}.plain", std::process::id()));
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let (queue, waiting) = mpsc::channel::<(Vec<u8>, mpsc::SyncSender<()>)>();
    let log = std::thread::spawn(move || -> std::io::Result<()> {
        let mut at = 0;
        while let Ok(first) = waiting.recv() {
            let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
            let bytes: Vec<u8> = batch.iter().flat_map(|(record, _)| record).copied().collect();
            at = if at + bytes.len() > FILE_BYTES { 0 } else { at };
            file.write_all_at(&bytes, at as u64)?;
            file.sync_data()?;
            at += bytes.len();
            for (_, answer) in batch {
                // A writer that ended wants no answer.
                let _ = answer.send(());
            }
        }
        Ok(())
    });
    let rate = by_writers(writers, secs, || {
        let (queue, (answer, answered)) = (queue.clone(), mpsc::sync_channel(1));
        move || {
            Ok(queue
                .send((vec![7; record], answer.clone()))
                .map_err(|_| "the log ended")
                .and(answered.recv().map_err(|_| "the log ended"))?)
        }
    })?;
    drop(queue);
    log.join().map_err(|_| "the plain log panicked")??;
    std::fs::remove_file(&path)?;
    Ok(rate)
}

/// Records of `record` bytes per second that `writers` threads append to a node, each waiting until its own is durable.
pub(crate) fn appends(dir: &Path, record: usize, writers: usize, secs: f64) -> Result<f64> {
    let dir = dir.join(format!("vixp2p-bench-log-{}", std::process::id()));
    let node = Node::open(Config { data_dir: Some(dir.clone()), ..Config::new("bench") })?;
    node.start()?;
    let payload = Bytes::from(vec![7; record]);
    let rate = by_writers(writers, secs, || {
        let (node, payload) = (node.clone(), payload.clone());
        move || Ok(node.append_blocking(vec![payload.clone()]).map(|_| ())?)
    })?;
    node.stop_blocking();
    drop(node);
    std::fs::remove_dir_all(&dir)?;
    Ok(rate)
}

/// Calls per second of `writers` threads together, each with a call of its own.
fn by_writers<W: FnMut() -> Result<()> + Send>(writers: usize, secs: f64, mut writer: impl FnMut() -> W) -> Result<f64> {
    let start = Instant::now();
    let work = |mut call: W| -> Result<u64> {
        let mut done = 0;
        while start.elapsed().as_secs_f64() < secs {
            call()?;
            done += 1;
        }
        Ok(done)
    };
    let calls: Vec<W> = (0..writers).map(|_| writer()).collect();
    let done: Result<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = calls.into_iter().map(|call| scope.spawn(|| work(call))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a writer panicked")?).sum()
    });
    Ok(done? as f64 / start.elapsed().as_secs_f64())
}
