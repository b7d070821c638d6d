//! The demo passes, and goes on after any of its processes was killed.

use std::path::Path;
use std::process::Stdio;

use crate::support::{From, Running, complaint, run, signal, stderr, stdout, text, vixp2p};

fn input(dir: &Path, lines: usize) -> String {
    let path = dir.join("input");
    let content: String = (0..lines).map(|n| if n % 7 == 0 { "\n".into() } else { format!("line {n} \t gr\u{fc}n \\\n") }).collect();
    std::fs::write(&path, content).expect("write");
    format!("--input={}", text(&path))
}

#[test]
fn the_demo_passes_and_cleans_up() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for lines in [1, 2, 300] {
        let place = dir.path().join("place");
        let output = run(&["demo", &input(dir.path(), lines), &format!("--dir={}", text(&place))]);
        let out = stdout(&output);
        assert!(output.status.success(), "{out}\n{}", stderr(&output));
        assert!(out.lines().last().expect("a verdict").contains("verdict: OK"), "{out}");
        assert_eq!(out.matches("SIGKILL").count(), 4, "{out}");
        let table: Vec<&str> = out
            .lines()
            .filter(|line| ["input ", "A's log ", "A's log on B ", "applied by B "].iter().any(|row| line.trim_start().starts_with(row)))
            .collect();
        assert_eq!(table.len(), 4, "{out}");
        assert!(
            table.iter().all(|row| row.contains(&format!(" {lines}  ")) && row.ends_with(table[0].rsplit(' ').next().expect("digest"))),
            "{table:#?}"
        );
        assert!(!place.exists());
    }
}

#[test]
fn a_demo_whose_parent_is_killed_finishes_when_run_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = format!("--dir={}", text(&dir.path().join("place")));
    let args = ["demo", &input(dir.path(), 2000), &place, "--keep"];
    for until in ["B: process", "killing it with SIGKILL", "killing A with SIGKILL", "has applied all"] {
        let mut demo = Running::start(&args);
        demo.wait_for(From::Stdout, until);
        demo.signal("KILL");
        demo.wait_for_end();
    }
    let output = run(&args);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("from an earlier run"), "{}", stdout(&output));
    assert!(stdout(&output).contains("verdict: OK"));
}

#[test]
fn a_demo_whose_nodes_are_killed_from_outside_starts_them_again() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let place = format!("--dir={}", text(&dir.path().join("place")));
    let mut demo = Running::start(&["demo", &input(dir.path(), 3000), &place]);
    for name in ["A", "B", "A"] {
        let line = demo.wait_for(From::Stdout, &format!("{name}: process "));
        let pid = line.split("process ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a process id");
        signal(pid.parse().expect("a number"), "KILL");
        demo.wait_for(From::Stdout, &format!("{name}: was killed from outside"));
    }
    let (status, out, err) = demo.finish();
    assert!(status.success(), "{out:#?}{err:#?}");
}

#[test]
fn a_demo_refuses_what_is_not_its_own() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let small = input(dir.path(), 3);
    let line = complaint(&run(&["demo", &small, &format!("--dir={}", text(dir.path()))]), 2);
    assert!(line.contains("not empty"), "{line}");
    let place = format!("--dir={}", text(&dir.path().join("place")));
    assert!(run(&["demo", &small, &place, "--keep"]).status.success());
    let other = dir.path().join("other");
    std::fs::write(&other, "something else\n").expect("write");
    let output = vixp2p(&["demo", &format!("--input={}", text(&other)), &place]).stderr(Stdio::piped()).output().expect("starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("other records than the input"), "{}", stderr(&output));
}
