//! How replication stands.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::path;

/// Replication.
#[derive(Args, Debug)]
pub(crate) struct SyncArgs {
    #[command(subcommand)]
    pub(crate) command: SyncCommand,
}

/// What can be asked about replication.
#[derive(Subcommand, Debug)]
#[command(disable_help_subcommand = true)]
pub(crate) enum SyncCommand {
    /// How far every log is here and at every connected peer
    Status(SyncStatusArgs),
}

/// How far every log is here and at every connected peer.
#[derive(Args, Debug)]
pub(crate) struct SyncStatusArgs {
    /// Data directory of a running node
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
    /// One JSON object on a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Again whenever it has changed, until the node ends
    #[arg(long)]
    pub(crate) watch: bool,
}
