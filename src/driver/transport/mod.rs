//! The ways bytes take between two nodes: one stream and one listener type over TCP, Unix sockets and pipes within the process.
//! A further transport is a variant here and a file beside. Never looks at the bytes, and decides nothing.

pub(crate) mod mem;
mod race;
pub(crate) mod unix;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixStream, tcp, unix as unix_halves};

use crate::base::endpoint::{Scheme, Source};
use crate::base::{CloseReason, Endpoint, Error, Result};
use crate::driver::listen;

/// An open connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Mem(mem::Pipe),
}

impl Stream {
    /// Opens a connection. Takes as long as it takes: the caller has the deadline.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Stream, CloseReason> {
        match endpoint.scheme {
            Scheme::Tcp => connect_tcp(&endpoint.host, endpoint.port).await.map(Stream::Tcp),
            Scheme::Unix => UnixStream::connect(&endpoint.host).await.map(Stream::Unix).map_err(|e| CloseReason::Refused(e.to_string())),
            Scheme::Mem => mem::connect(&endpoint.host).map(Stream::Mem),
        }
    }

    /// Waits until the other side has said something. Until then nothing is kept for it.
    pub(crate) async fn first_byte(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
            Stream::Mem(pipe) => pipe.first_byte().await,
        }
    }

    /// Reads what is there. The buffer grows by `chunk`, and not before there is something: a byte now and then is to cost no more.
    pub(crate) async fn read_some(&mut self, input: &mut BytesMut, chunk: usize) -> io::Result<usize> {
        self.first_byte().await?;
        if input.capacity() - input.len() < chunk / 4 {
            input.reserve(chunk);
        }
        // Not `try_read_buf`: this one knows from a short read that there is no more, and spares the next call.
        match self {
            Stream::Tcp(stream) => stream.read_buf(input).await,
            Stream::Unix(stream) => stream.read_buf(input).await,
            Stream::Mem(pipe) => pipe.read_some(input).await,
        }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes).await,
            Stream::Unix(stream) => stream.write_all(bytes).await,
            Stream::Mem(pipe) => pipe.write.write_all(bytes).await,
        }
    }

    /// Small messages go out at once. Best effort: a connection without it works, only slower.
    pub(crate) fn hurry(&self) {
        if let Stream::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
        }
    }

    /// Has the end of the connection leave nothing in the kernel: without this TCP keeps a half-closed orphan for a minute.
    pub(crate) fn leave_nothing(&self) {
        if let Stream::Tcp(stream) = self {
            let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// The two directions, for one task that reads and writes side by side.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Stream::Tcp(stream) => {
                let (read, write) = stream.split();
                (Reader::Tcp(read), Writer::Tcp(write))
            }
            Stream::Unix(stream) => {
                let (read, write) = stream.split();
                (Reader::Unix(read), Writer::Unix(write))
            }
            Stream::Mem(pipe) => (Reader::Mem(&mut pipe.read), Writer::Mem(&mut pipe.write)),
        }
    }
}

async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, CloseReason> {
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|e| CloseReason::Unresolved(e.to_string()))?;
    let order = race::in_turns(addresses);
    if order.is_empty() {
        return Err(CloseReason::Unresolved(format!("{host} has no address")));
    }
    race::first(order, TcpStream::connect).await.map_err(CloseReason::Refused)
}

/// The direction from the peer.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    Tcp(tcp::ReadHalf<'a>),
    Unix(unix_halves::ReadHalf<'a>),
    Mem(&'a mut mem::Read),
}

impl Reader<'_> {
    /// Reads into the room a buffer has.
    pub(crate) async fn read_buf(&mut self, input: &mut impl BufMut) -> io::Result<usize> {
        AsyncReadExt::read_buf(self, input).await
    }
}

impl AsyncRead for Reader<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Reader::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            Reader::Unix(half) => Pin::new(half).poll_read(cx, buf),
            Reader::Mem(half) => Pin::new(&mut **half).poll_read(cx, buf),
        }
    }
}

/// The direction to the peer.
#[derive(Debug)]
pub(crate) enum Writer<'a> {
    Tcp(tcp::WriteHalf<'a>),
    Unix(unix_halves::WriteHalf<'a>),
    Mem(&'a mut mem::Write),
}

impl Writer<'_> {
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }

    /// Writes what is followed by a shutdown: the kernel may keep it back until then, and the goodbye and the end are one segment.
    pub(crate) async fn write_last(&mut self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        let bytes = match self {
            Writer::Tcp(half) => {
                let stream: &TcpStream = half.as_ref();
                let flags = libc::MSG_MORE | libc::MSG_NOSIGNAL;
                let taken = stream.try_io(tokio::io::Interest::WRITABLE, || socket2::SockRef::from(stream).send_with_flags(bytes, flags));
                // An error comes again from the ordinary write.
                &bytes[taken.unwrap_or(0)..]
            }
            Writer::Unix(_) | Writer::Mem(_) => bytes,
        };
        self.write_all(bytes).await
    }

    /// Ends the direction; what was written arrives before that.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        AsyncWriteExt::shutdown(self).await
    }

    /// Writes what is taken at once; the rest is given up.
    pub(crate) fn write_now(&mut self, bytes: &[u8]) {
        // The connection ends: who did not take it will not hear it.
        let _ = match self {
            Writer::Tcp(half) => half.as_ref().try_write(bytes),
            Writer::Unix(half) => half.as_ref().try_write(bytes),
            Writer::Mem(half) => mem::write_now(half, bytes),
        };
    }
}

impl AsyncWrite for Writer<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Writer::Tcp(half) => Pin::new(half).poll_write(cx, bytes),
            Writer::Unix(half) => Pin::new(half).poll_write(cx, bytes),
            Writer::Mem(half) => Pin::new(&mut **half).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Writer::Tcp(half) => Pin::new(half).poll_flush(cx),
            Writer::Unix(half) => Pin::new(half).poll_flush(cx),
            Writer::Mem(half) => Pin::new(&mut **half).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Writer::Tcp(half) => Pin::new(half).poll_shutdown(cx),
            Writer::Unix(half) => Pin::new(half).poll_shutdown(cx),
            Writer::Mem(half) => Pin::new(&mut **half).poll_shutdown(cx),
        }
    }
}

/// A place where connections are accepted. Dropping it gives the place free.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(unix::Listener),
    Mem(mem::Listener),
}

impl Listener {
    /// Takes the place an endpoint names. Call it within a runtime.
    pub(crate) fn bind(endpoint: &Endpoint) -> Result<Listener> {
        match endpoint.scheme {
            Scheme::Tcp => Listener::tcp(&endpoint.host, endpoint.port),
            Scheme::Unix => unix::Listener::bind(&endpoint.host).map(Listener::Unix),
            Scheme::Mem => mem::Listener::bind(&endpoint.host).map(Listener::Mem),
        }
    }

    /// Listens on an IP address, or with an empty host on every interface; port 0 takes any free one. Call it within a runtime.
    pub(crate) fn tcp(host: &str, port: u16) -> Result<Listener> {
        let socket = listen::bind(host, port)?;
        TcpListener::from_std(socket).map(Listener::Tcp).map_err(Error::io("listening"))
    }

    /// The TCP port, if this is one.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Listener::Tcp(socket) => socket.local_addr().ok().map(|address| address.port()),
            Listener::Unix(_) | Listener::Mem(_) => None,
        }
    }

    /// The next connection, where it comes from, and what it is counted by. Who comes by a Unix socket or a pipe has no address:
    /// it is shown by the place it came to.
    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Endpoint, Source)> {
        match self {
            Listener::Tcp(socket) => socket.accept().await.map(|(stream, from)| {
                let (from, source) = origin(from);
                (Stream::Tcp(stream), from, source)
            }),
            Listener::Unix(listener) => {
                listener.accept().await.map(|stream| (Stream::Unix(stream), listener.endpoint().clone(), Source::LOCAL))
            }
            Listener::Mem(listener) => Ok((Stream::Mem(listener.accept().await), listener.endpoint().clone(), Source::LOCAL)),
        }
    }
}

fn origin(from: SocketAddr) -> (Endpoint, Source) {
    let ip = from.ip().to_canonical();
    let source = match ip {
        IpAddr::V4(ip) => Source::ipv4(ip.octets()),
        IpAddr::V6(ip) => Source::ipv6(ip.octets()),
    };
    (Endpoint::tcp(ip.to_string(), from.port()), source)
}
