//! The running node's side of the control socket. Passes requests to the node; never decides about them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use vixp2p::Node;
use vixp2p::base::LogRange;

use crate::commands::doctor::running::{self, About};
use crate::commands::send::Waiting;
use crate::commands::{outbox, sync, trust};
use crate::control::{Reply, Request, SOCKET, Status, read_frame, socket_path, write_frame};
use crate::screen::Screen;

/// Clients served at once; the next one waits.
const CLIENTS_MAX: usize = 64;

/// What clients are told beside the node's own state, and the bell that says it changed.
#[derive(Debug)]
pub(crate) struct Progress {
    applied: AtomicU64,
    changed: watch::Sender<()>,
}

impl Progress {
    pub(crate) fn new(applied: u64) -> Arc<Progress> {
        Arc::new(Progress { applied: AtomicU64::new(applied), changed: watch::Sender::new(()) })
    }

    /// So many records stand in the `--apply-to` file.
    pub(crate) fn applied(&self, lines: u64) {
        self.applied.store(lines, Ordering::Release);
        self.changed();
    }

    /// Something about the node changed.
    pub(crate) fn changed(&self) {
        self.changed.send_replace(());
    }

    fn status(&self, node: &Node) -> Status {
        let own_log = node.own_log();
        let (own, others): (Vec<_>, Vec<_>) = node.logs().into_iter().partition(|state| state.log == own_log);
        Status {
            id: node.id().to_string(),
            node_id: node.node_id().to_owned(),
            port: node.port(),
            connected: node.stats().peers_connected,
            own: own.first().map_or(0, |state| state.durable),
            stored: others.iter().map(|state| state.durable).sum(),
            applied: self.applied.load(Ordering::Acquire),
        }
    }
}

/// What a request may be about.
#[derive(Clone)]
pub(crate) struct Served {
    pub(crate) node: Node,
    pub(crate) progress: Arc<Progress>,
    pub(crate) about: Arc<About>,
    pub(crate) waiting: Arc<Waiting>,
    pub(crate) screen: Screen,
}

/// The open socket. Dropping it closes the door; requests under way are still answered.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    accepting: AbortHandle,
}

impl Server {
    /// Opens the socket in `dir`, whose lock this process holds: a socket that is there is a dead process's.
    pub(crate) fn open(dir: &Path, served: Served) -> io::Result<Server> {
        let path = dir.join(SOCKET);
        let new = format!("{SOCKET}.new");
        let (address, _directory) = socket_path(dir, &new)?;
        match fs::remove_file(dir.join(&new)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&address)?;
        // It gets its name only once nobody else can open it.
        fs::set_permissions(dir.join(&new), fs::Permissions::from_mode(0o600))?;
        fs::rename(dir.join(&new), &path)?;
        let accepting = tokio::spawn(accept(listener, served)).abort_handle();
        Ok(Server { path, accepting })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // A leftover is harmless: connecting to it fails, and the next node replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, served: Served) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: others need time to give some back.
            tokio::time::sleep(vixp2p::base::limits::ACCEPT_PAUSE).await;
            continue;
        };
        let served = served.clone();
        tokio::spawn(async move {
            // A client that breaks off or talks nonsense ends its own connection, nothing else.
            let _ = serve(stream, served).await;
            drop(place);
        });
    }
}

async fn serve(mut stream: UnixStream, Served { node, progress, about, waiting, screen }: Served) -> io::Result<()> {
    while let Some((kind, body)) = read_frame(&mut stream).await? {
        let reply = match Request::decode(kind, body) {
            Some(Request::Watch) => return watch(stream, &node, &progress).await,
            Some(Request::Append(records)) => match node.append_records(records).await {
                Ok(LogRange { log, first, last }) => Reply::Appended { log, first, last },
                Err(error) => Reply::Refused(error.to_string()),
            },
            Some(Request::Sync) => match sync::status(&node).await {
                Ok(status) => Reply::Sync(Box::new(status)),
                Err(why) => Reply::Refused(why),
            },
            Some(Request::Send(letter)) => match waiting.send(&node, &letter) {
                Ok(mut told) => tokio::select! {
                    end = told.end() => match end {
                        Some(end) => Reply::Sent(end),
                        // The node stops.
                        None => return Ok(()),
                    },
                    // A client that waits sends nothing: this is its end, and its place is for somebody else.
                    _ = read_frame(&mut stream) => return Ok(()),
                },
                Err(why) => Reply::Refused(why),
            },
            Some(Request::Trust(order)) => {
                // It waits for the disk.
                let theirs = node.clone();
                let carried_out = tokio::task::spawn_blocking(move || trust::by_node(&theirs, &order)).await;
                match carried_out {
                    Ok(Ok(lines)) => Reply::Trust(lines),
                    Ok(Err(error)) => Reply::Refused(error.to_string()),
                    Err(error) => Reply::Refused(error.to_string()),
                }
            }
            Some(Request::Outbox(order)) => {
                // It waits for the disk, and for operations.
                let theirs = node.clone();
                match tokio::task::spawn_blocking(move || outbox::by_node(&theirs, &order)).await {
                    Ok(Ok(answer)) => Reply::Outbox(answer),
                    Ok(Err(error)) => Reply::Refused(error.to_string()),
                    Err(error) => Reply::Refused(error.to_string()),
                }
            }
            Some(Request::LogLevel(level)) => {
                node.set_log_level(level);
                Reply::LogLevel(screen.set_level(level))
            }
            Some(Request::Doctor(question)) => Reply::Doctor(running::examine(&node, &about, &question)),
            None => Reply::Refused("the node does not understand the request; client and node are of different versions".into()),
        };
        write_frame(&mut stream, &reply.encode()).await?;
        progress.changed();
    }
    Ok(())
}

async fn watch(mut stream: UnixStream, node: &Node, progress: &Progress) -> io::Result<()> {
    let mut changes = progress.changed.subscribe();
    let mut told = None;
    loop {
        changes.mark_unchanged();
        let status = progress.status(node);
        if told.as_ref() != Some(&status) {
            write_frame(&mut stream, &Reply::Status(Box::new(status.clone())).encode()).await?;
            told = Some(status);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            // The client sends nothing more: this is its end.
            _ = read_frame(&mut stream) => return Ok(()),
        }
    }
}
