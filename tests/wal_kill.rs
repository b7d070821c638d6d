//! The log on real files: a writer killed at any moment, a full disk, a disk that fails.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use vixp2p::base::Incarnation;
use vixp2p::crypto::{Identity, Secret};
use vixp2p::driver::disk::{DirectoryLock, DiskStorage};
use vixp2p::outbox::Target;
use vixp2p::sync::{DamageKind, Entry, Group, Storage, Wal};
use vixp2p::{Config, Node};

/// Names the directory and what the process started on it does.
const DIR: &str = "VIXP2P_TEST_WAL_DIR";
const TASK: &str = "VIXP2P_TEST_WAL_TASK";

fn open<S: Storage>(disk: S) -> Wal<S> {
    let identity = Arc::new(Identity::from_seed(&Secret::new([7; 32])));
    let (wal, damages) = Wal::open(disk, identity, Incarnation(1)).expect("recovery needs no help");
    assert!(damages.iter().all(|damage| damage.kind == DamageKind::TornTail), "{damages:?}");
    assert_eq!(wal.own().incarnation, Incarnation(1), "the log goes on");
    wal
}

fn payload(seq: u64) -> Bytes {
    let mut bytes = seq.to_le_bytes().to_vec();
    bytes.resize(8 + (seq % 700) as usize, seq as u8);
    bytes.into()
}

/// Records from `from` on are the ones appended; returns the last.
fn verify<S: Storage>(wal: &Wal<S>, from: u64) -> u64 {
    let mut next = from;
    loop {
        let groups = wal.read(wal.own(), next, 1 << 20).expect("reads");
        let entries: Vec<Entry> = groups.iter().flat_map(Group::entries).filter(|entry| entry.seq >= next).collect();
        for entry in &entries {
            assert_eq!((entry.seq, &entry.payload), (next, &payload(next)));
            next += 1;
        }
        if entries.is_empty() {
            assert_eq!(next, wal.durable(wal.own()) + 1);
            return next - 1;
        }
    }
}

/// A test only when started by another one: works on the directory until it is killed or the disk is full.
#[test]
fn the_writer() {
    let (Some(dir), Some(task)) = (std::env::var_os(DIR), std::env::var_os(TASK)) else { return };
    let dir = Path::new(&dir);
    let _lock = DirectoryLock::take(dir).expect("nobody else has it");
    let mut wal = open(DiskStorage::new(dir));
    wal.set_segment_max(200_000);
    let mut rng = fastrand::Rng::new();
    let mut accepted = wal.durable(wal.own());
    let error = loop {
        let first = wal.durable(wal.own()) + 1;
        let count = if rng.u8(..8) == 0 { rng.u64(257..600) } else { rng.u64(1..8) };
        let (first, payloads) = match task.to_str() {
            // What is accepted comes behind what is durable.
            Some("accept") => (accepted + 1, (accepted + 1..=accepted + count).map(payload).collect::<Vec<_>>()),
            _ => (first, (first..first + count).map(payload).collect::<Vec<_>>()),
        };
        let done = match task.to_str() {
            Some("accept") => wal.append_buffered(5, &payloads).map(|range| accepted = *range.end()),
            _ => wal.append(5, &payloads).map(drop),
        };
        if task == "accept" && rng.u8(..16) == 0 {
            wal.flush().expect("works");
        }
        match done {
            Ok(()) => writeln!(io::stdout(), "\nacknowledged {}", first + count - 1).expect("somebody listens"),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(task, "fill", "{error}");
    // The disk is full: everything acknowledged can be read, by this process and the next, and nothing else is there.
    let last = verify(&wal, 1);
    wal.append(5, &(last + 1..last + 2000).map(payload).collect::<Vec<_>>()).expect_err("still full");
    assert_eq!(verify(&wal, 1), last);
    drop(wal);
    assert_eq!(verify(&open(DiskStorage::new(dir)), 1), last);
    writeln!(io::stdout(), "\nfull after {last}: {error}").expect("somebody listens");
}

/// A test only when started by another one: a node whose disk gets full tells each caller why it has not appended.
#[test]
fn the_node_on_a_full_disk() {
    let (Some(dir), Some("node")) = (std::env::var_os(DIR), std::env::var(TASK).ok().as_deref()) else { return };
    let node = Node::open(Config { data_dir: Some(dir.into()), remember_peers: false, ..Config::new("full") }).expect("opens");
    node.start().expect("starts");
    let outbox = node.outbox().expect("runs");
    let target = Target::Peer(Identity::from_seed(&Secret::new([9; 32])).id());
    let big = Bytes::from(vec![b'x'; 60_000]);
    let alone = (0..100).find_map(|_| node.append_blocking(vec![big.clone()]).err()).expect("gets full");
    let queued = (0..100).find_map(|_| outbox.put(target, "kind", b"", &big).err()).expect("is full");
    for (who, error) in [("alone", alone), ("queued", queued)] {
        writeln!(io::stdout(), "\nfull after {who}: {error}").expect("somebody listens");
    }
}

/// A test only when started by another one: a node is opened on a file system that has no byte left.
#[test]
fn the_node_that_is_opened_on_a_full_disk() {
    let (Some(dir), Some("reopen")) = (std::env::var_os(DIR), std::env::var(TASK).ok().as_deref()) else { return };
    let config = || Config { data_dir: Some(Path::new(&dir).join("node")), remember_peers: false, ..Config::new("full") };
    let node = Node::open(config()).expect("opens");
    let values = node.keep_last_values().expect("before start");
    node.start().expect("starts");
    values.put(b"key", b"value").expect("there is room");
    node.append_blocking(vec![Bytes::from_static(b"record")]).expect("there is room");
    node.stop_blocking();
    drop((values, node));
    let mut junk = File::create(Path::new(&dir).join("junk")).expect("there is room");
    let error = loop {
        // Down to the last byte.
        if let Err(error) = junk.write_all(&[0; 4096]).and_then(|()| junk.write_all(&[0])) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let node = Node::open(config()).expect("opens without a byte of room");
    let values = node.keep_last_values().expect("before start");
    node.start().expect("starts");
    assert_eq!(values.get(b"key"), Some(b"value".to_vec()));
    let durable = node.logs().into_iter().find(|view| view.log == node.own_log()).map_or(0, |view| view.durable);
    writeln!(io::stdout(), "\nfull after {durable}").expect("somebody listens");
    node.stop_blocking();
}

/// This program again as the writer, behind `wrapper`.
fn writer(wrapper: &[&str], dir: &Path, task: &str) -> Command {
    let this = std::env::current_exe().expect("this test");
    let mut command = match wrapper.split_first() {
        Some((program, args)) => {
            let mut command = Command::new(program);
            command.args(args).arg(this);
            command
        }
        None => Command::new(this),
    };
    let test = match task {
        "node" => "the_node_on_a_full_disk",
        "reopen" => "the_node_that_is_opened_on_a_full_disk",
        _ => "the_writer",
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(DIR, dir).env(TASK, task);
    command.stdout(Stdio::piped());
    command
}

fn kill_rounds(rounds: u32, task: &str) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut rng = fastrand::Rng::new();
    let mut known = 0;
    for round in 0..rounds {
        let mut child = writer(&[], dir.path(), task).spawn().expect("starts");
        let (mut acknowledged, mut left) = (0, rng.u32(1..20));
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            let Some(seq) = line.strip_prefix("acknowledged ").and_then(|seq| seq.parse::<u64>().ok()) else { continue };
            acknowledged = seq;
            left = left.saturating_sub(1);
            if left == 0 {
                // What it still says before it dies is read as well.
                child.kill().expect("runs");
            }
        }
        child.wait().expect("ends");
        assert_eq!(left, 0, "round {round}: the writer ended by itself");
        let wal = open(DiskStorage::new(dir.path()));
        let last = verify(&wal, known + 1);
        assert!(last >= acknowledged, "round {round}: {acknowledged} was acknowledged, {last} is here");
        known = last;
    }
    assert_eq!(verify(&open(DiskStorage::new(dir.path())), 1), known);
}

#[test]
fn a_writer_killed_fifty_times_has_lost_nothing_it_acknowledged() {
    kill_rounds(50, "append");
}

#[test]
fn a_writer_killed_has_lost_nothing_that_was_only_accepted() {
    kill_rounds(10, "accept");
}

/// `make crash KILLS=...`.
#[test]
#[ignore = "minutes: a thousand kills each way"]
fn a_writer_killed_a_thousand_times_has_lost_nothing_it_acknowledged() {
    let rounds: u32 = std::env::var("VIXP2P_CRASH_KILLS").map_or(1000, |n| n.parse().expect("a number"));
    for task in ["append", "accept"] {
        // A log of its own for every fifty: each round reads all of it.
        (0..rounds).step_by(50).for_each(|done| kill_rounds(50.min(rounds - done), task));
    }
    eprintln!("twice {rounds} kills, nothing acknowledged was lost");
}

/// Runs the writer until the disk is full; `None` if the wrapper is not allowed here.
fn fill(wrapper: &[&str], dir: &Path, task: &str) -> Option<String> {
    let output = writer(wrapper, dir, task).stderr(Stdio::piped()).output().expect("starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if err.contains("unshare:") || err.contains("mount:") {
        return None;
    }
    assert!(output.status.success(), "{out}{err}");
    out.lines().find(|line| line.starts_with("full after")).map(str::to_owned)
}

#[test]
fn a_file_at_its_size_limit_refuses_records_and_keeps_those_it_has() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let text = fill(&["sh", "-c", "trap '' XFSZ; ulimit -f 300; exec \"$@\"", "sh"], dir.path(), "fill").expect("always allowed");
    assert!(text.contains("cannot write log/") && text.contains("File too large"), "{text}");
    let mut wal = open(DiskStorage::new(dir.path()));
    let last = verify(&wal, 1);
    wal.append(5, &(last + 1..last + 2000).map(payload).collect::<Vec<_>>()).expect("no limit here");
    assert_eq!(verify(&open(DiskStorage::new(dir.path())), 1), last + 1999);
}

#[test]
fn a_full_file_system_refuses_records_and_keeps_those_it_has() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script = format!("mount -t tmpfs -o size=600k tmpfs '{}' && exec \"$@\"", dir.path().display());
    match fill(&["unshare", "-Urm", "sh", "-c", &script, "sh"], dir.path(), "fill") {
        Some(text) => assert!(text.contains("No space left on device"), "{text}"),
        None => eprintln!("not tried: no file system can be mounted here"),
    }
}

#[test]
fn a_node_on_a_full_file_system_can_be_opened_and_read() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script = format!("mount -t tmpfs -o size=4m tmpfs '{}' && exec \"$@\"", dir.path().display());
    match fill(&["unshare", "-Urm", "sh", "-c", &script, "sh"], dir.path(), "reopen") {
        Some(text) => assert_eq!(text, "full after 2"),
        None => eprintln!("not tried: no file system can be mounted here"),
    }
}

#[test]
fn an_append_that_fails_says_so_once_on_the_callers_thread_and_on_the_logs() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut node = writer(&["sh", "-c", "trap '' XFSZ; ulimit -f 600; exec \"$@\"", "sh"], dir.path(), "node");
    let output = node.stderr(Stdio::piped()).output().expect("starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for who in ["alone", "queued"] {
        let start = format!("full after {who}: ");
        let text = out.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{who}: {out}{err}"));
        assert!(text.starts_with("log: cannot write log/") && text.contains("File too large"), "{text}");
        assert_eq!(text.matches("log: ").count(), 1, "{text}");
    }
}

/// Real files of which every so many-th write or sync of a segment fails.
struct Failing {
    disk: DiskStorage,
    calls: u32,
    every: u32,
}

impl Failing {
    fn fails(&mut self, path: &str) -> io::Result<()> {
        self.calls += u32::from(path.ends_with(".wal"));
        let fails = path.ends_with(".wal") && self.calls.is_multiple_of(self.every);
        // ENOSPC and EIO in turn.
        let code = if (self.calls / self.every).is_multiple_of(2) { 28 } else { 5 };
        if fails { Err(io::Error::from_raw_os_error(code)) } else { Ok(()) }
    }
}

impl Storage for Failing {
    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.disk.list(prefix)
    }

    fn len(&self, path: &str) -> io::Result<u64> {
        Storage::len(&self.disk, path)
    }

    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.disk.read(path, offset, buf)
    }

    fn write(&mut self, path: &str, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Err(error) = self.fails(path) {
            self.disk.write(path, offset, &data[..data.len() / 2])?;
            return Err(error);
        }
        self.disk.write(path, offset, data)
    }

    fn reserve(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.disk.reserve(path, len)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.fails(path).and_then(|()| self.disk.sync(path))
    }

    fn truncate(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.disk.truncate(path, len)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
}

#[test]
fn a_disk_that_fails_now_and_then_never_makes_a_false_promise() {
    for every in [3, 4, 5, 7] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut wal = open(Failing { disk: DiskStorage::new(dir.path()), calls: 0, every });
        wal.set_segment_max(10_000);
        let mut failures = 0;
        for _ in 0..40 {
            let last = wal.durable(wal.own());
            match wal.append(5, &(last + 1..last + 5).map(payload).collect::<Vec<_>>()) {
                Ok(_) => assert_eq!(wal.durable(wal.own()), last + 4),
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("Input/output error") || text.contains("No space left on device"), "{text}");
                    assert_eq!(wal.durable(wal.own()), last);
                    failures += 1;
                }
            }
        }
        assert!(failures >= 5, "{failures} failures");
        let last = verify(&wal, 1);
        drop(wal);
        assert_eq!(verify(&open(DiskStorage::new(dir.path())), 1), last);
    }
}

#[test]
fn a_segment_is_given_room_in_advance_and_cut_back_at_the_end() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut wal = open(DiskStorage::new(dir.path()));
    wal.append(5, &(1..100).map(payload).collect::<Vec<_>>()).expect("works");
    let path = wal.storage().list("log/").expect("lists").into_iter().find(|path| path.ends_with(".wal")).expect("a segment");
    let len = |path: &str| File::open(dir.path().join(path)).and_then(|file| file.metadata()).expect("there").len();
    let before = len(&path);
    // With room the next small commit changes no length, and the log reads the same.
    wal.append(5, &[payload(100)]).expect("works");
    assert_eq!(len(&path), before);
    assert_eq!(verify(&open(DiskStorage::new(dir.path())), 1), 100);
    wal.close().expect("works");
    assert!(len(&path) < before);
    assert_eq!(verify(&open(DiskStorage::new(dir.path())), 1), 100);
}
