//! The mesh from outside: one machine driven input by input, and several wired together by a carrier of a hundred lines.

mod applying;
mod causes;
mod compare;
mod crossing;
mod dialling;
mod halfopen;
mod links;
mod mailbox;
mod promises;
mod property;
mod relaying;
mod replication;
mod routes;
mod signs;
mod snapshot_faults;
mod snapshots;
mod solo;
mod states;
mod trust;
mod world;
