//! The measured process: one node with the default settings, and an application that takes every event.

use std::io::{BufRead, Write};
use std::time::Duration;

use vixp2p::base::TrustPolicy;
use vixp2p::base::config::Listen;
use vixp2p::{Config, Node};

use crate::Result;

/// Says the port, then answers every line on stdin with the numbers of connected peers and unfinished handshakes and the bytes that are
/// allocated, until there are no more. At `trim` it has the allocator give back the pages in which nothing lives.
pub(crate) fn run(max_peers: usize) -> Result<()> {
    let mut config = Config::new("hub");
    config.listen = Listen::On { host: "127.0.0.1".into(), port: 0 };
    config.max_peers = max_peers;
    config.trust = Some(TrustPolicy::Open);
    let node = Node::open(config)?;
    node.start()?;
    let taker = node.clone();
    std::thread::spawn(move || while taker.wait_event(Duration::from_secs(3600)).is_some() || taker.is_running() {});
    let mut out = std::io::stdout();
    writeln!(out, "{}", node.port())?;
    for line in std::io::stdin().lock().lines() {
        if line? == "trim" {
            trim();
        }
        let stats = node.stats();
        writeln!(out, "{} {} {}", stats.peers_connected, stats.half_open, allocated())?;
    }
    node.stop_blocking();
    Ok(())
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn trim() {
    #[expect(unsafe_code, reason = "the C library has no other way to it")]
    // SAFETY: takes a number and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes that are in use as far as the allocator knows, in every arena; small ones a thread keeps for itself are among them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn allocated() -> usize {
    #[expect(unsafe_code, reason = "the C library has no other way to it")]
    // SAFETY: takes nothing and may be called at any time from any thread.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn trim() {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn allocated() -> usize {
    0
}
