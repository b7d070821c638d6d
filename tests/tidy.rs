//! House rules that a reader would otherwise have to trust: who imports whom, how large files are, where `unsafe` and clocks live.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;

/// Each room and the rooms it may import (ARCHITECTURE.md, "Who may import whom"). Rooms not in the table do not exist yet.
const IMPORTS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("wire", &["base"]),
    ("crypto", &["base", "wire"]),
    ("session", &["base", "wire", "crypto"]),
    ("sync", &["base", "wire", "crypto"]),
    ("snapshot", &["base", "wire", "crypto", "sync"]),
    ("mesh", &["base", "wire", "sync"]),
    ("registry", &["base"]),
    ("discovery", &["base", "wire", "crypto"]),
    ("outbox", &["base", "wire"]),
    ("driver", &["base", "wire", "crypto", "session", "sync", "snapshot", "mesh", "registry", "discovery", "outbox"]),
    ("sim", &["base", "wire", "crypto", "session", "sync", "snapshot", "mesh", "discovery", "outbox"]),
    ("node", &["base", "crypto", "session", "sync", "snapshot", "mesh", "registry", "outbox", "driver"]),
    ("ffi", &["base", "mesh", "registry", "outbox", "driver", "node"]),
];

/// Rooms that only compute: no clock, socket, file, thread, lock or task.
const PURE: &[&str] = &["base", "wire", "crypto", "session", "sync", "snapshot", "mesh", "registry", "discovery", "outbox", "sim"];
const BANNED_IN_PURE: &[&str] = &[
    "std::net::",
    "std::fs",
    "std::thread",
    "tokio::",
    "parking_lot",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "Instant::now",
    "SystemTime",
    "async fn",
    "mio::",
    "HashMap",
    "println!",
    "eprintln!",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries {
        let path = entry.expect("directory entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file below `src`, by its path from there.
fn sources() -> BTreeMap<String, String> {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let name = |path: &PathBuf| path.strip_prefix(&src).expect("below src").display().to_string();
    files.iter().map(|path| (name(path), fs::read_to_string(path).expect("readable source"))).collect()
}

fn room(path: &str) -> &str {
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// A file of tests, or the part of a file before its tests.
fn is_test_file(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.contains("/testing")
}

fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn a_room_imports_only_the_rooms_below_it() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == room(&path)) else { continue };
        if is_test_file(&path) {
            continue;
        }
        for (number, line) in shipped(&text).lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for (at, _) in line.match_indices("crate::") {
                let target = line[at + 7..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
                let is_room = IMPORTS.iter().any(|(name, _)| *name == target);
                if is_room && target != room(&path) && !allowed.contains(&target) {
                    wrong.push(format!("src/{path}:{}: {} may not import {target}", number + 1, room(&path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_program_uses_the_rust_surface_and_never_the_c_one() {
    for (path, text) in sources().iter().filter(|(path, _)| room(path) == "bin") {
        assert!(!text.contains("vixp2p::ffi"), "src/{path} uses the C ABI");
    }
}

#[test]
fn every_room_is_in_the_import_table() {
    let outside = ["lib", "bin"];
    for path in sources().keys() {
        let room = room(path);
        assert!(
            outside.contains(&room) || IMPORTS.iter().any(|(name, _)| *name == room),
            "src/{path}: room {room} has no row in the table"
        );
    }
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let mut files = Vec::new();
    for dir in ["src", "tests", "benches"] {
        rust_files(&root().join(dir), &mut files);
    }
    let long: Vec<String> = files
        .iter()
        .map(|path| (path, fs::read_to_string(path).expect("readable").lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_module_says_its_duty_at_its_head() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "src/{path} has no module head");
    }
}

#[test]
fn unsafe_stands_only_in_the_c_abi() {
    for (path, text) in sources() {
        if room(&path) == "ffi" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            let names_it = code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe");
            assert!(!names_it, "src/{path}:{}: unsafe outside src/ffi", number + 1);
        }
    }
}

#[test]
fn the_core_rooms_have_no_clock_socket_file_thread_lock_or_task() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        if !PURE.contains(&room(&path)) || is_test_file(&path) {
            continue;
        }
        for (number, line) in shipped(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or("");
            wrong.extend(
                BANNED_IN_PURE.iter().filter(|word| code.contains(**word)).map(|word| format!("src/{path}:{}: {word}", number + 1)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_limit_is_used() {
    let sources = sources();
    let is_limits = |path: &str| path.starts_with("base/limits/");
    let limits = sources.iter().filter(|(path, _)| is_limits(path)).flat_map(|(_, text)| text.lines());
    let names: Vec<&str> = limits.filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()).collect();
    assert!(names.len() > 100, "the limits were not found");
    let unused: Vec<&str> =
        names.into_iter().filter(|name| !sources.iter().any(|(path, text)| !is_limits(path) && text.contains(name))).collect();
    assert!(unused.is_empty(), "limits nobody holds: {}", unused.join(", "));
}

#[test]
fn no_unfinished_marks_are_shipped() {
    for (path, text) in sources() {
        for mark in ["todo!(", "unimplemented!(", "FIXME", "XXX"] {
            assert!(!text.contains(mark), "src/{path} contains {mark}");
        }
    }
}
