//! The address book of a data directory: where peers were reached, the last success first, so that the next start finds them again.
//!
//! Never dials and never decides whom to trust. A book that is lost costs nothing but the finding.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::base::endpoint::Scheme;
use crate::base::{Endpoint, Error, Event, PeerId, Result, limits};
use crate::driver::known::put_whole;
use crate::driver::log::now_us;

/// The file's name in a data directory.
pub(crate) const ADDRESS_BOOK_FILE: &str = "peers";

/// One address, by its line: `ENDPOINT KEY SECONDS`, the last two left out if not known.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    endpoint: Endpoint,
    /// Who answered there last.
    peer: Option<PeerId>,
    /// When, in seconds of the Unix epoch.
    at_s: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The last success first.
    entries: Vec<Entry>,
    /// Something is not written down yet.
    is_dirty: bool,
    /// The directory may be another's by now.
    is_closed: bool,
}

/// The addresses of a node and the file they live in.
#[derive(Debug)]
pub(crate) struct Book {
    path: PathBuf,
    /// A leaf lock, never held while the disk is waited for.
    state: Mutex<State>,
    /// Held by whoever writes.
    writing: Mutex<()>,
}

impl Book {
    /// Reads the book of a data directory this process owns; a missing one is empty. Lines that are no addresses are reported and left
    /// out.
    pub(crate) fn open(dir: &Path) -> Result<(Book, Vec<Event>)> {
        let path = dir.join(ADDRESS_BOOK_FILE);
        let text = match read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(Error::io(format!("reading {}", path.display())))?,
        };
        let (entries, faults) = parse(&text);
        let told = faults.into_iter().map(|(line, why)| Event::AddressBookFaulty {
            detail: format!("{}, line {line}: {why}; the line is left out", path.display()),
        });
        let told = told.collect();
        let state = Mutex::new(State { entries, ..State::default() });
        Ok((Book { path, state, writing: Mutex::new(()) }, told))
    }

    /// Every address, the last success first.
    pub(crate) fn endpoints(&self) -> Vec<Endpoint> {
        self.state.lock().entries.iter().map(|entry| entry.endpoint.clone()).collect()
    }

    /// A peer was reached at an address. Whether that is to be written down.
    pub(crate) fn met(&self, endpoint: &Endpoint, peer: PeerId) -> bool {
        self.met_at(endpoint, peer, now_us() / 1_000_000)
    }

    fn met_at(&self, endpoint: &Endpoint, peer: PeerId, at_s: u64) -> bool {
        match endpoint.scheme {
            Scheme::Tcp | Scheme::Unix => {}
            // A name of this process means nothing to the next one.
            Scheme::Mem => return false,
        }
        let mut state = self.state.lock();
        let known = state.entries.iter().position(|entry| entry.endpoint == *endpoint).map(|at| state.entries.remove(at));
        let is_fresh = |entry: &Entry| entry.peer == Some(peer) && at_s.saturating_sub(entry.at_s) < limits::ADDRESS_BOOK_REFRESH.as_secs();
        let entry = known.filter(is_fresh);
        let is_news = entry.is_none();
        state.entries.insert(0, entry.unwrap_or_else(|| Entry { endpoint: endpoint.clone(), peer: Some(peer), at_s }));
        state.entries.truncate(limits::ADDRESS_BOOK_MAX);
        state.is_dirty |= is_news;
        is_news
    }

    /// An address is not to be dialled again. Whether that is to be written down.
    pub(crate) fn forget_endpoint(&self, endpoint: &Endpoint) -> bool {
        self.forget(|entry| entry.endpoint == *endpoint)
    }

    /// A peer is not to be dialled again. Whether that is to be written down.
    pub(crate) fn forget_peer(&self, peer: PeerId) -> bool {
        self.forget(|entry| entry.peer == Some(peer))
    }

    fn forget(&self, is_it: impl Fn(&Entry) -> bool) -> bool {
        let mut state = self.state.lock();
        let before = state.entries.len();
        state.entries.retain(|entry| !is_it(entry));
        let is_news = state.entries.len() < before;
        state.is_dirty |= is_news;
        is_news
    }

    /// Writes the book if something has changed. Blocks; many changes at once become one file.
    pub(crate) fn write(&self) -> Result<()> {
        let _writing = self.writing.lock();
        let text = {
            let mut state = self.state.lock();
            if !std::mem::take(&mut state.is_dirty) || state.is_closed {
                return Ok(());
            }
            state.entries.iter().map(line).collect::<String>()
        };
        put_whole(&self.path, text.as_bytes()).inspect_err(|_| self.state.lock().is_dirty = true)
    }

    /// The last write: the data directory is given up.
    pub(crate) fn close(&self) -> Result<()> {
        let written = self.write();
        let _writing = self.writing.lock();
        self.state.lock().is_closed = true;
        written
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limits::ADDRESS_BOOK_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn line(entry: &Entry) -> String {
    let Entry { endpoint, peer, at_s } = entry;
    peer.map_or_else(|| format!("{endpoint}\n"), |peer| format!("{endpoint} {peer} {at_s}\n"))
}

/// The addresses of a text, the last success first, and what is wrong with which line.
fn parse(text: &str) -> (Vec<Entry>, Vec<(usize, String)>) {
    let (mut entries, mut faults): (Vec<Entry>, Vec<_>) = (Vec::new(), Vec::new());
    for (number, text) in text.lines().enumerate() {
        match parse_line(text) {
            Ok(Some(entry)) if entries.iter().all(|known| known.endpoint != entry.endpoint) => entries.push(entry),
            Ok(_) => {}
            Err(why) => faults.push((number + 1, why)),
        }
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at_s));
    entries.truncate(limits::ADDRESS_BOOK_MAX);
    (entries, faults)
}

fn parse_line(text: &str) -> Result<Option<Entry>, String> {
    let mut words = text.split_whitespace();
    let Some(endpoint) = words.next().filter(|word| !word.starts_with('#')) else { return Ok(None) };
    let endpoint = endpoint.parse().map_err(|e: Error| e.to_string())?;
    let peer = words.next().map(|word| word.parse().map_err(|e: Error| e.to_string())).transpose()?;
    let at_s = words.next().map_or(Ok(0), |word| word.parse().map_err(|_| format!("\"{word}\" is no number of seconds")))?;
    words.next().map_or(Ok(Some(Entry { endpoint, peer, at_s })), |word| Err(format!("\"{word}\" is one word too many")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(dir: &Path) -> Book {
        let (book, faults) = Book::open(dir).expect("readable");
        assert!(faults.is_empty(), "{faults:?}");
        book
    }

    fn at(port: u16) -> Endpoint {
        Endpoint::tcp("127.0.0.1", port)
    }

    const PEER: PeerId = PeerId([7; 32]);

    #[test]
    fn what_was_reached_is_there_again_with_the_last_success_first() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let book = open(dir.path());
        for (port, at_s) in [(1, 100), (2, 200), (3, 300), (1, 400)] {
            assert!(book.met_at(&at(port), PEER, at_s));
        }
        book.write().expect("written");
        assert_eq!(open(dir.path()).endpoints(), [at(1), at(3), at(2)]);
        assert!(!book.met_at(&at(3), PEER, 301), "not worth a write so soon");
        assert!(book.met_at(&at(3), PeerId([8; 32]), 302), "another peer is");
    }

    #[test]
    fn what_is_forgotten_does_not_come_back() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let book = open(dir.path());
        book.met(&at(1), PEER);
        book.met(&at(2), PeerId([8; 32]));
        book.met(&at(3), PEER);
        assert!(book.forget_endpoint(&at(1)) && !book.forget_endpoint(&at(1)));
        assert!(book.forget_peer(PEER) && !book.forget_peer(PEER));
        book.write().expect("written");
        assert_eq!(open(dir.path()).endpoints(), [at(2)]);
    }

    #[test]
    fn a_bad_line_is_reported_by_its_number_and_the_others_hold() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let text =
            format!("# mine\ntcp://127.0.0.1:1\nrubbish\n\ntcp://127.0.0.1:2 {PEER} 9\ntcp://127.0.0.1:3 12ab\nmem://x {PEER} 1 2\n");
        fs::write(dir.path().join(ADDRESS_BOOK_FILE), text).expect("written");
        let (book, faults) = Book::open(dir.path()).expect("readable");
        assert_eq!(book.endpoints(), [at(2), at(1)]);
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for (fault, line) in told.iter().zip([3, 6, 7]) {
            assert!(fault.contains(&format!("line {line}:")), "{fault}");
        }
    }

    #[test]
    fn a_full_book_forgets_the_address_that_succeeded_longest_ago() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let book = open(dir.path());
        for n in 0..=limits::ADDRESS_BOOK_MAX as u16 {
            book.met_at(&at(n + 1), PEER, u64::from(n));
        }
        book.write().expect("written");
        let book = open(dir.path());
        assert_eq!(book.endpoints().len(), limits::ADDRESS_BOOK_MAX);
        assert!(!book.endpoints().contains(&at(1)) && book.endpoints().contains(&at(2)));
        let longest = "h".repeat(limits::ENDPOINT_TEXT_MAX_BYTES);
        let line = line(&Entry { endpoint: Endpoint::tcp(longest, u16::MAX), peer: Some(PEER), at_s: u64::MAX });
        assert!((line.len() * limits::ADDRESS_BOOK_MAX) as u64 <= limits::ADDRESS_BOOK_MAX_BYTES);
    }

    #[test]
    fn a_book_that_is_closed_writes_no_more_and_names_within_the_process_are_not_kept() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let book = open(dir.path());
        assert!(!book.met(&Endpoint::mem("here").expect("name"), PEER));
        book.met(&at(1), PEER);
        book.close().expect("written");
        book.met(&at(2), PEER);
        book.write().expect("nothing to do");
        assert_eq!(open(dir.path()).endpoints(), [at(1)]);
    }
}
