//! One node: its peers, its dialling, its shutting down, and its events.

use std::time::Duration;

// ---- one node ------------------------------------------------------------------------------------------------------

/// Places a node listens at besides its first: each is a task, and every kind of transport fits several times.
pub const LISTEN_ENDPOINTS_MAX: usize = 16;
/// Connected peers unless configured otherwise (v1 default).
pub const MAX_PEERS_DEFAULT: usize = 64;
/// Endpoints the connection guard remembers; the oldest idle one gives way.
pub const TRACKED_ENDPOINTS_MAX: usize = 4096;
/// Silence after which a Ping goes out (v1 figure).
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Silence after which a link is closed as stale (v1 figure).
pub const STALE_AFTER: Duration = Duration::from_secs(15);
/// Automatic attempts closer together than this are one attempt (v1 figure).
pub const DIAL_DEDUPE_GAP: Duration = Duration::from_millis(900);
/// First and last backoff of attempts a person asked for (v1 figures).
pub const BACKOFF_MANUAL: (Duration, Duration) = (Duration::from_millis(2_500), Duration::from_secs(12));
/// First and last backoff of automatic attempts (v1 figures).
pub const BACKOFF_AUTOMATIC: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));
/// First and last backoff of attempts nobody asked for, where the same attempt will fail again until somebody changes something.
pub const BACKOFF_TURNED_AWAY: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(120));
/// Further attempts of one dial after resets before an answer: this is how a listener lets go of a Hello that came too late.
pub const DIAL_RESETS_MAX: u32 = 3;
/// Pause before the first of them, and as much more before each other: three fit into a third of a second.
pub const DIAL_RESET_PAUSE: Duration = Duration::from_millis(50);
/// Addresses of one host that are dialled; with `DIAL_STAGGER` between them the last has more than half of `DIAL_TIMEOUT` left.
pub const DIAL_ADDRESSES_MAX: usize = 8;
/// Silence of one address of a host or peer before the next is dialled beside it (RFC 8305).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// Dials that signs of life bring forward at one endpoint: what announces itself and goes on failing has its pauses after these.
pub const SIGN_DIALS_MAX: u32 = 4;
/// The same where the last attempt ended for a reason that only a person can take away: a restart may have been that person's.
pub const SIGN_DIALS_IN_VAIN_MAX: u32 = 1;
/// They are counted anew when the endpoint was silent or has restarted, no sooner than this after the last time.
pub const SIGN_DIALS_AGAIN: Duration = Duration::from_secs(5);
/// And after this in any case, for whoever speaks all the time; no sooner where only a person can help.
pub const SIGN_DIALS_FORGOTTEN: Duration = Duration::from_secs(60);
/// Least time between two questions on one link that announcements ask for: anybody can forge those.
pub const SIGN_ASKS_EVERY: Duration = Duration::from_secs(1);
/// Silence of a link after which a second one of its peer is a reason to ask whether it lives: two that cross have both just spoken. And
/// silence after that question, after which a third one takes its place.
pub const DUPLICATE_SILENCE: Duration = Duration::from_secs(1);
/// After a change of the network: how long a standing link has to show life, and a handshake to end.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(2);
/// How long a TCP connect may take.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after `accept` fails (out of descriptors), so that the loop neither spins nor ends.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// A link that gives way to another of its peer is read this long after its goodbye, for what the peer had sent before it knew.
pub const HANDOVER_GRACE: Duration = Duration::from_secs(5);
/// Links that are read so at once: a peer may make as many as it can authenticate in `HANDOVER_GRACE`.
pub const LEAVING_LINKS_MAX: usize = 1024;
/// Bytes of a peer's new link that wait until its old one is read to the end; past it they are told at once.
pub const HANDOVER_PARKED_MAX_BYTES: usize = 256 * 1024;
/// How long a link that was closed in order is read after its goodbye: input left unread would have TCP throw away what was sent last.
pub const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// Links read so at once; the others are closed at once.
pub const DRAINING_LINKS_MAX: usize = 256;
/// How long `stop` waits for queued bytes and the log.
pub const STOP_GRACE: Duration = Duration::from_secs(1);
/// How long a starting node waits for another that is taking a Unix socket in the same directory.
pub const UNIX_TURN_WAIT: Duration = Duration::from_secs(2);
/// Endpoints this node keeps itself connected to; an automatic one that never answered gives way to a new one.
pub const DIAL_TARGETS_MAX: usize = 1024;
/// Dials under way at once; the others wait for one to end.
pub const DIALS_MAX: usize = 64;
/// Peers that are gone and stay listed; the one gone longest is forgotten.
pub const GONE_PEERS_MAX: usize = 1024;
/// Pause before another origin's new records are forwarded: a neighbour usually has them from the origin itself by then.
pub const SPREAD_DELAY: Duration = Duration::from_millis(250);
/// Pause before records that could not be stored or read here are asked for or read again.
pub const REPLICA_RETRY: Duration = Duration::from_secs(1);

/// Keys in `known_peers`: many times the peers of one node, and a table that is copied at every change stays small.
pub const TRUST_ENTRIES_MAX: usize = 4096;
/// Size of `known_peers`: every key with a long label, and then some for comments.
pub const KNOWN_PEERS_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// One line of `known_peers`: the longest label, every character of it escaped.
pub const KNOWN_PEERS_LINE_MAX_BYTES: usize = 4 * 1024;

/// Addresses in the address book, each dialled at every start; the one that succeeded longest ago gives way.
pub const ADDRESS_BOOK_MAX: usize = 128;
/// Size of the address book: every line as long as it can be.
pub const ADDRESS_BOOK_MAX_BYTES: u64 = 64 * 1024;
/// A success at an address is written down again after this: a link that comes and goes is to cost no disk.
pub const ADDRESS_BOOK_REFRESH: Duration = Duration::from_secs(60);

// ---- events --------------------------------------------------------------------------------------------------------

/// Events waiting for the application; past it the oldest informational one is counted in `Lost`.
pub const EVENT_RING_MAX: usize = 4096;
/// Events an empty queue keeps room for: what a burst took beyond goes back.
pub const EVENT_RING_KEPT: usize = 256;
/// Application bytes waiting in the event ring before links stop being read.
pub const EVENT_RING_DATA_MAX_BYTES: usize = 512 * 1024;
/// What a received batch counts for in the event ring on top of its bytes.
pub const EVENT_DATA_OVERHEAD_BYTES: usize = 256;
/// A link that is not read for so long, because the application is behind, is marked as such: well below any stale time.
pub const UNREAD_AFTER: Duration = Duration::from_millis(100);
/// Least time between two events that say so: an application that is always a little behind is not given more to take.
pub const BEHIND_EVENT_EVERY: Duration = Duration::from_secs(10);
/// Peers such an event names; more are counted.
pub const BEHIND_PEERS_MAX: usize = 64;
/// Log lines waiting for a log callback.
pub const LOG_RING_MAX: usize = 1024;
