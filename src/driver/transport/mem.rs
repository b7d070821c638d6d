//! Connections between nodes of one process: a pair of pipes, and a table of who listens under which name. Nothing leaves the process.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{BufMut, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWrite, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use crate::base::{CloseReason, Endpoint, Error, Result, limits};

/// Who listens, by name. The only thing nodes of a process share; a leaf lock.
static LISTENING: Mutex<BTreeMap<String, mpsc::Sender<DuplexStream>>> = Mutex::new(BTreeMap::new());

/// The direction from the peer.
pub(crate) type Read = ReadHalf<DuplexStream>;
/// The direction to the peer.
pub(crate) type Write = WriteHalf<DuplexStream>;

/// One end of an in-memory connection. When it is dropped the other end reads what is there, and then its end.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(super) read: Read,
    pub(super) write: Write,
    /// Read to learn that there is something.
    first: Option<u8>,
}

impl Pipe {
    fn new(end: DuplexStream) -> Pipe {
        let (read, write) = tokio::io::split(end);
        Pipe { read, write, first: None }
    }

    /// Waits for a byte, or the end.
    pub(super) async fn first_byte(&mut self) -> io::Result<()> {
        if self.first.is_none() {
            let mut byte = [0];
            let count = self.read.read(&mut byte).await?;
            self.first = (count > 0).then_some(byte[0]);
        }
        Ok(())
    }

    /// What [`Pipe::first_byte`] found, or what is there now.
    pub(super) async fn read_some(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        match self.first.take() {
            Some(byte) => {
                input.put_u8(byte);
                Ok(1)
            }
            None => self.read.read_buf(input).await,
        }
    }
}

/// Writes what fits into the pipe.
pub(super) fn write_now(write: &mut Write, bytes: &[u8]) -> io::Result<usize> {
    match Pin::new(write).poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
        Poll::Ready(written) => written,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// Opens a connection to whoever listens under a name.
pub(super) fn connect(name: &str) -> Result<Pipe, CloseReason> {
    let nobody = || CloseReason::Refused(format!("no node of this process listens on mem://{name}"));
    let Some(door) = LISTENING.lock().get(name).cloned() else { return Err(nobody()) };
    let (ours, theirs) = tokio::io::duplex(limits::MEM_PIPE_BYTES);
    match door.try_send(theirs) {
        Ok(()) => Ok(Pipe::new(ours)),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(nobody()),
        Err(mpsc::error::TrySendError::Full(_)) => {
            Err(CloseReason::Refused(format!("{} dials wait at mem://{name} already", limits::MEM_BACKLOG)))
        }
    }
}

/// A name of this process that is taken; free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    endpoint: Endpoint,
    waiting: mpsc::Receiver<DuplexStream>,
}

impl Listener {
    /// Takes a name.
    pub(super) fn bind(name: &str) -> Result<Listener> {
        let endpoint = Endpoint::mem(name)?;
        let (door, waiting) = mpsc::channel(limits::MEM_BACKLOG);
        let mut listening = LISTENING.lock();
        if listening.contains_key(name) {
            return Err(Error::Invalid(format!("another node of this process listens on {endpoint}; give it another name")));
        }
        listening.insert(name.to_owned(), door);
        Ok(Listener { endpoint, waiting })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) async fn accept(&mut self) -> Pipe {
        match self.waiting.recv().await {
            Some(end) => Pipe::new(end),
            // The table holds a sender for as long as this listens.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        LISTENING.lock().remove(&self.endpoint.host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_listener_and_is_free_after_it() {
        let first = Listener::bind("one-listener").expect("free");
        assert!(Listener::bind("one-listener").expect_err("taken").to_string().contains("mem://one-listener"));
        connect("one-listener").expect("somebody listens");
        drop(first);
        assert!(connect("one-listener").is_err());
        Listener::bind("one-listener").expect("free again");
    }

    #[test]
    fn dials_that_nobody_accepts_are_refused_past_the_backlog() {
        let _listener = Listener::bind("backlog").expect("free");
        let waiting: Vec<_> = (0..limits::MEM_BACKLOG).map(|_| connect("backlog").expect("waits")).collect();
        assert!(matches!(connect("backlog"), Err(CloseReason::Refused(why)) if why.contains("128 dials")));
        assert_eq!(waiting.len(), limits::MEM_BACKLOG);
    }

    #[tokio::test]
    async fn the_byte_that_was_waited_for_is_read_first_and_the_end_comes_after_everything() {
        let mut listener = Listener::bind("first-byte").expect("free");
        let mut near = connect("first-byte").expect("there");
        let mut far = listener.accept().await;
        assert_eq!(write_now(&mut near.write, b"hello").expect("room"), 5);
        drop(near);
        far.first_byte().await.expect("there");
        let mut input = BytesMut::with_capacity(16);
        while far.read_some(&mut input).await.expect("reads") > 0 {}
        assert_eq!(&input[..], b"hello");
        assert!(write_now(&mut far.write, b"x").is_err(), "nobody is there");
    }
}
