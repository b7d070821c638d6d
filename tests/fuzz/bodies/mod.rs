//! What each fuzz target does with its bytes: one plain function a target, used by libFuzzer (`fuzz/`) and by the tests here.
//!
//! A body panics when a promise is broken. It never reads a clock or draws randomness: the same bytes take the same course.

mod discovery;
mod edits;
mod handshake;
mod mesh;
mod outbox;
mod routes;
mod session;
mod text;
mod wal;
mod wire;

/// One target.
pub(crate) struct Target {
    /// Its name, on the command line and of its directory of seeds.
    pub(crate) name: &'static str,
    /// One execution.
    pub(crate) run: fn(&[u8]),
    /// Honest inputs, from which mutation begins.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// Executions in `make test`.
    pub(crate) runs: u32,
    /// Memory an execution may hold per byte of input.
    pub(crate) per_byte: usize,
    /// Memory an execution may hold besides.
    pub(crate) fixed: usize,
}

const KIB: usize = 1024;

/// The rule: twice the input and 64 KiB.
const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>, runs: u32) -> Target {
    Target { name, run, seeds, runs, per_byte: 2, fixed: 64 * KIB }
}

impl Target {
    /// An exception to the rule; the caller's comment says why it is honest.
    const fn holding(mut self, per_byte: usize, fixed: usize) -> Target {
        (self.per_byte, self.fixed) = (per_byte, fixed);
        self
    }
}

/// Every target. `fuzz/Cargo.toml` has a row for each, `tests/fuzz/seeds` a directory.
pub(crate) const TARGETS: &[Target] = &[
    target("frame", wire::frame, wire::frame_seeds, 20_000),
    target("envelope", wire::envelope, wire::envelope_seeds, 20_000),
    target("handshake_message", wire::handshake_message, wire::handshake_message_seeds, 20_000),
    target("message", wire::message, wire::message_seeds, 20_000),
    // An operation of a few bytes is a row with two names here, and in the tables beside it.
    target("outbox", outbox::outbox, outbox::outbox_seeds, 5_000).holding(64, 64 * KIB),
    target("announce", wire::announce, wire::announce_seeds, 20_000),
    // A few bytes of input are an honest datagram here, and a row of each table.
    target("discovery", discovery::datagrams, discovery::datagrams_seeds, 5_000).holding(4, 512 * KIB),
    // v1 has no limit on counts: a capability of four bytes becomes two vectors, a frame of one byte a slice.
    target("v1", wire::v1, wire::v1_seeds, 20_000).holding(64, 64 * KIB),
    target("key_file", text::key_file, text::key_file_seeds, 5_000),
    target("invite", text::invite, text::invite_seeds, 10_000),
    target("rotations", text::rotations, text::rotations_seeds, 3_000),
    // A line of one byte is kept with what it says, so that nothing is lost; the file has a limit of its own.
    target("known_peers", text::known_peers, text::known_peers_seeds, 5_000).holding(400, 64 * KIB),
    target("registry", text::registry, text::registry_seeds, 10_000),
    target("endpoint", text::endpoint, text::endpoint_seeds, 20_000),
    // A record's place is made as soon as its length is known.
    target("handshake_stream", handshake::stream, handshake::stream_seeds, 2_000).holding(2, 160 * KIB),
    target("handshake_tampered", handshake::tampered, handshake::tampered_seeds, 2_000).holding(2, 160 * KIB),
    target("session_stream", session::stream, session::stream_seeds, 10_000).holding(2, 160 * KIB),
    target("session_frames", session::frames, session::frames_seeds, 10_000).holding(10, 160 * KIB),
    // A few bytes of input are long honest messages here, held as sent, as sealed and as received.
    target("session_tampered", session::tampered, session::tampered_seeds, 2_000).holding(10, 2048 * KIB),
    // Tables of links, targets, peers and logs, each with its own limit; however long the input, they get no larger.
    target("mesh", mesh::inputs, mesh::inputs_seeds, 5_000).holding(4, 768 * KIB),
    target("parcel", routes::parcels, routes::parcels_seeds, 2_000),
    // As for mesh: a few bytes are a row of a table, each table with its own limit.
    target("routes", routes::node, routes::node_seeds, 5_000).holding(64, 768 * KIB),
    target("wal_segment", wal::segment, wal::segment_seeds, 5_000).holding(6, 64 * KIB),
    target("wal_disk", wal::disk, wal::disk_seeds, 3_000),
    target("wal_group", wal::group, wal::group_seeds, 5_000),
];

/// The target of a name.
pub(crate) fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
