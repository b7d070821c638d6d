//! What the program accepts, and how it says what it does not.

use crate::support::{complaint, counters, run, stdout, text, vixp2p};

#[test]
fn a_refused_command_line_names_the_option_and_starts_nothing() {
    let long = "n".repeat(256);
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["--id", "--listen"]),
        (&["--id", "A"], &["--listen"]),
        (&["--listen", "9001"], &["--id"]),
        (&["--id", "A", "--listen"], &["--listen", "needs a value"]),
        (&["--id", "", "--listen", "0"], &["--id", "empty"]),
        (&["--id", &long, "--listen", "0"], &["--id", "256 bytes"]),
        (&["--id=A", "--listen=65536"], &["--listen", "65536"]),
        (&["--id=A", "--listen=-1"], &["--listen", "-1"]),
        (&["--id=A", "--listen", "-1"], &["--listen", "-1"]),
        (&["--id=A", "--listen=localhost:9001"], &["--listen", "localhost:9001", "IP address"]),
        (&["--id=A", "--listen=quic://127.0.0.1:1"], &["--listen", "tcp, unix, mem"]),
        (&["--id=A", "--listen=9001", "--listen=unix://a.sock"], &["--listen", "absolute"]),
        (&["--id=A", "--listen=0", "--data=d", "--run=soon"], &["--run", "soon"]),
        (&["--id=A", "--listen=0", "--run", "-1"], &["--run", "-1"]),
        (&["--id=A", "--listen=0", "--run=4294967296"], &["--run"]),
        (&["--id=A", "--listen=0", "--stats-every=0"], &["--stats-every", "from 1"]),
        (&["--id=A", "--listen=0", "--connect-delay=x"], &["--connect-delay"]),
        (&["--id=A", "--listen=0", "--connect=nohost"], &["--connect", "nohost"]),
        (&["--id=A", "--listen=0", "--connect=udp://h:1"], &["--connect", "udp"]),
        (&["--id=A", "--listen=0", "--connect"], &["--connect", "needs a value"]),
        (&["--id=A", "--listen=0", "--tui=maybe"], &["--tui", "on or off"]),
        (&["--id=A", "--listen=0", "--log-level=loud"], &["--log-level", "loud", "critical"]),
        (&["--id=A", "--listen=0", "--discovery=yes"], &["--discovery", "yes", "on or off"]),
        (&["--id=A", "--listen=0", "--disc-port=0"], &["--disc-port", "1 to 65535"]),
        (&["--id=A", "--listen=0", "--disc-mode=unicast"], &["--disc-mode", "unicast", "multicast"]),
        (&["--id=A", "--listen=0", "--disc-interval=99"], &["--disc-interval", "from 100"]),
        (&["--id=A", "--listen=0", "--disc-iface="], &["--disc-iface", "empty"]),
        (&["--id=A", "--listen=0", "--quiet=yes"], &["--quiet"]),
        (&["--id=A", "--listen=0", "--data="], &["--data", "empty"]),
        (&["--id=A", "--listen=0", "--apply-to=x"], &["--data"]),
        (&["--id=A", "--listen=0", "--data=d", "--colour"], &["unknown", "--colour"]),
        (&["--id=A", "--listen=0", "--conect=h:1"], &["--conect", "--connect"]),
        (&["--id=A", "--data=d", "--id=B", "--listen=0"], &["--id", "more than once"]),
        (&["--id=A", "--listen=0", "extra"], &["--id"]),
        (&["--id=A\u{1b}[2J\n", "--listen=x\n\u{1b}"], &["--listen", "\\u{1b}"]),
    ];
    refused(cases);
}

#[test]
fn a_refused_command_names_what_is_wrong_and_starts_nothing() {
    refused(&[
        (&["frobnicate"], &["frobnicate"]),
        (&["key"], &["key show"]),
        (&["key", "show"], &["--data"]),
        (&["key", "new"], &["--data"]),
        (&["key", "rotate"], &["--data"]),
        (&["key", "passphrase", "--data=d"], &["--new-passphrase-file"]),
        (&["key", "passphrase", "--data=d", "--new-passphrase-file=f", "--remove"], &["--remove"]),
        (&["invite", "--data=d"], &["--address"]),
        (&["invite", "--data=d", "--address=x"], &["--address", "no port"]),
        (&["invite", "--data=d", "--address=h:1", "--with-psk"], &["--psk-file"]),
        (&["invite", "--data=d", "--address=h:1", "--psk-file=f"], &["--with-psk"]),
        (&["--id=A", "--listen=0", "--passphrase-file=f"], &["--data"]),
        (&["append", "text"], &["--data"]),
        (&["append", "--data=d", ""], &["TEXT", "empty"]),
        (&["append", "--data=d", "a", "b"], &["\"b\""]),
        (&["append", "--data=d", "--bogus"], &["--bogus"]),
        (&["append", "--bogus", "--data=d"], &["--bogus"]),
        (&["tail"], &["--data"]),
        (&["--id=A", "--listen=0", "--data=d", "--durability=some"], &["--durability", "buffered"]),
        (&["--id=A", "--listen=0", "--durability=buffered"], &["--data"]),
        (&["wal"], &["dump|verify|stat", "FILE|DIR"]),
        (&["wal", "mend", "d"], &["mend", "dump"]),
        (&["simulate", "--seed=1"], &["--nodes"]),
        (&["simulate", "--seed=x", "--nodes=3"], &["--seed"]),
        (&["simulate", "--seed=1", "--nodes=1"], &["--nodes", "2 to 52"]),
        (&["simulate", "--seed=1", "--nodes=3", "--scenario=x"], &["--scenario", "storm"]),
        (&["demo", "--input=/does/not/exist"], &["--input", "/does/not/exist"]),
        (&["demo", "--records=0"], &["--records"]),
    ]);
}

/// Each is refused with a line that holds these words, and leaves nothing in its directory.
fn refused(cases: &[(&[&str], &[&str])]) {
    let dir = tempfile::tempdir().expect("temporary directory");
    for (args, names) in cases {
        let line = complaint(&vixp2p(args).current_dir(dir.path()).output().expect("the program starts"), 2);
        names.iter().for_each(|name| assert!(line.contains(name), "{args:?}: {line}"));
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "a refused command line leaves no trace");
}

#[test]
fn a_bad_pre_shared_key_file_is_named_and_nothing_starts() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (file, data) = (dir.path().join("psk"), dir.path().join("data"));
    let try_it = || {
        complaint(&run(&["--id=A", "--listen=0", "--run=1", &format!("--psk-file={}", text(&file)), &format!("--data={}", text(&data))]), 2)
    };
    let missing = try_it();
    assert!(missing.contains("--psk-file") && missing.contains("No such file"), "{missing}");
    for (content, why) in [(&b""[..], "64 hex digits"), (b"5a5a", "has 4"), (&[b'z'; 64], "hex"), (&[0xff; 8], "cannot be read")] {
        std::fs::write(&file, content).expect("write");
        let line = try_it();
        assert!(line.contains("--psk-file") && line.contains(why), "{line}");
    }
    assert!(!data.exists());
    std::fs::write(&file, "5A".repeat(32) + "\n").expect("write");
    assert!(run(&["--id=A", "--listen=0", "--run=1", &format!("--psk-file={}", text(&file))]).status.success());
}

#[test]
fn help_and_version_go_to_stdout_and_help_fits_a_screen() {
    for flag in ["-h", "--help"] {
        let output = run(&[flag]);
        let help = stdout(&output);
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        assert!(help.lines().count() <= 40, "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        for option in ["--id", "--listen", "--connect", "--connect-delay", "--no-connect", "--run", "--stats-every", "--tui", "--quiet"] {
            assert!(help.contains(option), "{option}");
        }
        for word in [
            "--log-level",
            "--data",
            "--psk-file",
            "--passphrase-file",
            "--trust",
            "--discovery",
            "--disc-iface",
            "append",
            "tail",
            "wal",
            "key",
            "invite",
            "trust",
            "simulate",
            "demo",
        ] {
            assert!(help.contains(word), "{word}");
        }
    }
    for command in ["append", "tail", "wal", "key", "invite", "trust", "registry", "simulate", "demo"] {
        assert!(run(&[command, "--help"]).status.success(), "{command}");
    }
    assert_eq!(stdout(&run(&["--version"])), format!("vixp2p {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_form_of_every_option_is_taken() {
    for level in ["trace", "debug", "info", "warn", "warning", "error", "err", "critical", "fatal", "off", "none", "INFO"] {
        let output = run(&[
            "--id=A",
            "--listen",
            "0",
            "--no-connect",
            "--run=1",
            "--stats-every=60000",
            "--log-level",
            level,
            "--tui=off",
            "--quiet",
        ]);
        assert_eq!(output.status.code(), Some(0), "{level}");
        let out = stdout(&output);
        assert_eq!(out.lines().count(), 1, "{out}");
        counters(out.trim_end());
        assert_eq!(output.stderr.is_empty(), !["trace", "debug", "info", "INFO"].contains(&level), "{level}");
    }
}

#[test]
fn a_simulation_ends_in_its_hash_and_verdict_and_is_the_same_every_time() {
    let simulate = |args: &[&str]| {
        let output = run(&[&["simulate", "--nodes", "3", "--steps=500"], args].concat());
        assert!(output.status.success(), "{}", crate::support::stderr(&output));
        let out = stdout(&output);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[lines.len() - 1], "verdict: ok");
        lines[lines.len() - 2].strip_prefix("trace hash: ").expect("the hash").to_owned()
    };
    let first = simulate(&["--seed", "7"]);
    assert!(first.len() == 64 && first.bytes().all(|c| c.is_ascii_hexdigit()), "{first}");
    assert_eq!(simulate(&["--seed=7", "--no-trace"]), first);
    assert_ne!(simulate(&["--seed=8"]), first);
    simulate(&["--seed=1", "--scenario=partition-heals", "--no-faults", "--writes=50"]);
}
