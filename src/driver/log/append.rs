//! Appends on the log's thread, or on one that has the log on loan: many callers' records in one write. Never decides who comes first.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::base::{Error, Event, LogRange, limits};
use crate::driver::{Shell, causes};
use crate::mesh::io::Input;
use crate::sync::{Storage, Wal};

use super::{Append, now_us};

/// Appends without waiting for the disk, but for those that ask for it; each call is one write.
pub(super) fn accept<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, appends: VecDeque<Append>) {
    let mut patient = Vec::new();
    for append in appends {
        if wal.accepted_bytes() >= limits::BUFFERED_MAX_BYTES {
            flush(shell, wal);
        }
        let causes = causes::take(shell);
        match wal.append_buffered_after(now_us(), &causes, &append.payloads) {
            Ok(range) => {
                shell.records_appended.fetch_add(append.payloads.len() as u64, Ordering::Relaxed);
                let range = LogRange { log: wal.own(), first: *range.start(), last: *range.end() };
                if append.is_durable {
                    patient.push((append.reply, range));
                } else {
                    (append.reply)(Ok(range));
                }
            }
            Err(error) => {
                causes::give_back(shell, &causes);
                let detail = error.to_string();
                shell.emit(Event::LogFailed { detail: detail.clone() });
                (append.reply)(Err(Error::Log(detail)));
            }
        }
    }
    if !patient.is_empty() {
        let is_durable = flush(shell, wal);
        let late = || Error::Log("accepted, but not durable yet: the disk refuses".into());
        patient.into_iter().for_each(|(reply, range)| reply(if is_durable { Ok(range) } else { Err(late()) }));
    }
}

/// Makes durable what was accepted; whether that worked.
pub(crate) fn flush<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>) -> bool {
    match wal.flush() {
        Ok(groups) if groups.is_empty() => true,
        Ok(groups) => {
            shell.step(Input::Durable { groups });
            true
        }
        Err(error) => {
            shell.emit(Event::LogFailed { detail: error.to_string() });
            false
        }
    }
}

/// One write and one sync for records of any number of callers. Why not, after an event that says so.
pub(super) fn commit<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, payloads: &[Bytes]) -> std::result::Result<LogRange, String> {
    let causes = causes::take(shell);
    match wal.append_unmarked_after(now_us(), &causes, payloads) {
        Ok(groups) => {
            let (first, last) = (groups.first().map_or(0, |group| group.first), groups.last().map_or(0, |group| group.last));
            shell.records_appended.fetch_add(payloads.len() as u64, Ordering::Relaxed);
            if !groups.is_empty() {
                shell.step(Input::Durable { groups });
            }
            Ok(LogRange { log: wal.own(), first, last })
        }
        Err(error) => {
            causes::give_back(shell, &causes);
            let detail = error.to_string();
            shell.emit(Event::LogFailed { detail: detail.clone() });
            Err(detail)
        }
    }
}

/// Appends what callers wait for to be durable.
pub(super) fn append<S: Storage>(shell: &Arc<Shell>, wal: &mut Wal<S>, appends: VecDeque<Append>) {
    if appends.is_empty() {
        return;
    }
    let payloads: Vec<Bytes> = appends.iter().flat_map(|a| a.payloads.iter().cloned()).collect();
    match commit(shell, wal, &payloads) {
        Ok(LogRange { log, first: mut next, .. }) => {
            for append in appends {
                let first = next;
                next += append.payloads.len() as u64;
                (append.reply)(Ok(LogRange { log, first, last: next.saturating_sub(1) }));
            }
            wal.mark_own();
        }
        Err(detail) => {
            for append in appends {
                (append.reply)(Err(Error::Log(detail.clone())));
            }
        }
    }
}
