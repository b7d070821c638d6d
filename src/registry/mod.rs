//! A registry of who listens where: its table, its JSON, and when a client asks again. Time and randomness are handed in.
//!
//! Never opens a socket or a file and never trusts: an entry is a rumour that somebody listens somewhere.

pub mod json;
pub mod poll;
pub mod table;

pub use json::{Announcement, BootstrapPeer};
pub use poll::Poller;
pub use table::{Entry, Refusal, Source, Table};
