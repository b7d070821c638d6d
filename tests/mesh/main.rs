//! The mesh from outside: one machine driven input by input, and several wired together by a carrier of a hundred lines.

mod dialling;
mod halfopen;
mod links;
mod mailbox;
mod property;
mod replication;
mod solo;
mod trust;
mod world;
