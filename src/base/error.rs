//! What a call can fail with: one sentence, lower case, saying what happened and what to do.

use std::io;
use std::path::PathBuf;

use crate::base::{LogId, PeerId};

/// The result of every fallible call of the public API.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. `Display` is the sentence a person sees.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or option is unusable; the text names it and its value.
    #[error("{0}")]
    Invalid(String),
    /// The operating system refused something; the text says what was tried.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, with the name of the file or address.
        context: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The port is taken.
    #[error("port {port} is in use by another process; choose another with --listen")]
    PortInUse {
        /// The port asked for.
        port: u16,
    },
    /// The key file cannot be used; the text says why.
    #[error("key file {path}: {why}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The data directory belongs to a running process.
    #[error("data directory {path} is in use by process {pid}; stop that process first, or give this one its own directory")]
    DirectoryInUse {
        /// The directory.
        path: PathBuf,
        /// The holder, as it wrote it into the lock file.
        pid: String,
    },
    /// The log cannot take more; nothing acknowledged is lost.
    #[error("log: {0}")]
    Log(String),
    /// The node is not running.
    #[error("the node is not running")]
    Stopped,
    /// No link to that peer.
    #[error("peer {} is not connected", .0.short())]
    NotConnected(PeerId),
    /// The queue towards the peer is full; nothing was taken.
    #[error("the queue towards the peer is full; try again when it drains")]
    WouldBlock,
    /// A message or record is over its limit.
    #[error("{what} of {got} bytes, limit is {max}")]
    TooLarge {
        /// What was too large.
        what: &'static str,
        /// Its size in bytes.
        got: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// Records asked for are not kept here any more: their effect is in a snapshot. Who asked can go on behind them.
    #[error("records of {log} up to {base} are not kept here any more; go on with record {}, or take their effect from a snapshot", base + 1)]
    Truncated {
        /// Which log.
        log: LogId,
        /// Last record that is not kept.
        base: u64,
    },
    /// A worker of this node failed; it can only be destroyed.
    #[error("the node failed: {0}")]
    Failed(String),
}

impl Error {
    /// An [`Error::Io`] with what was being done.
    pub fn io(context: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let context = context.into();
        move |source| Error::Io { context, source }
    }
}
