//! The options: their names, their help and what values they take. Never opens a file or a socket.

mod discovery;
mod ops;
pub(crate) mod outbox;
mod place;
mod registry;
pub(crate) mod sync;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use vixp2p::base::config::{Durability, KeyAgreement};
use vixp2p::base::{Level, TrustPolicy, limits};
use vixp2p::sim::Scenario;
use vixp2p::{Endpoint, PeerId};

pub(crate) use discovery::DiscoveryArgs;
pub(crate) use ops::{CompletionsArgs, DoctorArgs, LogLevelArgs, ManArgs, SendArgs};
use outbox::OutboxArgs;
pub(crate) use place::whom;
pub(crate) use place::{Place, Target, Whom};
use place::{endpoint, listen};
pub(crate) use registry::{BootstrapArgs, RegistryArgs};
use sync::SyncArgs;

const TEMPLATE: &str = "\
{about}

Usage: vixp2p --id NAME --listen PORT [OPTIONS]
       vixp2p COMMAND [OPTIONS]

{all-args}
";

/// vixp2p: peers that authenticate, seal their links and replicate a log
#[derive(Parser, Debug)]
#[command(
    name = "vixp2p",
    version,
    help_template = TEMPLATE,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    color = clap::ColorChoice::Never,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// Runs a node.
#[derive(Args, Clone, Debug)]
pub(crate) struct NodeArgs {
    /// Label of this node, shown to its peers
    #[arg(long, alias = "name", value_name = "NAME", required = true, value_parser = label)]
    pub(crate) id: Option<String>,
    /// PORT, HOST:PORT or unix:///PATH; 0: do not listen; repeatable
    #[arg(long, value_name = "PORT", required = true, allow_negative_numbers = true, value_parser = listen)]
    pub(crate) listen: Vec<Place>,
    /// Peer to dial: host:port, host:port#KEY or an invite; repeatable
    #[arg(long, value_name = "PEER", value_parser = whom)]
    pub(crate) connect: Vec<Whom>,
    /// Wait before dialling [default: 0]
    #[arg(long, value_name = "MS", default_value = "0", hide_default_value = true, allow_negative_numbers = true, value_parser = from_zero)]
    pub(crate) connect_delay: u32,
    /// Dial nothing at all, --connect included
    #[arg(long)]
    pub(crate) no_connect: bool,
    /// Do not keep where peers were reached, for the next start
    #[arg(long, hide = true)]
    pub(crate) no_remember: bool,
    /// Pass on no messages of others
    #[arg(long, hide = true)]
    pub(crate) no_relay: bool,
    /// Neither tell trusted peers of each other nor dial whom they name
    #[arg(long, hide = true)]
    pub(crate) no_peer_exchange: bool,
    /// Stop after S seconds; 0 = run for ever [default: 0]
    #[arg(long, value_name = "S", default_value = "0", hide_default_value = true, allow_negative_numbers = true, value_parser = from_zero)]
    pub(crate) run: u32,
    /// Print counters this often, and on change [default: 1000]
    #[arg(long, value_name = "MS", default_value = "1000", hide_default_value = true, allow_negative_numbers = true, value_parser = from_one)]
    pub(crate) stats_every: u32,
    /// One live line of counters [default: on for a terminal]
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub(crate) tui: Option<Switch>,
    /// Print only the final counters
    #[arg(long)]
    pub(crate) quiet: bool,
    /// trace, debug, info, warn, error, critical or off [default: info]
    #[arg(long, value_name = "LEVEL", default_value = "info", hide_default_value = true, value_parser = level)]
    pub(crate) log_level: Level,
    /// The same as --log-level debug
    #[arg(long, hide = true, conflicts_with = "log_level")]
    pub(crate) debug: bool,
    /// Add every event to FILE, one JSON object a line
    #[arg(long, value_name = "FILE", hide = true, value_parser = path)]
    pub(crate) events: Option<PathBuf>,
    /// Keep identity, log and address book here [default: keep nothing]
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: Option<PathBuf>,
    /// Key file of this node, without --data [default: a new key]
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "data", value_parser = path)]
    pub(crate) key: Option<PathBuf>,
    /// First line opens the key in --data, and seals a new one
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Secret of the cluster: a file with 64 hex digits
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) psk_file: Option<PathBuf>,
    /// Secret before a change, accepted as well
    #[arg(long, value_name = "FILE", hide = true, requires = "psk_file", value_parser = path)]
    pub(crate) psk_file_previous: Option<PathBuf>,
    /// any, post-quantum or classic [default: any]
    #[arg(long, value_name = "KIND", default_value = "any", hide_default_value = true, hide = true, value_parser = key_agreement)]
    pub(crate) key_agreement: KeyAgreement,
    /// open, tofu, pinned, allow_list [default: open; tofu with a secret]
    #[arg(long, value_name = "POLICY", value_parser = policy)]
    pub(crate) trust: Option<TrustPolicy>,
    /// Appends wait for the disk: durable or buffered [default: durable]
    #[arg(long, value_name = "MODE", default_value = "durable", hide_default_value = true, hide = true, requires = "data", value_parser = durability)]
    pub(crate) durability: Durability,
    /// Records come after those that their writer had applied, whosever
    #[arg(long, hide = true)]
    pub(crate) causal: bool,
    #[command(flatten)]
    pub(crate) discovery: DiscoveryArgs,
    /// Add each record of others to FILE, exactly once
    #[arg(long, value_name = "FILE", requires = "data", value_parser = path)]
    pub(crate) apply_to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) bootstrap: BootstrapArgs,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    pub(crate) stop_on_eof: bool,
    /// Lines of standard input are messages to every peer, or orders like /peers
    #[arg(long, hide = true, conflicts_with = "stop_on_eof")]
    pub(crate) chat: bool,
}

/// What else the program does.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Append TEXT, or the lines of standard input, to a log
    Append(AppendArgs),
    /// Print the records of a data directory
    Tail(TailArgs),
    /// Look into the log files of a data directory
    Wal(WalArgs),
    /// Show how far replication has come
    Sync(SyncArgs),
    /// Put operations for other nodes, execute those for this one
    #[command(hide = true)]
    Outbox(OutboxArgs),
    /// Make, show, rotate or seal the identity of a data directory
    Key(KeyArgs),
    /// Print a line with which another node finds this one
    Invite(InviteArgs),
    /// Show or change whose keys are trusted
    Trust(TrustArgs),
    /// Run a registry where nodes find each other
    Registry(RegistryArgs),
    /// Run a whole cluster in virtual time from a seed
    Simulate(SimulateArgs),
    /// Show replication surviving kills, with two processes
    Demo(DemoArgs),
    /// Say why a peer is not connected
    Doctor(DoctorArgs),
    /// Change what a running node logs
    LogLevel(LogLevelArgs),
    /// Send a message to a peer, connected or not
    #[command(hide = true)]
    Send(SendArgs),
    /// Print a script that completes command lines in a shell
    #[command(hide = true)]
    Completions(CompletionsArgs),
    /// Print the manual page
    #[command(hide = true)]
    Man(ManArgs),
}

/// Appends records to the log of a data directory.
#[derive(Args, Debug)]
pub(crate) struct AppendArgs {
    /// Data directory; a running node on it takes the records
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
    /// First line opens a sealed key; not needed while a node runs
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// What a node run with --causal has applied comes before these records; not needed while it runs
    #[arg(long)]
    pub(crate) causal: bool,
    /// One record; "-" or nothing reads standard input, one record a line; "--" comes before a text that begins with a dash
    #[arg(value_name = "TEXT", value_parser = text)]
    pub(crate) text: Option<String>,
}

/// Prints every record as a line: origin, number, payload.
#[derive(Args, Debug)]
pub(crate) struct TailArgs {
    /// Data directory; a node may be running on it
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
    /// Go on with records as they come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Show the log's incarnation after the number
    #[arg(short, long)]
    pub(crate) long: bool,
}

/// Looks into log files and changes nothing; a node may be running on them.
#[derive(Args, Debug)]
pub(crate) struct WalArgs {
    /// dump: every group and record; verify: is all of it whole; stat: one line a log
    #[arg(value_name = "dump|verify|stat", hide_possible_values = true)]
    pub(crate) what: WalLook,
    /// Data directory, or one .wal file
    #[arg(value_name = "FILE|DIR", value_parser = path)]
    pub(crate) path: PathBuf,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to show of log files.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WalLook {
    Dump,
    Verify,
    Stat,
}

/// Identities.
#[derive(Args, Debug)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

/// What can be done with an identity.
#[derive(Subcommand, Debug)]
#[command(disable_help_subcommand = true)]
pub(crate) enum KeyCommand {
    /// Make an identity where there is none
    New(SecretArgs),
    /// Print the public key
    Show {
        /// Data directory
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Replace the identity by a new one that the old one vouches for
    Rotate(SecretArgs),
    /// Seal the key under a passphrase, change it, or take it away
    Passphrase {
        #[command(flatten)]
        present: SecretArgs,
        /// First line is the new passphrase
        #[arg(long, value_name = "FILE", required_unless_present = "remove", conflicts_with = "remove", value_parser = path)]
        new_passphrase_file: Option<PathBuf>,
        /// Leave the key unsealed
        #[arg(long)]
        remove: bool,
    },
}

/// A key and what opens it.
#[derive(Args, Debug)]
pub(crate) struct SecretArgs {
    /// Data directory; no node may run on it
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
    /// First line is the passphrase of the key
    #[arg(long, value_name = "FILE", value_parser = path)]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Prints an invite.
#[derive(Args, Debug)]
pub(crate) struct InviteArgs {
    /// Data directory of the node to be found
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) data: PathBuf,
    /// Where it is reached, host:port or tcp://host:port; repeatable
    #[arg(long = "address", value_name = "ADDRESS", required = true, value_parser = endpoint)]
    pub(crate) addresses: Vec<Endpoint>,
    /// Put the secret of --psk-file into the invite
    #[arg(long, requires = "psk_file")]
    pub(crate) with_psk: bool,
    /// Secret of the cluster: a file with 64 hex digits
    #[arg(long, value_name = "FILE", requires = "with_psk", value_parser = path)]
    pub(crate) psk_file: Option<PathBuf>,
}

/// Keys of other nodes.
#[derive(Args, Debug)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

/// What can be done with keys of other nodes.
#[derive(Subcommand, Debug)]
#[command(disable_help_subcommand = true)]
pub(crate) enum TrustCommand {
    /// Print every key that is trusted, pinned or revoked
    List {
        /// Data directory; a node may be running on it
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Trust a key, also one that was revoked
    Add {
        /// Public key, 64 hex digits
        #[arg(value_name = "KEY", value_parser = key)]
        key: PeerId,
        /// Label for people
        #[arg(value_name = "LABEL", value_parser = label)]
        label: Option<String>,
        /// Data directory; a node may be running on it
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Refuse a key for good
    Revoke {
        /// Public key, 64 hex digits
        #[arg(value_name = "KEY", value_parser = key)]
        key: PeerId,
        /// Data directory; a node may be running on it
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Forget a key, as if it had never been met
    Forget {
        /// Public key, 64 hex digits
        #[arg(value_name = "KEY", value_parser = key)]
        key: PeerId,
        /// Data directory; a node may be running on it
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
}

/// Runs a simulation.
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// The seed that decides everything
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = seed)]
    pub(crate) seed: u64,
    /// Number of nodes, 2 to 52
    #[arg(long, value_name = "K", allow_negative_numbers = true, value_parser = node_count)]
    pub(crate) nodes: u32,
    /// Events to play before everything is healed
    #[arg(long, value_name = "M", default_value = "3000", allow_negative_numbers = true, value_parser = from_one)]
    pub(crate) steps: u32,
    /// Records to write at most
    #[arg(long, value_name = "N", default_value = "400", allow_negative_numbers = true, value_parser = from_zero)]
    pub(crate) writes: u32,
    /// What goes on
    #[arg(long, value_name = "NAME", default_value = "storm", value_parser = PossibleValuesParser::new(Scenario::ALL.map(Scenario::name)))]
    pub(crate) scenario: String,
    /// Only writes, nothing fails
    #[arg(long)]
    pub(crate) no_faults: bool,
    /// Print only the summary, not every input and output
    #[arg(long)]
    pub(crate) no_trace: bool,
}

/// Runs the demonstration.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Text file; each line becomes a record
    #[arg(long, value_name = "FILE", default_value = "Cargo.lock", value_parser = path)]
    pub(crate) input: PathBuf,
    /// Where the two nodes live [default: a new temporary directory]
    #[arg(long, value_name = "DIR", value_parser = path)]
    pub(crate) dir: Option<PathBuf>,
    /// Use only the first N lines
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = from_one)]
    pub(crate) records: Option<u32>,
    /// Leave the directory there after success
    #[arg(long)]
    pub(crate) keep: bool,
    /// Give up after S seconds
    #[arg(long, value_name = "S", default_value = "120", allow_negative_numbers = true, value_parser = from_one)]
    pub(crate) timeout: u32,
}

/// `on` or `off`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

fn label(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("it is empty; give the node a label".into()),
        n if n > limits::NODE_ID_MAX_BYTES => Err(format!("it has {n} bytes, limit is {}", limits::NODE_ID_MAX_BYTES)),
        _ => Ok(text.to_owned()),
    }
}

pub(crate) fn key(text: &str) -> Result<PeerId, String> {
    text.parse().map_err(|_| format!("a key is 64 hex digits, this has {} characters", text.chars().count()))
}

fn policy(text: &str) -> Result<TrustPolicy, String> {
    text.parse().map_err(|_| "expected open, tofu, pinned or allow_list".to_owned())
}

fn level(text: &str) -> Result<Level, String> {
    text.parse().map_err(|_| "expected trace, debug, info, warn, error, critical or off".to_owned())
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("it is empty".into()) } else { Ok(PathBuf::from(text)) }
}

fn text(text: &str) -> Result<String, String> {
    match text.len() {
        0 => Err("it is empty; a record needs at least one byte here".into()),
        n if n > limits::RECORD_PAYLOAD_MAX_BYTES => Err(format!("it has {n} bytes, limit is {}", limits::RECORD_PAYLOAD_MAX_BYTES)),
        _ => Ok(text.to_owned()),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

fn node_count(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| (2..=52).contains(n)).ok_or_else(|| "expected a whole number from 2 to 52".to_owned())
}

fn from_zero(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u32::MAX))
}

fn from_one(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("expected a whole number from 1 to {}", u32::MAX))
}

fn durability(text: &str) -> Result<Durability, String> {
    match text {
        "durable" => Ok(Durability::Durable),
        "buffered" => Ok(Durability::Buffered),
        _ => Err("choose durable (a record is on the disk) or buffered (it survives the process, perhaps not a power cut)".into()),
    }
}

fn key_agreement(text: &str) -> Result<KeyAgreement, String> {
    match text {
        "any" => Ok(KeyAgreement::Any),
        "post-quantum" => Ok(KeyAgreement::PostQuantum),
        "classic" => Ok(KeyAgreement::Classic),
        _ => Err("expected any, post-quantum or classic".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
