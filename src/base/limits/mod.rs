//! Every bound that remote input, a user or time can push against: one table, each row with its unit and its reason.
//!
//! `tests/tidy.rs` holds that every row is used.

mod found;
mod link;
mod log;
mod node;
mod route;

pub use found::*;
pub use link::*;
pub use log::*;
pub use node::*;
pub use route::*;
