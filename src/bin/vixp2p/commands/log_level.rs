//! `log-level`: changes what a running node writes to its log, and what it tells. Never starts a node.

use std::io::{self, Write};

use crate::args::LogLevelArgs;
use crate::control::client::Client;
use crate::failure::Failure;

pub(crate) async fn run(args: LogLevelArgs) -> Result<(), Failure> {
    let Some(mut client) = Client::connect(&args.data).await? else {
        return Err(Failure::Runtime(format!("no node runs on {}; its level is given by --log-level when it starts", args.data.display())));
    };
    let was = client.log_level(args.level).await?;
    writeln!(io::stdout(), "log level {}, was {was}", args.level).map_err(Failure::stdout)
}
