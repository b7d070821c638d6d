//! One connection: its handshake, its queues and its keys, and the names in its messages.

use std::time::Duration;

// ---- one connection ------------------------------------------------------------------------------------------------

/// Frame length accepted before the peer is authenticated: the largest handshake message with room to grow.
pub const PREAUTH_FRAME_MAX_BYTES: usize = 4 * 1024;
/// From TCP up to `Welcome`; one absolute deadline, so that a byte a second buys nothing.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// Accepted connections whose Hello has not passed. Past it the oldest of the most crowded source gives way; at 1 KiB to 6 KiB each
/// they cost no memory worth a lock-out, and the more there are, the longer an honest one may take to speak during a flood.
pub const HALF_OPEN_MAX: usize = 2048;
/// The same from one source (IPv4 address, IPv6 /64): half of the places are for others. At 20,000 connections a second an honest
/// peer behind the same address has 50 ms for its Hello, which follows the TCP handshake at once.
pub const HALF_OPEN_PER_SOURCE_MAX: usize = 1024;
/// Accepted connections whose Hello passed: each has cost a key agreement and is a round trip from its end.
pub const GREETED_MAX: usize = 256;
/// The same from one source.
pub const GREETED_PER_SOURCE_MAX: usize = 128;
/// Silent connections take at most one of so many descriptors the process may open: the rest is the application's.
pub const HALF_OPEN_DESCRIPTOR_SHARE: usize = 2;
/// Connections accepted before those that are open have their turn: a Hello waits for a few times as many newcomers, not for all.
pub const ACCEPT_BATCH: usize = 32;
/// Connections the kernel keeps for the accept loop, if it is allowed so many: 100 ms of a flood of 40,000 a second. Past it packets
/// are dropped, an honest peer's as well, and come again after a second.
pub const ACCEPT_BACKLOG: i32 = 4096;
/// Bytes on their way in one direction of an in-memory link: as much as one read of a socket takes.
pub const MEM_PIPE_BYTES: usize = READ_BUFFER_MAX_BYTES;
/// Dials that wait for the accept loop of an in-memory endpoint; the next is refused as busy.
pub const MEM_BACKLOG: usize = 128;
/// Read buffer of a connection whose Hello has not passed, made when its first byte is there: a Hello with both key shares fits.
pub const HELLO_BUFFER_BYTES: usize = 2 * 1024;
/// Failed inbound handshakes told as events in a row; all are counted.
pub const HANDSHAKE_EVENTS_BURST: u32 = 64;
/// One more of them each time this has passed: four a second can be read, and drown nothing else.
pub const HANDSHAKE_EVENT_EVERY: Duration = Duration::from_millis(250);
/// Plaintext of one sealed record: a 64 KiB message with its header fits, and the whole stays in L2.
pub const RECORD_PLAINTEXT_MAX_BYTES: usize = 64 * 1024 + 256;
/// Records under one key before the sender steps to the next (well below AES-GCM's confidentiality bound).
pub const REKEY_AFTER_RECORDS: u64 = 1 << 24;
/// Plaintext bytes under one key before the sender steps to the next.
pub const REKEY_AFTER_BYTES: u64 = 16 << 30;
/// Age of a link's keys before the sender steps to the next.
pub const REKEY_AFTER: Duration = Duration::from_secs(15 * 60);
/// Age of a link's last key agreement before the dialling side makes a new one inside the channel.
pub const FRESH_KEYS_AFTER: Duration = Duration::from_secs(60 * 60);
/// One application message; the receiver allocates as bytes arrive, never ahead.
pub const MESSAGE_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Sealed bytes waiting in one link before `send` answers "would block".
pub const LINK_QUEUE_MAX_BYTES: usize = 4 * 1024 * 1024;
/// Waiting bytes at which an asynchronous sender yields to the writer, so that buffers stay in L2.
pub const LINK_QUEUE_SOFT_BYTES: usize = 256 * 1024;
/// Queued bytes behind which pushed records wait unsealed: so much a heartbeat may find before it, and so much is sealed at a time.
pub const LINK_BULK_BYTES: usize = 256 * 1024;
/// Control messages past this on top of a full queue mean the peer does not read: the link is closed.
pub const LINK_CONTROL_RESERVE_BYTES: usize = 6 * 1024 * 1024;
/// One read from a socket.
pub const READ_BUFFER_MAX_BYTES: usize = 256 * 1024;
/// An idle link's read buffer.
pub const READ_BUFFER_MIN_BYTES: usize = 4 * 1024;

// ---- names in messages ---------------------------------------------------------------------------------------------

/// `node_id`: a label for people.
pub const NODE_ID_MAX_BYTES: usize = 255;
/// Entries of the capability map.
pub const CAPABILITIES_MAX: usize = 32;
/// One capability key or value.
pub const CAPABILITY_MAX_BYTES: usize = 255;
/// Capability keys and values together, so that an identity fits its box.
pub const CAPABILITIES_TOTAL_MAX_BYTES: usize = 1856;
/// Suites offered in a Hello.
pub const SUITES_MAX: usize = 16;
/// Key shares in a Hello: one for each group offered, two groups being defined.
pub const KEY_SHARES_MAX: usize = 4;
/// Key share of a Hello, HelloAck or key update: X-Wing's encapsulation key is 1,216 bytes, X25519's point 32.
pub const KEY_SHARE_MAX_BYTES: usize = 1400;
/// Padded plaintext of an identity: the largest claim, signature and MAC; a HelloAck with it still fits `PREAUTH_FRAME_MAX_BYTES`.
pub const IDENTITY_MAX_BYTES: usize = 2560;
/// Certificate inside an identity: two rotation records of 104 bytes, enough for a peer that was away during one rotation.
pub const CERT_MAX_BYTES: usize = 208;
/// An endpoint as text.
pub const ENDPOINT_TEXT_MAX_BYTES: usize = 300;
/// Path of a Unix socket: `sun_path` of Linux holds 108 bytes, one of them zero; a system with less refuses earlier itself.
pub const UNIX_PATH_MAX_BYTES: usize = 107;
/// Name of an in-memory endpoint: a label, and the table of names stays small.
pub const MEM_NAME_MAX_BYTES: usize = 128;
/// A discovery announcement (v1 rule).
pub const ANNOUNCE_MAX_BYTES: usize = 512;
/// The explanation inside a Close message; the code is what counts.
pub const CLOSE_DETAIL_MAX_BYTES: usize = 200;

// ---- keys and invites ----------------------------------------------------------------------------------------------

/// A passphrase; Argon2id takes any length, a file or a caller may not make it one.
pub const PASSPHRASE_MAX_BYTES: usize = 1024;
/// Memory in KiB that a sealed key file may ask for: a hostile one must not exhaust the machine.
pub const KEY_MEMORY_MAX_KIB: u32 = 1024 * 1024;
/// Passes over that memory that a sealed key file may ask for: at the largest memory some ten seconds.
pub const KEY_ITERATIONS_MAX: u32 = 16;
/// Lanes that a sealed key file may ask for; they are computed one after the other.
pub const KEY_PARALLELISM_MAX: u32 = 16;
/// Rotation records kept beside a key; the oldest gives way. The last two are told to peers, all mark own earlier logs.
pub const ROTATIONS_KEPT_MAX: usize = 64;
/// Addresses in an invite.
pub const INVITE_ADDRESSES_MAX: usize = 8;
/// An invite as text: eight of the longest addresses, a key and a secret in base32.
pub const INVITE_TEXT_MAX_BYTES: usize = 4096;
