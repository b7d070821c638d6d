//! The committed header is what cbindgen makes of `src/ffi/`, documents every function, and compiles alone.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The files of the border, in the order the header follows.
fn sources() -> Vec<PathBuf> {
    let modules = read("src/ffi/mod.rs");
    let names = modules.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(|name| root().join(format!("src/ffi/{name}.rs"))).collect()
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let builder = sources().into_iter().fold(cbindgen::Builder::new().with_config(config), cbindgen::Builder::with_src);
    let mut header = Vec::new();
    builder.generate().expect("the border can be described in C").write(&mut header);
    String::from_utf8(header).expect("a header is text")
}

#[test]
fn the_committed_header_is_the_generated_one() {
    let generated = generate();
    if std::env::var_os("VIXP2P_UPDATE_HEADER").is_some() {
        std::fs::create_dir_all(root().join("include")).expect("include/ can be made");
        std::fs::write(root().join("include/vixp2p.h"), &generated).expect("the header can be written");
        let mut names = functions(&generated);
        names.sort();
        std::fs::write(root().join("tests/abi/symbols.txt"), names.join("\n") + "\n").expect("the symbol list can be written");
    }
    let committed = read("include/vixp2p.h");
    assert!(committed == generated, "include/vixp2p.h is out of date; run: VIXP2P_UPDATE_HEADER=1 cargo test --test header");
}

#[test]
fn the_symbol_list_is_the_headers() {
    let mut names = functions(&read("include/vixp2p.h"));
    names.sort();
    let listed = read("tests/abi/symbols.txt");
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
}

#[test]
fn every_exported_function_is_in_the_header() {
    let header = functions(&read("include/vixp2p.h"));
    for file in sources() {
        let text = std::fs::read_to_string(&file).expect("a source file is readable");
        for line in text.lines().filter(|line| line.contains("extern \"C\" fn vixp2p_")) {
            let name = line.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).expect("a function has a name");
            assert!(name == "vixp2p_test_panic" || header.iter().any(|known| known == name), "{name} is not in the header");
        }
    }
}

#[test]
fn every_function_tells_a_c_reader_what_it_does() {
    let header = read("include/vixp2p.h");
    for name in functions(&header) {
        let declared = header.find(&format!("{name}(")).map(|_| declaration(&header, &name)).expect("the function is declared");
        let before = header[..declared].trim_end();
        assert!(before.ends_with("*/"), "{name} has no comment");
        let comment = &before[before.rfind("/**").expect("a comment begins")..];
        let arguments = &header[declared..declared + header[declared..].find(';').expect("a declaration ends")];
        for parameter in parameters(arguments) {
            assert!(comment.contains(&format!("@param {parameter} ")), "{name} does not explain {parameter}");
        }
        let is_void = arguments.contains("void vixp2p_") && !arguments.contains("void *vixp2p_");
        assert!(is_void || comment.contains("@return"), "{name} does not say what it returns");
    }
}

#[test]
fn the_versions_agree() {
    let header = read("include/vixp2p.h");
    assert!(header.contains(&format!("#define VIXP2P_VERSION \"{}\"\n", env!("CARGO_PKG_VERSION"))));
    let number = format!("#define VIXP2P_VERSION_NUMBER {:#08x}\n", vixp2p::ffi::vixp2p_version_number());
    assert!(header.contains(&number), "expected {number}");
    for (name, value) in
        [("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")), ("MINOR", env!("CARGO_PKG_VERSION_MINOR")), ("PATCH", env!("CARGO_PKG_VERSION_PATCH"))]
    {
        assert!(header.contains(&format!("#define VIXP2P_VERSION_{name} {value}\n")));
    }
}

#[test]
fn the_header_compiles_alone_as_c_and_cpp_without_a_warning() {
    let common = ["-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wshadow", "-Werror"];
    let c = ["-Wconversion", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Wc++-compat", "-Wold-style-definition"];
    let cpp = ["-Wconversion", "-Wold-style-cast", "-Wzero-as-null-pointer-constant", "-Wextra-semi"];
    let dir = tempfile::tempdir().expect("a temporary directory");
    let program = concat!(
        "#include <vixp2p.h>\n#include <vixp2p.h>\n",
        "int main(void)\n{\n    vixp2p_node_options options = VIXP2P_NODE_OPTIONS_INIT;\n",
        "    vixp2p_peer_state state = VIXP2P_PEER_STALE;\n    options.log_level = VIXP2P_LOG_WARN;\n",
        "    return VIXP2P_CHECK_ABI() && state == VIXP2P_PEER_STALE && options.flags == VIXP2P_FLAG_NO_DIAL;\n}\n"
    );
    for (extension, standards, own, compiler) in
        [("c", ["c99", "c11", "c17"], &c[..], "cc"), ("cpp", ["c++11", "c++17", "c++20"], &cpp[..], "c++")]
    {
        let file = dir.path().join(format!("alone.{extension}"));
        std::fs::write(&file, program).expect("the program can be written");
        for standard in standards {
            let mut command = Command::new(compiler);
            command.arg(format!("-std={standard}")).args(common).args(own).arg("-I").arg(root().join("include")).arg(&file);
            let output = match command.output() {
                Ok(output) => output,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    println!("skipped {standard}: no {compiler} here");
                    continue;
                }
                Err(e) => panic!("{compiler}: {e}"),
            };
            assert!(output.status.success(), "{standard}:\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

/// Names of the functions a header declares.
fn functions(header: &str) -> Vec<String> {
    let api = header.split("\nVIXP2P_API").skip(1);
    api.map(|rest| {
        let name = &rest[..rest.find('(').expect("a declaration has parameters")];
        name.rsplit([' ', '*', '\n']).next().expect("a declaration has a name").to_owned()
    })
    .collect()
}

/// Where the declaration of `name` begins.
fn declaration(header: &str, name: &str) -> usize {
    let starts = header.match_indices("\nVIXP2P_API").map(|(at, _)| at + 1);
    starts.into_iter().find(|at| functions(&header[at - 1..])[0] == name).expect("the function is declared")
}

fn parameters(declaration: &str) -> Vec<&str> {
    let list = &declaration[declaration.find('(').expect("a list") + 1..declaration.rfind(')').expect("a list ends")];
    list.split(',').map(str::trim).filter(|p| *p != "void").map(|p| p.rsplit([' ', '*']).next().expect("a name")).collect()
}
