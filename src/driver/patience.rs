//! How long a link waits: for its application to take what came, and for its peer at the end. Reads and writes nothing itself.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{CloseReason, Level, LinkId, limits};
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
    if shell.ring.has_data_room() || tokio::time::timeout(limits::UNREAD_AFTER, shell.ring.data_room()).await.is_ok() {
        return;
    }
    shell.step(Input::Unread { link, unread: true });
    shell
        .write_log(Level::Debug, || format!("{link} is not read: the application has {} bytes to take", limits::EVENT_RING_DATA_MAX_BYTES));
    shell.ring.data_room().await;
    shell.step(Input::Unread { link, unread: false });
}
