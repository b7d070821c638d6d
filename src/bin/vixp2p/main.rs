//! The command line program: parse, make one call, print. Decides nothing about peers or logs; that is the library's part.

mod apply;
mod args;
mod commands;
mod control;
mod failure;
mod line;
mod screen;
mod secrets;
mod usage;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // Nobody listening is no error here.
            let _ = write!(std::io::stdout(), "{}", error.render());
            return ExitCode::SUCCESS;
        }
        Err(error) => return report(&Failure::Usage(usage::sentence(&error))),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::Runtime(format!("starting the I/O thread: {error}"))),
    };
    let outcome = runtime.block_on(dispatch(cli));
    // A call that hangs in the kernel (a lock, a dead disk) must not keep the process alive.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    survive_file_size_limit();
    match cli.command {
        None => commands::run::run(cli.node).await,
        Some(Command::Append(args)) => commands::append::run(args).await,
        Some(Command::Tail(args)) => commands::tail::run(args).await,
        Some(Command::Wal(args)) => commands::wal::run(&args),
        Some(Command::Sync(args)) => commands::sync::run(args).await,
        Some(Command::Outbox(args)) => commands::outbox::run(args).await,
        Some(Command::Key(args)) => commands::key::run(args),
        Some(Command::Invite(args)) => commands::invite::run(args),
        Some(Command::Trust(args)) => commands::trust::run(args).await,
        Some(Command::Registry(args)) => commands::registry::run(args).await,
        Some(Command::Simulate(args)) => commands::simulate::run(args),
        Some(Command::Demo(args)) => commands::demo::run(args).await,
        Some(Command::Doctor(args)) => commands::doctor::run(args).await,
        Some(Command::LogLevel(args)) => commands::log_level::run(args).await,
        Some(Command::Send(args)) => commands::send::run(args).await,
        Some(Command::Completions(args)) => commands::shell::completions(&args),
        Some(Command::Man(args)) => commands::shell::man(&args),
    }
}

/// With a handler in place a file at its size limit is an error of `write` like a full disk, not the end of the process.
fn survive_file_size_limit() {
    // Without it the default stays: the kernel ends the process.
    let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(libc::SIGXFSZ));
}

fn report(failure: &Failure) -> ExitCode {
    if let Some(text) = failure.text() {
        // With stderr closed the exit code still tells.
        let _ = writeln!(std::io::stderr(), "vixp2p: {text}");
    }
    ExitCode::from(failure.code())
}
