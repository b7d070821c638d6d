//! Unix sockets: a file that only its owner may connect to, taken over when nobody answers on it, and gone when the node stops.

use std::fs::{self, Metadata, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use crate::base::{Endpoint, Error, Result, limits};

/// A listening socket and its file.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Goes first: as long as the socket listens, nobody else takes its place.
    _file: SocketFile,
    socket: UnixListener,
    endpoint: Endpoint,
}

/// The file of a socket, removed with this value unless another one stands in its place by then.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| identity(&now) == self.identity) {
            // A leftover is taken over by the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Listener {
    /// Makes the socket file, in place of one on which nobody answers.
    pub(super) fn bind(path: &str) -> Result<Listener> {
        let endpoint = Endpoint::unix(path)?;
        // Held until this socket listens: of two nodes that find the same leftover, the second finds the first one's socket.
        let _turn = turn(&endpoint)?;
        make_way(&endpoint)?;
        let (socket, file) = open(path.into()).map_err(Error::io(format!("listening on {endpoint}")))?;
        Ok(Listener { _file: file, socket, endpoint })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        self.socket.accept().await.map(|(stream, _)| stream)
    }
}

/// A lock on the directory of a socket, or nothing where the directory cannot be read.
fn turn(endpoint: &Endpoint) -> Result<Option<fs::File>> {
    let directory = Path::new(&endpoint.host).parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(directory) = fs::File::open(directory) else { return Ok(None) };
    #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
    let deadline = Instant::now() + limits::UNIX_TURN_WAIT;
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(Some(directory)),
            Err(TryLockError::WouldBlock) => {}
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        #[expect(clippy::disallowed_methods, reason = "the driver is where clocks are read")]
        if Instant::now() >= deadline {
            return Err(Error::Invalid(format!("the directory of {endpoint} stays locked by another process; listen on another path")));
        }
        #[expect(clippy::disallowed_methods, reason = "the other one is done within microseconds, and nothing tells when")]
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes the file of a socket on which nobody answers. Anything else that is in the way stays there.
fn make_way(endpoint: &Endpoint) -> Result<()> {
    let path = &endpoint.host;
    let there = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(Error::io(format!("looking at {path}")))?,
    };
    if !there.file_type().is_socket() {
        return Err(Error::Invalid(format!("{path} is no socket and stays there; listen on another path")));
    }
    match knock(path) {
        // The queue of a listener that is busy is full.
        Ok(()) | Err(io::ErrorKind::WouldBlock) => Err(Error::Invalid(format!("somebody listens on {endpoint} already"))),
        Err(io::ErrorKind::ConnectionRefused) => fs::remove_file(path).map_err(Error::io(format!("removing the stale socket {path}"))),
        Err(kind) => Err(Error::io(format!("looking whether somebody answers on {endpoint}"))(kind.into())),
    }
}

/// Whether somebody answers, without waiting.
fn knock(path: &str) -> Result<(), io::ErrorKind> {
    let knock = || -> io::Result<()> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    knock().map_err(|e| e.kind())
}

fn open(path: PathBuf) -> io::Result<(UnixListener, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&path)?)?;
    let file = SocketFile { identity: identity(&fs::symlink_metadata(&path)?), path };
    // Before anybody can connect: a socket that does not listen refuses.
    fs::set_permissions(&file.path, Permissions::from_mode(0o600))?;
    socket.listen(limits::ACCEPT_BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("a.sock").to_str().expect("text").to_owned();
        (dir, path)
    }

    #[tokio::test]
    async fn a_socket_file_is_its_owners_and_goes_with_the_listener() {
        let (_dir, path) = place();
        let listener = Listener::bind(&path).expect("free");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        drop(listener);
        assert!(!fs::exists(&path).expect("looks"));
    }

    #[tokio::test]
    async fn a_stale_socket_gives_way_and_one_that_answers_does_not() {
        let (_dir, path) = place();
        drop(std::os::unix::net::UnixListener::bind(&path).expect("leaves its file"));
        let listener = Listener::bind(&path).expect("nobody answers");
        let error = Listener::bind(&path).expect_err("somebody answers").to_string();
        assert!(error.contains("already") && error.contains(&path), "{error}");
        drop(listener);
    }

    #[test]
    fn of_many_that_take_over_one_leftover_at_the_same_instant_one_listens() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("runtime");
        let handle = runtime.handle().clone();
        for _ in 0..50 {
            let (_dir, path) = place();
            drop(std::os::unix::net::UnixListener::bind(&path).expect("leaves its file"));
            let start = std::sync::Barrier::new(4);
            let bound: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let _inside = handle.enter();
                            start.wait();
                            Listener::bind(&path)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert_eq!(bound.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{bound:?}");
            assert!(knock(&path).is_ok(), "it can be reached");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays() {
        let (_dir, path) = place();
        fs::write(&path, "mine").expect("written");
        assert!(Listener::bind(&path).expect_err("in the way").to_string().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "mine");
    }

    #[tokio::test]
    async fn a_listener_whose_file_was_replaced_leaves_the_other_one() {
        let (_dir, path) = place();
        let listener = Listener::bind(&path).expect("free");
        fs::rename(&path, format!("{path}.away")).expect("moved");
        fs::write(&path, "another").expect("written");
        drop(listener);
        assert!(fs::exists(&path).expect("looks"));
    }
}
