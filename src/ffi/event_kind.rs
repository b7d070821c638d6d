//! The kinds of events, with their numbers. Never renumbered; what each has is in [`event`](super::event) and [`event_numbers`](super::event_numbers).

/// What happened.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum vixp2p_event_kind {
    /// No event: the pointer was NULL.
    VIXP2P_EVENT_NONE = 0,
    /// The node runs. Has: port.
    VIXP2P_EVENT_STARTED = 1,
    /// The node has stopped; no event follows until it is started again.
    VIXP2P_EVENT_STOPPED = 2,
    /// A dial did not end in an authenticated link. Has: endpoint, reason, retry_in_ms; peer if the dial named a key.
    VIXP2P_EVENT_CONNECT_FAILED = 3,
    /// A connection failed before its peer was authenticated. Has: endpoint, direction, reason.
    VIXP2P_EVENT_HANDSHAKE_FAILED = 4,
    /// A peer is authenticated and connected. Has: peer, node_id, endpoint, direction, connected, trusted.
    VIXP2P_EVENT_PEER_CONNECTED = 5,
    /// A connected peer is gone. Has: peer, node_id, endpoint, direction, reason, connected.
    VIXP2P_EVENT_PEER_DISCONNECTED = 6,
    /// An application message, with VIXP2P_DELIVERY_POLL only (else the message callback has it). Has: peer, data.
    VIXP2P_EVENT_MESSAGE = 7,
    /// A peer confirmed records of a log; both numbers are cumulative. Has: peer, log, durable, applied.
    VIXP2P_EVENT_ACKED = 8,
    /// Records of another node's log are durable here. Has: log, durable.
    VIXP2P_EVENT_STORED = 9,
    /// A log was found damaged; what was set aside is named in the text.
    VIXP2P_EVENT_LOG_DAMAGED = 10,
    /// Two different records claim the same place of a log, which is frozen here. Has: log, seq.
    VIXP2P_EVENT_LOG_FORKED = 11,
    /// The apply callback refused a record. Has: log, seq, retry_in_ms.
    VIXP2P_EVENT_APPLY_REFUSED = 12,
    /// The disk refused the log; appends fail until it works again.
    VIXP2P_EVENT_LOG_FAILED = 13,
    /// Events were dropped because they were taken too slowly; messages never are. Has: count.
    VIXP2P_EVENT_LOST = 14,
    /// A worker of the node failed; it can only be destroyed.
    VIXP2P_EVENT_FATAL = 15,
    /// A key was written down as a peer's: the first of its node_id, or the proven successor of former. Has: peer, node_id, former.
    VIXP2P_EVENT_PEER_PINNED = 16,
    /// A peer came with a node_id that belongs to the key former, and was refused. Has: peer, node_id, former, endpoint, direction.
    VIXP2P_EVENT_IDENTITY_CHANGED = 17,
    /// A connected peer became trusted: records are exchanged from now on. Has: peer, node_id, trusted.
    VIXP2P_EVENT_TRUST_CHANGED = 18,
    /// A connected peer exchanges no records with this node, which it does not trust. Has: peer, node_id.
    VIXP2P_EVENT_SYNC_DECLINED = 19,
    /// The file known_peers has lines that cannot be used, or cannot be written; the text says which.
    VIXP2P_EVENT_KNOWN_PEERS_FAULTY = 20,
    /// Both directions of the link to a peer go on under keys of a fresh agreement. Has: peer.
    VIXP2P_EVENT_FRESH_KEYS = 21,
    /// A node announces itself on a network of this one; it is dialled unless the node dials nobody. A rumour: nothing about it is
    /// proven. Has: node_id, endpoint.
    VIXP2P_EVENT_PEER_DISCOVERED = 22,
    /// The address book (the file peers) has lines that cannot be used, or cannot be written; the text says which.
    VIXP2P_EVENT_ADDRESS_BOOK_FAULTY = 23,
    /// A message sent with vixp2p_node_send_to() has arrived: its recipient has proven it. Has: peer, message_number.
    VIXP2P_EVENT_DELIVERED = 24,
    /// A message sent with vixp2p_node_send_to() was given up. Has: peer, message_number, reason.
    VIXP2P_EVENT_UNDELIVERED = 25,
    /// A connected peer is silent although it was asked; its link is closed soon unless something comes. Has: peer, node_id.
    VIXP2P_EVENT_PEER_STALE = 27,
    /// The registry named a node that its last answer did not; it is dialled unless the node dials nobody. A rumour. Has: node_id,
    /// endpoint.
    VIXP2P_EVENT_PEER_NAMED = 30,
    /// The registry answered for the first time, again after a failure, or with new names. Has: count, new_count.
    VIXP2P_EVENT_REGISTRY_ANSWERED = 31,
    /// The registry did not answer, or refused; told once, until it fails in another way or works again. Has: retry_in_ms.
    VIXP2P_EVENT_REGISTRY_FAILED = 32,
    /// The apply callback called a record poison, now or in an earlier run: its log waits for vixp2p_node_apply_resume(). Has: log, seq.
    VIXP2P_EVENT_APPLY_PARKED = 33,
    /// A parked log goes on; the text says whether the record is skipped. Has: log, seq.
    VIXP2P_EVENT_APPLY_RESUMED = 34,
    /// A peer asks where operations for a node lie; the node's outbox answers by itself. Has: peer, target, count (operations asked
    /// for at most).
    VIXP2P_EVENT_OUTBOX_PULLED = 37,
    /// A peer tells where operations for a node lie: the answer to vixp2p_outbox_ask(). Has: peer, target, count (ranges in the JSON form).
    VIXP2P_EVENT_OUTBOX_HELD = 38,
    /// The program takes its messages again, after so long that links were not read; the text says how long and whose, the JSON has all of
    /// it (held_ms, peers). At most one each ten seconds. Has: count (links at once).
    VIXP2P_EVENT_APPLICATION_BEHIND = 46,
    /// A question of life went to a peer (outbound) or came from it. Only while the log level is trace. Has: peer, direction.
    VIXP2P_EVENT_PING = 40,
    /// The answer to a question of life came from a peer (inbound) or went to it. Only while the log level is trace. Has: peer,
    /// direction.
    VIXP2P_EVENT_PONG = 41,
    /// A snapshot of the program's state was made and lies here; the text names it. Has: bytes.
    VIXP2P_EVENT_SNAPSHOT_MADE = 42,
    /// The program's state is that of a snapshot made by peer now. seq is the last record of this node's own log that is in it: what
    /// later ones did is to be done again. Has: peer, seq, bytes.
    VIXP2P_EVENT_SNAPSHOT_TAKEN = 43,
    /// The beginning of a log was let go of, up to record seq. Has: log, seq.
    VIXP2P_EVENT_LOG_TRUNCATED = 44,
    /// log_max_bytes had records of count logs go that a peer lacks: it will need a snapshot. Has: peer, count.
    VIXP2P_EVENT_SNAPSHOT_NEEDED = 45,
}
