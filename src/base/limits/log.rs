//! The log and its replication, snapshots and the outbox.

use std::time::Duration;

// ---- the log and its replication -----------------------------------------------------------------------------------

/// Payload of one record.
pub const RECORD_PAYLOAD_MAX_BYTES: usize = 1024 * 1024;
/// Records of one group commit.
pub const GROUP_MAX_RECORDS: usize = 256;
/// Payload bytes of one group commit, unless a single record is larger. A signature costs as much as hashing some 200 KiB: less a group,
/// and a backlog is bound by signatures.
pub const GROUP_MAX_BYTES: usize = 256 * 1024;
/// Other logs that one record names as coming before it (causal mode): as many as a node carries, and new incarnations of its own beside
/// them, so that the first record of a run can always name all there are.
pub const RECORD_CAUSES_MAX: usize = LOGS_MAX + VECTOR_MAX_ENTRIES;
/// Of the records that a log waits for in causal mode so many are kept in mind; what further ones it lacks is seen when these have come.
pub const CAUSES_AWAITED_MAX: usize = 64;
/// Encoded bytes of one WalPush: the largest group with its framing and the names of other logs, and then some.
pub const WAL_PUSH_MAX_BYTES: usize = RECORD_PAYLOAD_MAX_BYTES + 320 * 1024;
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
/// A seal record, as it stands at the end of each group and in a WalSeal.
pub const SEAL_RECORD_BYTES: usize = 130;
/// Last seals read at a time for peers, so that appends have their turn between; each is a read of some 64 KiB.
pub const SEALS_READ_AT_ONCE: usize = 64;
/// A log that goes on moving on two nodes from elsewhere is compared again after so long: often enough to see that it forked while
/// somebody remembers why, seldom enough to cost nothing.
pub const SEAL_AGAIN: Duration = Duration::from_secs(5);
/// Times that pause doubles while the disk refuses to have a seal compared (to some 5 minutes): each try is a read and an event.
pub const SEAL_AGAIN_DOUBLES: u32 = 6;
/// A segment file is closed and a new one begun past this size.
pub const SEGMENT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Under a small cap on the size of the logs segments are smaller, down to this.
pub const SEGMENT_MIN_BYTES: u64 = 64 * 1024;
/// A log's file is made longer in advance by as much as it holds, and by no more than this: syncs need not write its length.
pub const RESERVE_STEP_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// A write at least so large makes no room for the next: zeros are written to the disk like records, and would double what it takes.
pub const RESERVE_WRITES_BELOW_BYTES: usize = 256 * 1024;
/// Files of the log kept open: the segment and the mark of two logs, so that a commit opens none.
pub const LOG_FILES_OPEN_MAX: usize = 4;
/// Under `Durability::Buffered`: an accepted record is durable after so long, if the disk keeps up. Longer would lose more to a power
/// cut and keep peers waiting, shorter would sync for little.
pub const BUFFERED_SYNC_EVERY: Duration = Duration::from_millis(50);
/// Under `Durability::Buffered`: pause after a disk refused to make records durable, so that events of it do not crowd out others.
pub const BUFFERED_RETRY_AFTER: Duration = Duration::from_secs(1);
/// Under `Durability::Buffered`: so many bytes are made durable before more is accepted; they are in memory meanwhile.
pub const BUFFERED_MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Logs whose last pushed group is remembered, so that the next one can be proven while the disk is waited for.
pub const PROVEN_LOGS_MAX: usize = 64;
/// So many groups at once are a backlog: from then on a second thread proves what waits.
pub const PROVER_FROM_GROUPS: usize = 8;
/// Appends waiting for the log's thread; `append` waits for a place.
pub const APPEND_QUEUE_MAX: usize = 4096;
/// From so many bytes of them on the next one waits, too.
pub const APPEND_QUEUE_MAX_BYTES: usize = 64 * 1024 * 1024;
/// What the application has applied survives a power cut after so long: one sync a log and second is cheap, and so much comes again at most.
pub const CURSOR_SYNC_EVERY: Duration = Duration::from_secs(1);
/// Logs whose place is synced in a row before appends have their turn.
pub const CURSOR_SYNCS_AT_ONCE: usize = 16;
/// Pause before a refused apply is offered again; doubles up to `APPLY_RETRY_MAX`.
pub const APPLY_RETRY_BASE: Duration = Duration::from_millis(500);
/// Longest pause between two offers of the same record: what the application waits for is mostly near, and asking it costs little.
pub const APPLY_RETRY_MAX: Duration = Duration::from_secs(1);
/// Of refusals of the same record the first, second, fourth and so on are told, and from so many on one in so many: events are for people.
pub const APPLY_REFUSALS_TOLD: u32 = 32;
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
/// The largest list of a snapshot's hashes: 32 bytes a piece.
pub const SNAPSHOT_HASHES_MAX_BYTES: usize = (SNAPSHOT_MAX_BYTES / SNAPSHOT_PIECE_BYTES as u64) as usize * 32;
/// The largest manifest: `LOGS_MAX` places of 179 bytes and the rest.
pub const SNAPSHOT_MANIFEST_MAX_BYTES: usize = LOGS_MAX * 179 + 512;
/// Pieces of a snapshot asked for and not yet there: 2 MiB, under way while the next ones are read.
pub const SNAPSHOT_ASKED_MAX: usize = 4;
/// Snapshots kept on disk, besides one that is being taken in: the latest, and the one a peer may be fetching.
pub const SNAPSHOTS_KEPT: usize = 2;
/// A snapshot of which a peer has read so lately is kept beside those: another fetch would have to begin anew.
pub const SNAPSHOT_SPARED: Duration = Duration::from_secs(300);
/// How often a running node writes down how far its replicas are, and looks at the cap on the size of its logs.
pub const RETENTION_LOOK_EVERY: Duration = Duration::from_secs(60);
/// Neighbours a snapshot is fetched from at once: more would not make it faster, and each costs memory.
pub const SNAPSHOT_SOURCES_MAX: usize = 4;
/// Snapshots a mesh knows to lie here: a carrier keeps two, and one may be on its way in or out.
pub const SNAPSHOTS_HELD_MAX: usize = 4;
/// Without progress for so long, taking a snapshot is given up for now and records are applied again; doubles from time to time.
pub const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(30);
/// Longest pause of that kind.
pub const SNAPSHOT_PATIENCE_MAX: Duration = Duration::from_secs(600);
/// Pause before an offer is taken up that was given up before, or made again by a node that could not read a part; doubles with failures
/// in a row, up to `SNAPSHOT_PATIENCE_MAX`.
pub const SNAPSHOT_AGAIN: Duration = Duration::from_secs(5);
/// A peer's need makes a new snapshot at most so often; doubles for each that came too late for it or failed, up to `SNAPSHOT_PATIENCE_MAX`.
pub const SNAPSHOT_MAKE_EVERY: Duration = Duration::from_secs(10);
/// A snapshot of which a part could not be read for a peer so often is not offered to it again: another one is made.
pub const SNAPSHOT_UNREAD_MAX: u32 = 3;
/// How often it is looked at whether a snapshot can be made for a peer that waits for one.
pub const SNAPSHOT_LOOK_EVERY: Duration = Duration::from_secs(1);
/// Peers that sent false parts and are not heard on snapshots again; past it the one with the least key is.
pub const SNAPSHOT_LIARS_MAX: usize = 256;
/// A peer that was not heard of for so long does not keep records from going; it takes a snapshot when it comes back.
pub const REPLICA_LEASE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Peers whose places are remembered while they are away; the one that was silent longest is forgotten for another.
pub const REPLICAS_MAX: usize = 1024;
/// Places of all of them together, some 60 bytes each; one that is not remembered counts as none, which keeps more.
pub const REPLICA_PLACES_MAX: usize = 64 * 1024;

// ---- the outbox ----------------------------------------------------------------------------------------------------

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
/// Operations for this node, and such put by it, that are not finished; further ones wait in the log. Some 300 bytes each.
pub const OUTBOX_OPEN_MAX: usize = 64 * 1024;
/// Idempotency keys that were executed and are known for ever; past it an operation with a new key fails for good. Some 150 bytes each.
pub const OUTBOX_KEYS_MAX: usize = 1024 * 1024;
/// Operations of others for others that a third node can be asked for; further ones are carried all the same.
pub const OUTBOX_CARRIED_MAX: usize = 64 * 1024;
/// Receipts that were read before their operation; further ones may leave an operation listed that is finished.
pub const OUTBOX_EARLY_MAX: usize = 4096;
/// Operations asked for by one OutboxPull, and ranges in its answer.
pub const OUTBOX_PULL_MAX: usize = 1024;
/// Operations settled by one record.
pub const OUTBOX_SETTLED_MAX: usize = 1024;
