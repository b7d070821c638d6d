//! The scenarios of `tests/scenarios`, each a file to read, played in the simulator and held to its golden output.
//!
//! `VIXP2P_UPDATE_GOLDEN=1 cargo test --test scenarios` writes the golden files anew; `VIXP2P_SCENARIO_SEEDS=10000` plays more seeds.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use vixp2p::sim::{Options, Report, run};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn names() -> Vec<String> {
    let files = std::fs::read_dir(directory()).expect("the scenarios are there");
    let mut names: Vec<String> =
        files.filter_map(|file| file.expect("readable").file_name().to_str()?.strip_suffix(".txt").map(str::to_owned)).collect();
    names.sort();
    names
}

fn play(name: &str, seed: u64) -> Report {
    let text = std::fs::read_to_string(directory().join(format!("{name}.txt"))).expect("readable");
    let options = Options { seed, text: Some(text), ..Options::default() };
    run(&options, &mut io::sink()).unwrap_or_else(|failure| panic!("{name}: {failure}"))
}

/// What a scenario comes to, without what any change of the code may change.
fn outcome(name: &str, report: &Report) -> String {
    let c = &report.counts;
    let mut text = format!("{name}: everybody has everything\n");
    writeln!(text, "records {} of {} appended, in {} logs", report.records, c.appended, report.logs).expect("memory");
    writeln!(text, "kills {}, power cuts {}, partitions {}", c.kills, c.power_cuts, c.partitions).expect("memory");
    writeln!(text, "disks hurt {}, logs with two histories seen {}", c.hurt, c.forks).expect("memory");
    if c.waited > 0 {
        text.push_str("records waited for those they come after\n");
    }
    text
}

#[test]
fn every_scenario_ends_as_its_golden_file_says() {
    let mut differ = Vec::new();
    for name in names() {
        let (path, got) = (directory().join(format!("{name}.golden")), outcome(&name, &play(&name, 1)));
        if std::env::var_os("VIXP2P_UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &got).expect("writable");
        } else if std::fs::read_to_string(&path).unwrap_or_default() != got {
            differ.push(got);
        }
    }
    assert!(differ.is_empty(), "not as in the golden files:\n{}", differ.join("\n"));
    assert!(names().len() >= 9);
}

#[test]
fn every_scenario_holds_with_other_latencies_and_other_keys() {
    let seeds = std::env::var("VIXP2P_SCENARIO_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let quick = names().into_iter().filter(|name| !["a-day", "month-away"].contains(&name.as_str()));
    quick.for_each(|name| (2..=seeds).for_each(|seed| drop(play(&name, seed))));
}

#[test]
fn a_scenario_that_cannot_hold_fails_with_the_node_that_lacks_something() {
    let text = "nodes 3\nlinks B-A\nat 1s A writes 1\nat 9s expect A B C\n";
    let failure = run(&Options { text: Some(text.into()), ..Options::default() }, &mut io::sink()).expect_err("C meets nobody");
    assert!(failure.what.contains('C') && failure.what.contains("by now they should have everything"), "{failure}");
    let failure = run(&Options { text: Some("nodes 2\nat noon A writes 1".into()), ..Options::default() }, &mut io::sink());
    assert!(failure.expect_err("no scenario").what.contains("line 2"));
}
