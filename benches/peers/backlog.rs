//! A backlog that a node has on its disk when a fresh one comes, beside the same bytes as a sealed stream: taken as they come, and
//! written and synced by their receiver. Neither yardstick proves, orders or applies anything.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use bytes::Bytes;
use vixp2p::{Event, Node, PeerId};

use crate::parent::{Options, Row, Server};
use crate::work::{self, Receiver};
use crate::{Result, disk};

/// Bytes of one record.
pub(crate) const RECORD_BYTES: usize = 1024;
/// Records appended by one call while the backlog is made.
const APPEND_BATCH: usize = 4096;
/// By so much memory may grow on either side, in MiB.
const LIMIT_MIB: f64 = 64.0;
/// Messages on their way to the disk of the sink: 4 MiB, as much as the window of replication holds.
const SINK_QUEUE: usize = 64;

/// The rows of this file: the backlog beside what a sealed stream of the same bytes reaches, then by how much memory grew.
pub(crate) fn rows() -> Vec<Row> {
    let row = |name: &str, unit, yardstick_name, floor| Row { name: name.into(), unit, yardstick_name, floor, ..Row::default() };
    vec![
        row("backlog replicated, durable, applied", "1 KiB/s", "sealed stream, kept nowhere", ""),
        row("  the same", "1 KiB/s", "sealed stream, written and synced", ">= 0.70"),
        row("  the same", "1 KiB/s", "disk, 1 MiB per fdatasync", ""),
        row("  memory grown, sender", "MiB", "limit", "<= 1.00"),
        row("  memory grown, receiver", "MiB", "limit", "<= 1.00"),
    ]
}

/// One round of the rows.
pub(crate) fn measure(options: &Options, rows: &mut [Row]) -> Result<()> {
    let bytes = options.backlog.to_string();
    let run = |contender: &str, mode: &str, kept: bool| -> Result<(Vec<f64>, f64)> {
        let program = std::env::current_exe()?;
        let server = Server::start(&program, contender, kept)?;
        let before = begin_memory(&server.id());
        let output = Command::new(&program)
            .args(["drive", "vixp2p", mode, &bytes, "0", &server.address])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(format!("{contender} {mode}: {}", output.status).into());
        }
        let values = String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
        Ok((values, peak_memory(&server.id()) - before))
    };
    let (free, _) = run("vixp2p", "stream", false)?;
    let (synced, _) = run("vixp2p-sink", "stream", true)?;
    let disk = disk::synced_records(&std::env::temp_dir(), RECORD_BYTES, 1024, options.secs)?;
    let (ours, receiver) = run("vixp2p", "backlog", true)?;
    let figures = [(ours[0], free[0]), (ours[0], synced[0]), (ours[0], disk), (ours[1], LIMIT_MIB), (receiver, LIMIT_MIB)];
    for (row, (ours, yardstick)) in rows.iter_mut().zip(figures) {
        row.ours.push(ours);
        row.yardstick.push(yardstick);
    }
    Ok(())
}

/// Makes a backlog of so many bytes.
async fn fill(node: &Node, bytes: usize) -> Result<u64> {
    let (mut left, mut last) = (bytes / RECORD_BYTES, 0);
    let record = Bytes::from_static(&[7; RECORD_BYTES]);
    while left > 0 {
        let n = left.min(APPEND_BATCH);
        last = node.append(vec![record.clone(); n]).await?.1;
        left -= n;
    }
    Ok(last)
}

/// Sends a backlog of so many bytes: records a second that became durable and applied at the peer, and by how many MiB the memory of
/// this process grew meanwhile.
pub(crate) async fn drive(open: impl Fn() -> Result<Node>, bytes: usize, peer: &str) -> Result<(f64, f64)> {
    let node = open()?;
    node.start()?;
    let last = fill(&node, bytes).await?;
    node.stop().await;
    drop(node);
    let node = open()?;
    node.start()?;
    let before = begin_memory("self");
    node.connect(peer.parse()?)?;
    let mut start = None;
    loop {
        match node.next_event().await {
            Some(Event::PeerConnected { .. }) => start = Some(Instant::now()),
            Some(Event::Acked { applied, .. }) if applied >= last => break,
            Some(Event::ConnectFailed { reason, .. } | Event::PeerDisconnected { reason, .. }) => return Err(reason.to_string().into()),
            Some(_) => {}
            None => return Err("node stopped".into()),
        }
    }
    let took = start.map_or(f64::NAN, |start| start.elapsed().as_secs_f64());
    let grown = peak_memory("self") - before;
    node.stop().await;
    Ok((last as f64 / took, grown))
}

/// Resident memory of a process in MiB, from where its peak is counted now.
pub(crate) fn begin_memory(process: &str) -> f64 {
    // Where that may not be written the peak is the one since the start, which only makes the figure worse.
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
    memory(process, "VmRSS:")
}

/// Peak resident memory of a process in MiB.
pub(crate) fn peak_memory(process: &str) -> f64 {
    memory(process, "VmHWM:")
}

fn memory(process: &str, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
}

/// A thread that writes messages into a file, syncs what came together, and answers through the node once the last is durable.
pub(crate) struct Sink {
    queue: mpsc::SyncSender<(PeerId, Bytes)>,
}

impl Sink {
    /// Writes into a file in `dir`.
    pub(crate) fn new(node: &Node, dir: &Path) -> Result<Sink> {
        std::fs::create_dir_all(dir)?;
        let path: PathBuf = dir.join("stream");
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        let (queue, waiting) = mpsc::sync_channel(SINK_QUEUE);
        let node = node.clone();
        std::thread::spawn(move || {
            if let Err(error) = write_all(&node, file, &waiting) {
                eprintln!("bench: the sink: {error}");
                std::process::exit(1);
            }
        });
        Ok(Sink { queue })
    }

    /// Takes a message; waits while the disk is behind.
    pub(crate) fn take(&self, peer: PeerId, message: Bytes) -> Result<()> {
        self.queue.send((peer, message)).map_err(|_| "the sink ended".into())
    }
}

fn write_all(node: &Node, mut file: File, waiting: &mpsc::Receiver<(PeerId, Bytes)>) -> Result<()> {
    let mut receiver = Receiver::default();
    while let Ok(first) = waiting.recv() {
        let batch: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
        batch.iter().try_for_each(|(_, message)| file.write_all(message))?;
        file.sync_data()?;
        for (peer, message) in batch {
            receiver.take(&message);
            for reply in receiver.replies.drain(..) {
                // The sender may have closed right after its last message.
                let _ = node.send(peer, &reply);
            }
        }
        if let Some(damage) = receiver.damaged.take() {
            return Err(damage.into());
        }
    }
    Ok(())
}

/// Sends so many bytes in messages of the size of a group: records a second, if each were one of them.
pub(crate) async fn stream<C: work::Channel>(channel: &mut C, bytes: usize) -> Result<f64> {
    let message = 64 << 10;
    Ok(work::exactly(channel, message, (bytes / message) as u64).await? * (message / RECORD_BYTES) as f64)
}
