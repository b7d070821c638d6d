//! `make bench`: what a link and the log of vixp2p reach beside raw framed TCP and the plain disk, in one run, as ratios.
//!
//! Every measurement is two processes on 127.0.0.1, a sender and a receiver that checks and confirms everything. Rounds are
//! interleaved and each ratio is taken within its round, because only that carries over between machines and moments.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod backlog;
mod disk;
mod ours;
mod parent;
mod raw;
mod work;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["serve", "raw"] => raw::serve(),
        ["serve", name @ ("vixp2p" | "vixp2p-x25519" | "vixp2p-sink"), dir] => ours::serve(name, dir),
        ["drive", "raw", mode, size, secs, peer] => raw::drive(mode, number(size), secs.parse().unwrap_or(0.6), peer),
        ["drive", name @ ("vixp2p" | "vixp2p-x25519"), mode, size, secs, peer] => {
            ours::drive(name, mode, number(size), secs.parse().unwrap_or(0.6), peer)
        }
        ["--test"] => Ok(()),
        rest => parent::run(rest),
    };
    if let Err(error) = outcome {
        eprintln!("bench: {error}");
        std::process::exit(1);
    }
}

fn number(text: &str) -> usize {
    text.parse().unwrap_or(64)
}

/// Anything that went wrong, as text: a benchmark stops at the first surprise.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
