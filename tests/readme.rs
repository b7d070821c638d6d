//! The README's code in the other languages compiles as it stands.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The first code block of a language.
fn block(language: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let after = text.split_once(&format!("```{language}\n")).expect("a block of that language").1;
    after.split_once("```").expect("an end of the block").0.to_owned()
}

/// Gives `source` to a compiler or interpreter on its standard input.
fn accepts(program: &str, args: &[&str], source: &str) {
    let mut child = Command::new(program).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::piped()).spawn().expect(program);
    child.stdin.take().expect("piped").write_all(source.as_bytes()).expect("the source is read");
    assert!(child.wait().expect("it ends").success(), "{program} refuses the README's code");
}

#[test]
fn the_c_code_compiles_without_a_warning() {
    accepts("cc", &["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude", "-fsyntax-only", "-xc", "-"], &block("c"));
}

#[test]
fn the_cpp_code_compiles_without_a_warning() {
    let args = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Iinclude", "-Iexamples-cpp", "-fsyntax-only", "-xc++", "-"];
    accepts("c++", &args, &block("cpp"));
}

#[test]
fn the_python_code_is_python() {
    accepts("python3", &["-c", "import sys; compile(sys.stdin.read(), 'README.md', 'exec')"], &block("python"));
}
