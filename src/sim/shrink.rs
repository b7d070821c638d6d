//! Makes a storm that fails smaller: leaves out of its script what it fails without. Plays it again and again, and changes nothing else.

use std::io;

use crate::sim::{Failure, Options, run};

/// A smaller run that fails, and what its script does.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// How it fails.
    pub failure: Failure,
    /// What is left of the script, with times.
    pub script: Vec<String>,
    /// Runs it took.
    pub runs: u32,
}

/// Shrinks a run that fails by at most so many runs; `None` if it does not fail.
pub fn shrink(options: &Options, most: u32) -> Option<Shrunk> {
    let mut best = run(options, &mut io::sink()).err()?;
    let mut runs = 1;
    let attempt = |options: Options, runs: &mut u32| {
        *runs += 1;
        run(&options, &mut io::sink()).err()
    };
    // Nothing after the failure matters, if it failed before the end phase.
    let shorter = Options { steps: best.step.clamp(1, options.steps), ..options.clone() };
    best = attempt(shorter, &mut runs).unwrap_or(best);
    // The less of it happens, the more of the script has its turn: no run comes further than its steps.
    let mut turns: Vec<u64> = (1..=best.options.steps).collect();
    let mut piece = turns.len().div_ceil(2);
    while piece > 0 && runs < most {
        let mut at = 0;
        while at < turns.len() && runs < most {
            let mut omit = best.options.omit.clone();
            let end = (at + piece).min(turns.len());
            omit.extend(&turns[at..end]);
            match attempt(Options { omit, ..(*best.options).clone() }, &mut runs) {
                Some(failure) => {
                    best = failure;
                    turns.drain(at..end);
                }
                None => at = end,
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    let script = script_of(&best.options);
    Some(Shrunk { failure: best, script, runs })
}

/// What the script of a run does: the lines of its trace that are no node's.
fn script_of(options: &Options) -> Vec<String> {
    let mut text = Vec::new();
    let _ = run(&Options { trace: true, ..options.clone() }, &mut text);
    let is_script = |line: &&str| line.split_whitespace().nth(1) == Some("*");
    String::from_utf8_lossy(&text).lines().filter(is_script).map(|line| line.replacen(" * ", "  ", 1)).collect()
}
