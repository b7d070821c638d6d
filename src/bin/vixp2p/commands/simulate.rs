//! `simulate`: a cluster in virtual time, everything decided by a seed. The simulator is the library's; this prints what it found.

use std::io::{self, BufWriter, Write};

use vixp2p::sim::{self, Options, Scenario};

use crate::args::SimulateArgs;
use crate::failure::Failure;

pub(crate) fn run(args: SimulateArgs) -> Result<(), Failure> {
    let scenario = Scenario::from_name(&args.scenario).unwrap_or(Scenario::Storm);
    let options = Options {
        seed: args.seed,
        nodes: args.nodes as usize,
        steps: u64::from(args.steps),
        trace: !args.no_trace,
        writes: u64::from(args.writes),
        faults: !args.no_faults,
        scenario,
        ..Options::default()
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = sim::run(&options, &mut out);
    let last = match &outcome {
        Ok(report) => format!("{report}\ntrace hash: {}\nverdict: ok\n", report.trace_hash),
        Err(_) => "verdict: FAILED\n".to_owned(),
    };
    let said = out.write_all(last.as_bytes()).and_then(|()| out.flush()).map_err(Failure::stdout);
    outcome.map(drop).map_err(|failure| Failure::Runtime(failure.to_string().replace('\n', "; "))).and(said)
}
