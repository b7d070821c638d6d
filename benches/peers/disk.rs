//! The disk's own pace, a plain preallocated file written and synced in batches, and the log's on the same disk.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use vixp2p::base::Incarnation;
use vixp2p::crypto::{Identity, Secret};
use vixp2p::driver::disk::DiskStorage;
use vixp2p::sync::Wal;

use crate::Result;

/// Records of `record` bytes per second when every `batch` of them is written and synced at once.
pub(crate) fn synced_records(dir: &Path, record: usize, batch: usize, secs: f64) -> Result<f64> {
    let path = dir.join(format!("vixp2p-bench-disk-{}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let block = vec![7u8; record * batch];
    let room = (64usize << 20).max(block.len());
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

/// Records of `record` bytes per second appended to a log, `batch` of them in one commit.
pub(crate) fn log_records(dir: &Path, record: usize, batch: usize, secs: f64) -> Result<f64> {
    let dir = dir.join(format!("vixp2p-bench-log-{}", std::process::id()));
    std::fs::create_dir(&dir)?;
    let identity = Arc::new(Identity::from_seed(&Secret::new([1; 32])));
    let (mut wal, _) = Wal::open(DiskStorage::new(&dir), identity, Incarnation(1))?;
    let records = vec![Bytes::from(vec![7; record]); batch];
    let (start, mut appended) = (Instant::now(), 0u64);
    while start.elapsed().as_secs_f64() < secs {
        wal.append(0, &records)?;
        appended += batch as u64;
    }
    let rate = appended as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&dir)?;
    Ok(rate)
}
