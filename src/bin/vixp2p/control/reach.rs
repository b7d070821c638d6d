//! Who does what is to be done with a data directory: the node that runs on it, or this process. Never does it itself.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vixp2p::Error;

use crate::control::SOCKET;
use crate::control::client::Client;
use crate::failure::Failure;

/// How long whoever owns a directory may take until it serves a socket there or has gone: a node that begins or ends, another command.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often both are tried; nothing tells of either.
const PAUSE: Duration = Duration::from_millis(50);

/// Who has the directory now.
#[derive(Debug)]
pub(crate) enum Hands<T> {
    /// The node that runs on it takes requests.
    Running(Client),
    /// This process, with what it took it by.
    Own(T),
}

/// Connects to the node that runs on `dir`, or else takes the directory by `take`.
pub(crate) async fn reach<T>(dir: &Path, take: impl FnMut() -> Result<T, Error>) -> Result<Hands<T>, Failure> {
    reach_within(PATIENCE, dir, take).await
}

async fn reach_within<T>(patience: Duration, dir: &Path, mut take: impl FnMut() -> Result<T, Error>) -> Result<Hands<T>, Failure> {
    let end = Instant::now() + patience;
    loop {
        if let Some(client) = Client::connect(dir).await? {
            return Ok(Hands::Running(client));
        }
        match take() {
            Err(Error::DirectoryInUse { pid, .. }) if Instant::now() >= end => {
                return Err(Failure::Runtime(format!(
                    "data directory {} is in use by process {pid}, which can be asked for nothing (no {SOCKET} there); have that program do \
                     it, or stop it first",
                    dir.display()
                )));
            }
            Err(Error::DirectoryInUse { .. }) => sleep(PAUSE).await,
            taken => return Ok(Hands::Own(taken?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn in_use(dir: &Path) -> Error {
        Error::DirectoryInUse { path: dir.to_owned(), pid: "7".into() }
    }

    #[tokio::test]
    async fn a_directory_that_is_given_back_or_served_soon_is_waited_for() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut tries = 0;
        let given_back = reach(dir.path(), || {
            tries += 1;
            if tries < 3 { Err(in_use(dir.path())) } else { Ok(tries) }
        });
        assert!(matches!(given_back.await, Ok(Hands::Own(3))));
        let mut door = None;
        let served = reach(dir.path(), || {
            door = Some(UnixListener::bind(dir.path().join(SOCKET)).expect("a socket"));
            Err::<(), _>(in_use(dir.path()))
        });
        assert!(matches!(served.await, Ok(Hands::Running(_))));
    }

    #[tokio::test]
    async fn a_directory_that_stays_taken_is_refused_with_the_owner_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let refused = reach_within(PAUSE, dir.path(), || Err::<(), _>(in_use(dir.path()))).await;
        let text = refused.expect_err("taken").text().expect("a sentence");
        assert!(text.contains("process 7") && text.contains(SOCKET), "{text}");
        let other = reach_within(PAUSE, dir.path(), || Err::<(), _>(Error::Invalid("no key".into()))).await;
        assert!(other.expect_err("told at once").text().is_some_and(|text| text.contains("no key")));
    }
}
