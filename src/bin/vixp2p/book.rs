//! The address book of a data directory: endpoints that once led to an authenticated peer. Never dials.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use vixp2p::Endpoint;

use crate::failure::Failure;

const FILE: &str = "peers";
/// Endpoints remembered; the one that was added first gives way.
const ENDPOINTS_MAX: usize = 64;
/// The largest book that is read.
const BYTES_MAX: u64 = 64 * 1024;

/// Endpoints, oldest first, and the file they live in.
#[derive(Debug)]
pub(crate) struct Book {
    path: PathBuf,
    endpoints: Vec<Endpoint>,
}

impl Book {
    /// Reads the book of `dir`; a missing file is an empty book. Lines that are no endpoints are reported and left out.
    pub(crate) fn open(dir: &Path) -> Result<(Book, Vec<String>), Failure> {
        let path = dir.join(FILE);
        let text = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(Failure::io(format!("reading address book {}", path.display())))?,
        };
        let mut complaints = Vec::new();
        let mut endpoints = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match line.trim().parse::<Endpoint>() {
                Ok(endpoint) if !endpoints.contains(&endpoint) => endpoints.push(endpoint),
                Ok(_) => {}
                Err(error) => complaints.push(format!("address book {}, line {}: {error}", path.display(), number + 1)),
            }
        }
        endpoints.truncate(ENDPOINTS_MAX);
        Ok((Book { path, endpoints }, complaints))
    }

    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Adds an endpoint and writes the book, unless it is known.
    pub(crate) fn add(&mut self, endpoint: &Endpoint) -> Result<(), Failure> {
        if self.endpoints.contains(endpoint) {
            return Ok(());
        }
        self.endpoints.push(endpoint.clone());
        if self.endpoints.len() > ENDPOINTS_MAX {
            self.endpoints.remove(0);
        }
        self.write().map_err(Failure::io(format!("writing address book {}", self.path.display())))
    }

    /// The new book takes the old one's place whole or not at all.
    fn write(&self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        for endpoint in &self.endpoints {
            writeln!(file, "{endpoint}")?;
        }
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn read(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = Vec::new();
    File::open(path)?.take(BYTES_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_again_and_rubbish_is_named() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (mut book, _) = Book::open(dir.path()).expect("empty");
        let endpoint = Endpoint::tcp("127.0.0.1", 9001);
        book.add(&endpoint).expect("written");
        book.add(&endpoint).expect("known");
        fs::write(dir.path().join(FILE), "tcp://127.0.0.1:9001\nrubbish\n").expect("write");
        let (book, complaints) = Book::open(dir.path()).expect("there");
        assert_eq!(book.endpoints(), [endpoint]);
        assert!(complaints[0].contains("line 2"), "{complaints:?}");
    }

    #[test]
    fn a_full_book_forgets_its_oldest_endpoint() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (mut book, _) = Book::open(dir.path()).expect("empty");
        for port in 1..=ENDPOINTS_MAX as u16 + 1 {
            book.add(&Endpoint::tcp("127.0.0.1", port)).expect("written");
        }
        let (book, _) = Book::open(dir.path()).expect("there");
        assert_eq!(book.endpoints().len(), ENDPOINTS_MAX);
        assert_eq!(book.endpoints()[0].port, 2);
    }
}
