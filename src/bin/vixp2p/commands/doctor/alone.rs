//! `doctor` where no node runs: looks at the data directory, and dials the peer as a node would. Applies no record and leaves no file.

use std::collections::hash_map::RandomState;
use std::fs::OpenOptions;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use vixp2p::base::config::Listen;
use vixp2p::base::endpoint::Scheme;
use vixp2p::base::{Event, TrustPolicy};
use vixp2p::driver::apply::Outcome;
use vixp2p::driver::disk::DirectoryLock;
use vixp2p::driver::keyfile;
use vixp2p::{Config, Endpoint, Error, Node, PeerId};

use super::{Finding, running, words};
use crate::args::{DoctorArgs, Place, Target, Whom};
use crate::failure::Failure;
use crate::secrets;

/// Written to see whether the disk takes anything.
const PROBE_FILE: &str = ".doctor";
const PROBE_BYTES: usize = 64 * 1024;
/// How long a peer that answered may take to say that it declines records.
const DECLINE_GRACE: Duration = Duration::from_millis(500);

pub(crate) async fn examine(args: &DoctorArgs) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let whole = args.data.as_deref().is_none_or(|data| directory(data, args, &mut findings));
    findings.extend(running::interfaces(&[]));
    if let Some(whom) = &args.peer {
        let (targets, psk) = match whom {
            Whom::Endpoint(target) => (vec![target.clone()], None),
            Whom::Invite(invite) => {
                let peer = Some(invite.peer());
                let targets = invite.addresses().iter().map(|endpoint| Target { endpoint: endpoint.clone(), peer });
                (targets.collect(), invite.psk().cloned())
            }
        };
        let mut reachable = Vec::new();
        for target in targets {
            match resolve(&target.endpoint) {
                Ok(addresses) => {
                    findings.extend(addresses);
                    reachable.push(target);
                }
                Err(finding) => findings.push(finding),
            }
        }
        let mut config = config(args, whole, &mut findings)?;
        config.psk = config.psk.or(psk);
        findings.extend(dial(config, reachable, Duration::from_secs(args.timeout.into())).await?);
    }
    findings.push(running::clock());
    Ok(findings)
}

/// Looks at a data directory; whether its identity can be used.
fn directory(data: &Path, args: &DoctorArgs, findings: &mut Vec<Finding>) -> bool {
    let shown = data.display().to_string();
    if !data.is_dir() {
        findings.push(Finding::note("data", "no_data", format!("there is no directory {shown}; a node makes it when it starts")));
        return false;
    }
    let lock = match DirectoryLock::take(data) {
        Ok(lock) => lock,
        Err(Error::DirectoryInUse { pid, .. }) => {
            let says = format!("{shown} is owned by process {pid}, which takes no orders from outside");
            findings.push(Finding::bad("data", "data_in_use", says, format!("ask that program, or stop it: ps {pid}")));
            return false;
        }
        Err(error) => {
            findings.push(unwritable(&shown, &error.to_string(), io_kind(&error)));
            return false;
        }
    };
    if let Err(error) = probe(data) {
        findings.push(unwritable(&shown, &error.to_string(), Some(error.kind())));
    } else {
        findings.push(Finding::ok("data", format!("{shown} can be written, and no process owns it")));
    }
    let usable = key(data, args, findings);
    drop(lock);
    usable
}

fn key(data: &Path, args: &DoctorArgs, findings: &mut Vec<Finding>) -> bool {
    match keyfile::public_key(data) {
        Err(error) if keyfile::is_missing(&error) => {
            findings.push(Finding::note("key", "no_key", "none yet; a node makes one when it starts"));
            false
        }
        Err(error) => {
            findings.push(Finding::bad("key", "key_unusable", error.to_string(), "a node does not start with it"));
            false
        }
        Ok((id, true)) if args.passphrase_file.is_none() => {
            let says = format!("{id} is sealed: a node does not start without its passphrase");
            findings.push(Finding::bad("key", "key_sealed", says, "give --passphrase-file, here and to the node"));
            false
        }
        Ok((id, _)) => {
            findings.push(Finding::ok("key", id.to_string()));
            true
        }
    }
}

fn io_kind(error: &Error) -> Option<ErrorKind> {
    match error {
        Error::Io { source, .. } => Some(source.kind()),
        _ => None,
    }
}

fn unwritable(data: &str, why: &str, kind: Option<ErrorKind>) -> Finding {
    let (cause, advice) = match kind {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => ("disk_full", "make room: a node neither appends nor takes records in"),
        Some(ErrorKind::ReadOnlyFilesystem) => {
            ("disk_read_only", "the file system is read-only: mount it writable, and see why it became so")
        }
        Some(ErrorKind::PermissionDenied) => ("data_forbidden", "run as the user who owns it, or change its owner"),
        _ => ("data_unwritable", "a node does not start with it"),
    };
    Finding::bad("data", cause, format!("{data} cannot be written: {why}"), advice)
}

/// Writes something, makes it durable, and takes it away.
fn probe(data: &Path) -> io::Result<()> {
    let path = data.join(PROBE_FILE);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    let written = file.write_all(&[0; PROBE_BYTES]).and_then(|()| file.sync_all());
    // Half of it is of no use either.
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

/// The addresses behind a name.
fn resolve(endpoint: &Endpoint) -> Result<Option<Finding>, Finding> {
    if endpoint.scheme != Scheme::Tcp || endpoint.host.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let about = endpoint.to_string();
    let advice = "mind its spelling, ask the name server, or use the address";
    match (endpoint.host.as_str(), endpoint.port).to_socket_addrs() {
        Ok(addresses) => {
            let list: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            if list.is_empty() {
                return Err(Finding::bad(about, "dns", format!("the name {} has no address", endpoint.host), advice));
            }
            Ok(Some(Finding::ok(about, format!("{} is {}", endpoint.host, list.join(", ")))))
        }
        Err(error) => Err(Finding::bad(about, "dns", format!("the name {} has no address: {error}", endpoint.host), advice)),
    }
}

/// The node that dials: the one of the data directory if its name is given, else one with a key and a name of its own.
fn config(args: &DoctorArgs, whole: bool, findings: &mut Vec<Finding>) -> Result<Config, Failure> {
    let stranger = || format!("doctor-{:016x}", RandomState::new().hash_one(0));
    let own = args.data.as_ref().filter(|_| whole && args.id.is_some());
    let mut config = Config::new(args.id.clone().filter(|_| own.is_some()).unwrap_or_else(stranger));
    config.data_dir = own.cloned();
    if own.is_none() {
        let says = "dialled with a key made for this: whether the peer trusts this node's key is not seen";
        let advice = "give --data and the node's --id to dial as that node".to_owned();
        findings.push(Finding { advice, ..Finding::note("key", "stranger", says) });
    } else {
        config.key_passphrase = secrets::passphrase("--passphrase-file", args.passphrase_file.as_deref())?;
    }
    config.psk = args.psk_file.as_deref().map(|path| secrets::psk("--psk-file", path)).transpose()?;
    // A policy that pins would write known_peers.
    config.trust = Some(args.trust.filter(|trust| *trust != TrustPolicy::Tofu).unwrap_or(TrustPolicy::Open));
    config.remember_peers = false;
    Ok(config)
}

async fn dial(config: Config, targets: Vec<Target>, patience: Duration) -> Result<Vec<Finding>, Failure> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let opened = tokio::task::spawn_blocking(move || Node::open(config)).await;
    let node = match opened.map_err(|error| Failure::Runtime(format!("opening the node: {error}")))? {
        Ok(node) => node,
        Err(error) => return Ok(vec![Finding::bad("node", "node", error.to_string(), "a node does not start either")]),
    };
    let mut findings = Vec::new();
    while let Some(event) = node.try_next_event() {
        findings.push(Finding::note("data", "faulty", event.to_string()));
    }
    // Records may come from a peer that trusts this node; they stay for the real one to apply.
    node.on_apply(|_| Outcome::Retry);
    node.start()?;
    for Target { endpoint, peer } in &targets {
        match peer {
            Some(peer) => node.connect_to(endpoint.clone(), *peer)?,
            None => node.connect(endpoint.clone())?,
        }
    }
    let mut open: Vec<Endpoint> = targets.into_iter().map(|target| target.endpoint).collect();
    let told = tokio::time::timeout(patience, follow(&node, &mut open, &mut findings)).await;
    if told.is_err() {
        let silent = |endpoint: String| words::failed(&endpoint, &vixp2p::base::CloseReason::Timeout, Some(node.id()));
        findings.extend(open.iter().map(Endpoint::to_string).map(silent));
    }
    let stopping = node.clone();
    let _ = tokio::task::spawn_blocking(move || stopping.stop_blocking()).await;
    Ok(findings)
}

/// Takes events until every endpoint has had an answer, or one stands that leads to the peer of all.
async fn follow(node: &Node, open: &mut Vec<Endpoint>, findings: &mut Vec<Finding>) {
    while !open.is_empty()
        && let Some(event) = node.next_event().await
    {
        match event {
            Event::ConnectFailed { endpoint, reason, .. } if open.contains(&endpoint) => {
                open.retain(|other| *other != endpoint);
                findings.push(words::failed(&endpoint.to_string(), &reason, Some(node.id())));
            }
            Event::PeerConnected { peer, node_id, endpoint, trusted, .. } => {
                findings.push(Finding::ok(endpoint.to_string(), format!("answers: node \"{node_id}\" with key {peer}")));
                if !trusted {
                    findings.push(stranger(peer, &endpoint));
                }
                open.clear();
                let declined = tokio::time::timeout(DECLINE_GRACE, declines(node)).await.is_ok();
                if declined {
                    let says = "it exchanges no records with this key, which it does not trust";
                    let advice = words::failed("", &untrusted(), Some(node.id())).advice;
                    findings.push(Finding { advice, ..Finding::note(endpoint.to_string(), "untrusted_there", says) });
                }
            }
            _ => {}
        }
    }
}

fn untrusted() -> vixp2p::base::CloseReason {
    vixp2p::base::CloseReason::Untrusted(vixp2p::base::close::Distrust::Told)
}

fn stranger(peer: PeerId, endpoint: &Endpoint) -> Finding {
    let advice = format!("here, if the key is right: vixp2p trust add {peer} --data DIR");
    Finding { advice, ..Finding::note(endpoint.to_string(), "untrusted", "its key is not listed here: no records are exchanged with it") }
}

/// Resolves when the peer says that it exchanges no records.
async fn declines(node: &Node) {
    while let Some(event) = node.next_event().await {
        if matches!(event, Event::SyncDeclined { .. }) {
            return;
        }
    }
    std::future::pending().await
}

/// Whether a node could listen there.
pub(crate) fn port(place: &Place) -> Option<Finding> {
    let (host, port) = match place {
        Place::Tcp(Listen::On { host, port }) => (host.clone(), *port),
        Place::Tcp(Listen::Off) | Place::Other(_) => return None,
    };
    let addresses: Vec<SocketAddr> = if host.is_empty() {
        vec![SocketAddr::from(([0, 0, 0, 0], port)), SocketAddr::from(([0_u16; 8], port))]
    } else {
        host.parse().map(|ip| SocketAddr::new(ip, port)).into_iter().collect()
    };
    let mut failure = None;
    for address in addresses {
        match TcpListener::bind(address) {
            Ok(_) => {}
            // A machine without IPv6 listens on what it has.
            Err(error) if host.is_empty() && address.is_ipv6() && error.kind() != ErrorKind::AddrInUse => {}
            Err(error) => failure = Some((address, error)),
        }
    }
    Some(match failure {
        None => Finding::ok("port", format!("{port} is free")),
        Some((_, error)) if error.kind() == ErrorKind::AddrInUse => {
            let advice = format!("choose another with --listen, or end the program on it: ss -ltnp 'sport = :{port}'");
            Finding::bad("port", "port_in_use", format!("{port} is in use by another process"), advice)
        }
        Some((address, error)) if error.kind() == ErrorKind::AddrNotAvailable => {
            let says = format!("no interface of this machine has the address {}", address.ip());
            Finding::bad("port", "no_interface", says, "bring the interface up, or listen on another address")
        }
        Some((address, error)) => Finding::bad("port", "port_forbidden", format!("{address}: {error}"), "choose a port above 1023"),
    })
}
