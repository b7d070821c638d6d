//! `--chat`: what a person types reaches every peer, and what peers say cannot steer the terminal.

use std::process::Stdio;

use crate::support::{From, Running, vixp2p};

/// A node in chat mode under that name, and the port it listens on.
fn chatter(name: &str) -> (Running, String) {
    let mut command = vixp2p(&["--name", name, "--listen=127.0.0.1:0", "--chat"]);
    command.stdin(Stdio::piped());
    let mut node = Running::spawn(command);
    let line = node.wait_for(From::Stderr, "listening on port ");
    let port = line.rsplit(' ').next().expect("a port").to_owned();
    (node, port)
}

#[test]
fn two_people_connect_talk_look_around_and_leave() {
    let ((mut a, _), (mut b, port)) = (chatter("anna"), chatter("bert\u{1b}[2J"));
    a.say("anybody?");
    a.wait_for(From::Stdout, "nobody is connected");
    a.say(&format!("/connect 127.0.0.1:{port}"));
    a.wait_for(From::Stderr, " connected (outbound");
    b.wait_for(From::Stderr, " connected (inbound");
    a.say("hello \u{fc} /quit");
    assert_eq!(b.wait_for(From::Stdout, "hello"), "anna: hello \u{fc} /quit");
    b.say("well\u{1b}[2J");
    assert_eq!(a.wait_for(From::Stdout, "well"), "bert\\x1b[2J: well\\x1b[2J");
    a.say("/peers");
    a.wait_for(From::Stdout, "1 connected");
    a.wait_for(From::Stdout, &format!("connected tcp://127.0.0.1:{port} "));
    a.say("/discover");
    a.wait_for(From::Stdout, "nobody announces itself");
    for (wrong, answer) in [("/pears", "no such order: /pears"), ("/connect x", "cannot connect to \"x\""), ("/help", "/discover")] {
        a.say(wrong);
        a.wait_for(From::Stdout, answer);
    }
    a.say("/quit");
    assert!(a.finish().0.success());
    // The end of input is the end of the talk.
    b.wait_for(From::Stderr, "disconnected");
    b.hang_up();
    let (status, out, _) = b.finish();
    assert!(status.success());
    assert!(out.last().is_some_and(|line| line.starts_with("[vix p2p] peers_total=1 ")), "{out:#?}");
}
