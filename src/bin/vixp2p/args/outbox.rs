//! Operations for other nodes: put, looked at, taken back, executed.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vixp2p::PeerId;
use vixp2p::base::{Incarnation, LogId};
use vixp2p::outbox::OpId;

use super::{from_zero, key, path};

/// The outbox.
#[derive(Args, Debug)]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    pub(crate) command: OutboxCommand,
}

/// What can be done with operations.
#[derive(Subcommand, Debug)]
#[command(disable_help_subcommand = true)]
pub(crate) enum OutboxCommand {
    /// Put an operation for one node, sealed for it alone, or for all; prints its name
    Send {
        /// Public key of the node that is to execute it
        #[arg(long, value_name = "KEY", value_parser = key, required_unless_present = "all", conflicts_with = "all")]
        to: Option<PeerId>,
        /// Every other node is to execute it
        #[arg(long)]
        all: bool,
        /// What is to be done, at most 64 bytes
        #[arg(long, value_name = "KIND")]
        kind: String,
        /// What is put twice under one key is executed once
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        key: String,
        /// Wait until it is over, S seconds at most; exit code 1 if it is not executed then
        #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = from_zero)]
        wait: Option<u32>,
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
        /// What the target gets; "-" reads standard input to its end
        #[arg(value_name = "TEXT")]
        text: String,
    },
    /// Print every operation that this node put, or is to execute
    List {
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Take an operation back: targets that have not begun it will not
    Cancel {
        /// Its name, as send and list print it
        #[arg(value_name = "NAME", value_parser = operation)]
        id: OpId,
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// List finished operations no more
    Prune {
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Take an operation for this node: its name and kind on one line, what comes with it behind that
    Claim {
        /// Wait for one, S seconds at most
        #[arg(long, value_name = "S", default_value = "0", hide_default_value = true, allow_negative_numbers = true, value_parser = from_zero)]
        wait: u32,
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Say that a claimed operation took effect
    Done {
        /// Its name, as claim printed it
        #[arg(value_name = "NAME", value_parser = operation)]
        id: OpId,
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
    /// Say that a claimed operation could not be executed
    Fail {
        /// Its name, as claim printed it
        #[arg(value_name = "NAME", value_parser = operation)]
        id: OpId,
        /// Do not try again
        #[arg(long)]
        for_good: bool,
        /// Why
        #[arg(value_name = "WHY", default_value = "", hide_default_value = true)]
        why: String,
        /// Data directory of a running node
        #[arg(long, value_name = "DIR", value_parser = path)]
        data: PathBuf,
    },
}

/// An operation by the name this program prints: key, incarnation and record of whoever put it.
pub(crate) fn operation(text: &str) -> Result<OpId, String> {
    let parts = text.split_once('/').and_then(|(origin, rest)| Some((origin, rest.split_once('#')?)));
    let parsed = parts.and_then(|(origin, (incarnation, seq))| {
        let incarnation = Some(incarnation).filter(|digits| digits.len() == 16).and_then(|digits| u64::from_str_radix(digits, 16).ok())?;
        let log = LogId { origin: origin.parse().ok()?, incarnation: Incarnation(incarnation) };
        Some(OpId { log, seq: seq.parse().ok()? })
    });
    parsed.ok_or_else(|| format!("\"{text}\" is no operation; they are named KEY/INCARNATION#NUMBER, 64 and 16 hex digits and a number"))
}

/// The name of an operation.
pub(crate) fn name(id: &OpId) -> String {
    format!("{}/{}#{}", id.log.origin, id.log.incarnation, id.seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_found_again_by_its_name_and_by_no_other_text() {
        let id = OpId { log: LogId { origin: PeerId([0xab; 32]), incarnation: Incarnation(7) }, seq: 12 };
        assert_eq!(operation(&name(&id)), Ok(id));
        for bad in ["", "12", "ab/7#1", &name(&id)[1..], &name(&id).replace('#', "/"), &format!("{}x", name(&id))] {
            assert!(operation(bad).is_err_and(|why| why.contains("KEY/INCARNATION#NUMBER")), "{bad}");
        }
    }
}
