//! `sync status`: how far every log is at the running node and at its peers, once or again and again. Changes nothing.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vixp2p::Node;

use crate::args::sync::{SyncArgs, SyncCommand, SyncStatusArgs};
use crate::control::client::Client;
use crate::failure::Failure;

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// What the node answers, in the words of its JSON form.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct SyncStatus {
    /// The node's key.
    pub(crate) id: String,
    /// Every log, the own one first.
    pub(crate) logs: Vec<LogLine>,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogLine {
    log: LogName,
    own: bool,
    durable: u64,
    applied: u64,
    lag: Lag,
    parked: Option<u64>,
    waits: Option<Wait>,
    frozen: bool,
    peers: Vec<PeerLine>,
}

/// A record that comes after others, and the first of those.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct Wait {
    seq: u64,
    needs: Cause,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct Cause {
    log: LogName,
    seq: u64,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct LogName {
    origin: String,
    incarnation: u64,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct PeerLine {
    peer: String,
    durable: u64,
    applied: u64,
    lag: Lag,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct Lag {
    records: u64,
    bytes: u64,
    ms: u64,
}

/// What the node tells clients.
pub(crate) async fn status(node: &Node) -> Result<SyncStatus, String> {
    let logs = serde_json::to_value(node.sync_status().await).and_then(serde_json::from_value).map_err(|e| e.to_string())?;
    Ok(SyncStatus { id: node.id().to_string(), logs })
}

pub(crate) async fn run(args: SyncArgs) -> Result<(), Failure> {
    let SyncCommand::Status(SyncStatusArgs { data, json, watch }) = args.command;
    let Some(mut client) = Client::connect(&data).await? else {
        return Err(Failure::Runtime(format!(
            "no node runs on {}; peers are only known to a running node, vixp2p wal stat shows what is in the log files",
            data.display()
        )));
    };
    let mut told = None;
    loop {
        let status = match client.sync_status().await? {
            Some(status) => status,
            None if told.is_some() => return Ok(()),
            None => return Err(Failure::Runtime("the node ended before it answered".into())),
        };
        if told.as_ref() != Some(&status) {
            let text = if json { serde_json::to_string(&status).unwrap_or_default() + "\n" } else { describe(&status) };
            let mut out = io::stdout().lock();
            let home = if watch && !json && out.is_terminal() { "\x1b[H\x1b[J" } else { "" };
            write!(out, "{home}{text}").and_then(|()| out.flush()).map_err(Failure::stdout)?;
            told = Some(status);
        }
        if !watch {
            return Ok(());
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

/// One line a log, and one a peer below it.
fn describe(status: &SyncStatus) -> String {
    let mut text = String::new();
    for LogLine { log, own, durable, applied, lag, parked, waits, frozen, peers } in &status.logs {
        let LogName { origin, incarnation } = log;
        let whose = if *own { ", this node's" } else { "" };
        let frozen = if *frozen { ", frozen: two histories of it were seen" } else { "" };
        let _ = writeln!(text, "log {origin}/{incarnation:016x}{whose}{frozen}");
        let mut stuck = parked.map_or(String::new(), |seq| format!(", parked at record {seq}"));
        if let Some(Wait { seq, needs: Cause { log: LogName { origin, incarnation }, seq: needed } }) = waits {
            let origin = origin.get(..8).unwrap_or(origin);
            let _ = write!(stuck, ", record {seq} waits for record {needed} of {origin}/{incarnation:016x}");
        }
        let _ = writeln!(text, "  {:<10}durable {durable:<12}applied {applied:<12}{}{stuck}", "here", behind(lag, "not applied: "));
        for PeerLine { peer, durable, applied, lag } in peers {
            let short = peer.get(..8).unwrap_or(peer);
            let _ = writeln!(text, "  {short:<10}durable {durable:<12}applied {applied:<12}{}", behind(lag, "behind: "));
        }
    }
    text
}

fn behind(lag: &Lag, what: &str) -> String {
    match lag.records {
        0 => "up to date".into(),
        // Not measured: of very many places, or what is not kept.
        records if lag.bytes == 0 => format!("{what}{records} records"),
        records => format!("{what}{records} records, {} bytes, {}.{} s", lag.bytes, lag.ms / 1000, lag.ms % 1000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line_a_log_and_one_a_place() {
        let lag = |records| Lag { records, bytes: 100, ms: 1234 };
        let peers = vec![PeerLine { peer: "ab".repeat(32), durable: 7, applied: 6, lag: lag(2) }];
        let log = LogName { origin: "cd".repeat(32), incarnation: 5 };
        let other = LogName { origin: "ef".repeat(32), incarnation: 6 };
        let line = |lag| {
            let log = LogName { origin: String::new(), incarnation: 0 };
            LogLine { log, own: false, durable: 5, applied: 3, lag, parked: None, waits: None, frozen: false, peers: Vec::new() }
        };
        let logs = vec![
            LogLine { log, own: true, durable: 9, applied: 9, lag: lag(0), parked: None, waits: None, frozen: false, peers },
            LogLine { log: other.clone(), parked: Some(4), waits: None, frozen: true, ..line(lag(2)) },
            LogLine { log: other.clone(), waits: Some(Wait { seq: 4, needs: Cause { log: other, seq: 12 } }), ..line(lag(2)) },
        ];
        let text = describe(&SyncStatus { id: String::new(), logs });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("cdcd/0000000000000005, this node's"), "{text}");
        assert_eq!(lines[1], "  here      durable 9           applied 9           up to date");
        assert_eq!(lines[2], "  abababab  durable 7           applied 6           behind: 2 records, 100 bytes, 1.2 s");
        assert!(lines[3].ends_with("efef/0000000000000006, frozen: two histories of it were seen"), "{text}");
        assert!(lines[4].ends_with("not applied: 2 records, 100 bytes, 1.2 s, parked at record 4"), "{text}");
        assert!(lines[6].ends_with("1.2 s, record 4 waits for record 12 of efefefef/0000000000000006"), "{text}");
    }
}
