//! vixp2p: an embeddable peer-to-peer engine.
//!
//! Nodes authenticate each other by key, seal their link, exchange messages and replicate a signed write-ahead log. The public
//! Rust surface is [`Node`]; the C surface is `include/vixp2p.h` (room `ffi`).

pub mod base;
pub mod crypto;
pub mod discovery;
pub mod driver;
pub mod ffi;
pub mod mesh;
pub mod node;
pub mod outbox;
pub mod registry;
pub mod session;
pub mod sim;
pub mod snapshot;
pub mod sync;
pub mod wire;

pub use base::{Config, DataBatch, Endpoint, Error, Event, PeerId, Result, Stats};
pub use node::{Node, WeakNode};

/// The README's Rust code compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
