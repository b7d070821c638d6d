//! Starting the program and waiting for its lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest any single wait may take; a busy machine is no failure.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const STATS_KEYS: [&str; 9] = [
    "peers_total",
    "peers_connected",
    "handshakes_started",
    "handshakes_completed",
    "connect_attempts",
    "connect_deduped",
    "connect_failures",
    "backoff_skips",
    "tracked_endpoints",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum From {
    Stdout,
    Stderr,
}

/// A running program whose lines are read as they come. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<(From, String)>,
    pub(crate) seen: Vec<(From, String)>,
    /// How far each stream has been waited through.
    read: [usize; 2],
}

pub(crate) fn vixp2p(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vixp2p"));
    // Nothing is announced on the networks of this machine, unless a test has made one for it.
    let is_node = args.first().is_some_and(|arg| arg.starts_with('-')) && !args.iter().any(|arg| arg.starts_with("--disc"));
    let listen = args.iter().position(|arg| is_node && arg.starts_with("--listen"));
    let behind = listen.map_or(0, |at| if args[at].contains('=') { at + 1 } else { at + 2 });
    let (front, rest) = args.split_at(behind.min(args.len()));
    let silent = (behind > 0 && behind <= args.len()).then_some("--discovery=off");
    command.args(front).args(silent).args(rest).stdin(Stdio::null());
    command
}

/// Runs to the end.
pub(crate) fn run(args: &[&str]) -> Output {
    vixp2p(args).output().expect("the program starts")
}

/// Runs to the end with something on standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Output {
    let mut child = vixp2p(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_owned();
    // A program that stops reading is no failure of the writer.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("writer ends");
    output
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Checks a failure: exit code, nothing on stdout, one line on stderr; gives the line.
pub(crate) fn complaint(output: &Output, code: i32) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(stdout(output), "");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with("vixp2p: ") && text.ends_with('\n'), "{text}");
    text
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Running {
        Running::spawn(vixp2p(args))
    }

    /// Types a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().expect("spawned with an input"), "{line}").expect("the program listens");
    }

    /// Ends the standard input.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn spawn(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let (tell, lines) = channel();
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let follow = |from: From, pipe: Box<dyn Read + Send>| -> JoinHandle<()> {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if tell.send((from, line)).is_err() {
                        return;
                    }
                }
            })
        };
        follow(From::Stdout, Box::new(stdout));
        follow(From::Stderr, Box::new(stderr));
        Running { child, stdin, lines, seen: Vec::new(), read: [0; 2] }
    }

    /// A node on 127.0.0.1 and any free port, and that port.
    pub(crate) fn node(args: &[&str]) -> (Running, u16) {
        let mut node = Running::start(&[&["--id", "test", "--listen", "127.0.0.1:0"], args].concat());
        let line = node.wait_for(From::Stderr, "listening on port ");
        let port = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        // The control socket is open when the first counters come.
        if !args.contains(&"--quiet") {
            node.wait_for(From::Stdout, "[vix p2p]");
        }
        (node, port)
    }

    /// The next line of that stream with `text` in it; lines of the other stream keep for whoever waits for them.
    pub(crate) fn wait_for(&mut self, from: From, text: &str) -> String {
        let deadline = now() + LIMIT;
        loop {
            let place = &mut self.read[from as usize];
            while let Some((stream, line)) = self.seen.get(*place) {
                *place += 1;
                if *stream == from && line.contains(text) {
                    return line.clone();
                }
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(now())) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no \"{text}\" ({error}); seen: {:#?}", self.seen),
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Sends a signal and waits for the end; how it ended, how long it took and every line of stdout and stderr.
    pub(crate) fn stop_by(self, name: &str) -> (ExitStatus, Duration, Vec<String>, Vec<String>) {
        let begin = now();
        self.signal(name);
        let (status, out, err) = self.finish();
        (status, now() - begin, out, err)
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let status = self.wait_for_end();
        let of = |from| self.seen.iter().filter(|(stream, _)| *stream == from).map(|(_, line)| line.clone()).collect();
        (status, of(From::Stdout), of(From::Stderr))
    }

    /// Waits for the end, keeping the lines.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        // Both pipes end when the process does.
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("the program does not end ({error}); seen: {:#?}", self.seen),
            }
        }
        self.child.wait().expect("the program ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("sh runs");
    assert!(sent.success(), "kill -{name} {pid}");
}

#[expect(clippy::disallowed_methods, reason = "one of the promises is a time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The counters of a stats line; panics if it is not exactly one.
pub(crate) fn counters(line: &str) -> Vec<u64> {
    let words: Vec<&str> = line.strip_prefix("[vix p2p] ").expect(line).split(' ').collect();
    assert_eq!(words.len(), STATS_KEYS.len(), "{line}");
    words
        .iter()
        .zip(STATS_KEYS)
        .map(|(word, key)| word.strip_prefix(key).and_then(|v| v.strip_prefix('=')).expect(line).parse().expect(line))
        .collect()
}

pub(crate) fn counter(line: &str, key: &str) -> u64 {
    let place = STATS_KEYS.iter().position(|name| *name == key).expect("a counter");
    counters(line)[place]
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8 path")
}

/// The file with the records of the only log in `dir`.
pub(crate) fn log_file(dir: &Path) -> std::path::PathBuf {
    let mut dirs = vec![dir.join("log")];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "wal") {
                files.push(path);
            }
        }
    }
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}
