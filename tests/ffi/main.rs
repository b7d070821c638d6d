//! The C functions called through the Rust library: every pointer, every life, every way an event is delivered.
//!
//! What these tests hold is the contract in `include/vixp2p.h`; `tests/c/` has the same seen from C.
#![allow(unsafe_code, reason = "a C caller is what these tests play")]

mod applying;
mod delivery;
mod follow;
mod life;
mod null;
mod null_sync;
mod options;
#[cfg(feature = "test-ffi")]
mod panic;
mod replicate;
mod support;
