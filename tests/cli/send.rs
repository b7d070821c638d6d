//! `send` and `/send`: a message to a peer by its key, and what its sender is told.

use std::io::Write;
use std::os::unix::net::UnixStream;
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

/// Asks the node on a directory to send to somebody who is not there for ten minutes, as `send` would.
fn ask(dir: &std::path::Path) -> UnixStream {
    let mut stream = UnixStream::connect(dir.join("control.sock")).expect("the control socket");
    let mut frame = vec![0, 0, 0, 38, 25];
    frame.extend([0x11; 32]);
    frame.extend(600_000u32.to_be_bytes());
    frame.push(b'x');
    stream.write_all(&frame).expect("asked");
    stream
}

#[test]
fn those_who_wait_for_a_message_or_have_gone_keep_nobody_else_from_the_node() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = format!("--data={}", text(dir.path()));
    let (_node, _) = node(&data, &[]);
    let told = || complaint(&run(&["send", &data, "--life=1", &"22".repeat(32), "x"]), 1);
    let until = |word: &str| assert!((0..20).any(|_| told().contains(word)), "never: {word}");
    // One more than may wait at once; there is a place for somebody else who asks something.
    let waiting: Vec<UnixStream> = (0..49).map(|_| ask(dir.path())).collect();
    until("48 messages are being waited for");
    assert!(run(&["sync", "status", &data]).status.success());
    drop(waiting);
    // More than there are places at all, broken off one after the other.
    (0..100).for_each(|_| drop(ask(dir.path())));
    until("was given up");
}
