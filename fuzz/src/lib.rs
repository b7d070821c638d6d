//! The bodies of the fuzz targets, shared with `tests/fuzz`.

#[allow(dead_code)]
#[path = "../../tests/fuzz/bodies/mod.rs"]
mod bodies;

/// One execution of the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let target = bodies::find(name).expect("a target of that name");
    (target.run)(data);
}
