//! Completions and manual pages: made of the same definitions as the options, for every command.

use std::process::Command;

use crate::support::{complaint, run, stdout, text};

const COMMANDS: [&str; 14] = [
    "append",
    "send",
    "tail",
    "wal",
    "key",
    "invite",
    "trust",
    "registry",
    "simulate",
    "demo",
    "doctor",
    "log-level",
    "completions",
    "man",
];

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        let script = stdout(&output);
        assert!(output.status.success() && output.stderr.is_empty());
        for word in COMMANDS.iter().chain(&["--psk-file", "--follow", "--disc-mode"]) {
            let bare = word.trim_start_matches('-');
            assert!(script.contains(bare), "{shell}: {word}");
        }
    }
    let text = complaint(&run(&["completions", "tcsh"]), 2);
    assert!(text.contains("tcsh") && text.contains("bash"), "{text}");
}

#[test]
fn bash_takes_its_script_and_completes_with_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let script = dir.path().join("vixp2p");
    std::fs::write(&script, run(&["completions", "bash"]).stdout).expect("written");
    let ask = "source $0; COMP_WORDS=(vixp2p doc); COMP_CWORD=1; _vixp2p vixp2p doc vixp2p; echo ${COMPREPLY[@]}";
    match Command::new("bash").args(["--norc", "-c", ask, text(&script)]).output() {
        Ok(output) => assert_eq!(stdout(&output), "doctor\n", "{output:?}"),
        Err(error) => eprintln!("skipped: bash cannot be run: {error}"),
    }
}

#[test]
fn there_is_a_manual_page_for_the_program_and_for_each_command() {
    let page = stdout(&run(&["man"]));
    assert!(page.contains(".TH vixp2p 1") && page.contains("\\-\\-psk\\-file"), "{page}");
    let dir = tempfile::tempdir().expect("temporary directory");
    let pages = dir.path().join("man1");
    assert!(run(&["man", "--dir", text(&pages)]).status.success());
    let there = |name: String| std::fs::read_to_string(pages.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(there("vixp2p.1".into()).contains(".SH"));
    for command in COMMANDS {
        assert!(there(format!("vixp2p-{command}.1")).contains(&format!("vixp2p\\-{}", command.replace('-', "\\-"))), "{command}");
    }
    there("vixp2p-key-rotate.1".into());
    there("vixp2p-trust-add.1".into());
}
