//! `--events`: the file has the events that a program with the library built in is told, in their JSON form.

use serde_json::Value;

use crate::support::{From, Running, complaint, run, text};

#[test]
fn the_file_has_every_event_and_pings_only_at_level_trace() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (file, data) = (dir.path().join("events"), dir.path().join("a"));
    let (_b, port) = Running::node(&[]);
    let to = format!("127.0.0.1:{port}");
    let (mut a, _) = Running::node(&["--connect", &to, "--events", text(&file), "--data", text(&data), "--log-level", "trace"]);
    a.wait_for(From::Stderr, " connected (outbound");
    a.wait_for(From::Stderr, "ping to ");
    let (status, ..) = a.stop_by("TERM");
    assert!(status.success());
    let lines = std::fs::read_to_string(&file).expect("written");
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert_eq!((&events[0]["event"], &events[events.len() - 1]["event"]), (&Value::from("started"), &Value::from("stopped")));
    let met = events.iter().find(|event| event["event"] == "peer_connected").expect("the peer");
    assert_eq!((&met["node_id"], &met["direction"]), (&Value::from("test"), &Value::from("outbound")));
    assert!(events.iter().any(|event| event["event"] == "ping" && event["direction"] == "outbound"), "{lines}");
}

#[test]
fn a_file_that_cannot_be_opened_is_named_and_nothing_starts() {
    let line = complaint(&run(&["--id=A", "--listen=0", "--events=/does/not/exist", "--log-level=off"]), 1);
    assert!(line.contains("--events /does/not/exist"), "{line}");
}
