//! Between the mesh and the snapshots on disk. So far there are none: every wish is answered with no.

use std::sync::Arc;

use crate::driver::Shell;
use crate::mesh::io::{Examined, Input, Kept, SnapshotInput, SnapshotOutput};

/// Carries out what the mesh wants about snapshots. Called under the node's lock: answers later, from elsewhere.
pub(crate) fn carry(shell: &Arc<Shell>, wanted: SnapshotOutput) {
    let answer = match wanted {
        SnapshotOutput::Make => SnapshotInput::NotMade,
        SnapshotOutput::Read { link, id, part } => SnapshotInput::ReadDone { link, id, part, bytes: None },
        SnapshotOutput::Examine { link, offer, .. } => SnapshotInput::Examined { link, id: offer.id, verdict: Examined::Unwelcome },
        SnapshotOutput::Keep { link, id, part, .. } => SnapshotInput::Kept { link, id, part, verdict: Kept::Failed },
        SnapshotOutput::Install { id } => SnapshotInput::NotInstalled { id },
    };
    let shell2 = shell.clone();
    shell.handle.spawn(async move { shell2.step(Input::Snapshot(answer)) });
}
