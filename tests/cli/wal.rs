//! `wal dump`, `verify` and `stat`: on whole and damaged logs, on one file, under a running node.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::{Running, complaint, log_file, run, run_with, stderr, stdout, text};

fn wal(what: &str, path: &Path) -> Output {
    run(&["wal", what, text(path)])
}

fn append(dir: &Path, lines: &str) -> String {
    let output = run_with(&["append", &format!("--data={}", text(dir)), "-"], lines.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).split(' ').next().expect("the origin").to_owned()
}

/// The output of a call that must succeed.
fn shown(what: &str, path: &Path) -> String {
    let output = wal(what, path);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn dump_verify_and_stat_tell_what_was_appended() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let origin = append(dir.path(), "one\ntwo\n");
    append(dir.path(), "three\n");
    for path in [dir.path(), &log_file(dir.path())] {
        let dump = shown("dump", path);
        let records: Vec<&str> = dump.lines().filter(|line| line.starts_with("record ")).collect();
        assert_eq!(records.len(), 3, "{dump}");
        for (line, (seq, len)) in records.iter().zip([(1, 3), (2, 3), (3, 5)]) {
            let fields: Vec<&str> = line.split(' ').collect();
            assert_eq!((fields[1], fields[3], fields[4]), (origin.as_str(), &*seq.to_string(), &*len.to_string()), "{line}");
            assert!(fields[7].parse::<u64>().is_ok_and(|time| time > 1_600_000_000_000_000), "{line}");
        }
        let groups = dump.lines().filter(|line| line.starts_with("group ") && line.contains(" seal ok at log/")).count();
        assert!((2..=3).contains(&groups), "{dump}");
        assert!(dump.lines().last().is_some_and(|line| line.ends_with("is whole to record 3")), "{dump}");
        assert!(shown("verify", path).ends_with("is whole to record 3\n"));
    }
    let json = run(&["wal", "dump", "--json", text(dir.path())]);
    let lines: Vec<serde_json::Value> = stdout(&json).lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let (log, groups) = lines.split_last().expect("a log");
    assert_eq!((&log["log"]["state"], &log["log"]["records"], &log["origin"]), (&"whole".into(), &3.into(), &origin.as_str().into()));
    let seqs: Vec<u64> = groups.iter().flat_map(|group| group["records"].as_array()).flatten().filter_map(|r| r["seq"].as_u64()).collect();
    assert_eq!(seqs, [1, 2, 3]);
    let stat = shown("stat", dir.path());
    assert!(stat.starts_with(&origin) && stat.contains(" records 3 bytes ") && stat.contains(" segments 1 durable-mark 3 "), "{stat}");
    assert!(stat.ends_with(" set-aside 0 files 0 bytes\n") && stat.lines().count() == 1, "{stat}");
}

#[test]
fn damage_is_found_with_its_place_and_nothing_is_changed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    ["one\n", "two\n", "three\n"].iter().for_each(|line| drop(append(dir.path(), line)));
    let file = log_file(dir.path());
    let whole = fs::read(&file).expect("readable");
    let dump = shown("dump", dir.path());
    let second = dump.lines().filter(|line| line.starts_with("group ")).nth(1).expect("three groups");
    let offset: usize = second.rsplit(' ').next().and_then(|byte| byte.parse().ok()).expect("ends in its offset");
    let mut bad = whole.clone();
    bad[offset + 9] ^= 1;
    fs::write(&file, &bad).expect("write");
    for path in [dir.path(), &file] {
        for what in ["verify", "dump", "stat"] {
            let output = wal(what, path);
            let told = stderr(&output);
            assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
            // The batch mark before the group is 16 bytes.
            assert!(told.contains("is damaged after record 1 (segment log/") && told.contains(&format!("byte {}", offset - 16)), "{told}");
        }
    }
    let json = run(&["wal", "verify", "--json", text(dir.path())]);
    let report: serde_json::Value = serde_json::from_str(&stdout(&json)).expect("one object");
    assert_eq!((json.status.code(), &report["log"]["state"]), (Some(1), &"damaged".into()));
    assert_eq!(report["ends_at"]["offset"].as_u64(), Some(offset as u64 - 16));
    assert_eq!(fs::read(&file).expect("readable"), bad);
    // Set aside by a node, it is counted and no damage any more.
    assert!(run(&["--id=A", "--listen=0", &format!("--data={}", text(dir.path())), "--run=1", "--quiet"]).status.success());
    assert!(shown("verify", dir.path()).contains("is whole to record 1"));
    assert!(shown("stat", dir.path()).contains(" set-aside 1 files "));
}

#[test]
fn an_unfinished_write_is_no_damage() {
    let dir = tempfile::tempdir().expect("temporary directory");
    append(dir.path(), "one\n");
    let file = log_file(dir.path());
    let mut bytes = fs::read(&file).expect("readable");
    bytes.extend_from_slice(b"the beginning of something");
    fs::write(&file, bytes).expect("write");
    let told = shown("verify", dir.path());
    assert!(told.contains("is whole to record 1, then comes an unfinished write"), "{told}");
}

#[test]
fn a_log_under_a_running_node_can_be_looked_at() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (_node, _) = Running::node(&[&format!("--data={}", text(dir.path()))]);
    for n in 1..=20 {
        append(dir.path(), "line\n");
        assert!(shown("verify", dir.path()).contains(&format!("is whole to record {n}")));
    }
    assert!(shown("stat", dir.path()).contains(" records 20 "));
}

#[test]
fn what_is_no_log_is_refused() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("notes");
    fs::write(&file, "no log").expect("write");
    assert!(complaint(&wal("verify", &file), 1).contains("does not begin as a log file does"));
    assert!(complaint(&wal("stat", &dir.path().join("nothing")), 1).contains("No such file"));
    assert_eq!(shown("stat", dir.path()), "");
}

#[test]
fn verify_of_a_directory_without_a_log_or_of_a_file_that_ends_in_a_bad_write_is_no_success() {
    let dir = tempfile::tempdir().expect("temporary directory");
    assert!(complaint(&wal("verify", dir.path()), 1).contains("no log in"));
    assert!(run(&["append", "--data", text(dir.path()), "one"]).status.success());
    let path = log_file(dir.path());
    let mut bytes = fs::read(&path).expect("there");
    let last = bytes.iter().rposition(|byte| *byte != 0).expect("a record");
    bytes[last] ^= 1;
    fs::write(&path, bytes).expect("written");
    let output = wal("verify", &path);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("a file alone does not tell"), "{}", stderr(&output));
}
