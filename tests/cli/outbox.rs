//! `outbox`: what is refused. What works is docs/cli/outbox.md, which is run.

use crate::support::{Running, complaint, run, run_with, stderr, stdout, text};

#[test]
fn an_operation_is_for_one_or_for_all_and_named_exactly() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = format!("--data={}", text(dir.path()));
    let key = "ab".repeat(32);
    let send = |more: &[&str]| complaint(&run(&[&["outbox", "send", &data, "--kind=k", "text"], more].concat()), 2);
    assert!(send(&[]).contains("--to"));
    assert!(send(&["--all", "--to", &key]).contains("--all"));
    assert!(send(&["--to", "ab"]).contains("64 hex digits"));
    assert!(send(&["--all", "--wait=-1"]).contains("--wait"));
    for command in ["cancel", "done", "fail"] {
        assert!(complaint(&run(&["outbox", command, &data, "12"]), 2).contains("KEY/INCARNATION#NUMBER"));
    }
    assert!(complaint(&run(&["outbox", "send", &data, "--kind=k", "--all", "text"]), 1).contains("no node runs on"));
}

#[test]
fn what_the_node_refuses_is_told_and_bytes_of_any_kind_are_sent() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = format!("--data={}", text(dir.path()));
    let (_node, _) = Running::node(&[&data]);
    let long = "k".repeat(65);
    let refused = complaint(&run(&["outbox", "send", &data, "--all", "--kind", &long, "text"]), 1);
    assert!(refused.contains("65") && refused.contains("64"), "{refused}");
    let sent = run_with(&["outbox", "send", &data, "--all", "--kind=k", "-"], &[0, 0xff, b'\n']);
    assert!(sent.status.success(), "{}", stderr(&sent));
    let name = stdout(&sent).trim().to_owned();
    let listed = stdout(&run(&["outbox", "list", &data, "--json"]));
    let line: serde_json::Value = serde_json::from_str(&listed).expect("one object a line");
    assert_eq!((line["name"].as_str(), line["target"].as_str(), line["state"].as_str()), (Some(&*name), Some("all"), Some("pending")));
    let waited = run(&["outbox", "send", &data, "--all", "--kind=k", "--wait=0", "text"]);
    assert_eq!((waited.status.code(), stdout(&waited).lines().nth(1)), (Some(1), Some("pending")));
    assert!(complaint(&run(&["outbox", "done", &data, &name]), 1).contains("not here"));
    assert!(run(&["outbox", "cancel", &data, &name]).status.success());
}
