//! The disk's own pace: a plain preallocated file, written and synced in batches.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

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
