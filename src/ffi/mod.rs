//! The C border: every function of `include/vixp2p.h`, and nothing else.
//!
//! Turns pointers into references and back, statuses into numbers, panics into statuses. Never decides anything about peers or
//! logs, never runs the application's code with a lock held, never prints, reads the environment or touches signal handlers.
//! The only room with `unsafe`. The documentation comments here are written for the C reader: they become the header.
#![allow(unsafe_code, reason = "a C border is made of raw pointers; every block says why it holds")]
#![allow(non_camel_case_types, reason = "one name everywhere: the Rust item is called what C calls it")]
#![allow(clippy::missing_safety_doc, reason = "the whole of each comment is the contract, in the header's words")]

#[cfg(panic = "abort")]
compile_error!("the C border catches panics; build with panic = \"unwind\"");

// The header follows this order.
pub mod callbacks;
pub mod capabilities;
pub mod discovery;
pub mod event;
pub mod event_kind;
pub mod event_numbers;
pub mod invite;
pub mod log;
pub mod node;
pub mod options;
pub mod outbox;
pub mod peers;
pub mod poll;
pub mod registry;
pub mod route;
pub mod snapshot;
pub mod status;
pub mod subscribe;
pub mod sync;
pub mod targets;
pub mod traffic;
pub mod trust;
pub mod types;
pub mod values;
pub mod version;
pub mod wal;

mod apply;
mod boundary;
mod delivery;
mod handle;
mod panics;
mod sys;

pub use callbacks::*;
pub use capabilities::*;
pub use discovery::*;
pub use event::*;
pub use event_kind::*;
pub use event_numbers::*;
pub use invite::*;
pub use log::*;
pub use node::*;
pub use options::*;
pub use outbox::*;
pub use peers::*;
pub use poll::*;
pub use registry::*;
pub use route::*;
pub use snapshot::*;
pub use status::*;
pub use subscribe::*;
pub use sync::*;
pub use targets::*;
pub use traffic::*;
pub use trust::*;
pub use types::*;
pub use values::*;
pub use version::*;
pub use wal::*;
