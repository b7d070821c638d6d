//! A node that was set back goes on in a new log. Never judges whether it was.

use std::sync::Arc;

use crate::base::{Event, Incarnation};
use crate::driver::Shell;
use crate::mesh::io::Input;
use crate::sync::{Storage, Wal};

/// This node was restored from an old copy: its numbers must not be used twice, so it goes on in a new incarnation. What else, if not.
pub(crate) fn renew<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, detail: &str) -> std::result::Result<(), String> {
    let renewed = getrandom::u64().map_err(|e| e.to_string()).and_then(|n| wal.renew(Incarnation(n)).map_err(|e| e.to_string()));
    let done = match renewed {
        Ok(log) => {
            shell.emit(Event::LogDamaged { detail: format!("{detail}; appending goes on in {log}") });
            shell.step(Input::Renewed { log });
            Ok(())
        }
        Err(e) => Err(format!("{detail}; no new incarnation could be opened: {e}")),
    };
    done.inspect_err(|detail| shell.emit(Event::LogFailed { detail: detail.clone() }))
}
