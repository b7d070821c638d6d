//! `send` and `/send`: a message to a peer by its key, and what its sender is told.

use std::process::Stdio;

use crate::support::{From, Running, complaint, run, run_with, stderr, stdout, text, vixp2p};

/// A node that knows only whom it was told of.
fn node(data: &str, more: &[&str]) -> (Running, String) {
    let mut args = vec![data, "--trust=tofu", "--no-peer-exchange"];
    args.extend_from_slice(more);
    let (node, port) = Running::node(&args);
    (node, port.to_string())
}

fn key(data: &str) -> String {
    stdout(&run(&["key", "show", data])).trim().to_owned()
}

#[test]
fn a_message_goes_over_a_relay_and_its_sender_hears_that_it_arrived_or_why_not() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let [a, b, c] = [0, 1, 2].map(|n| format!("--data={}", text(dirs[n].path())));
    let nobody = "00".repeat(32);
    assert!(complaint(&run(&["send", &a, &nobody, "x"]), 1).contains("no node runs on"));
    let (_one, port) = node(&a, &[]);
    let (mut two, port) = node(&b, &[&format!("--connect=127.0.0.1:{port}")]);
    two.wait_for(From::Stderr, " connected (outbound");
    let by_two = format!("--connect=127.0.0.1:{port}");
    let mut command = vixp2p(&["--id=c", "--listen=127.0.0.1:0", &c, "--trust=tofu", "--no-peer-exchange", &by_two, "--chat"]);
    command.stdin(Stdio::piped());
    let mut three = Running::spawn(command);
    three.wait_for(From::Stderr, " connected (outbound");
    let to = key(&c);
    let sent = run(&["send", &a, &to, "over", "the  hill"]);
    assert_eq!((sent.status.code(), stdout(&sent)), (Some(0), format!("message 1 has arrived at {}\n", &to[..8])), "{}", stderr(&sent));
    assert!(three.wait_for(From::Stdout, "over").ends_with(": over the  hill"));
    let lines = run_with(&["send", &a, &to, "-"], b"one\n\nthree");
    assert_eq!(stdout(&lines).matches("has arrived").count(), 3, "{}", stderr(&lines));
    let lost = complaint(&run(&["send", &a, "--life=1", &nobody, "x"]), 1);
    assert!(lost.contains("was given up: no way to it"), "{lost}");
    let some = run_with(&["send", &a, "--life=1", &nobody], b"x\ny\n");
    assert_eq!((some.status.code(), stdout(&some).lines().count()), (Some(1), 2));
    assert!(stderr(&some).contains("2 of 2 messages were not delivered"), "{}", stderr(&some));
    assert!(complaint(&run(&["send", &a, &key(&a), "x"]), 1).contains("this node itself"));
}

#[test]
fn what_cannot_be_sent_is_named() {
    let to = "ab".repeat(32);
    for (args, word) in [
        (vec!["send", "--data=x"], "PEER"),
        (vec!["send", &to, "x"], "--data"),
        (vec!["send", "--data=x", "bert", "x"], "64 hex digits"),
        (vec!["send", "--data=x", "--life=0", &to, "x"], "1 to 600"),
        (vec!["send", "--data=x", "--life=601", &to, "x"], "1 to 600"),
    ] {
        let text = complaint(&run(&args), 2);
        assert!(text.contains(word), "{args:?}: {text}");
    }
}

#[test]
fn a_person_at_a_node_sends_to_one_and_is_told_what_became_of_it() {
    let mut command = vixp2p(&["--name=anna", "--listen=127.0.0.1:0", "--chat"]);
    command.stdin(Stdio::piped());
    let mut anna = Running::spawn(command);
    let dir = tempfile::tempdir().expect("a directory");
    let data = format!("--data={}", text(dir.path()));
    let (_bert, port) = Running::node(&[&data]);
    anna.say(&format!("/connect 127.0.0.1:{port}"));
    anna.wait_for(From::Stderr, " connected (outbound");
    anna.say(&format!("/send {} hello", key(&data)));
    anna.wait_for(From::Stdout, "message 1 has arrived at ");
    anna.say("/send bert hello");
    anna.wait_for(From::Stdout, "cannot send: a key is 64 hex digits");
    anna.say("/quit");
    assert!(anna.finish().0.success());
}
