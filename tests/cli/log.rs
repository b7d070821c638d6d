//! `append`, `tail` and `key`: with and without a running node, on a full disk, on a damaged log.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::support::{From, LIMIT, Running, complaint, log_file, run, run_with, stderr, stdout, text, vixp2p};

fn data(dir: &Path) -> String {
    format!("--data={}", text(dir))
}

/// The payloads that `tail` shows, with the first two fields checked.
fn tail(dir: &Path) -> Vec<String> {
    let output = run(&["tail", &data(dir)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let out = stdout(&output);
    let mut payloads = Vec::new();
    for line in out.lines() {
        let mut fields = line.splitn(3, ' ');
        let origin = fields.next().expect("origin");
        assert_eq!(origin.len(), 64, "{line}");
        assert_eq!(fields.next().expect("number"), (payloads.len() + 1).to_string(), "{line}");
        payloads.push(fields.next().expect("payload").to_owned());
    }
    payloads
}

#[test]
fn append_and_tail_work_without_a_node() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let output = run(&["append", &data(dir.path()), "hello"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let key = stdout(&run(&["key", "show", &data(dir.path())]));
    assert_eq!(stdout(&output), format!("{} 1\n", key.trim_end()));
    let output = run_with(&["append", &data(dir.path()), "-"], b"two\n\nfour\\\x1b[2J\xff\nfive, unterminated");
    assert_eq!(stdout(&output), (2..=5).map(|seq| format!("{} {seq}\n", key.trim_end())).collect::<String>());
    let output = run_with(&["append", &data(dir.path())], b"six\n");
    assert!(output.status.success());
    assert_eq!(tail(dir.path()), ["hello", "two", "", "four\\\\\\x1b[2J\\xff", "five, unterminated", "six"]);
    let long = stdout(&run(&["tail", "--long", &data(dir.path())]));
    assert_eq!(long.lines().next().expect("a line").split(' ').count(), 4, "{long}");
}

#[test]
fn append_takes_a_line_as_soon_as_it_has_come_and_goes_on_when_nobody_reads_what_it_prints() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mut command = vixp2p(&["append", &data(dir.path()), "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "line 1").expect("read");
    let (mut out, (tell, heard)) = (BufReader::new(child.stdout.take().expect("piped")), mpsc::channel());
    let reading = thread::spawn(move || {
        let mut told = String::new();
        tell.send(out.read_line(&mut told).map(|_| told)).expect("heard");
    });
    let told = heard.recv_timeout(LIMIT).expect("something before all has come").expect("told");
    assert!(told.ends_with(" 1\n"), "{told}");
    // It ends by closing the pipe.
    reading.join().expect("well");
    (2..=1000).for_each(|n| writeln!(input, "line {n}").expect("read"));
    drop(input);
    assert!(child.wait().expect("ends").success());
    assert_eq!(tail(dir.path()).len(), 1000);
}

#[test]
fn tail_says_so_where_the_log_ends_before_what_was_durable() {
    let dir = tempfile::tempdir().expect("temporary directory");
    // What is durable is noted when the log is opened again.
    for record in ["one", "two", "three"] {
        assert!(run(&["append", &data(dir.path()), record]).status.success());
    }
    let dump = stdout(&run(&["wal", "dump", text(dir.path())]));
    let second = dump.lines().filter(|line| line.starts_with("group")).nth(1).expect("a second group");
    let border: usize = second.rsplit(' ').next().expect("a place").parse().expect("a number");
    let mut bytes = fs::read(log_file(dir.path())).expect("there");
    // Before it stands the mark of its batch.
    bytes[border - 16..].fill(0);
    fs::write(log_file(dir.path()), bytes).expect("written");
    let output = run(&["tail", &data(dir.path())]);
    assert!(stdout(&output).ends_with(" 1 one\n"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is damaged after record 1: records up to "), "{}", stderr(&output));
}

#[test]
fn append_and_tail_go_through_a_running_node() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut node, _) = Running::node(&[&data(dir.path())]);
    let socket = fs::metadata(dir.path().join("control.sock")).expect("there");
    assert!(socket.file_type().is_socket());
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let lines: String = (1..=1000).map(|n| format!("line {n}\n")).collect();
    let output = run_with(&["append", &data(dir.path()), "-"], lines.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).lines().count(), 1000);
    assert!(run(&["append", &data(dir.path()), "last"]).status.success());
    let shown = tail(dir.path());
    assert_eq!((shown.len(), shown[999].as_str(), shown[1000].as_str()), (1001, "line 1000", "last"));
    // A killed node has lost nothing that was printed, and its stale socket stands in nobody's way.
    node.signal("KILL");
    node.wait_for_end();
    assert!(run(&["append", &data(dir.path()), "after the kill"]).status.success());
    assert_eq!(tail(dir.path()).len(), 1002);
}

#[test]
fn a_directory_path_longer_than_a_socket_address_serves_all_the_same() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let deep = dir.path().join("d".repeat(120));
    let (_node, _) = Running::node(&[&data(&deep)]);
    assert!(run(&["append", &data(&deep), "hello"]).status.success());
    assert_eq!(tail(&deep), ["hello"]);
}

#[test]
fn an_owner_without_a_control_socket_is_named() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (node, _) = Running::node(&[&data(dir.path())]);
    fs::remove_file(dir.path().join("control.sock")).expect("remove");
    let line = complaint(&run(&["append", &data(dir.path()), "hello"]), 1);
    assert!(line.contains(&format!("process {}", node.pid())) && line.contains("stop it first"), "{line}");
}

#[test]
fn appends_at_the_same_time_without_a_node_take_their_turns() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = data(dir.path());
    thread::scope(|scope| {
        for text in ["0", "1", "2"] {
            scope.spawn(|| {
                let output = run(&["append", &data, text]);
                assert!(output.status.success(), "{}", stderr(&output));
            });
        }
    });
    let mut kept = tail(dir.path());
    kept.sort();
    assert_eq!(kept, ["0", "1", "2"]);
}

#[test]
fn tail_follows() {
    let dir = tempfile::tempdir().expect("temporary directory");
    assert!(run(&["append", &data(dir.path()), "one"]).status.success());
    let mut tail = Running::start(&["tail", "-f", &data(dir.path())]);
    tail.wait_for(From::Stdout, " 1 one");
    assert!(run(&["append", &data(dir.path()), "two"]).status.success());
    tail.wait_for(From::Stdout, " 2 two");
}

#[test]
fn records_reach_the_other_node_and_its_apply_file_exactly_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (a_dir, b_dir) = (dir.path().join("a"), dir.path().join("b"));
    let applied = dir.path().join("applied");
    let (_a, port) = Running::node(&[&data(&a_dir), "--trust=tofu"]);
    assert!(run_with(&["append", &data(&a_dir), "-"], b"one\ntwo\n").status.success());
    let (to, apply) = (format!("--connect=127.0.0.1:{port}"), format!("--apply-to={}", text(&applied)));
    let args = [&data(&b_dir), "--log-level=trace", "--trust=tofu", &apply, &to];
    for more in ["three", "four"] {
        let (mut b, _) = Running::node(&args.map(AsRef::<str>::as_ref));
        assert!(run(&["append", &data(&a_dir), more]).status.success());
        let mut watch = Running::spawn({
            let mut tail = Command::new("tail");
            tail.args(["-n", "+1", "-F", text(&applied)]).stdin(std::process::Stdio::null());
            tail
        });
        watch.wait_for(From::Stdout, more);
        b.signal("KILL");
        b.wait_for_end();
    }
    let lines = fs::read_to_string(&applied).expect("readable");
    let payloads: Vec<&str> = lines.lines().map(|line| line.splitn(4, ' ').nth(3).expect("payload")).collect();
    assert_eq!(payloads, ["one", "two", "three", "four"]);
    assert_eq!(tail(&b_dir), payloads);
}

#[test]
fn input_that_cannot_be_a_record_is_refused_and_what_came_before_stays() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let line = complaint(&run_with(&["append", &data(dir.path()), "-"], b""), 1);
    assert!(line.contains("standard input is empty"), "{line}");
    let huge = [&b"small\n"[..], &vec![b'x'; 1024 * 1024 + 1], b"\nnever\n"].concat();
    let output = run_with(&["append", &data(dir.path()), "-"], &huge);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 2 has more than 1048576 bytes"), "{}", stderr(&output));
    assert_eq!(tail(dir.path()), ["small"]);
    let largest = vec![b'x'; 1024 * 1024];
    assert!(run_with(&["append", &data(dir.path()), "-"], &largest).status.success());
    let (_node, _) = Running::node(&[&data(dir.path())]);
    assert!(run_with(&["append", &data(dir.path()), "-"], &largest).status.success(), "through a node as well");
    assert_eq!(tail(dir.path()).len(), 3);
}

#[test]
fn a_full_disk_is_named_and_nothing_printed_is_lost() {
    let dir = tempfile::tempdir().expect("temporary directory");
    assert!(run(&["append", &data(dir.path()), "before"]).status.success());
    let script = format!(
        "ulimit -f 64; head -c 200000 /dev/zero | tr '\\0' x | fold -w 100 | '{}' append '{}' -",
        env!("CARGO_BIN_EXE_vixp2p"),
        data(dir.path())
    );
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh runs");
    assert_eq!(output.status.code(), Some(1));
    let complaint = stderr(&output);
    assert!(complaint.contains("cannot write log/") && complaint.contains("File too large"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    let printed = stdout(&output).lines().count();
    assert!(tail(dir.path()).len() > printed, "every printed record is there");
    assert!(run(&["append", &data(dir.path()), "after"]).status.success());
    assert_eq!(tail(dir.path()).last().map(String::as_str), Some("after"));
}

#[test]
fn a_damaged_last_record_is_reported_and_the_earlier_ones_stay() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for record in ["one", "two", "three"] {
        assert!(run(&["append", &data(dir.path()), record]).status.success());
    }
    let file = log_file(dir.path());
    let mut bytes = fs::read(&file).expect("readable");
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::write(&file, bytes).expect("write");
    let output = run(&["tail", &data(dir.path())]);
    assert_eq!((output.status.code(), stdout(&output).lines().count()), (Some(1), 2));
    assert!(stderr(&output).contains("damaged after record 2"), "{}", stderr(&output));
    let output = run(&["--id=A", "--listen=0", &data(dir.path()), "--run=1", "--quiet"]);
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("damaged after record 2") && told.contains("set aside in"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    assert_eq!(tail(dir.path()), ["one", "two"]);
}

#[test]
fn key_show_prints_the_identity_and_never_makes_one() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let line = complaint(&run(&["key", "show", &data(dir.path())]), 1);
    assert!(line.contains("no key file"), "{line}");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
    let (mut node, _) = Running::node(&[&data(dir.path())]);
    node.signal("TERM");
    let told = node.seen.iter().find_map(|(_, line)| line.split_once("node test is ")).expect("told").1.to_owned();
    assert_eq!(stdout(&run(&["key", "show", &data(dir.path())])).trim_end(), told);
    node.wait_for_end();
}

#[test]
fn tail_of_nothing_says_so() {
    let dir = tempfile::tempdir().expect("temporary directory");
    assert_eq!(tail(dir.path()), Vec::<String>::new());
    let missing = dir.path().join("missing");
    assert!(complaint(&run(&["tail", &data(&missing)]), 1).contains("missing"));
    fs::write(&missing, "a file").expect("write");
    assert!(complaint(&run(&["tail", &data(&missing)]), 1).contains("not a directory"));
}
