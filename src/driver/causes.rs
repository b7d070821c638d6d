//! Causal mode, on the way between the log's thread, the application and the mesh. Decides nothing: the mesh says what waits and what is
//! named.

use crate::base::LogId;
use crate::driver::Shell;
use crate::sync::{Cause, Entry};

/// What the next record written comes after, to be given back if it is not written; nothing unless the node is causal. Taken by
/// whoever has the log, after the appends that are written: whatever the application had applied when it appended is in it.
pub(crate) fn take(shell: &Shell) -> Vec<Cause> {
    if shell.causal { shell.mesh.lock().take_causes() } else { Vec::new() }
}

/// What was taken was not written.
pub(crate) fn give_back(shell: &Shell, causes: &[Cause]) {
    if !causes.is_empty() {
        shell.mesh.lock().give_back_causes(causes);
    }
}

/// Whether the application may be given a record now, or what has to come before.
pub(super) fn may_apply(shell: &Shell, log: LogId, entry: &Entry) -> Result<(), Vec<Cause>> {
    if shell.causal { shell.mesh.lock().may_apply(log, entry.seq, &entry.causes) } else { Ok(()) }
}
