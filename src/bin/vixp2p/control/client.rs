//! Talking to the node that runs on a data directory, if one does. Never opens the directory itself.

use std::io;
use std::path::Path;

use bytes::Bytes;
use tokio::net::UnixStream;
use vixp2p::base::{Level, LogId, limits};

use crate::commands::doctor::{Finding, Question};
use crate::commands::outbox;
use crate::commands::send::{Ending, Letter};
use crate::commands::sync::SyncStatus;
use crate::commands::trust::Order;
use crate::control::{Reply, Request, SOCKET, Status, read_frame, socket_path, write_frame};
use crate::failure::Failure;

/// A connection to a running node.
#[derive(Debug)]
pub(crate) struct Client {
    stream: UnixStream,
}

impl Client {
    /// Connects to the node that runs on `dir`; `None` if none does.
    pub(crate) async fn connect(dir: &Path) -> Result<Option<Client>, Failure> {
        let context = || format!("connecting to the node on {}", dir.display());
        let path = match socket_path(dir, SOCKET) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(Failure::io(context()))?,
        };
        match UnixStream::connect(&path.0).await {
            Ok(stream) => Ok(Some(Client { stream })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
            Err(error) => Err(Failure::io(context())(error)),
        }
    }

    /// Appends records that together fit a [`Batch`]; returns when they are durable.
    pub(crate) async fn append(&mut self, records: Vec<Bytes>) -> Result<(LogId, u64, u64), Failure> {
        self.ask(&Request::Append(records)).await?;
        match self.answer().await? {
            Some(Reply::Appended { log, first, last }) => Ok((log, first, last)),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Err(Failure::Runtime("the node ended before it confirmed; tail shows whether the records are in the log".into())),
        }
    }

    /// How far replication has come; `None` if the node has ended.
    pub(crate) async fn sync_status(&mut self) -> Result<Option<SyncStatus>, Failure> {
        if self.ask(&Request::Sync).await.is_err() {
            return Ok(None);
        }
        match self.answer().await? {
            Some(Reply::Sync(status)) => Ok(Some(*status)),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Ok(None),
        }
    }

    /// Has the node carry out an order about keys; lines for people.
    pub(crate) async fn trust(&mut self, order: Order) -> Result<Vec<String>, Failure> {
        self.ask(&Request::Trust(order)).await?;
        match self.answer().await? {
            Some(Reply::Trust(lines)) => Ok(lines),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Err(Failure::Runtime("the node ended before it confirmed; trust list shows what holds".into())),
        }
    }

    /// Has the node write log lines from that level on; the level before.
    pub(crate) async fn log_level(&mut self, level: Level) -> Result<Level, Failure> {
        self.ask(&Request::LogLevel(level)).await?;
        match self.answer().await? {
            Some(Reply::LogLevel(was)) => Ok(was),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Err(Failure::Runtime("the node ended before it answered".into())),
        }
    }

    /// Has the node carry out an order about operations.
    pub(crate) async fn outbox(&mut self, order: outbox::Order) -> Result<outbox::Answer, Failure> {
        self.ask(&Request::Outbox(order)).await?;
        match self.answer().await? {
            Some(Reply::Outbox(answer)) => Ok(answer),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Err(Failure::Runtime("the node ended before it confirmed; outbox list shows what holds".into())),
        }
    }

    /// What the node knows about peers that are not connected.
    pub(crate) async fn doctor(&mut self, question: Question) -> Result<Vec<Finding>, Failure> {
        self.ask(&Request::Doctor(question)).await?;
        match self.answer().await? {
            Some(Reply::Doctor(findings)) => Ok(findings),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Err(Failure::Runtime("the node ended before it answered".into())),
        }
    }

    /// Has the node send a message; returns when it has arrived or was given up.
    pub(crate) async fn send(&mut self, letter: Letter) -> Result<Ending, Failure> {
        self.ask(&Request::Send(letter)).await?;
        match self.answer().await? {
            Some(Reply::Sent(end)) => Ok(end),
            Some(Reply::Refused(why)) => Err(Failure::Runtime(why)),
            Some(_) => Err(Failure::Runtime("the node answered something else than was asked".into())),
            None => Err(Failure::Runtime("the node ended before it heard of the message, which may have arrived".into())),
        }
    }

    /// Asks for the node's status now and at every change; [`Client::status`] takes them.
    pub(crate) async fn watch(&mut self) -> Result<(), Failure> {
        self.ask(&Request::Watch).await
    }

    /// The next status; `None` when the node has ended. Not to be cancelled half-way.
    pub(crate) async fn status(&mut self) -> Option<Status> {
        match self.answer().await {
            Ok(Some(Reply::Status(status))) => Some(*status),
            _ => None,
        }
    }

    async fn ask(&mut self, request: &Request) -> Result<(), Failure> {
        write_frame(&mut self.stream, &request.encode()).await.map_err(Failure::io("asking the running node"))
    }

    async fn answer(&mut self) -> Result<Option<Reply>, Failure> {
        let Some((kind, body)) = read_frame(&mut self.stream).await.map_err(Failure::io("hearing from the running node"))? else {
            return Ok(None);
        };
        let reply = Reply::decode(kind, body);
        reply.map(Some).ok_or_else(|| Failure::Runtime("the node's answer cannot be understood; is it of another version?".into()))
    }
}

/// Records that travel and become durable together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    records: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    /// Adds a record.
    pub(crate) fn push(&mut self, record: Bytes) {
        self.bytes += record.len();
        self.records.push(record);
    }

    /// Whether it is time to send it: as much as one group commit takes.
    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= limits::GROUP_MAX_RECORDS || self.bytes >= limits::GROUP_MAX_BYTES
    }

    /// The records; the batch is empty then.
    pub(crate) fn take(&mut self) -> Vec<Bytes> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }
}
