//! The local door of a running node: a Unix socket in its data directory, and the frames that pass through it.
//!
//! ```text
//! len u32 | kind u8 | body        len counts kind and body, big-endian
//! ```
//!
//! Only who may open the directory's files may use it (mode 0600). Never on the network.

pub(crate) mod client;
pub(crate) mod reach;
pub(crate) mod server;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use vixp2p::PeerId;
use vixp2p::base::{Incarnation, Level, LogId};

use crate::commands::doctor::{Finding, Question};
use crate::commands::outbox;
use crate::commands::send::{Ending, Letter};
use crate::commands::sync::SyncStatus;
use crate::commands::trust::Order;

pub(crate) const SOCKET: &str = "control.sock";
/// One request or reply: a batch of records (at most one of the largest, or many small ones) or all known keys, with room to spare.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;
/// `sockaddr_un` holds 108 bytes; longer paths go through the directory's descriptor.
const SOCKET_PATH_MAX_BYTES: usize = 100;

/// What a client asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// Append these records; the answer comes when they are durable.
    Append(Vec<Bytes>),
    /// Tell the node's status now and whenever it changes, until the client goes.
    Watch,
    /// Show or change whose keys are trusted.
    Trust(Order),
    /// Write log lines from that level on.
    LogLevel(Level),
    /// Say why peers are not connected.
    Doctor(Question),
    /// Tell how far replication has come.
    Sync,
    /// Put, show, take back or execute operations.
    Outbox(outbox::Order),
    /// Send a message to a peer; the answer comes when it has arrived or was given up.
    Send(Letter),
}

/// What the node answers.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Reply {
    /// The records are durable.
    Appended {
        /// The node's log.
        log: LogId,
        /// Number of the first record.
        first: u64,
        /// Number of the last record.
        last: u64,
    },
    /// The node's status.
    Status(Box<Status>),
    /// The order about keys is carried out; lines for people.
    Trust(Vec<String>),
    /// The level of log lines before it was changed.
    LogLevel(Level),
    /// What the node knows.
    Doctor(Vec<Finding>),
    /// How far replication has come.
    Sync(Box<SyncStatus>),
    /// What became of an order about operations.
    Outbox(outbox::Answer),
    /// What became of a message.
    Sent(Ending),
    /// The request failed; the sentence says why.
    Refused(String),
}

/// How a node stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Public key.
    pub(crate) id: String,
    /// Label.
    pub(crate) node_id: String,
    /// Listening TCP port; 0 if none.
    pub(crate) port: u16,
    /// Peers connected now.
    pub(crate) connected: u64,
    /// Last durable record of the node's own log.
    pub(crate) own: u64,
    /// Last durable records of other nodes' logs, together.
    pub(crate) stored: u64,
    /// Lines in the `--apply-to` file.
    pub(crate) applied: u64,
}

impl Request {
    fn encode(&self) -> BytesMut {
        match self {
            Request::Append(records) => frame(1, |body| {
                for record in records {
                    body.put_u32(record.len() as u32);
                    body.put_slice(record);
                }
            }),
            Request::Watch => frame(2, |_| {}),
            Request::LogLevel(level) => frame(20, |body| body.put_u8(*level as u8)),
            Request::Doctor(question) => frame(21, |body| body.put_slice(&serde_json::to_vec(question).unwrap_or_default())),
            Request::Sync => frame(16, |_| {}),
            Request::Outbox(order) => frame(26, |body| body.put_slice(&serde_json::to_vec(order).unwrap_or_default())),
            Request::Send(Letter { to, life, text }) => frame(25, |body| {
                body.put_slice(to.as_bytes());
                body.put_u32(u32::try_from(life.as_millis()).unwrap_or(u32::MAX));
                body.put_slice(text);
            }),
            Request::Trust(order) => frame(3, |body| body.put_slice(&serde_json::to_vec(order).unwrap_or_default())),
        }
    }

    fn decode(kind: u8, mut body: Bytes) -> Option<Request> {
        match kind {
            1 => {
                let mut records = Vec::new();
                while !body.is_empty() {
                    let len = body.try_get_u32().ok()? as usize;
                    if len > body.len() {
                        return None;
                    }
                    records.push(body.split_to(len));
                }
                Some(Request::Append(records))
            }
            2 => body.is_empty().then_some(Request::Watch),
            3 => serde_json::from_slice(&body).ok().map(Request::Trust),
            20 if body.len() == 1 => Level::from_number(body[0]).map(Request::LogLevel),
            21 => serde_json::from_slice(&body).ok().map(Request::Doctor),
            16 => body.is_empty().then_some(Request::Sync),
            26 => serde_json::from_slice(&body).ok().map(Request::Outbox),
            25 => {
                let mut to = [0; 32];
                body.try_copy_to_slice(&mut to).ok()?;
                let life = Duration::from_millis(body.try_get_u32().ok()?.into());
                Some(Request::Send(Letter { to: PeerId(to), life, text: body }))
            }
            _ => None,
        }
    }
}

impl Reply {
    fn encode(&self) -> BytesMut {
        match self {
            Reply::Appended { log, first, last } => frame(0x81, |body| {
                body.put_slice(log.origin.as_bytes());
                [log.incarnation.0, *first, *last].into_iter().for_each(|n| body.put_u64(n));
            }),
            Reply::Status(status) => frame(0x82, |body| body.put_slice(&serde_json::to_vec(status).unwrap_or_default())),
            Reply::Trust(lines) => frame(0x83, |body| body.put_slice(&serde_json::to_vec(lines).unwrap_or_default())),
            Reply::LogLevel(level) => frame(0xa0, |body| body.put_u8(*level as u8)),
            Reply::Doctor(findings) => frame(0xa1, |body| body.put_slice(&serde_json::to_vec(findings).unwrap_or_default())),
            Reply::Sync(status) => frame(0x90, |body| body.put_slice(&serde_json::to_vec(status).unwrap_or_default())),
            Reply::Outbox(answer) => frame(0xc0, |body| body.put_slice(&serde_json::to_vec(answer).unwrap_or_default())),
            Reply::Sent(end) => frame(0xb8, |body| body.put_slice(&serde_json::to_vec(end).unwrap_or_default())),
            Reply::Refused(why) => frame(0xff, |body| body.put_slice(why.as_bytes())),
        }
    }

    fn decode(kind: u8, mut body: Bytes) -> Option<Reply> {
        match kind {
            0x81 => {
                let mut origin = [0; 32];
                body.try_copy_to_slice(&mut origin).ok()?;
                let incarnation = Incarnation(body.try_get_u64().ok()?);
                let (first, last) = (body.try_get_u64().ok()?, body.try_get_u64().ok()?);
                Some(Reply::Appended { log: LogId { origin: PeerId(origin), incarnation }, first, last })
            }
            0x82 => serde_json::from_slice(&body).ok().map(|status| Reply::Status(Box::new(status))),
            0x83 => serde_json::from_slice(&body).ok().map(Reply::Trust),
            0xa0 if body.len() == 1 => Level::from_number(body[0]).map(Reply::LogLevel),
            0xa1 => serde_json::from_slice(&body).ok().map(Reply::Doctor),
            0x90 => serde_json::from_slice(&body).ok().map(|status| Reply::Sync(Box::new(status))),
            0xc0 => serde_json::from_slice(&body).ok().map(Reply::Outbox),
            0xb8 => serde_json::from_slice(&body).ok().map(Reply::Sent),
            0xff => Some(Reply::Refused(String::from_utf8_lossy(&body).into_owned())),
            _ => None,
        }
    }
}

fn frame(kind: u8, fill: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_u32(0);
    frame.put_u8(kind);
    fill(&mut frame);
    let len = (frame.len() - 4) as u32;
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

/// The next frame; `None` if the other side ended between two frames.
async fn read_frame(stream: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Option<(u8, Bytes)>> {
    let mut head = [0; 4];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let len = u32::from_be_bytes(head) as usize;
    if !(1..=FRAME_MAX_BYTES).contains(&len) {
        return Err(malformed(&format!("frame of {len} bytes, limit is {FRAME_MAX_BYTES}")));
    }
    let kind = stream.read_u8().await?;
    let mut body = vec![0; len - 1];
    stream.read_exact(&mut body).await?;
    Ok(Some((kind, body.into())))
}

async fn write_frame(stream: &mut (impl AsyncWriteExt + Unpin), frame: &[u8]) -> io::Result<()> {
    stream.write_all(frame).await
}

fn malformed(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// A path to `name` in `dir` that fits a socket address, and what must stay open while it is used.
fn socket_path(dir: &Path, name: &str) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;
    let path = dir.join(name);
    if path.as_os_str().len() <= SOCKET_PATH_MAX_BYTES {
        return Ok((path, None));
    }
    let handle = std::fs::File::open(dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{name}", handle.as_raw_fd())), Some(handle)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(frame: BytesMut) -> (u8, Bytes) {
        let frame = frame.freeze();
        (frame[4], frame.slice(5..))
    }

    #[test]
    fn requests_and_replies_survive_the_wire() {
        let add = Request::Trust(Order::Add { key: "k".into(), label: "l\n".into() });
        let doctor = Request::Doctor(Question { endpoints: vec!["tcp://h:1".into()] });
        let two = vec![Bytes::new(), Bytes::from_static(b"two")];
        let level = Request::LogLevel(Level::Trace);
        let fail = Request::Outbox(outbox::Order::Fail { id: "i".into(), for_good: true, why: "w".into() });
        let send = Request::Send(Letter { to: PeerId([4; 32]), life: Duration::from_millis(1_500), text: Bytes::from_static(b"hello") });
        let list = Request::Outbox(outbox::Order::List { after: Some(("sent".into(), "n".into())) });
        for request in
            [list, Request::Append(two), Request::Append(Vec::new()), Request::Watch, Request::Sync, add, level, doctor, fail, send]
        {
            let (kind, bytes) = body(request.encode());
            assert_eq!(Request::decode(kind, bytes), Some(request));
        }
        let log = LogId { origin: PeerId([3; 32]), incarnation: Incarnation(4) };
        let findings = Reply::Doctor(vec![Finding::bad("port", "port_in_use", "it is", "do")]);
        let (appended, lines) = (Reply::Appended { log, first: 1, last: 2 }, Reply::Trust(vec!["line".into()]));
        let claimed = Reply::Outbox(outbox::Answer::Claimed(None));
        let sent = Reply::Sent(Ending { delivered: false, text: "why".into() });
        for reply in [appended, Reply::Refused("no".into()), lines, Reply::LogLevel(Level::Off), findings, claimed, sent] {
            let (kind, bytes) = body(reply.encode());
            assert_eq!(Reply::decode(kind, bytes), Some(reply));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        assert_eq!(Request::decode(1, Bytes::from_static(&[0, 0, 0, 9, 1])), None);
        assert_eq!(Request::decode(1, Bytes::from_static(&[0, 0])), None);
        assert_eq!(Request::decode(2, Bytes::from_static(&[0])), None);
        assert_eq!(Request::decode(9, Bytes::new()), None);
        assert_eq!(Request::decode(20, Bytes::from_static(&[7])), None);
        assert_eq!(Request::decode(20, Bytes::from_static(&[1, 1])), None);
        assert_eq!(Request::decode(21, Bytes::from_static(b"{")), None);
        assert_eq!(Request::decode(26, Bytes::from_static(b"\"burn\"")), None);
        assert_eq!(Request::decode(25, Bytes::from_static(&[1; 35])), None);
    }
}
