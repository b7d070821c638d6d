//! `sync status`: with and without a running node, once and live.

use std::path::Path;

use crate::support::{From, Running, complaint, run, stderr, stdout, text};

fn data(dir: &Path) -> String {
    format!("--data={}", text(dir))
}

#[test]
fn the_status_shows_every_log_and_how_far_each_peer_is() {
    let (dir_a, dir_b) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let (data_a, data_b) = (data(dir_a.path()), data(dir_b.path()));
    assert!(complaint(&run(&["sync", "status", &data_a]), 1).contains("no node runs on"));
    let (_a, port) = Running::node(&[&data_a, "--trust=tofu"]);
    assert!(run(&["append", &data_a, "one"]).status.success());
    let status = stdout(&run(&["sync", "status", &data_a]));
    assert!(status.lines().next().is_some_and(|line| line.ends_with(", this node's")), "{status}");
    assert!(status.contains("durable 1 ") && status.contains("up to date"), "{status}");
    let mut live = Running::start(&["sync", "status", &data_a, "--watch", "--json"]);
    live.wait_for(From::Stdout, "\"peers\":[]");
    let (b, _) = Running::node(&[&data_b, "--trust=tofu", &format!("--connect=127.0.0.1:{port}")]);
    let line = live.wait_for(From::Stdout, "\"durable\":1,\"applied\":1,\"lag\":{\"records\":0,\"bytes\":0,\"ms\":0}}]");
    let json: serde_json::Value = serde_json::from_str(&line).expect("one object a line");
    assert_eq!(json["logs"][0]["peers"][0]["durable"], 1);
    let output = run(&["sync", "status", &data_b]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).matches("log ").count(), 2);
    drop(b);
    drop(_a);
    let (ended, _, _) = live.finish();
    assert!(ended.success());
}
