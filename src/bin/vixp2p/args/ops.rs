//! The options of commands that look after a node and of those that serve the shell. Never opens a file or a socket.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use vixp2p::PeerId;
use vixp2p::base::{Level, TrustPolicy, limits};

use super::place::{Place, Whom, listen, whom};
use super::{from_one, key, label, level, path, policy};

/// Changes what a running node writes to its log.
#[derive(Args, Debug)]
pub(crate) struct LogLevelArgs {
    /// trace, debug, info, warn, error, critical or off
    #[arg(value_name = "LEVEL", value_parser = level)]
    pub(crate) level: Level,
    /// Data directory of the node
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
}

/// Sends a message to a peer, connected or not, through the node that runs on a data directory.
#[derive(Args, Debug)]
pub(crate) struct SendArgs {
    /// Data directory of the running node
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
    /// Give up after S seconds, 600 at most
    #[arg(long, value_name = "S", default_value = "30", allow_negative_numbers = true, value_parser = life)]
    pub(crate) life: u32,
    /// Public key of the recipient, 64 hex digits
    #[arg(value_name = "PEER", value_parser = key)]
    pub(crate) peer: PeerId,
    /// The message: words are joined by blanks; "-" or nothing reads standard input, one message a line; "--" comes before a text that begins with a dash
    #[arg(value_name = "TEXT")]
    pub(crate) text: Vec<String>,
}

fn life(text: &str) -> Result<u32, String> {
    let max = limits::ROUTE_LIFE_MAX.as_secs();
    text.parse().ok().filter(|n| (1..=max).contains(&u64::from(*n))).ok_or_else(|| format!("expected a whole number from 1 to {max}"))
}

/// Says why a peer is not connected.
#[derive(Args, Clone, Debug)]
pub(crate) struct DoctorArgs {
    /// Peer to look at, as --connect takes it: host:port, host:port#KEY or an invite
    #[arg(value_name = "PEER", value_parser = whom, required_unless_present_any = ["data", "listen"])]
    pub(crate) peer: Option<Whom>,
    /// Label of the node of --data, to dial as that node
    #[arg(long, value_name = "NAME", requires = "data", value_parser = label)]
    pub(crate) id: Option<String>,
    /// Data directory; a node that runs on it is asked
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: Option<PathBuf>,
    /// Whether a node could listen here
    #[arg(long, value_name = "PORT", allow_negative_numbers = true, value_parser = listen)]
    pub(crate) listen: Option<Place>,
    /// Secret of the cluster: a file with 64 hex digits
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) psk_file: Option<PathBuf>,
    /// First line opens the key in --data
    #[arg(long, value_name = "FILE", requires = "data", value_parser = path)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// open, tofu, pinned, allow_list: what the node is started with [default: open]
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    pub(crate) trust: Option<TrustPolicy>,
    /// Wait so long for an answer
    #[arg(long, value_name = "S", default_value = "10", allow_negative_numbers = true, value_parser = from_one)]
    pub(crate) timeout: u32,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a script that completes command lines.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Prints the manual page, or writes all of them.
#[derive(Args, Debug)]
pub(crate) struct ManArgs {
    /// Write vixp2p.1 and a page for each command into DIR
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) dir: Option<PathBuf>,
}
