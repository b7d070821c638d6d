//! x
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
#[path = "../benches/peers/disk.rs"]
mod disk;
#[test]
fn measure() {
    let dir = std::path::Path::new("target");
    for (batch, name) in [(1, "one"), (64, "64")] {
        for _ in 0..5 {
            let theirs = disk::synced_records(dir, 1024, batch, 1.0).expect("works");
            let ours = disk::log_records(dir, 1024, batch, 1.0).expect("works");
            eprintln!("{name}: log {ours:.0} file {theirs:.0} ratio {:.2}", ours / theirs);
        }
    }
}
