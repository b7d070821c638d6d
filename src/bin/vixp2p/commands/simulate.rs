//! `simulate`: a cluster in virtual time, everything decided by a seed. The simulator is the library's; this prints what it says.

use std::io::{BufWriter, Write};

use vixp2p::sim;

use crate::args::SimulateArgs;
use crate::failure::Failure;

pub(crate) fn run(args: SimulateArgs) -> Result<(), Failure> {
    let options = sim::Options {
        seed: args.seed,
        nodes: args.nodes as usize,
        steps: args.steps.into(),
        trace: !args.no_trace,
        writes: args.writes.into(),
        faults: !args.no_faults,
        scenario: args.scenario,
        ..sim::Options::default()
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let outcome = sim::run(&options, &mut out);
    match &outcome {
        Ok(report) => writeln!(out, "{report}\ntrace hash: {}\nverdict: ok", report.trace_hash),
        Err(failure) => writeln!(out, "{failure}\nverdict: failed"),
    }
    .and_then(|()| out.flush())
    .map_err(Failure::stdout)?;
    outcome.map(drop).map_err(|failure| Failure::Runtime(format!("the simulation failed: {}", failure.what)))
}
