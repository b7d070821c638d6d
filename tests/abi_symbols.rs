//! The shared library exports the header's functions and nothing else, names itself, and needs nothing unusual.
//!
//! Builds nothing: looks at the file in VIXP2P_CDYLIB, or at target/release/libvixp2p.so, and says so if there is none.

use std::path::PathBuf;
use std::process::Command;

/// Libraries that any Linux has.
const MAY_NEED: [&str; 4] = ["libgcc_s.so.1", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"];

fn library() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let path = std::env::var_os("VIXP2P_CDYLIB").map_or_else(|| target.join("release/libvixp2p.so"), PathBuf::from);
    if !path.exists() {
        println!("skipped: {} does not exist; build it or set VIXP2P_CDYLIB", path.display());
        return None;
    }
    Some(path)
}

/// What a tool prints, or `None` if the tool is not installed.
fn output(tool: &str, arguments: &[&str], library: &PathBuf) -> Option<String> {
    match Command::new(tool).args(arguments).arg(library).output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).expect("a tool prints text"))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: no {tool} here");
            None
        }
        Err(e) => panic!("{tool}: {e}"),
    }
}

#[test]
fn the_library_exports_exactly_the_functions_of_the_header() {
    let Some(library) = library() else { return };
    let Some(listing) = output("nm", &["-D", "--defined-only"], &library) else { return };
    let mut exported: Vec<&str> = listing.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    exported.sort_unstable();
    let expected: Vec<&str> = include_str!("abi/symbols.txt").lines().collect();
    assert_eq!(exported, expected);
}

#[test]
fn the_library_has_its_soname_stays_mapped_and_needs_only_what_every_system_has() {
    let Some(library) = library() else { return };
    let Some(listing) = output("readelf", &["-d", "-W"], &library) else { return };
    let named = |tag: &str| -> Vec<String> {
        let lines = listing.lines().filter(|line| line.contains(tag));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    assert_eq!(named("(SONAME)"), ["libvixp2p.so.0"]);
    for needed in named("(NEEDED)") {
        assert!(MAY_NEED.contains(&needed.as_str()), "needs {needed}");
    }
    assert!(listing.contains("NODELETE"), "threads and thread-locals outlive dlclose");
    assert!(named("PATH)").is_empty(), "no search path of the build machine");
}
