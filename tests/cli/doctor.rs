//! `doctor` and `log-level`: why a peer is not connected, said of a running node and found without one.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::support::{From, Running, complaint, run, stderr, stdout, text};

/// What doctor found: cause and the whole object, by line; and whether it found anything wrong.
fn doctor(args: &[&str]) -> (Vec<Value>, bool) {
    let output = run(&[&["doctor", "--json"], args].concat());
    assert!(matches!(output.status.code(), Some(0 | 1)) && output.stderr.is_empty(), "{}", stderr(&output));
    let findings: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let bad = findings.iter().any(|finding| finding["verdict"] == "bad");
    assert_eq!(output.status.code(), Some(i32::from(bad)), "{findings:#?}");
    (findings, bad)
}

/// The finding with that cause.
fn find<'a>(findings: &'a [Value], cause: &str) -> &'a Value {
    findings.iter().find(|finding| finding["cause"] == cause).unwrap_or_else(|| panic!("no {cause}: {findings:#?}"))
}

/// The finding with that cause, which is a reason and says what to do.
fn bad<'a>(findings: &'a [Value], cause: &str) -> &'a Value {
    let finding = find(findings, cause);
    assert_eq!(finding["verdict"], "bad", "{finding}");
    assert!(finding["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{finding}");
    finding
}

/// An address of the loopback where connections are refused, and what keeps it so.
fn refusing() -> (String, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().expect("bound").as_socket().expect("an address");
    (address.to_string(), socket)
}

fn data_in(dir: &Path, name: &str) -> String {
    text(&dir.join(name)).to_owned()
}

#[test]
fn a_running_node_says_of_each_endpoint_why_it_is_not_connected() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = data_in(dir.path(), "a");
    let psk = dir.path().join("psk");
    std::fs::write(&psk, "11".repeat(32)).expect("written");
    let (address, _socket) = refusing();
    let (_other, other_port) = Running::node(&["--psk-file", text(&psk)]);
    let (_good, good_port) = Running::node(&[]);
    let (to_other, to_good) = (format!("127.0.0.1:{other_port}"), format!("127.0.0.1:{good_port}"));
    let (mut a, _) = Running::node(&["--data", &data, "--connect", &address, "--connect", &to_other, "--connect", &to_good]);
    a.wait_for(From::Stdout, "peers_connected=1 ");
    a.wait_for(From::Stderr, "pre-shared key");
    a.wait_for(From::Stderr, &format!("connect to tcp://{address} failed"));
    let (findings, wrong) = doctor(&["--data", &data]);
    assert!(wrong);
    let refused = bad(&findings, "refused");
    assert_eq!(refused["about"], format!("tcp://{address}"));
    let again = refused["says"].as_str().expect("text").contains("just now");
    assert!(refused["next_attempt_in_ms"].is_u64() || again, "{refused}");
    assert_eq!(bad(&findings, "psk_or_handshake")["about"], format!("tcp://{to_other}"));
    let good = findings.iter().find(|finding| finding["about"] == format!("tcp://{to_good}")).expect("the third");
    assert_eq!(good["verdict"], "ok");
    assert_eq!(find(&findings, "untrusted")["verdict"], "note");
    assert!(find(&findings, "irrelevant")["says"].as_str().expect("text").contains("clocks"));
    let (findings, wrong) = doctor(&["--data", &data, &to_good]);
    assert!(!wrong, "{findings:#?}");
    let (findings, _) = doctor(&["--data", &data, "127.0.0.1:1"]);
    bad(&findings, "not_wanted");
    let shown = run(&["doctor", "--data", &data]);
    let lines = stdout(&shown);
    assert!(lines.contains("BAD   tcp://") && lines.contains("       -> "), "{lines}");
    assert!(lines.ends_with("2 things are wrong\n"), "{lines}");
}

#[test]
fn a_lonely_node_and_one_that_dials_nobody_say_so() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (alone, still) = (data_in(dir.path(), "alone"), data_in(dir.path(), "still"));
    let (_alone, _) = Running::node(&["--data", &alone]);
    bad(&doctor(&["--data", &alone]).0, "alone");
    let (_still, _) = Running::node(&["--data", &still, "--no-connect"]);
    let (findings, wrong) = doctor(&["--data", &still]);
    assert!(!wrong && find(&findings, "no_connect")["verdict"] == "note");
    bad(&doctor(&["--data", &still, "127.0.0.1:1"]).0, "no_connect");
}

#[test]
fn without_a_node_the_endpoint_is_dialled_and_what_comes_is_explained() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let psk = dir.path().join("psk");
    std::fs::write(&psk, "11".repeat(32)).expect("written");
    let (address, _socket) = refusing();
    bad(&doctor(&[&address]).0, "refused");
    bad(&doctor(&["no-such-host.invalid:9001"]).0, "dns");
    bad(&doctor(&[&format!("unix://{}/none.sock", text(dir.path()))]).0, "no_socket");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent = silent.local_addr().map(|address| (address.to_string(), silent)).expect("bound");
    bad(&doctor(&[&silent.0, "--timeout", "1"]).0, "timeout");
    let (_secret, port) = Running::node(&["--psk-file", text(&psk)]);
    let secret = format!("127.0.0.1:{port}");
    bad(&doctor(&[&secret]).0, "psk_or_handshake");
    let (findings, wrong) = doctor(&[&secret, "--psk-file", text(&psk)]);
    assert!(!wrong && find(&findings, "stranger")["verdict"] == "note", "{findings:#?}");
    let wrong_key = format!("{secret}#{}", "22".repeat(32));
    bad(&doctor(&[&wrong_key, "--psk-file", text(&psk)]).0, "untrusted");
}

#[test]
fn a_peer_of_another_version_is_told_from_one_that_does_not_trust_the_key() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let mine = data_in(dir.path(), "mine");
    let key = stdout(&run(&["key", "new", "--data", &mine])).trim_end().to_owned();
    let (_strict, port) = Running::node(&["--trust", "allow_list"]);
    let peer = format!("127.0.0.1:{port}");
    let (findings, _) = doctor(&["--data", &mine, "--id", "mine", &peer]);
    assert!(bad(&findings, "untrusted")["advice"].as_str().expect("text").contains(&format!("trust add {key}")), "{findings:#?}");
    // A v1 node speaks at once, and in plaintext.
    let vectors: Value = serde_json::from_str(include_str!("../vectors/vectors_v1.json")).expect("JSON");
    let envelopes = vectors["envelope_plain"].as_array().expect("vectors");
    let hello = envelopes.iter().find(|vector| vector["inputs"]["type_name"] == "Hello").expect("a v1 envelope");
    let hello = vixp2p::base::id::from_hex(hello["hex"].as_str().expect("hex")).expect("hex");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("dialled");
        stream.write_all(&[&[hello.len() as u8][..], &hello].concat()).expect("sent");
        let mut rest = Vec::new();
        let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    });
    bad(&doctor(&[&address, "--timeout", "5"]).0, "version");
    server.join().expect("ended");
}

#[test]
fn what_is_wrong_with_a_data_directory_is_named() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = data_in(dir.path(), "a");
    assert_eq!(find(&doctor(&["--data", &data]).0, "no_data")["verdict"], "note");
    let pass = dir.path().join("pass");
    std::fs::write(&pass, "sesame\n").expect("written");
    std::fs::set_permissions(&pass, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    assert!(run(&["key", "new", "--data", &data, "--passphrase-file", text(&pass)]).status.success());
    bad(&doctor(&["--data", &data]).0, "key_sealed");
    let (findings, wrong) = doctor(&["--data", &data, "--passphrase-file", text(&pass)]);
    assert!(!wrong, "{findings:#?}");
    std::fs::write(dir.path().join("a/identity.key"), "garbage").expect("written");
    bad(&doctor(&["--data", &data]).0, "key_unusable");
    // A program with the library built in owns the directory and has no control socket.
    let lock = vixp2p::driver::disk::DirectoryLock::take(&dir.path().join("a")).expect("free");
    let owned = doctor(&["--data", &data]).0;
    assert!(bad(&owned, "data_in_use")["says"].as_str().expect("text").contains(&std::process::id().to_string()), "{owned:#?}");
    drop(lock);
}

/// What doctor finds in a directory on a file system of its own, which `prepare` has made; `None` where that is not permitted.
fn doctor_on(prepare: &str) -> Option<Vec<Value>> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script = format!("cd {} && mkdir A && {prepare} && exec {} doctor --json --data A", text(dir.path()), env!("CARGO_BIN_EXE_vixp2p"));
    let output = std::process::Command::new("unshare").args(["-m", "sh", "-c", &script]).output().ok()?;
    if output.stdout.is_empty() {
        eprintln!("skipped: no file system may be mounted here: {}", stderr(&output));
        return None;
    }
    Some(stdout(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

#[test]
fn a_full_and_a_read_only_disk_are_told_apart() {
    if let Some(findings) = doctor_on("mount -t tmpfs -o size=32k none A") {
        bad(&findings, "disk_full");
    }
    if let Some(findings) = doctor_on("mount -t tmpfs none A && mount -o remount,ro A") {
        bad(&findings, "disk_read_only");
    }
}

#[test]
fn a_port_in_use_and_an_address_of_no_interface_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    bad(&doctor(&["--listen", &address.to_string()]).0, "port_in_use");
    bad(&doctor(&["--listen", &address.port().to_string()]).0, "port_in_use");
    bad(&doctor(&["--listen", "192.0.2.1:9"]).0, "no_interface");
    let port = address.port();
    drop(taken);
    let (findings, wrong) = doctor(&["--listen", &format!("127.0.0.1:{port}")]);
    assert!(!wrong, "{findings:#?}");
}

#[test]
fn a_doctor_without_anything_to_look_at_is_refused() {
    let line = complaint(&run(&["doctor"]), 2);
    assert!(line.contains("PEER"), "{line}");
    assert!(complaint(&run(&["doctor", "h:1", "--id", "x"]), 2).contains("--data"));
}

#[test]
fn a_running_node_changes_its_log_level_by_every_name() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = data_in(dir.path(), "a");
    let (mut a, port) = Running::node(&["--data", &data, "--log-level", "info"]);
    let set = |level: &str| stdout(&run(&["log-level", level, "--data", &data]));
    assert_eq!(set("debug"), "log level debug, was info\n");
    assert_eq!(set("warning"), "log level warn, was debug\n");
    for (alias, name) in [("err", "error"), ("fatal", "critical"), ("none", "off"), ("OFF", "off")] {
        assert!(set(alias).starts_with(&format!("log level {name}, ")), "{alias}");
    }
    let (mut silent, _) = Running::node(&["--connect", &format!("127.0.0.1:{port}")]);
    a.wait_for(From::Stdout, "peers_connected=1 ");
    silent.wait_for(From::Stdout, "peers_connected=1 ");
    assert_eq!(set("trace"), "log level trace, was off\n");
    // The node says goodbye to the peer at the level it has now.
    let (status, ..) = silent.stop_by("TERM");
    assert!(status.success());
    a.wait_for(From::Stderr, " disconnected (inbound");
    assert!(!a.seen.iter().any(|(stream, line)| *stream == From::Stderr && line.contains(" connected (inbound")), "it was off then");
    assert!(complaint(&run(&["log-level", "loud", "--data", &data]), 2).contains("loud"));
    let nobody = data_in(dir.path(), "nobody");
    assert!(complaint(&run(&["log-level", "info", "--data", &nobody]), 1).contains("no node runs"));
}
