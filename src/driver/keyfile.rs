//! The keys of a data directory: the key file, plain or sealed, and the history of its rotations. Draws their random values.
//!
//! Every file appears whole or not at all. A new key is never there without the record by which the old one vouched for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::base::{Error, Passphrase, PeerId, Result, limits};
use crate::crypto::keyfile::{self, Cost, KeyFileError, SealSeeds};
use crate::crypto::rotation::{self, History};
use crate::crypto::{Identity, Secret};
use crate::driver::disk::DirectoryLock;
use crate::driver::log;

/// The secret of a data directory.
pub const KEY_FILE: &str = "identity.key";
/// The records that lead to it from earlier ones. Nothing in it is secret.
pub const HISTORY_FILE: &str = "identity.rotation";
/// A key file is one short line; anything larger is something else.
const KEY_FILE_MAX_BYTES: usize = 4096;
/// A history has at most so many lines of less than 512 bytes.
const HISTORY_FILE_MAX_BYTES: usize = limits::ROTATIONS_KEPT_MAX * 512;

/// Who the node of a data directory is, and was.
#[derive(Debug)]
pub struct Keys {
    /// Its present key.
    pub identity: Identity,
    /// How it came to it.
    pub history: History,
}

impl Keys {
    /// A fresh identity from the system's random numbers.
    pub fn random() -> Result<Keys> {
        Ok(Keys { identity: random_identity()?, history: History::default() })
    }
}

/// The keys of a data directory; made on first use, sealed if there is a passphrase.
pub fn load_or_create(dir: &Path, owner: &DirectoryLock, passphrase: Option<&Passphrase>) -> Result<Keys> {
    // What a crash left half-way may be a secret that lies open.
    let _ = fs::remove_file(temporary(&dir.join(KEY_FILE)));
    match load(dir, passphrase) {
        Err(error) if is_missing(&error) => Ok(Keys { identity: create(dir, owner, passphrase)?, history: History::default() }),
        other => other,
    }
}

/// The keys of a data directory; a missing file is [`Error::Io`] with `NotFound`.
pub fn load(dir: &Path, passphrase: Option<&Passphrase>) -> Result<Keys> {
    let identity = open_key(dir, |text| keyfile::open(text, passphrase))?;
    let history = read_history(dir, &identity.id())?;
    Ok(Keys { identity, history })
}

/// The key of a file that lies outside a data directory, with the history beside it if there is one.
pub fn load_file(path: &Path, passphrase: Option<&Passphrase>) -> Result<Keys> {
    let identity = open_key_file(path, |text| keyfile::open(text, passphrase))?;
    let history = read_history(path.parent().unwrap_or(Path::new("")), &identity.id())?;
    Ok(Keys { identity, history })
}

/// The public key of a data directory, and whether its secret is sealed; needs no passphrase.
pub fn public_key(dir: &Path) -> Result<(PeerId, bool)> {
    open_key(dir, keyfile::public_key)
}

/// Makes the first identity of a data directory. One that exists is refused.
pub fn create(dir: &Path, _owner: &DirectoryLock, passphrase: Option<&Passphrase>) -> Result<Identity> {
    let path = dir.join(KEY_FILE);
    if path.symlink_metadata().is_ok() {
        return Err(Error::Key { path, why: "exists; a new identity takes the place of an old one by \"vixp2p key rotate\"".into() });
    }
    let identity = random_identity()?;
    write_key(dir, &identity, passphrase)?;
    Ok(identity)
}

/// Gives a data directory a new identity that its old one vouches for, and destroys the old secret.
///
/// The record is durable before the key is: a crash leaves the old key, and a record that leads nowhere and is ignored, or the new one.
pub fn rotate(dir: &Path, _owner: &DirectoryLock, passphrase: Option<&Passphrase>) -> Result<(PeerId, PeerId)> {
    let Keys { identity: old, mut history } = load(dir, passphrase)?;
    let new = random_identity()?;
    history.push(rotation::sign(&old, &new.id(), log::now_us() / 1_000_000));
    let path = dir.join(HISTORY_FILE);
    replace(&path, history.to_text(&new.id()).as_bytes()).map_err(Error::io(format!("writing {}", path.display())))?;
    write_key(dir, &new, passphrase)?;
    Ok((old.id(), new.id()))
}

/// Seals the key under another passphrase, or under none.
pub fn change_passphrase(dir: &Path, _owner: &DirectoryLock, from: Option<&Passphrase>, to: Option<&Passphrase>) -> Result<PeerId> {
    let identity = open_key(dir, |text| keyfile::open(text, from))?;
    write_key(dir, &identity, to)?;
    Ok(identity.id())
}

/// Whether there is no key file.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// Why others could read a file that holds a secret, if they could.
pub fn exposed(metadata: &fs::Metadata) -> Option<String> {
    let mode = metadata.mode() & 0o7777;
    (mode & 0o077 != 0).then(|| format!("others can read it (mode {mode:04o}); run chmod 600 on it"))
}

fn open_key<T>(dir: &Path, read: impl FnOnce(&str) -> std::result::Result<T, KeyFileError>) -> Result<T> {
    open_key_file(&dir.join(KEY_FILE), read)
}

fn open_key_file<T>(path: &Path, read: impl FnOnce(&str) -> std::result::Result<T, KeyFileError>) -> Result<T> {
    let refuse = |why: String| Error::Key { path: path.to_owned(), why };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Error::io(format!("reading {}", path.display()))(e)),
        Err(e) => return Err(refuse(format!("cannot be opened: {e}"))),
    };
    let metadata = file.metadata().map_err(|e| refuse(e.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("is not a file".into()));
    }
    if let Some(why) = exposed(&metadata) {
        return Err(refuse(format!("{why}, or give the node a new identity if it may have leaked")));
    }
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_MAX_BYTES));
    file.take(KEY_FILE_MAX_BYTES as u64).read_to_string(&mut text).map_err(|e| refuse(format!("cannot be read: {e}")))?;
    read(&text).map_err(|why| refuse(why.to_string()))
}

fn read_history(dir: &Path, current: &PeerId) -> Result<History> {
    let path = dir.join(HISTORY_FILE);
    let refuse = |why: String| Error::Key { path: path.clone(), why: format!("{why}; move the file away to start without a history") };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(History::default()),
        Err(e) => return Err(refuse(format!("cannot be opened: {e}"))),
    };
    let mut text = String::new();
    file.take(HISTORY_FILE_MAX_BYTES as u64).read_to_string(&mut text).map_err(|e| refuse(format!("cannot be read: {e}")))?;
    History::read(&text, current).map_err(refuse)
}

/// Puts a key in its place and overwrites the one that stood there.
fn write_key(dir: &Path, identity: &Identity, passphrase: Option<&Passphrase>) -> Result<()> {
    let path = dir.join(KEY_FILE);
    let text = match passphrase {
        Some(passphrase) => keyfile::to_sealed(identity, passphrase, Cost::DEFAULT, &seal_seeds()?),
        None => keyfile::to_plain(identity),
    };
    let old = OpenOptions::new().write(true).open(&path).ok();
    replace(&path, text.as_bytes()).map_err(Error::io(format!("writing key file {}", path.display())))?;
    // Only what has no name left: a copy by hard link is somebody's backup. The key is in place, whatever becomes of this.
    let nameless = |file: &File| file.metadata().ok().filter(|metadata| metadata.nlink() == 0).map(|metadata| metadata.len());
    if let Some((old, len)) = old.as_ref().and_then(|old| Some((old, nameless(old)?))) {
        let _ = old.write_all_at(&vec![0; len.min(KEY_FILE_MAX_BYTES as u64) as usize], 0).and_then(|()| old.sync_all());
    }
    Ok(())
}

/// Writes a file that only its owner may read; it takes the old one's place at once, durably.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = temporary(path);
    // A leftover of a crash would keep its permissions.
    let _ = fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

fn random_identity() -> Result<Identity> {
    let mut seed = Secret::zero();
    fill(seed.expose_mut())?;
    Ok(Identity::from_seed(&seed))
}

fn seal_seeds() -> Result<SealSeeds> {
    let mut seeds = SealSeeds { salt: [0; 16], nonce: [0; 24] };
    fill(&mut seeds.salt)?;
    fill(&mut seeds.nonce)?;
    Ok(seeds)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| Error::Invalid(format!("the system has no random numbers: {e}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        lock: DirectoryLock,
    }

    impl Place {
        fn new() -> Place {
            let dir = tempfile::tempdir().expect("temporary directory");
            let lock = DirectoryLock::take(dir.path()).expect("free");
            Place { dir, lock }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn open(&self, passphrase: Option<&Passphrase>) -> Result<Keys> {
            load_or_create(self.dir.path(), &self.lock, passphrase)
        }

        fn rotate(&self, passphrase: Option<&Passphrase>) -> (PeerId, PeerId) {
            rotate(self.dir.path(), &self.lock, passphrase).expect("rotated")
        }

        fn mode(&self, name: &str) -> u32 {
            fs::metadata(self.path(name)).expect("exists").permissions().mode() & 0o777
        }
    }

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.as_bytes().to_vec()).expect("short")
    }

    #[test]
    fn an_identity_is_made_once_and_kept_private() {
        let place = Place::new();
        let first = place.open(None).expect("created").identity.id();
        assert_eq!(place.open(None).expect("loaded").identity.id(), first);
        assert_eq!(place.mode(KEY_FILE), 0o600);
        assert!(create(place.dir.path(), &place.lock, None).expect_err("exists").to_string().contains("key rotate"));
        assert_eq!(public_key(place.dir.path()).expect("there"), (first, false));
    }

    #[test]
    fn a_key_file_that_cannot_be_trusted_is_refused_and_left_alone() {
        let place = Place::new();
        place.open(None).expect("created");
        let path = place.path(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("chmod");
        let error = place.open(None).expect_err("readable by others").to_string();
        assert!(error.contains("chmod 600"), "{error}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        fs::write(&path, "garbage").expect("write");
        assert!(place.open(None).expect_err("damaged").to_string().contains("damaged"));
        assert_eq!(fs::read(&path).expect("still there"), b"garbage");
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_only_and_the_passphrase_can_change() {
        let place = Place::new();
        let (one, two) = (passphrase("one"), passphrase("two"));
        let id = place.open(Some(&one)).expect("created").identity.id();
        assert_eq!(public_key(place.dir.path()).expect("no passphrase needed"), (id, true));
        assert_eq!(place.open(Some(&one)).expect("opens").identity.id(), id);
        assert!(place.open(Some(&two)).expect_err("wrong").to_string().contains("passphrase is wrong"));
        assert!(place.open(None).expect_err("missing").to_string().contains("no passphrase was given"));
        let change = |from, to| change_passphrase(place.dir.path(), &place.lock, from, to);
        assert!(change(Some(&two), None).is_err());
        assert_eq!(change(Some(&one), Some(&two)).expect("changed"), id);
        assert_eq!(place.open(Some(&two)).expect("opens").identity.id(), id);
        assert_eq!(change(Some(&two), None).expect("removed"), id);
        assert_eq!(place.open(None).expect("lies open").identity.id(), id);
        assert!(place.open(Some(&two)).expect_err("not sealed").to_string().contains("not sealed"));
    }

    #[test]
    fn a_rotated_identity_knows_its_earlier_keys_and_keeps_its_seal() {
        let place = Place::new();
        let one = passphrase("one");
        let first = place.open(Some(&one)).expect("created").identity.id();
        let (old, second) = place.rotate(Some(&one));
        assert_eq!(old, first);
        let (_, third) = place.rotate(Some(&one));
        let keys = place.open(Some(&one)).expect("opens");
        assert_eq!((keys.identity.id(), keys.history.keys()), (third, vec![second, first]));
        assert!(place.open(None).is_err(), "still sealed");
    }

    #[test]
    fn a_rotation_cut_short_leaves_the_old_key_and_is_done_anew() {
        let place = Place::new();
        let first = place.open(None).expect("created").identity.id();
        let key = fs::read(place.path(KEY_FILE)).expect("readable");
        let (_, lost) = place.rotate(None);
        // As if the process had died between the record and the key.
        fs::write(place.path(KEY_FILE), key).expect("write");
        fs::write(place.path("identity.key.new"), "half").expect("write");
        let keys = place.open(None).expect("the old key");
        assert!(!place.path("identity.key.new").exists());
        assert_eq!((keys.identity.id(), keys.history.keys()), (first, vec![]));
        let (_, second) = place.rotate(None);
        assert_ne!(second, lost);
        assert_eq!(place.open(None).expect("the new key").history.keys(), [first]);
        assert_eq!(place.mode(KEY_FILE), 0o600);
    }

    #[test]
    fn a_key_without_its_record_is_never_written() {
        let place = Place::new();
        let first = place.open(None).expect("created").identity.id();
        // The record cannot be written: its place is taken by a directory.
        fs::create_dir(place.path(HISTORY_FILE)).expect("made");
        fs::write(place.path(HISTORY_FILE).join("x"), "").expect("write");
        assert!(rotate(place.dir.path(), &place.lock, None).is_err());
        assert_eq!(public_key(place.dir.path()).expect("the old key").0, first);
    }

    #[test]
    fn the_old_secret_is_overwritten_unless_it_has_another_name() {
        let place = Place::new();
        place.open(None).expect("created");
        let old = File::open(place.path(KEY_FILE)).expect("open");
        let text = |file: &File| {
            let mut buf = vec![0; 8];
            file.read_exact_at(&mut buf, 0).expect("readable");
            buf
        };
        assert_eq!(text(&old), b"vixp2p-s");
        place.rotate(None);
        assert_eq!(text(&old), [0; 8]);
        fs::hard_link(place.path(KEY_FILE), place.path("backup")).expect("linked");
        place.rotate(None);
        assert_eq!(text(&File::open(place.path("backup")).expect("open")), b"vixp2p-s");
    }

    #[test]
    fn a_damaged_history_is_named_and_the_node_does_not_start_on_it() {
        let place = Place::new();
        place.open(None).expect("created");
        fs::write(place.path(HISTORY_FILE), "hello\n").expect("write");
        let error = place.open(None).expect_err("damaged").to_string();
        assert!(error.contains("identity.rotation: line 1") && error.contains("move the file away"), "{error}");
    }
}
