//! One node's decisions.

pub mod io;
