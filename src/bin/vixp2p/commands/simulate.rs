//! `simulate`: a cluster in virtual time, everything decided by a seed. The simulator is the library's.

use crate::args::SimulateArgs;
use crate::failure::Failure;

pub(crate) fn run(args: SimulateArgs) -> Result<(), Failure> {
    let SimulateArgs { seed, nodes, steps, trace } = args;
    Err(Failure::Runtime(format!("the simulator is not built in yet (seed {seed}, {nodes} nodes, {steps} steps, trace {trace})")))
}
