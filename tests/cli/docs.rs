//! The pages of docs/cli are run: every command in them, in order, and what it prints is compared with what they show.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::support::{LIMIT, text};

/// Ports of the pages; free ones take their places.
const PORTS: [u16; 10] = [8080, 9001, 9002, 9003, 9004, 9005, 9006, 9007, 9008, 9009];
/// Ends the output of a command, before its exit code.
const END: char = '\u{1}';

enum Step {
    Command { line: usize, command: String, shown: Vec<String>, exit: i32 },
    Wait { file: String, text: String },
}

fn pages() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli");
    let mut pages: Vec<PathBuf> = fs::read_dir(dir).expect("docs/cli").map(|entry| entry.expect("readable").path()).collect();
    pages.sort();
    pages
}

/// What a page has to run; panics at a block that is neither run nor says why not.
fn steps(name: &str, page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut block, mut excused): (Option<&str>, bool) = (None, false);
    for (number, line) in page.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        if let Some(fence) = line.strip_prefix("```") {
            block = match block {
                Some(_) => None,
                None => {
                    assert!(fence == "console" || excused, "{place}: a block that is not run, without <!-- untested: why -->");
                    Some(fence)
                }
            };
            excused = false;
        } else if block == Some("console") {
            step(&place, number + 1, line, &mut steps);
        } else if block.is_none() {
            assert!(!line.starts_with("    "), "{place}: an indented block; commands stand in console blocks");
            if let Some(wait) = line.strip_prefix("<!-- wait: ").and_then(|rest| rest.strip_suffix(" -->")) {
                let (file, text) = wait.split_once(' ').expect("a file and a text");
                steps.push(Step::Wait { file: file.to_owned(), text: text.to_owned() });
            }
            excused = line.starts_with("<!-- untested: ") || (excused && line.is_empty());
        }
    }
    steps
}

fn step(place: &str, number: usize, line: &str, steps: &mut Vec<Step>) {
    if let Some(command) = line.strip_prefix("$ ") {
        steps.push(Step::Command { line: number, command: command.to_owned(), shown: Vec::new(), exit: 0 });
        return;
    }
    let Some(Step::Command { shown, exit, .. }) = steps.last_mut() else { panic!("{place}: output before a command") };
    match line.strip_prefix("[exit ").and_then(|rest| rest.strip_suffix(']')) {
        Some(code) => *exit = code.parse().expect("a number"),
        None => shown.push(line.to_owned()),
    }
}

/// Whether `got` is what `shown` stands for.
fn agrees(shown: &[String], got: &[&str]) -> bool {
    match shown {
        [] => got.is_empty(),
        [any, rest @ ..] if any == "..." => (0..=got.len()).any(|skip| agrees(rest, &got[skip..])),
        [line, rest @ ..] => got.split_first().is_some_and(|(first, others)| is_like(line, first) && agrees(rest, others)),
    }
}

fn is_like(shown: &str, got: &str) -> bool {
    match shown.split_once("[..]") {
        None => shown == got,
        Some((before, after)) => {
            got.strip_prefix(before).is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && is_like(after, &rest[at..])))
        }
    }
}

/// The text with one port in place of another, but not within longer numbers: any free port may be the beginning of one.
fn swapped(text: &str, from: u16, to: u16) -> String {
    let from = from.to_string();
    let mut swapped = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&from) {
        let (before, behind) = (&rest[..at], &rest[at + from.len()..]);
        swapped.push_str(before);
        let is_digit = |c: char| c.is_ascii_digit();
        if swapped.ends_with(is_digit) || behind.starts_with(is_digit) {
            swapped.push_str(&from);
        } else {
            swapped.push_str(&to.to_string());
        }
        rest = behind;
    }
    swapped + rest
}

#[test]
fn a_port_is_exchanged_only_where_it_stands_alone() {
    assert_eq!(swapped("429:4294967295 1429 429", 429, 9008), "9008:4294967295 1429 9008");
}

/// A shell in a directory of its own, where `vixp2p` is the built program.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    dir: tempfile::TempDir,
    ports: Vec<(u16, u16)>,
}

impl Shell {
    fn start() -> Shell {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (bin, work) = (dir.path().join("bin"), dir.path().join("work"));
        fs::create_dir(&bin).expect("made");
        fs::create_dir(&work).expect("made");
        let program = bin.join("vixp2p");
        let built = env!("CARGO_BIN_EXE_vixp2p");
        let silent =
            format!("#!/bin/sh\ncase \"$1 $*\" in *--disc*) ;; --id*) set -- \"$@\" --discovery off ;; esac\nexec '{built}' \"$@\"\n");
        fs::write(&program, silent).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("chmod");
        let path = format!("{}:{}", text(&bin), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.current_dir(&work).env("PATH", path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().expect("a shell");
        let (mut input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        writeln!(input, "exec 2>&1").expect("heard");
        // All are held until all are known, so that none is given twice.
        let held: Vec<TcpListener> = PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
        let ports = PORTS.iter().zip(&held).map(|(shown, free)| (*shown, free.local_addr().expect("bound").port())).collect();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output);
            loop {
                // Kept with its line end, since what precedes the mark may have none.
                let mut line = String::new();
                if !lines.read_line(&mut line).is_ok_and(|count| count > 0) || tell.send(line).is_err() {
                    return;
                }
            }
        });
        Shell { child, input, output: told, dir, ports }
    }

    fn with_free_ports(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (shown, free)| swapped(&text, *shown, *free))
    }

    fn as_shown(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (shown, free)| swapped(&text, *free, *shown))
    }

    /// What the command prints and its exit code.
    fn run(&mut self, command: &str) -> (String, i32) {
        let command = self.with_free_ports(command);
        writeln!(self.input, "{command}\nprintf '{END}%d\\n' $?").expect("heard");
        let mut all = String::new();
        loop {
            let line = self.output.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{command} does not end ({error}): {all}"));
            if let Some((rest, code)) = line.split_once(END) {
                all.push_str(rest);
                return (self.as_shown(&all), code.trim().parse().expect("a number"));
            }
            all.push_str(&line);
        }
    }

    fn wait(&mut self, file: &str, text: &str) {
        let path = self.dir.path().join("work").join(file);
        let deadline = crate::support::now() + LIMIT;
        let text = self.with_free_ports(text);
        loop {
            let there = fs::read_to_string(&path).unwrap_or_default();
            if there.contains(&text) {
                return;
            }
            assert!(crate::support::now() < deadline, "no \"{text}\" in {file}: {there}");
            #[expect(clippy::disallowed_methods, reason = "the pause of a bounded poll of a file")]
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Nodes that a failed page has left behind.
        if writeln!(self.input, "jobs -p > ../left; printf '{END}0\\n'").is_ok() {
            while self.output.recv_timeout(LIMIT).is_ok_and(|line| !line.contains(END)) {}
        }
        let left = fs::read_to_string(self.dir.path().join("left")).unwrap_or_default();
        for pid in left.lines().filter_map(|pid| pid.parse::<u32>().ok()) {
            // One that is ending by itself may be gone by now.
            let _ = Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).stderr(Stdio::null()).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn play(path: &Path) {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let page = fs::read_to_string(path).expect("readable");
    let mut shell = Shell::start();
    for step in steps(name, &page) {
        match step {
            Step::Wait { file, text } => shell.wait(&file, &text),
            Step::Command { line, command, shown, exit } => {
                let (got, code) = shell.run(&command);
                let lines: Vec<&str> = got.lines().collect();
                assert!(
                    agrees(&shown, &lines),
                    "docs/cli/{name}:{line}: {command}\nprints\n{got}\nbut the page shows\n{}",
                    shown.join("\n")
                );
                assert_eq!(code, exit, "docs/cli/{name}:{line}: {command}\n{got}");
            }
        }
    }
}

#[test]
fn every_page_shows_what_its_commands_do() {
    let pages = pages();
    assert!(pages.len() >= 14, "{pages:?}");
    let failures: Vec<String> = std::thread::scope(|scope| {
        let plays: Vec<_> = pages.iter().map(|page| scope.spawn(|| play(page))).collect();
        let text = |panic: Box<dyn std::any::Any + Send>| panic.downcast_ref::<String>().cloned().unwrap_or_default();
        plays.into_iter().filter_map(|play| play.join().err().map(text)).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_command_has_its_page_and_the_index_names_it() {
    let index = include_str!("../../docs/cli.md");
    let names: Vec<String> =
        pages().iter().map(|page| page.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned()).collect();
    for name in &names {
        assert!(index.contains(&format!("| [{name}](cli/{name}.md) |")), "{name}");
    }
    let help = crate::support::stdout(&crate::support::run(&["--help"]));
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the commands");
    for command in commands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' ')) {
        let command = command.split(' ').next().expect("a word").to_owned();
        assert!(names.contains(&command), "{command} has no page in docs/cli");
    }
}

#[test]
fn what_a_page_shows_is_compared_and_not_waved_through() {
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(agrees(&shown(&["a", "...", "b [..] d"]), &["a", "x", "y", "b c d"]));
    assert!(agrees(&shown(&["..."]), &[]));
    assert!(!agrees(&shown(&["a"]), &["a", "b"]));
    assert!(!agrees(&shown(&["a [..] c"]), &["a b d"]));
    assert!(std::panic::catch_unwind(|| steps("p", "```sh\nls\n```\n")).is_err());
    assert!(std::panic::catch_unwind(|| steps("p", "    vixp2p\n")).is_err());
    assert_eq!(steps("p", "<!-- untested: why -->\n\n```sh\nls\n```\n```console\n$ ls\na\n[exit 3]\n```\n").len(), 1);
}
