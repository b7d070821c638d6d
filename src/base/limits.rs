//! Every bound that remote input, a user or time can push against: one table, each row with its unit and its reason.
//!
//! `tests/tidy.rs` holds that every row is used.

use std::time::Duration;

// ---- one connection --------------------------------------------------------------------------------------------

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
pub const LINK_CONTROL_RESERVE_BYTES: usize = 4 * 1024 * 1024;
/// One read from a socket.
pub const READ_BUFFER_MAX_BYTES: usize = 256 * 1024;
/// An idle link's read buffer.
pub const READ_BUFFER_MIN_BYTES: usize = 4 * 1024;

// ---- names in messages -----------------------------------------------------------------------------------------

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

// ---- keys and invites ------------------------------------------------------------------------------------------

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

// ---- one node --------------------------------------------------------------------------------------------------

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

// ---- discovery -------------------------------------------------------------------------------------------------

/// UDP port of announcements (v1 figure).
pub const DISCOVERY_PORT: u16 = 37020;
/// Time between two announcements (v1 figure).
pub const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);
/// The least that can be configured: ten announcements a second and interface.
pub const ANNOUNCE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Silence after which a discovered node is forgotten (v1 figure).
pub const DISCOVERED_TTL: Duration = Duration::from_secs(15);
/// Least time between two dials of one discovered endpoint (v1 figure).
pub const DISCOVERED_COOLDOWN: Duration = Duration::from_secs(8);
/// Discovery datagram (v1 figure); `ANNOUNCE_MAX_BYTES` is below it.
pub const DISCOVERY_PACKET_BYTES: usize = 1024;
/// The least that can be configured: an announcement with answer, MAC and a few letters of a label.
pub const DISCOVERY_PACKET_MIN_BYTES: usize = 256;
/// Interfaces named in the settings, and used at once.
pub const DISCOVERY_INTERFACES_MAX: usize = 64;
/// Discovered endpoints; past it newcomers wait until one is forgotten, so that a flood displaces nobody.
pub const DISCOVERED_MAX: usize = 4096;
/// Endpoints of one address: nodes on one machine.
pub const DISCOVERED_PER_ADDRESS_MAX: usize = 32;
/// Addresses whose rate is watched; the one watched longest gives way.
pub const DISCOVERY_SOURCES_MAX: usize = 4096;
/// One datagram of an address is read each time this has passed (v1 figure).
pub const DISCOVERY_SOURCE_EVERY: Duration = Duration::from_millis(150);
/// So many in a row before that: two nodes that meet say three things, several nodes may share a machine.
pub const DISCOVERY_SOURCE_BURST: u32 = 8;
/// Least time between two dials that only unproven announcements ask for: two a second.
pub const DISCOVERY_RUMOUR_DIAL_EVERY: Duration = Duration::from_millis(500);
/// Least time between two dials of nodes that have shown that they know the cluster's secret.
pub const DISCOVERY_MEMBER_DIAL_EVERY: Duration = Duration::from_millis(20);
/// An answer to an own announcement older than this (up to twice it) proves nothing.
pub const DISCOVERY_PROOF_MAX_AGE: Duration = Duration::from_secs(5);
/// Runs of nodes whose counters are remembered against replays; the one known longest gives way.
pub const DISCOVERY_RUNS_MAX: usize = 4096;
/// Time between two looks at the interfaces of the machine: what comes up is used within it.
pub const DISCOVERY_RESCAN: Duration = Duration::from_secs(1);
/// Datagrams read from one socket before the others have their turn.
pub const DISCOVERY_BATCH: usize = 64;

// ---- events ----------------------------------------------------------------------------------------------------

/// Events waiting for the application; past it the oldest informational one is counted in `Lost`.
pub const EVENT_RING_MAX: usize = 4096;
/// Application bytes waiting in the event ring before links stop being read.
pub const EVENT_RING_DATA_MAX_BYTES: usize = 512 * 1024;
/// What a received batch counts for in the event ring on top of its bytes.
pub const EVENT_DATA_OVERHEAD_BYTES: usize = 256;
/// A link that is not read for so long, because the application is behind, is marked as such: well below any stale time.
pub const UNREAD_AFTER: Duration = Duration::from_millis(100);
/// Log lines waiting for a log callback.
pub const LOG_RING_MAX: usize = 1024;

// ---- the log and its replication -------------------------------------------------------------------------------

/// Payload of one record.
pub const RECORD_PAYLOAD_MAX_BYTES: usize = 1024 * 1024;
/// Records of one group commit.
pub const GROUP_MAX_RECORDS: usize = 256;
/// Payload bytes of one group commit, unless a single record is larger.
pub const GROUP_MAX_BYTES: usize = 64 * 1024;
/// Encoded bytes of one WalPush: the largest group with its framing, and then some.
pub const WAL_PUSH_MAX_BYTES: usize = RECORD_PAYLOAD_MAX_BYTES + 64 * 1024;
/// Pushed and not yet acknowledged bytes per link and direction: the receiver's credit.
pub const REPLICA_WINDOW_BYTES: usize = 4 * 1024 * 1024;
/// Pushed and not yet acknowledged records per link and direction, so that a flood of tiny ones is bounded too.
pub const REPLICA_WINDOW_RECORDS: u64 = 65_536;
/// Bytes read from disk for one laggard at a time.
pub const READ_RECORDS_MAX_BYTES: usize = 1024 * 1024;
/// Bytes a subscription reads and holds at a time, unless one group is larger.
pub const SUBSCRIBE_READ_BYTES: usize = 256 * 1024;
/// Places a status measures in the log's files; peers behind at further ones are shown without bytes and age.
pub const STATUS_PLACES_MAX: usize = 1024;
/// Logs (origin, incarnation) one node carries.
pub const LOGS_MAX: usize = 4096;
/// Vector entries of one Vector message (the rest follow in further ones).
pub const VECTOR_MAX_ENTRIES: usize = 1024;
/// A segment file is closed and a new one begun past this size.
pub const SEGMENT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// A log's file is made longer in advance by as much as it holds, and by no more than this: syncs need not write its length.
pub const RESERVE_STEP_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Files of the log kept open: the segment and the mark of two logs, so that a commit opens none.
pub const LOG_FILES_OPEN_MAX: usize = 4;
/// Under `Durability::Buffered`: an accepted record is durable after so long, if the disk keeps up. Longer would lose more to a power
/// cut and keep peers waiting, shorter would sync for little.
pub const BUFFERED_SYNC_EVERY: Duration = Duration::from_millis(50);
/// Under `Durability::Buffered`: pause after a disk refused to make records durable, so that events of it do not crowd out others.
pub const BUFFERED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Under `Durability::Buffered`: so many bytes are made durable before more is accepted; they are in memory meanwhile.
pub const BUFFERED_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Appends waiting for the log's thread; `append` waits for a place.
pub const APPEND_QUEUE_MAX: usize = 4096;
/// What the application has applied survives a power cut after so long: one sync a log and second is cheap, and so much comes again at most.
pub const CURSOR_SYNC_EVERY: Duration = Duration::from_secs(1);
/// Logs whose place is synced in a row before appends have their turn.
pub const CURSOR_SYNCS_AT_ONCE: usize = 16;
/// Pause before a refused apply is offered again; doubles up to `APPLY_RETRY_MAX`.
pub const APPLY_RETRY_BASE: Duration = Duration::from_millis(500);
/// Longest pause between two offers of the same record.
pub const APPLY_RETRY_MAX: Duration = Duration::from_secs(30);
/// Bytes of a segment in memory while it is scanned; at least one group fits, four make the copying at the edges rare.
pub const SCAN_WINDOW_BYTES: usize = 4 * WAL_PUSH_MAX_BYTES;
/// A group is found in a segment by one index entry per so many bytes and a walk from there.
pub const INDEX_STEP_BYTES: u64 = 64 * 1024;
/// A snapshot is fetched and checked in pieces of this size.
pub const SNAPSHOT_PIECE_BYTES: usize = 512 * 1024;
/// The largest snapshot: its list of hashes has 1 MiB.
pub const SNAPSHOT_MAX_BYTES: u64 = 16 << 30;
/// What an application may call the form of its snapshots.
pub const SNAPSHOT_SCHEMA_MAX_BYTES: usize = 64;
/// Pieces of a snapshot asked for and not yet there: 2 MiB, under way while the next ones are read.
pub const SNAPSHOT_ASKED_MAX: usize = 4;

// ---- routes ----------------------------------------------------------------------------------------------------

/// Payload of a message over a route: with its seal and header it fits one record.
pub const ROUTED_MAX_BYTES: usize = 64 * 1024;
/// A parcel as carried: the largest payload with its seal (113 bytes).
pub const PARCEL_MAX_BYTES: usize = ROUTED_MAX_BYTES + 113;
/// Links a parcel or a search may pass unless a route says otherwise (v1 figure).
pub const ROUTE_TTL: u8 = 8;
/// Routes the application may give, and as many learned ones; of these the oldest gives way.
pub const ROUTES_MAX: usize = 1024;
/// Own messages that wait for a receipt; the next is refused.
pub const POSTS_MAX: usize = 1024;
/// Their payloads together.
pub const POSTS_MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long a message over a route is tried unless its sender says otherwise: three searches and three copies.
pub const ROUTE_LIFE: Duration = Duration::from_secs(30);
/// The longest that can be asked for; what is to outlive that belongs into the log.
pub const ROUTE_LIFE_MAX: Duration = Duration::from_secs(10 * 60);
/// First and last pause before another copy or another search: longer than the way there and back over satellites, mostly.
pub const ROUTE_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));
/// Least time between two searches for one peer, and before a copy that follows a hint.
pub const ROUTE_SEARCH_GAP: Duration = Duration::from_millis(500);
/// How long a neighbour that answered a search and let the message vanish is asked last for a way to that peer.
pub const ROUTE_SILENT: Duration = Duration::from_secs(3 * 60);
/// Times one message is sealed anew because its recipient names another run: a carrier that lies gets no further.
pub const RESEALS_MAX: u8 = 4;
/// Copies that have passed and whose way back is remembered; the oldest gives way.
pub const CRUMBS_MAX: usize = 8192;
/// Notices passed back for one copy.
pub const CRUMB_NOTICES_MAX: u8 = 4;
/// Searches of others that are remembered; the oldest gives way.
pub const SEARCHES_MAX: usize = 1024;
/// Searches of one neighbour that are looked at in a row, its own among them.
pub const SEARCH_BURST: u32 = 64;
/// One more of them each time this has passed: 16 a second.
pub const SEARCH_EVERY: Duration = Duration::from_micros(62_500);
/// Searches passed on in a row for all neighbours together: half of what each neighbour takes, so that this node's own find room.
pub const SEARCH_FORWARD_BURST: u32 = 32;
/// One more of them each time this has passed: 8 a second.
pub const SEARCH_FORWARD_EVERY: Duration = Duration::from_millis(125);
/// Searches passed on in a row for one neighbour.
pub const SEARCH_SHARE_BURST: u32 = 16;
/// One more of them each time this has passed: 4 a second.
pub const SEARCH_SHARE_EVERY: Duration = Duration::from_millis(250);
/// Parcels of one sender that one neighbour has relayed in a row.
pub const RELAY_BURST: u32 = 256;
/// One more of them each time this has passed: 200 a second, at most 12 MiB of them.
pub const RELAY_EVERY: Duration = Duration::from_millis(5);
/// Parcels of one neighbour relayed in a row, whoever they say sent them: nobody can prove that to a relay.
pub const RELAY_LINK_BURST: u32 = 1024;
/// One more of them each time this has passed: 800 a second.
pub const RELAY_LINK_EVERY: Duration = Duration::from_micros(1_250);
/// Neighbours, and senders behind each, whose rate is watched; the one silent longest gives way.
pub const RELAY_SOURCES_MAX: usize = 1024;
/// Parcels that are being opened at once; each costs a tenth of a millisecond, and the application may be slow.
pub const OPENINGS_MAX: usize = 128;
/// Those of them that one neighbour brought.
pub const OPENINGS_PER_CARRIER_MAX: usize = 32;
/// Parcels that one neighbour brings to be opened in a row.
pub const OPENING_BURST: u32 = 1024;
/// One more of them each time this has passed: 800 a second, as many as are relayed for one neighbour.
pub const OPENING_EVERY: Duration = Duration::from_micros(1_250);
/// What a parcel that does not open costs besides, in parcels: some 8 a second.
pub const OPENING_FAILED_COST: u32 = 100;
/// Runs of senders whose numbers are remembered against replays. Past it this node begins a new run, which voids what was sealed before.
pub const REPLAY_SOURCES_MAX: usize = 256;
/// Those of them that only senders get whom the trust table lists.
pub const REPLAY_SOURCES_LISTED: usize = 64;
/// Runs of one sender among them.
pub const REPLAY_RUNS_PER_SENDER_MAX: usize = 8;
/// Numbers remembered of each; lower ones are refused.
pub const REPLAY_WINDOW: usize = 1024;
/// Least time between two runs of one process that a listed sender's lack of room may cause.
pub const REPLAY_RUN_MIN: Duration = Duration::from_secs(60);
/// The same for a sender nobody listed: a new run costs everybody another seal.
pub const REPLAY_RUN_MIN_UNLISTED: Duration = Duration::from_secs(10 * 60);
/// Peers told of in one message.
pub const NEIGHBOURS_TOLD_MAX: usize = 16;
/// Pause before neighbours are told of a new one, so that many that come at once make one message.
pub const NEIGHBOURS_TELL_AFTER: Duration = Duration::from_secs(1);
/// Endpoints named by neighbours that wait for their dial; further ones are passed over.
pub const RUMOURS_MAX: usize = 64;
/// Endpoints of these that one neighbour may have named: as many as one message tells of.
pub const RUMOURS_PER_TELLER_MAX: usize = 16;
/// Dials of what neighbours name that may be under way at once: nobody's word makes this node knock at many doors.
pub const RUMOUR_DIALS_MAX: usize = 4;
/// Least time between two such dials.
pub const RUMOUR_DIAL_EVERY: Duration = Duration::from_millis(500);
/// How long nothing that neighbours say of an endpoint counts where another key answered than they named.
pub const RUMOUR_DOUBT: Duration = Duration::from_secs(5 * 60);
/// Dials of what neighbours name are spread over this time: all are told of a newcomer at once.
pub const RUMOUR_SPREAD: Duration = Duration::from_secs(5);

// ---- the outbox ------------------------------------------------------------------------------------------------

/// Name of an operation's kind.
pub const OUTBOX_KIND_MAX_BYTES: usize = 64;
/// Idempotency key of an operation: a UUID as text, or a hash.
pub const OUTBOX_KEY_MAX_BYTES: usize = 64;
/// What an operation's payload is short of a record's: its envelope and the seal around it.
pub const OUTBOX_ENVELOPE_MAX_BYTES: usize = 512;
/// Attempts at one operation (figure of the C++ sync module, as the four below).
pub const OUTBOX_ATTEMPTS_MAX: u32 = 8;
/// Pause after the first failed attempt; doubles after each.
pub const OUTBOX_RETRY_BASE: Duration = Duration::from_millis(500);
/// Longest pause between two attempts.
pub const OUTBOX_RETRY_MAX: Duration = Duration::from_secs(30);
/// Hundredths by which a pause is longer or shorter.
pub const OUTBOX_JITTER_PERCENT: u32 = 20;
/// A claimed operation that nobody answers for is free again after this.
pub const OUTBOX_CLAIM_TIMEOUT: Duration = Duration::from_secs(30);
/// Operations for this node, and such put by it, that are not finished; further ones wait in the log. Some 200 bytes each.
pub const OUTBOX_OPEN_MAX: usize = 64 * 1024;
/// Idempotency keys that were executed and are known for ever; past it nothing new is executed. Some 150 bytes each.
pub const OUTBOX_KEYS_MAX: usize = 1024 * 1024;
/// Operations of others for others that a third node can be asked for; further ones are carried all the same.
pub const OUTBOX_CARRIED_MAX: usize = 64 * 1024;
/// Receipts that were read before their operation; further ones may leave an operation listed that is finished.
pub const OUTBOX_EARLY_MAX: usize = 4096;
/// Operations asked for by one OutboxPull, and ranges in its answer.
pub const OUTBOX_PULL_MAX: usize = 1024;
/// Operations settled by one record.
pub const OUTBOX_SETTLED_MAX: usize = 1024;

// ---- registries ------------------------------------------------------------------------------------------------

/// Address of a registry as text, and the target of a redirect.
pub const REGISTRY_URL_MAX_BYTES: usize = 2048;
/// Token of a registry; the head of a request holds it.
pub const REGISTRY_TOKEN_MAX_BYTES: usize = 1024;
/// Host in an announcement or an answer: the longest DNS name.
pub const REGISTRY_HOST_MAX_BYTES: usize = 253;
/// Entries of a registry; one that is full refuses new ones, so that a flood displaces nobody.
pub const REGISTRY_ENTRIES_MAX: usize = 16 * 1024;
/// Entries of one source: a site behind one address, and no more than 1/256 of the registry.
pub const REGISTRY_ENTRIES_PER_SOURCE_MAX: usize = 64;
/// Sources whose requests are counted; the one silent longest gives way.
pub const REGISTRY_SOURCES_MAX: usize = 4096;
/// Requests of one source at once: every node of a full site starts together.
pub const REGISTRY_BURST: u32 = 128;
/// Requests of one source a second, on and on: twice what a full site needs.
pub const REGISTRY_REQUESTS_PER_SECOND: u32 = 16;
/// Life of an entry that is not announced again: six intervals of the client, more than its longest pause.
pub const REGISTRY_TTL_DEFAULT: Duration = Duration::from_secs(90);
/// Longest life a registry can be told to grant.
pub const REGISTRY_TTL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Peers in an answer to a question without a limit (v1 figure).
pub const REGISTRY_PEERS_DEFAULT: usize = 20;
/// Body of an answer: with its head below the 64 KiB that v1 reads.
pub const REGISTRY_ANSWER_MAX_BYTES: usize = 60 * 1024;
/// Head of a request; the HTTP library takes no less.
pub const REGISTRY_HEAD_MAX_BYTES: usize = 8 * 1024;
/// Body of a request; an announcement is far shorter.
pub const REGISTRY_BODY_MAX_BYTES: usize = 64 * 1024;
/// From the connection, or the answer before, to the end of a request.
pub const REGISTRY_REQUEST_DEADLINE: Duration = Duration::from_secs(5);
/// Connections at once; the next one is closed unread. Half the descriptors a process usually has.
pub const REGISTRY_CONNECTIONS_MAX: usize = 512;
/// Connections of one source at once: a sixteenth, so that it takes many sources to take them all.
pub const REGISTRY_CONNECTIONS_PER_SOURCE_MAX: usize = 32;
/// Life of a connection, however busy.
pub const REGISTRY_CONNECTION_AGE_MAX: Duration = Duration::from_secs(30);
/// Changes waiting for the registry's file; announcements wait for a place until their deadline.
pub const REGISTRY_CHANGES_MAX: usize = 1024;
/// What `max_http_bytes` may be set to.
pub const BOOTSTRAP_HTTP_MAX_BYTES: usize = 1024 * 1024;
/// What `max_peers_per_poll` may be set to, and endpoints whose last dial is remembered.
pub const BOOTSTRAP_PEERS_MAX: usize = 1024;
/// Endpoints of one answer that are dialled (v1 figure).
pub const BOOTSTRAP_DIALS_PER_POLL: usize = 8;
/// Redirects followed, all of them at the registry itself.
pub const BOOTSTRAP_REDIRECTS_MAX: usize = 3;
