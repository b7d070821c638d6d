//! `make bench-scale`: what a thousand connected peers cost one node, how soon they are in, and what connections that come and go leave
//! behind. The node is a process of its own; the peers live in another, each a session with its own key.
//!
//! Prints a table and ends with 1 when a figure is missed. `--peers 1000 --cycles 20000 --idle-secs 20` are the defaults.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod crowd;
mod hub;
mod procfs;
mod rows;

/// Anything that went wrong, as text: a benchmark stops at the first surprise.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) peers: usize,
    pub(crate) cycles: usize,
    pub(crate) idle_secs: u64,
}

fn options(words: &[&str]) -> Result<Options> {
    let mut options = Options { peers: 1_000, cycles: 20_000, idle_secs: 20 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let value: usize = words.next().ok_or_else(|| format!("{word} needs a number"))?.parse()?;
        match *word {
            "--peers" => options.peers = value,
            "--cycles" => options.cycles = value,
            "--idle-secs" => options.idle_secs = value as u64,
            other => return Err(format!("{other} is unknown; there are --peers, --cycles and --idle-secs").into()),
        }
    }
    Ok(options)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["hub", max_peers] => max_peers.parse().map_err(Into::into).and_then(hub::run).map(|()| true),
        ["--test"] => Ok(true),
        rest => options(rest).and_then(rows::run),
    };
    match outcome {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            eprintln!("bench-scale: {error}");
            std::process::exit(1);
        }
    }
}
