//! How long a link waits: for its application to take what came, and for its peer at the end. Reads and writes nothing itself.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{CloseReason, Level, LinkId, Time, limits};
use crate::driver::Shell;
use crate::driver::link::LinkShared;
use crate::mesh::io::Input;

/// How long the goodbye may take, and how long is read after it.
pub(super) fn grace(reason: &CloseReason) -> (Duration, Duration) {
    match reason {
        CloseReason::Duplicate => (limits::HANDOVER_GRACE, limits::HANDOVER_GRACE),
        _ => (limits::STOP_GRACE, limits::DRAIN_GRACE),
    }
}

/// Reads a link on after its goodbye until the other side is done too, which takes a round trip.
pub(super) async fn drain(shell: &Shell, link: &LinkShared, reason: &CloseReason, reading: impl Future<Output = CloseReason>) {
    let Some(_place) = shell.draining(reason) else { return };
    tokio::select! {
        _ = tokio::time::timeout(grace(reason).1, reading) => {}
        // A node that stops waits for no link that had given way before.
        () = link.asked(|| *reason == CloseReason::Duplicate && shell.is_closing()) => {}
    }
}

/// Waits until the application has taken enough. The mesh is told when that lasts: meanwhile the link's silence is this node's doing.
pub(super) async fn wait_for_room(shell: &Arc<Shell>, link: &LinkShared) {
    tokio::select! {
        () = room(shell, link.id) => {}
        () = link.asked(|| link.is_drained()) => {}
    }
}

async fn room(shell: &Arc<Shell>, link: LinkId) {
    let since = shell.now();
    if shell.ring.has_data_room() || tokio::time::timeout(limits::UNREAD_AFTER, shell.ring.data_room()).await.is_ok() {
        return;
    }
    shell.step(Input::Unread { link, unread: true });
    let held = Held::new(shell, link, since);
    shell.ring.data_room().await;
    drop(held);
    shell.step(Input::Unread { link, unread: false });
}

/// A link that is not read. However that ends, it is told.
struct Held<'a>(&'a Arc<Shell>, LinkId);

impl<'a> Held<'a> {
    fn new(shell: &'a Arc<Shell>, link: LinkId, since: Time) -> Held<'a> {
        let peer = shell.all_routes().into_iter().find(|(_, route)| route.id == link).map(|(peer, _)| peer);
        let whose = || peer.map_or_else(|| "somebody".to_owned(), |peer| peer.short());
        // One line for all: the others are a matter of detail, and named by the event at the end.
        let level = if shell.behind.hold(since, link, peer) { Level::Warn } else { Level::Debug };
        let max = limits::EVENT_RING_DATA_MAX_BYTES;
        shell.write_log(level, || format!("{link} to {} is not read: the application has {max} bytes of messages to take", whose()));
        Held(shell, link)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Held(shell, link) = self;
        if let Some(event) = shell.behind.release(shell.now(), *link).filter(|_| !shell.is_closing()) {
            shell.emit(event);
        }
    }
}
