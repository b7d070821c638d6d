//! `key` and `invite`, and what a sealed key and an invite mean to the commands that take them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{From, Running, complaint, run, stderr, stdout, text};

/// A data directory that does not exist yet, and files with passphrases beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self) -> String {
        format!("--data={}", text(&self.path("data")))
    }

    /// An option that names a new private file with that content.
    fn secret(&self, option: &str, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).expect("write");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        format!("--{option}={}", text(&path))
    }

    fn key(&self) -> String {
        fs::read_to_string(self.path("data/identity.key")).expect("readable")
    }

    fn show(&self) -> String {
        line(&["key", "show", &self.data()])
    }
}

/// The only line that a command prints.
fn line(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    let out = stdout(&output);
    assert_eq!(out.lines().count(), 1, "{out}");
    out.trim_end().to_owned()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("exists").permissions().mode() & 0o777
}

#[test]
fn a_new_key_is_made_once_and_shown_sealed_or_not() {
    for sealed in [false, true] {
        let place = Place::new();
        let file = place.secret("passphrase-file", "pass", "open sesame\nsecond line\n");
        let data = place.data();
        let args: Vec<&str> = if sealed { vec!["key", "new", &data, &file] } else { vec!["key", "new", &data] };
        let id = line(&args);
        assert_eq!(id.len(), 64);
        assert_eq!(place.show(), id);
        assert_eq!(place.key().starts_with("vixp2p-sealed-key-v1 "), sealed);
        assert_eq!(mode(&place.path("data/identity.key")), 0o600);
        let key = place.key();
        assert!(complaint(&run(&args), 1).contains("exists"));
        assert_eq!(place.key(), key);
    }
}

#[test]
fn a_sealed_key_is_opened_by_its_passphrase_file_and_nothing_else() {
    let place = Place::new();
    let (data, right) = (place.data(), place.secret("passphrase-file", "right", "open sesame\n"));
    let wrong = place.secret("passphrase-file", "wrong", "open barley\n");
    let id = line(&["key", "new", &data, &right]);
    // Who fails does so before its time is over, however long the passphrase takes.
    let node = |secs: &str, more: &[&str]| run(&[&["--id=A", "--listen=0", secs, "--quiet", "--log-level=off", &data], more].concat());
    for (more, why) in [(&[][..], "no passphrase was given"), (&[&*wrong][..], "passphrase is wrong")] {
        for output in
            [node("--run=600", more), run(&[&["append", &data, "x"], more].concat()), run(&[&["key", "rotate", &data], more].concat())]
        {
            let line = complaint(&output, 1);
            assert!(line.contains(why) && !line.contains("sesame") && !line.contains("barley"), "{line}");
        }
    }
    assert!(node("--run=1", &[&right]).status.success());
    assert_eq!(line(&["append", &data, &right, "one"]), format!("{id} 1"));
    assert_eq!(place.show(), id);

    let key = place.key();
    fs::write(place.path("data/identity.key"), key.replacen("box=", "box=0", 1)).expect("write");
    assert!(complaint(&node("--run=600", &[&right]), 1).contains("damaged"));
    fs::write(place.path("data/identity.key"), key).expect("write");

    // Through a node that runs, append needs no passphrase.
    let (_node, _) = Running::node(&[&data, &right]);
    assert_eq!(line(&["append", &data, "two"]), format!("{id} 2"));
}

#[test]
fn a_passphrase_file_that_others_can_read_or_that_is_empty_is_refused_and_nothing_starts() {
    let place = Place::new();
    let (data, file) = (place.data(), place.secret("passphrase-file", "pass", "open sesame\n"));
    fs::set_permissions(place.path("pass"), fs::Permissions::from_mode(0o644)).expect("chmod");
    let commands: [&[&str]; 4] = [
        &["--id=A", "--listen=0", &data, &file],
        &["append", &data, &file, "x"],
        &["key", "new", &data, &file],
        &["key", "rotate", &data, &file],
    ];
    for args in commands {
        let line = complaint(&run(args), 2);
        assert!(line.contains("--passphrase-file") && line.contains("chmod 600") && !line.contains("sesame"), "{line}");
    }
    place.secret("passphrase-file", "pass", "\nopen sesame\n");
    assert!(complaint(&run(commands[0]), 2).contains("empty"));
    assert!(!place.path("data").exists());
}

#[test]
fn a_passphrase_is_added_changed_and_taken_away() {
    let place = Place::new();
    let data = place.data();
    let (one, two) = (place.secret("passphrase-file", "one", "one\n"), place.secret("passphrase-file", "two", "two\n"));
    let (to_one, to_two) = (place.secret("new-passphrase-file", "one", "one\n"), place.secret("new-passphrase-file", "two", "two\n"));
    let id = line(&["key", "new", &data]);
    assert_eq!(line(&["key", "passphrase", &data, &to_one]), id);
    assert!(complaint(&run(&["key", "passphrase", &data, &to_two]), 1).contains("no passphrase was given"));
    assert_eq!(line(&["key", "passphrase", &data, &one, &to_two]), id);
    assert!(complaint(&run(&["key", "passphrase", &data, &one, "--remove"]), 1).contains("wrong"));
    assert_eq!(line(&["key", "passphrase", &data, &two, "--remove"]), id);
    assert!(place.key().starts_with("vixp2p-secret-key-v1 "));
    assert!(complaint(&run(&["append", &data, &two, "x"]), 1).contains("not sealed"));
    let (node, _) = Running::node(&[&data]);
    let line = complaint(&run(&["key", "passphrase", &data, &to_one]), 1);
    assert!(line.contains(&format!("process {}", node.pid())), "{line}");
}

#[test]
fn a_rotated_key_keeps_its_seal_and_appends_go_to_a_new_log() {
    let place = Place::new();
    let (data, file) = (place.data(), place.secret("passphrase-file", "pass", "open sesame\n"));
    assert!(complaint(&run(&["key", "rotate", &data]), 1).contains("no key file"));
    assert!(!place.path("data").exists(), "a refused rotation makes no directory");
    let old = line(&["key", "new", &data, &file]);
    assert_eq!(line(&["append", &data, &file, "one"]), format!("{old} 1"));
    let secret = place.key();
    let output = run(&["key", "rotate", &data, &file]);
    let new = stdout(&output).trim_end().to_owned();
    assert!(new.len() == 64 && new != old, "{}", stderr(&output));
    assert!(stderr(&output).contains(&old) && stderr(&output).contains(&new));
    assert_eq!(place.show(), new);
    assert!(place.key().starts_with("vixp2p-sealed-key-v1 "));
    let history = fs::read_to_string(place.path("data/identity.rotation")).expect("written");
    assert!(history.starts_with(&format!("vixp2p-rotation-v1 old={old} new={new} issued=1")), "{history}");
    for entry in fs::read_dir(place.path("data")).expect("readable") {
        let path = entry.expect("readable").path();
        let bytes = if path.is_file() { fs::read(&path).expect("readable") } else { Vec::new() };
        assert_ne!(bytes, secret.as_bytes(), "the old secret lingers in {}", path.display());
    }
    assert_eq!(line(&["append", &data, &file, "two"]), format!("{new} 1"));
    let mut shown: Vec<String> = stdout(&run(&["tail", &data])).lines().map(str::to_owned).collect();
    shown.sort();
    let mut expected = [format!("{old} 1 one"), format!("{new} 1 two")];
    expected.sort();
    assert_eq!(shown, expected);

    let (node, _) = Running::node(&[&data, &file]);
    let line = complaint(&run(&["key", "rotate", &data, &file]), 1);
    assert!(line.contains(&format!("process {}", node.pid())), "{line}");
    assert_eq!(place.show(), new);
}

#[test]
fn what_a_node_wrote_under_an_earlier_key_is_not_applied_to_its_own_file() {
    let place = Place::new();
    let (data, applied) = (place.data(), place.path("applied"));
    assert!(run(&["append", &data, "mine"]).status.success());
    assert!(run(&["key", "rotate", &data]).status.success());
    let apply = format!("--apply-to={}", text(&applied));
    let (mut node, port) = Running::node(&[&data, &apply, "--trust=tofu", "--log-level=trace"]);
    let other = place.path("other");
    let (_b, _) = Running::node(&["--trust=tofu", &format!("--data={}", text(&other)), &format!("--connect=127.0.0.1:{port}")]);
    assert!(run(&["append", &format!("--data={}", text(&other)), "theirs"]).status.success());
    node.wait_for(From::Stderr, "durable here to 1");
    // What is stored is applied before the node has stopped, or after its next start.
    node.stop_by("INT");
    let (node, _) = Running::node(&[&data, &apply]);
    node.stop_by("INT");
    let lines = fs::read_to_string(&applied).expect("readable");
    assert!(!lines.contains("mine"), "{lines}");
}

#[test]
fn an_invite_leads_to_its_node_and_brings_the_secret_along() {
    let place = Place::new();
    let data = place.data();
    let psk = place.secret("psk-file", "psk", &("5a".repeat(32) + "\n"));
    let other = place.secret("psk-file", "other", &("a5".repeat(32) + "\n"));
    assert!(complaint(&run(&["invite", &data, "--address=127.0.0.1:9001"]), 1).contains("no key file"));
    let (mut node, port) = Running::node(&[&data, &psk]);
    let address = format!("--address=127.0.0.1:{port}");
    let open = line(&["invite", &data, &address]);
    let output = run(&["invite", &data, &address, "--address=node.example:9001", "--with-psk", &psk]);
    let secret = stdout(&output).trim_end().to_owned();
    assert!(secret.starts_with("vixp2p1") && secret.len() > open.len());
    assert!(stderr(&output).contains("secret") && stderr(&output).lines().count() == 1, "{}", stderr(&output));

    let upper = format!("--connect={}", secret.to_uppercase());
    let mut guest = Running::start(&["--id=B", "--listen=0", &upper]);
    guest.wait_for(From::Stdout, "peers_connected=1 ");
    node.wait_for(From::Stdout, "peers_connected=1 ");
    let mut guest = Running::start(&["--id=C", "--listen=0", &psk, "--connect", &open]);
    guest.wait_for(From::Stdout, "peers_connected=1 ");

    let conflict = complaint(&run(&["--id=D", "--listen=0", &other, &upper]), 2);
    assert!(conflict.contains("different pre-shared keys"), "{conflict}");
    let cut = &secret[..secret.len() - 1];
    for (wrong, why) in [(cut, "damaged"), ("vixp2p2aaaaaaaa", "newer version"), ("vixp2p1", "damaged")] {
        let line = complaint(&run(&["--id=D", "--listen=0", "--connect", wrong]), 2);
        assert!(line.contains("--connect") && line.contains(why) && !line.contains(wrong), "{line}");
    }
    let nine = [&["invite", &data][..], &["--address=h:1"; 9]].concat();
    assert!(complaint(&run(&nine), 2).contains("1 to 8 addresses"));
}

#[test]
fn a_node_without_a_directory_takes_its_identity_from_a_key_file() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let data = dir.path().join("data");
    let id = stdout(&run(&["key", "new", "--data", text(&data)]));
    let file = data.join("identity.key");
    let start = |more: &[&str]| run(&[&["--id=A", "--listen=0", "--run=1", "--key", text(&file)], more].concat());
    let output = start(&[]);
    assert!(output.status.success() && crate::support::stderr(&output).contains(&format!("node A is {}", id.trim_end())), "{output:?}");
    assert!(complaint(&start(&["--data", text(&data)]), 2).contains("--data"));
    std::fs::write(&file, "garbage").expect("written");
    assert!(complaint(&start(&["--log-level=off"]), 1).contains("identity.key"));
    std::fs::remove_file(&file).expect("removed");
    assert!(complaint(&start(&["--log-level=off"]), 1).contains("identity.key"));
    assert!(!file.exists(), "a key file that is named is never made");
    assert!(complaint(&run(&["--id=A", "--listen=0", "--passphrase-file=f"]), 2).contains("--key"));
}
