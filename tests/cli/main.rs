//! The program as its users meet it: options, exit codes, output, files, signals. Everything on 127.0.0.1, nothing by the clock
//! but upper bounds.

mod chat;
mod demo;
mod discovery;
mod docs;
mod doctor;
mod events;
mod keys;
mod log;
mod node;
mod options;
mod outbox;
mod registry;
mod send;
mod shell;
mod support;
mod sync;
mod table;
mod trust;
mod wal;
