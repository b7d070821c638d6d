//! One file per command.

pub(crate) mod append;
pub(crate) mod chat;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod invite;
pub(crate) mod key;
pub(crate) mod log_level;
pub(crate) mod outbox;
pub(crate) mod registry;
pub(crate) mod run;
pub(crate) mod send;
pub(crate) mod shell;
pub(crate) mod simulate;
pub(crate) mod sync;
pub(crate) mod tail;
pub(crate) mod trust;
pub(crate) mod wal;
