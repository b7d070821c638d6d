//! `trust`, `--trust` and `--connect PEER#KEY`: with and without a running node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{From, Running, complaint, run, stderr, stdout, text};

fn data(dir: &Path) -> String {
    format!("--data={}", text(dir))
}

fn key(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

fn done(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// The key a node says it has.
fn key_of(node: &mut Running) -> String {
    node.seen.iter().find_map(|(_, line)| Some(line.split_once("node test is ")?.1.to_owned())).expect("told at the start")
}

#[test]
fn the_list_is_kept_without_a_node() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = data(dir.path());
    assert_eq!(done(&["trust", "list", &data]), "");
    assert_eq!(done(&["trust", "add", &key(2), "two # \u{1b}[2J", &data]), format!("trusted {} two \\u{{23}} \\u{{1b}}[2J\n", key(2)));
    assert_eq!(done(&["trust", "add", &key(1), &data]), format!("trusted {}\n", key(1)));
    assert_eq!(done(&["trust", "revoke", &key(2), &data]), format!("revoked {} two \\u{{23}} \\u{{1b}}[2J\n", key(2)));
    assert_eq!(done(&["trust", "list", &data]).lines().count(), 2);
    assert_eq!(done(&["trust", "forget", &key(2), &data]), format!("forgotten {}\n", key(2)));
    assert!(complaint(&run(&["trust", "forget", &key(2), &data]), 1).contains("not listed"));
    assert_eq!(done(&["trust", "list", &data]), format!("trusted {}\n", key(1)));
    let file = dir.path().join("known_peers");
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    fs::write(&file, "rubbish\n").expect("edited");
    let output = run(&["trust", "list", &data]);
    assert!(output.status.success() && stderr(&output).contains("line 1"), "{}", stderr(&output));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).expect("chmod");
    assert!(complaint(&run(&["trust", "list", &data]), 1).contains("chmod 600"));
    assert!(complaint(&run(&["trust", "list", "--data=/does/not/exist"]), 1).contains("no data directory"));
}

#[test]
fn strangers_are_told_what_to_do_and_orders_take_effect_on_a_standing_link() {
    let (dir_a, dir_b) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (data_a, data_b) = (data(dir_a.path()), data(dir_b.path()));
    let (mut a, port) = Running::node(&[&data_a]);
    let key_a = key_of(&mut a);
    assert!(run(&["append", &data_a, "secret"]).status.success());
    let (mut b, _) = Running::node(&[&data_b, &format!("--connect=127.0.0.1:{port}#{key_a}")]);
    let key_b = key_of(&mut b);
    let told = b.wait_for(From::Stderr, "not trusted, so no records are exchanged");
    assert!(told.ends_with(&format!("vixp2p trust add {key_a}")), "{told}");
    b.wait_for(From::Stderr, "exchanges no records with this node");
    assert_eq!(done(&["trust", "add", &key_b, "bob", &data_a]), format!("trusted {key_b} bob\n"));
    a.wait_for(From::Stderr, "is now trusted");
    done(&["trust", "add", &key_a, &data_b]);
    let mut tail = Running::start(&["tail", "--follow", &data_b]);
    tail.wait_for(From::Stdout, "secret");
    assert_eq!(done(&["trust", "list", &data_a]), format!("trusted {key_b} bob\n"));
    done(&["trust", "revoke", &key_b, &data_a]);
    a.wait_for(From::Stderr, "identity revoked");
    assert!(complaint(&run(&["trust", "forget", &key(9), &data_a]), 1).contains("not listed"));
    fs::write(dir_a.path().join("known_peers"), "# nothing\n").expect("edited");
    a.signal("HUP");
    a.wait_for(From::Stderr, "known_peers read again: 0 keys");
    assert_eq!(done(&["trust", "list", &data_a]), "");
}

#[test]
fn a_pin_that_was_told_survives_the_kill_of_the_node() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (mut a, port) = Running::node(&[&data(dir.path()), "--trust=tofu"]);
    let _b = Running::start(&["--id=B", "--listen=0", "--connect", &format!("127.0.0.1:{port}")]);
    let told = a.wait_for(From::Stderr, "is pinned to it");
    a.signal("KILL");
    a.wait_for_end();
    let list = done(&["trust", "list", &data(dir.path())]);
    let key = list.strip_prefix("pinned ").and_then(|rest| rest.strip_suffix(" B\n")).expect("one pin");
    assert!(told.contains(key), "{told}: {list}");
}

#[test]
fn a_policy_of_the_command_line_is_the_nodes() {
    for name in ["allow_list", "allow-list", "pinned"] {
        let (mut strict, port) = Running::node(&[&format!("--trust={name}")]);
        let mut other = Running::start(&["--id=B", "--listen=0", "--connect", &format!("127.0.0.1:{port}")]);
        other.wait_for(From::Stderr, "the peer does not trust this node");
        strict.wait_for(From::Stderr, "is not in known_peers and the policy is");
    }
    let (_second, port) = Running::node(&["--trust=tofu"]);
    let mut first = Running::start(&["--id=B", "--listen=0", "--trust=tofu", "--connect", &format!("127.0.0.1:{port}#{}", key(7))]);
    first.wait_for(From::Stderr, "dialled for key 07070707, but key");
}

#[test]
fn a_key_or_policy_that_is_none_is_refused_by_name() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["--id=A", "--listen=0", "--trust=all"], &["--trust", "all", "allow_list"]),
        (&["--id=A", "--listen=0", "--connect=h:1#12ab"], &["--connect", "64 hex digits"]),
        (&["trust"], &["trust list"]),
        (&["trust", "list"], &["--data"]),
        (&["trust", "add", "--data=d"], &["KEY"]),
        (&["trust", "add", "12ab", "--data=d"], &["KEY", "64 hex digits"]),
    ];
    for (args, names) in cases {
        let line = complaint(&run(args), 2);
        names.iter().for_each(|name| assert!(line.contains(name), "{args:?}: {line}"));
    }
}
