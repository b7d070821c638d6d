//! Every fuzz target for a few thousand seeded executions: its seeds, its regressions, and mutations of both.
//!
//! `FUZZ_SEED` and `FUZZ_RUNS` change the course, `FUZZ_TARGET` picks one target, `FUZZ_INPUT` replays a file or a directory.
//! `VIXP2P_UPDATE_SEEDS=1` writes the committed seeds anew.

#[path = "../common/alloc.rs"]
mod alloc;
mod bodies;
mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bodies::{TARGETS, Target};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The inputs of a directory, in the order of their names.
fn inputs(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("directory entry").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
}

fn env<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One execution within its memory, or why not.
fn execute(target: &Target, input: &[u8]) -> Result<(), String> {
    let max = target.per_byte * input.len() + target.fixed;
    let mut held = 0;
    let outcome = catch_unwind(AssertUnwindSafe(|| held = alloc::peak_of(|| (target.run)(input))));
    match outcome {
        Err(_) => Err("it panicked, see above".into()),
        Ok(()) if held > max => Err(format!("it held {held} bytes for an input of {}, allowed are {max}", input.len())),
        Ok(()) => Ok(()),
    }
}

fn check(target: &Target, input: &[u8], origin: &str) {
    if let Err(why) = execute(target, input) {
        let file = std::env::temp_dir().join(format!("vixp2p-fuzz-{}.bin", target.name));
        fs::write(&file, input).expect("a temporary file");
        panic!(
            "fuzz target {}: {why}\ninput of {} bytes ({origin}), kept in {}\nreplay: FUZZ_TARGET={} FUZZ_INPUT={} cargo test --features \
             cli,null-crypto,test-ffi --test fuzz replay -- --nocapture",
            target.name,
            input.len(),
            file.display(),
            target.name,
            file.display(),
        );
    }
}

fn run(target: &Target) {
    let known: Vec<_> = ["seeds", "regressions"].iter().flat_map(|kind| inputs(&here().join(kind).join(target.name))).collect();
    assert!(!known.is_empty(), "{} has no seeds; VIXP2P_UPDATE_SEEDS=1 writes them", target.name);
    // Once without counting: what is computed once and kept is no execution's.
    _ = catch_unwind(|| (target.run)(&known[0].1));
    known.iter().for_each(|(path, input)| check(target, input, &path.display().to_string()));
    let seeds: Vec<Vec<u8>> = known.into_iter().map(|(_, input)| input).collect();
    let (seed, runs) = (env("FUZZ_SEED").unwrap_or(1u64), env("FUZZ_RUNS").unwrap_or(target.runs));
    let mut rng = fastrand::Rng::with_seed(seed);
    for n in 0..runs {
        check(target, &mutate::next(&mut rng, &seeds), &format!("FUZZ_SEED={seed}, execution {n}"));
    }
}

/// The targets of one test; several tests, so that they run beside each other.
fn run_some(part: usize, parts: usize) {
    let wanted: Option<String> = env("FUZZ_TARGET");
    let mine = TARGETS.iter().enumerate().filter(|(n, target)| n % parts == part && wanted.as_ref().is_none_or(|name| name == target.name));
    for (_, target) in mine {
        run(target);
    }
}

#[test]
fn targets_keep_their_promises_on_seeded_inputs_1() {
    run_some(0, 4);
}

#[test]
fn targets_keep_their_promises_on_seeded_inputs_2() {
    run_some(1, 4);
}

#[test]
fn targets_keep_their_promises_on_seeded_inputs_3() {
    run_some(2, 4);
}

#[test]
fn targets_keep_their_promises_on_seeded_inputs_4() {
    run_some(3, 4);
}

#[test]
fn replay() {
    let (Some(name), Some(path)) = (env::<String>("FUZZ_TARGET"), env::<PathBuf>("FUZZ_INPUT")) else { return };
    let target = bodies::find(&name).expect("a target of that name");
    let found = if path.is_dir() { inputs(&path) } else { vec![(path.clone(), fs::read(&path).expect("readable"))] };
    _ = catch_unwind(|| (target.run)(&(target.seeds)()[0]));
    for (path, input) in &found {
        execute(target, input).unwrap_or_else(|why| panic!("{name}: {}: {why}", path.display()));
    }
    println!("{name}: {} inputs hold", found.len());
}

#[test]
fn the_committed_seeds_are_those_the_code_makes() {
    let update = env::<u8>("VIXP2P_UPDATE_SEEDS").is_some();
    for target in TARGETS {
        let dir = here().join("seeds").join(target.name);
        if update {
            _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("writable");
            for (n, seed) in (target.seeds)().iter().enumerate() {
                fs::write(dir.join(format!("{n:02}")), seed).expect("writable");
            }
        }
        let committed: Vec<Vec<u8>> = inputs(&dir).into_iter().map(|(_, input)| input).collect();
        assert!(committed == (target.seeds)(), "seeds of {} are old; VIXP2P_UPDATE_SEEDS=1 writes them anew", target.name);
    }
}

#[test]
fn every_target_has_its_row_and_its_file_in_the_fuzz_project() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(project.join("Cargo.toml")).expect("readable");
    let rows: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).skip(1).collect();
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(rows, names);
    for name in names {
        let text = fs::read_to_string(project.join(format!("fuzz_targets/{name}.rs"))).expect("a file for each target");
        assert!(text.contains(&format!("run(\"{name}\", data)")), "fuzz_targets/{name}.rs runs another target");
    }
}
