//! The demo's directory: one demo at a time in it, nothing of anybody else touched, everything removed after success.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use vixp2p::base::id::hex;

use crate::failure::Failure;

/// Marks a directory as made by the demo; locked while one runs in it.
const MARK: &str = "vixp2p-demo.lock";
/// Says that the demo succeeded and the rest may go.
const DONE: &str = "done";
const PSK: &str = "psk";

/// The directory, held by its lock.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    keep: bool,
    _lock: File,
}

impl Place {
    /// Takes `dir`, new, empty or left by an earlier demo; without one makes a new temporary directory.
    pub(super) fn prepare(dir: Option<PathBuf>, keep: bool) -> Result<Place, Failure> {
        let dir = match dir {
            Some(dir) => dir,
            None => std::env::temp_dir().join(format!("vixp2p-demo-{}-{:08x}", std::process::id(), u32::from_le_bytes(random::<4>()?))),
        };
        let context = || format!("preparing directory {}", dir.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(Failure::io(context()))?;
        let mark = dir.join(MARK);
        if !mark.exists() && fs::read_dir(&dir).map_err(Failure::io(context()))?.next().is_some() {
            return Err(Failure::Usage(format!("--dir {}: not empty and not made by the demo; name another one", dir.display())));
        }
        let lock = File::options().write(true).create(true).truncate(false).open(&mark).map_err(Failure::io(context()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Runtime(format!(
                    "another demo is running in {}; wait for it, or name another directory",
                    dir.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::io(context())(error)),
        }
        let place = Place { dir: dir.clone(), keep, _lock: lock };
        if place.dir.join(DONE).exists() && !keep {
            place.empty().map_err(Failure::io(context()))?;
        }
        place.make_psk().map_err(Failure::io(context()))?;
        Ok(place)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file with the two nodes' secret, so that no other node on this machine can join them by a mixed-up port.
    pub(super) fn psk(&self) -> PathBuf {
        self.dir.join(PSK)
    }

    fn make_psk(&self) -> io::Result<()> {
        let (path, new) = (self.psk(), self.dir.join("psk.new"));
        if path.exists() {
            return Ok(());
        }
        let secret = random::<32>().map_err(|failure| io::Error::other(failure.text().unwrap_or_default()))?;
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        writeln!(file, "{}", hex(&secret))?;
        file.sync_all()?;
        fs::rename(new, path)
    }

    /// After success: removes what the demo made, unless it is to be kept.
    pub(super) fn clean(self) -> Result<(), Failure> {
        if self.keep {
            return Ok(());
        }
        let context = || format!("removing {}", self.dir.display());
        // If the removal is interrupted, the next demo in this directory finishes it instead of taking the rest for its state.
        File::create(self.dir.join(DONE)).map_err(Failure::io(context()))?;
        self.empty().map_err(Failure::io(context()))?;
        fs::remove_file(self.dir.join(MARK)).map_err(Failure::io(context()))?;
        match fs::remove_dir(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(Failure::io(context())(error)),
            _ => Ok(()),
        }
    }

    fn empty(&self) -> io::Result<()> {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        gone(fs::remove_dir_all(self.dir.join("A")))?;
        gone(fs::remove_dir_all(self.dir.join("B")))?;
        gone(fs::remove_file(self.psk()))?;
        gone(fs::remove_file(self.dir.join(DONE)))
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::Runtime(format!("the system has no random numbers: {error}")))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("A"), "mine").expect("write");
        assert!(matches!(Place::prepare(Some(dir.path().to_owned()), false), Err(Failure::Usage(_))));
        assert_eq!(fs::read_to_string(dir.path().join("A")).expect("untouched"), "mine");
    }

    #[test]
    fn two_demos_never_share_a_directory_and_success_leaves_nothing() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let dir = parent.path().join("demo");
        let place = Place::prepare(Some(dir.clone()), false).expect("new");
        assert!(matches!(Place::prepare(Some(dir.clone()), false), Err(Failure::Runtime(_))));
        fs::create_dir(dir.join("A")).expect("state");
        place.clean().expect("removed");
        assert!(!dir.exists());
    }
}
