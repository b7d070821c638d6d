//! `trust`: which keys a data directory knows, and changing that. A running node does it itself and its links follow at once.
//!
//! Never touches the file while a process owns the directory.

use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use vixp2p::base::trust::file::escape;
use vixp2p::base::{TrustEntry, TrustPolicy, TrustState};
use vixp2p::driver::disk::DirectoryLock;
use vixp2p::driver::known::Keeper;
use vixp2p::{Error, Node, PeerId};

use crate::args::{TrustArgs, TrustCommand};
use crate::control::reach::{Hands, reach};
use crate::failure::Failure;

/// What is to be done, as it travels to a running node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    List,
    Add { key: String, label: String },
    Revoke { key: String },
    Forget { key: String },
}

pub(crate) async fn run(args: TrustArgs) -> Result<(), Failure> {
    let (data, order) = match args.command {
        TrustCommand::List { data } => (data, Order::List),
        TrustCommand::Add { key, label, data } => (data, Order::Add { key: key.to_string(), label: label.unwrap_or_default() }),
        TrustCommand::Revoke { key, data } => (data, Order::Revoke { key: key.to_string() }),
        TrustCommand::Forget { key, data } => (data, Order::Forget { key: key.to_string() }),
    };
    // To look at the file nobody has to wait for whoever owns it.
    let hands = reach(&data, || if order == Order::List { Ok(None) } else { DirectoryLock::take(&data).map(Some) });
    let shown = match hands.await? {
        Hands::Running(mut client) => client.trust(order).await?,
        Hands::Own(_lock) => alone(&data, &order)?,
    };
    let mut out = io::stdout().lock();
    shown.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(Failure::stdout)
}

/// Without a node.
fn alone(data: &Path, order: &Order) -> Result<Vec<String>, Failure> {
    let keeper = open(data)?;
    let set = |key: &str, state, label: &str| -> Result<Vec<String>, Error> {
        let key: PeerId = key.parse()?;
        keeper.set(key, state, Some(label).filter(|label| !label.is_empty()))?;
        Ok(said(&keeper.entries(), key))
    };
    Ok(match order {
        Order::List => lines(&keeper.entries()),
        Order::Add { key, label } => set(key, TrustState::Trusted, label)?,
        Order::Revoke { key } => set(key, TrustState::Revoked, "")?,
        Order::Forget { key } => forgotten(key, keeper.forget(key.parse()?)?.is_some())?,
    })
}

/// By the node that runs.
pub(crate) fn by_node(node: &Node, order: &Order) -> Result<Vec<String>, Error> {
    match order {
        Order::List => Ok(lines(&node.trusted())),
        Order::Add { key, label } => {
            let key = key.parse()?;
            node.trust(key, label)?;
            Ok(said(&node.trusted(), key))
        }
        Order::Revoke { key } => {
            let key = key.parse()?;
            node.revoke(key)?;
            Ok(said(&node.trusted(), key))
        }
        Order::Forget { key } => forgotten(key, node.forget(key.parse()?)?),
    }
}

fn open(data: &Path) -> Result<Keeper, Failure> {
    if !data.is_dir() {
        return Err(Failure::Runtime(format!("no data directory {}", data.display())));
    }
    let (keeper, faults) = Keeper::open(Some(data), TrustPolicy::default())?;
    for fault in faults {
        // What cannot be said stays in the file.
        let _ = writeln!(io::stderr(), "vixp2p: {fault}");
    }
    Ok(keeper)
}

fn lines(entries: &[TrustEntry]) -> Vec<String> {
    entries.iter().map(line).collect()
}

/// What is said about a key now.
fn said(entries: &[TrustEntry], key: PeerId) -> Vec<String> {
    entries.iter().filter(|entry| entry.peer == key).map(line).collect()
}

fn line(entry: &TrustEntry) -> String {
    format!("{} {} {}", entry.state, entry.peer, escape(&entry.label)).trim_end().to_owned()
}

fn forgotten(key: &str, was_listed: bool) -> Result<Vec<String>, Error> {
    if was_listed { Ok(vec![format!("forgotten {key}")]) } else { Err(Error::Invalid(format!("key {key} is not listed"))) }
}
