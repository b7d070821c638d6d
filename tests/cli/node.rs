//! A running node: counters, signals, connections, refusals.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::support::{From, Running, complaint, counter, counters, run, text};

#[test]
fn two_nodes_with_nothing_but_the_required_options_authenticate_each_other() {
    let (mut a, port) = Running::node(&[]);
    let mut b = Running::start(&["--id=B", "--listen=0", &format!("--connect=tcp://127.0.0.1:{port}")]);
    let of_b = b.wait_for(From::Stderr, "node B is ").rsplit(' ').next().expect("key").to_owned();
    a.wait_for(From::Stderr, &format!("peer {} \"B\" connected (inbound", &of_b[..8]));
    b.wait_for(From::Stderr, "\"test\" connected (outbound");
    for side in [&mut a, &mut b] {
        let line = side.wait_for(From::Stdout, "peers_connected=1 ");
        assert_eq!(counters(&line)[..4], [1, 1, 1, 1], "{line}");
    }
    let (status, _, out, _) = b.stop_by("TERM");
    assert!(status.success());
    let last = out.last().expect("final counters");
    assert_eq!((counter(last, "connect_attempts"), counter(last, "connect_failures"), counter(last, "tracked_endpoints")), (1, 0, 1));
    a.wait_for(From::Stderr, "\"B\" disconnected");
    a.wait_for(From::Stdout, "peers_connected=0 ");
}

#[test]
fn sigint_and_sigterm_stop_within_two_seconds_with_final_counters() {
    for name in ["INT", "TERM"] {
        for quiet in [&[][..], &["--quiet"]] {
            let (node, port) = Running::node(quiet);
            let (mut peer, _) = Running::node(&["--connect", &format!("127.0.0.1:{port}")]);
            peer.wait_for(From::Stderr, " connected (outbound");
            let (status, took, out, _) = node.stop_by(name);
            assert_eq!(status.code(), Some(0));
            assert!(took < Duration::from_secs(2), "{name}: {took:?}");
            out.iter().for_each(|line| drop(counters(line)));
            assert!(if quiet.is_empty() { out.len() >= 2 } else { out.len() == 1 }, "{out:#?}");
            assert_eq!(counter(out.last().expect("final counters"), "peers_total"), 1);
        }
    }
}

#[test]
fn counters_come_at_the_interval_and_run_ends_by_itself() {
    let output = run(&["--id=A", "--listen=0", "--run=1", "--stats-every=100"]);
    assert!(output.status.success());
    let out = crate::support::stdout(&output);
    out.lines().for_each(|line| assert_eq!(counters(line), [0; 9]));
    assert!(out.lines().count() >= 5, "{out}");
}

#[test]
fn a_live_line_is_written_over_and_ends_in_a_block() {
    let output = run(&["--id=A", "--listen=0", "--run=1", "--tui=on", "--log-level=off"]);
    let out = crate::support::stdout(&output);
    assert!(out.starts_with("\r\x1b[K\x1b[?7l[vix p2p] peers_total=0 "), "{out:?}");
    assert_eq!(out.matches('\n').count(), 11, "{out:?}");
    let last: Vec<&str> = out.lines().collect();
    assert_eq!(counters(last.last().expect("final counters")), [0; 9]);
    assert!(out.contains("\n  tracked_endpoints      0\n"), "{out:?}");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("free port");
    let port = taken.local_addr().expect("address").port();
    for listen in [format!("127.0.0.1:{port}"), port.to_string()] {
        let output = run(&["--id=A", "--listen", &listen, "--log-level=off"]);
        let line = complaint(&output, 1);
        assert!(line.contains(&format!("port {port} is in use")), "{line}");
    }
}

#[test]
fn no_connect_dials_nothing_at_all() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = format!("--data={}", text(dir.path()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    listener.set_nonblocking(true).expect("nonblocking");
    let address = listener.local_addr().expect("address");
    std::fs::write(dir.path().join("peers"), format!("tcp://{address}\n")).expect("write");
    let output = run(&["--id=A", "--listen=0", "--no-connect", &format!("--connect={address}"), &data, "--run=1", "--quiet"]);
    let out = crate::support::stdout(&output);
    assert_eq!(counters(out.trim_end()), [0; 9]);
    assert_eq!(listener.accept().expect_err("nobody came").kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn connect_delay_holds_back_the_first_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
    let to = format!("--connect={}", listener.local_addr().expect("address"));
    let output = run(&["--id=A", "--listen=0", &to, "--connect-delay=60000", "--run=1", "--quiet"]);
    assert_eq!(counter(crate::support::stdout(&output).trim_end(), "connect_attempts"), 0);
    let mut node = Running::start(&["--id=A", "--listen=0", &to, "--connect-delay=50"]);
    node.wait_for(From::Stdout, "connect_attempts=1 ");
}

#[test]
fn the_address_book_remembers_whom_a_node_reached() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = format!("--data={}", text(dir.path()));
    let (_a, port) = Running::node(&[]);
    let dial = |more: &[&str]| {
        let mut b = Running::start(&[&["--id=B", "--listen=0", &data], more].concat());
        b.wait_for(From::Stdout, "peers_connected=1 ");
        let (status, ..) = b.stop_by("INT");
        assert!(status.success());
    };
    dial(&["--connect", &format!("127.0.0.1:{port}")]);
    let book = std::fs::read_to_string(dir.path().join("peers")).expect("written");
    assert!(book.starts_with(&format!("tcp://127.0.0.1:{port} ")) && book.lines().count() == 1, "{book}");
    dial(&[]);
    let output = run(&["--id=B", "--listen=0", &data, "--no-remember", "--run=1", "--quiet"]);
    assert_eq!(counters(crate::support::stdout(&output).trim_end()), [0; 9]);
}

#[test]
fn a_wrong_pre_shared_key_is_named_on_both_sides() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let key = |name: &str, digits: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, digits.repeat(32)).expect("write");
        format!("--psk-file={}", text(&path))
    };
    let (one, two) = (key("one", "11"), key("two", "22"));
    let (mut a, port) = Running::node(&[&one]);
    let to = format!("--connect=127.0.0.1:{port}");
    for theirs in [Some(&two), None] {
        let args: Vec<&str> = ["--id=B", "--listen=0", &to].into_iter().chain(theirs.map(String::as_str)).collect();
        let mut b = Running::start(&args);
        a.wait_for(From::Stderr, "pre-shared key");
        b.wait_for(From::Stderr, "pre-shared key");
        let (status, _, out, _) = b.stop_by("TERM");
        assert!(status.success());
        assert_eq!(counter(out.last().expect("final counters"), "peers_total"), 0);
    }
    let mut b = Running::start(&["--id=B", "--listen=0", &to, &one]);
    b.wait_for(From::Stdout, "peers_connected=1 ");
}

#[test]
fn a_v1_plaintext_peer_is_named() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../vectors/vectors_v1.json")).expect("JSON");
    let envelopes = vectors["envelope_plain"].as_array().expect("vectors");
    let hello = envelopes.iter().find(|vector| vector["inputs"]["type_name"] == "Hello").expect("a v1 envelope");
    let envelope = vixp2p::base::id::from_hex(hello["hex"].as_str().expect("hex")).expect("hex");
    let (mut a, port) = Running::node(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream.write_all(&[&[envelope.len() as u8][..], &envelope].concat()).expect("sent");
    let line = a.wait_for(From::Stderr, "no common protocol version");
    assert!(line.contains("v1") || line.contains("1.0"), "{line}");
    let (status, ..) = a.stop_by("TERM");
    assert!(status.success());
}

#[test]
fn altered_handshake_bytes_end_the_connection_and_nothing_else() {
    let (mut a, port) = Running::node(&[]);
    for garbage in [&[0u8; 64][..], &[0xff; 64], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        stream.write_all(garbage).expect("sent");
        a.wait_for(From::Stderr, "inbound handshake with tcp://127.0.0.1");
    }
    let (mut b, _) = Running::node(&["--connect", &format!("127.0.0.1:{port}")]);
    b.wait_for(From::Stdout, "peers_connected=1 ");
}

#[test]
fn an_unusable_key_file_is_named_and_left_alone() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = format!("--data={}", text(dir.path()));
    assert!(run(&["--id=A", "--listen=0", &data, "--run=1"]).status.success());
    let key = dir.path().join("identity.key");
    let good = std::fs::read(&key).expect("readable");
    let start = || complaint(&run(&["--id=A", "--listen=0", &data, "--log-level=off"]), 1);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).expect("chmod");
    assert!(start().contains("identity.key: others can read it"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    std::fs::write(&key, "garbage").expect("write");
    assert!(start().contains("identity.key: "));
    assert_eq!(std::fs::read(&key).expect("untouched"), b"garbage");
    std::fs::remove_file(&key).expect("remove");
    std::fs::create_dir(&key).expect("a directory cannot be read, not even by root");
    assert!(start().contains("identity.key: "));
    std::fs::remove_dir(&key).expect("remove");
    std::fs::write(&key, good).expect("write");
}

#[test]
fn a_second_node_on_a_directory_is_refused_with_the_owner_named() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = format!("--data={}", text(dir.path()));
    let (first, _) = Running::node(&[&data]);
    let line = complaint(&run(&["--id=B", "--listen=0", &data, "--log-level=off"]), 1);
    assert!(line.contains(text(dir.path())) && line.contains(&first.pid().to_string()), "{line}");
}

#[test]
fn a_node_stops_when_its_input_ends_if_told_so() {
    let mut command = crate::support::vixp2p(&["--id=A", "--listen=0", "--stop-on-eof"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    drop(child.stdin.take());
    assert!(child.wait().expect("ends").success());
}
