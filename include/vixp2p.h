/**
 * @file vixp2p.h
 * @brief vixp2p: an embeddable peer-to-peer engine.
 *
 * Nodes authenticate each other by key, seal their link, exchange messages and replicate a signed append-only log.
 *
 * - Every function may be called from any thread at any time. No lock is held while the application's code runs.
 * - Nothing is printed, no signal handler is installed. Threads of the library are named vixp2p-* and block every signal.
 *   The environment is not read, but for OPENSSL_ia32cap, with which aws-lc underneath can be told to leave out processor
 *   features.
 * - Text is zero-terminated UTF-8. Times are milliseconds unless a name says otherwise. Options structs begin with their
 *   size, so that programs and libraries of different age fit together.
 * - Callbacks of one node never run at the same time: log, event, message and apply callbacks run one after the other, on a
 *   thread of the node or on the thread that polls. They may take long: the protocol goes on meanwhile. They may call every
 *   function but vixp2p_node_stop(), vixp2p_node_next_event(), vixp2p_node_wait_event() and vixp2p_node_dispatch(), which
 *   answer VIXP2P_ERR_WOULD_DEADLOCK. No exception may leave a callback.
 * - After fork(), nodes of the parent answer VIXP2P_ERR_FORKED in the child. The child may create nodes of its own if the
 *   parent had none when it was forked, or after exec.
 *
 * Generated from src/ffi/ by cbindgen. Do not edit; see cbindgen.toml.
 */


#ifndef VIXP2P_H
#define VIXP2P_H

#include <stddef.h>
#include <stdint.h>

/** Version of this header; compare with vixp2p_version(). */
#define VIXP2P_VERSION "0.1.0"
#define VIXP2P_VERSION_MAJOR 0
#define VIXP2P_VERSION_MINOR 1
#define VIXP2P_VERSION_PATCH 0
/** As vixp2p_version_number() gives it. */
#define VIXP2P_VERSION_NUMBER 0x000100

/** Whether the library that is loaded fits this header. */
#define VIXP2P_CHECK_ABI()                                             \
    ((vixp2p_abi_version() >> 16) == ((VIXP2P_ABI_VERSION) >> 16) && \
     vixp2p_abi_version() >= (VIXP2P_ABI_VERSION))

/* Define VIXP2P_SHARED to use the library as a DLL. */
#if defined(_WIN32) && defined(VIXP2P_SHARED)
#define VIXP2P_API __declspec(dllimport)
#elif defined(__GNUC__)
#define VIXP2P_API __attribute__((visibility("default")))
#else
#define VIXP2P_API
#endif

/** Initialises a vixp2p_node_options with the defaults, as vixp2p_node_options_init() does. */
#define VIXP2P_NODE_OPTIONS_INIT                                                                          \
    {                                                                                                     \
        sizeof(vixp2p_node_options), 0, NULL, NULL, VIXP2P_LISTEN_OFF, 0, NULL, NULL, 0, 0, 0, 0, 0,      \
            VIXP2P_DELIVERY_CALLBACK, VIXP2P_LOG_INFO, {NULL, NULL, NULL}, {NULL, NULL, NULL},            \
            {NULL, NULL, NULL}, {NULL, NULL, NULL}, NULL, 0, NULL, 0, VIXP2P_KEY_AGREEMENT_ANY, 0, 0,     \
            VIXP2P_TRUST_DEFAULT, VIXP2P_DURABILITY_DURABLE, 0,                                           \
            NULL, NULL, NULL, VIXP2P_REGISTRY_PULL_ONLY, 0, 0, 0, 0, 0, 0, 0,                             \
            NULL, 0,                                                                                      \
            VIXP2P_DISCOVERY_OFF, 0, 0, 0, 0, 0, NULL, NULL,                                              \
            NULL, 0, 0,                                                                                   \
            {NULL, NULL, NULL, NULL}, NULL, NULL, 0, 0, 0, NULL, 0,                                       \
    }


/**
 * What an apply callback returns when the record has taken effect.
 */
#define VIXP2P_APPLY_OK 0

/**
 * What an apply callback returns when the record cannot take effect now; it is offered again later, and none after it before.
 */
#define VIXP2P_APPLY_RETRY 1

/**
 * What an apply callback returns when the record can never take effect: its log is parked there, over restarts too, until
 * vixp2p_node_apply_resume(); VIXP2P_EVENT_APPLY_PARKED tells, now and at every start.
 */
#define VIXP2P_APPLY_POISON 2

/**
 * Bytes of a capability's name or value in #vixp2p_capability_info, the terminating zero included.
 */
#define VIXP2P_CAPABILITY_SIZE 256

/**
 * vixp2p_node_options.discovery: look for nobody and be found by nobody. The default.
 */
#define VIXP2P_DISCOVERY_OFF 0

/**
 * vixp2p_node_options.discovery: announce this node by IPv4 broadcast and to all nodes in IPv6, and dial whoever announces itself.
 */
#define VIXP2P_DISCOVERY_BROADCAST 1

/**
 * vixp2p_node_options.discovery: announce this node to a multicast group instead.
 */
#define VIXP2P_DISCOVERY_MULTICAST 2

/**
 * vixp2p_node_options.discovery: announce this node both ways.
 */
#define VIXP2P_DISCOVERY_BOTH 3

/**
 * vixp2p_discovered_info.flags: the node has shown that it knows the cluster's secret; without a secret nobody does.
 */
#define VIXP2P_DISCOVERED_AUTHENTICATED 1

/**
 * Addresses an invite may have.
 */
#define VIXP2P_INVITE_ADDRESSES_MAX 8

/**
 * Room for the text of any invite with its terminating zero.
 */
#define VIXP2P_INVITE_TEXT_SIZE 4097

/**
 * vixp2p_invite.flags: psk is there.
 */
#define VIXP2P_INVITE_HAS_PSK 1

/**
 * vixp2p_node_options.listen: accept no connections, only dial.
 */
#define VIXP2P_LISTEN_OFF 0

/**
 * vixp2p_node_options.listen: accept connections on listen_host and listen_port; port 0 takes any free one.
 */
#define VIXP2P_LISTEN_ON 1

/**
 * vixp2p_node_options.delivery: a thread of the node calls the callbacks. The default.
 */
#define VIXP2P_DELIVERY_CALLBACK 0

/**
 * vixp2p_node_options.delivery: the program takes events or has callbacks run on its own thread: vixp2p_node_event_fd(),
 * vixp2p_node_next_event(), vixp2p_node_wait_event(), vixp2p_node_dispatch().
 */
#define VIXP2P_DELIVERY_POLL 1

/**
 * vixp2p_node_options.key_agreement: X-Wing (X25519 and ML-KEM-768 together) where the peer knows it, else X25519. The default.
 */
#define VIXP2P_KEY_AGREEMENT_ANY 0

/**
 * vixp2p_node_options.key_agreement: X-Wing or nothing.
 */
#define VIXP2P_KEY_AGREEMENT_POST_QUANTUM 1

/**
 * vixp2p_node_options.key_agreement: X25519 only; a handshake is 2.3 KB shorter.
 */
#define VIXP2P_KEY_AGREEMENT_CLASSIC 2

/**
 * vixp2p_node_options.durability: an append waits until the disk has the record, so that it survives a power cut. The default.
 */
#define VIXP2P_DURABILITY_DURABLE 0

/**
 * vixp2p_node_options.durability: an append does not wait for the disk. The record survives the end of the process, also by SIGKILL,
 * but perhaps not a power cut or a crash of the machine within the next moments (50 ms, or as long as the disk takes). Peers get it
 * once it is durable. While a node is not running its appends wait for the disk.
 */
#define VIXP2P_DURABILITY_BUFFERED 1

/**
 * vixp2p_node_options.flags: dial nobody; vixp2p_node_connect() is refused too.
 */
#define VIXP2P_FLAG_NO_DIAL 1

/**
 * vixp2p_node_options.flags: neither note in data_dir where peers were reached, nor dial what was noted there.
 */
#define VIXP2P_FLAG_NO_REMEMBER 2

/**
 * vixp2p_node_options.flags: pass on no messages of others. Without it they are passed on between trusted peers.
 */
#define VIXP2P_FLAG_NO_RELAY 16

/**
 * vixp2p_node_options.flags: neither tell trusted peers where the others accept connections, nor dial whom they name.
 */
#define VIXP2P_FLAG_NO_PEER_EXCHANGE 32

/**
 * vixp2p_node_options.flags: name this node by mDNS/DNS-SD as well (service _vixp2p._tcp), and dial whom it names, on the interfaces of
 * discovery_interfaces; alone, if discovery is VIXP2P_DISCOVERY_OFF. Two more threads. With a psk this node is named and dials nobody
 * for it, because mDNS proves nothing. VIXP2P_ERR_INVALID from a library that was built without it.
 */
#define VIXP2P_FLAG_MDNS 64

/**
 * vixp2p_node_options.flags: causal mode. Records of this node say what its program had applied before them, and records of others come
 * to the apply callback after those that they name, whosever they are: an answer never before its question. Between nodes that all have
 * it; the records of a node without it name nothing, and such a node waits for nothing. vixp2p_node_sync_status() tells what waits.
 */
#define VIXP2P_FLAG_CAUSAL 128

/**
 * vixp2p_node_options.trust: #VIXP2P_TRUST_TOFU with a secret (psk), #VIXP2P_TRUST_OPEN without one. Records are exchanged with
 * trusted peers only, messages with every connected one. A revoked key is refused under every policy.
 */
#define VIXP2P_TRUST_DEFAULT 0

/**
 * vixp2p_node_options.trust: anybody may connect; only keys that are listed (vixp2p_node_trust()) are trusted.
 */
#define VIXP2P_TRUST_OPEN 1

/**
 * vixp2p_node_options.trust: trust on first use. The first key that comes with a node_id is pinned and trusted; another key with
 * the same node_id is refused, unless it proves to be the successor.
 */
#define VIXP2P_TRUST_TOFU 2

/**
 * vixp2p_node_options.trust: only keys that are listed, or named by vixp2p_node_connect_peer() here.
 */
#define VIXP2P_TRUST_PINNED 3

/**
 * vixp2p_node_options.trust: only keys that are listed, whoever dials.
 */
#define VIXP2P_TRUST_ALLOW_LIST 4

/**
 * Size of vixp2p_node_options in the first release; smaller ones are refused. Never changes.
 */
#define VIXP2P_NODE_OPTIONS_SIZE_MIN 176

/**
 * Room for an operation's kind with its terminating zero.
 */
#define VIXP2P_OUTBOX_KIND_SIZE 65

/**
 * Room for why an attempt failed, with the terminating zero.
 */
#define VIXP2P_OUTBOX_DETAIL_SIZE 201

/**
 * Room for an idempotency key, which may have any bytes.
 */
#define VIXP2P_OUTBOX_KEY_SIZE 64

/**
 * vixp2p_outbox_info.flags: this node is to execute it; without, this node put it.
 */
#define VIXP2P_OUTBOX_RECEIVED 1

/**
 * vixp2p_outbox_info.flags: for every node, not for target alone.
 */
#define VIXP2P_OUTBOX_FOR_ALL 2

/**
 * vixp2p_peer_info.flags: id is known.
 */
#define VIXP2P_PEER_HAS_ID 1

/**
 * vixp2p_peer_info.flags: the peer is authenticated and its link sealed.
 */
#define VIXP2P_PEER_SECURE 2

/**
 * vixp2p_peer_info.flags: records are, or would be, exchanged with the peer.
 */
#define VIXP2P_PEER_TRUSTED 4

/**
 * Room for a peer's label with its terminating zero.
 */
#define VIXP2P_NODE_ID_SIZE 256

/**
 * Room for an endpoint's text with its terminating zero.
 */
#define VIXP2P_ENDPOINT_SIZE 320

/**
 * vixp2p_node_options.registry_mode: ask for peers. The default.
 */
#define VIXP2P_REGISTRY_PULL_ONLY 0

/**
 * vixp2p_node_options.registry_mode: say before each question where this node listens; one that does not listen only asks.
 */
#define VIXP2P_REGISTRY_PULL_AND_ANNOUNCE 1

/**
 * Room for a host name or address with its terminating zero.
 */
#define VIXP2P_HOST_SIZE 256

/**
 * Room for a snapshot's name with its terminating zero.
 */
#define VIXP2P_SNAPSHOT_ID_SIZE 65

/**
 * Room for what a program calls the form of its state, with the terminating zero.
 */
#define VIXP2P_SNAPSHOT_SCHEMA_SIZE 65

/**
 * The ABI this header describes; see vixp2p_abi_version().
 */
#define VIXP2P_ABI_VERSION 1

/**
 * vixp2p_node_subscribe(): every log, also such that come later; the cursors say where some of them begin, the others begin at
 * their first record.
 */
#define VIXP2P_SUBSCRIBE_ALL 1

/**
 * vixp2p_node_subscribe(), with VIXP2P_SUBSCRIBE_ALL: logs that are here now and have no cursor begin behind their last record.
 */
#define VIXP2P_SUBSCRIBE_NEW 2

/**
 * vixp2p_node_wait_ack(): the record is on the peer's disk.
 */
#define VIXP2P_ACK_DURABLE 0

/**
 * vixp2p_node_wait_ack(): the peer's application has applied it.
 */
#define VIXP2P_ACK_APPLIED 1

/**
 * vixp2p_sync_state.flags: the log is the one this node appends to.
 */
#define VIXP2P_SYNC_OWN 1

/**
 * vixp2p_sync_state.flags: the line is about a connected peer; without it, about this node.
 */
#define VIXP2P_SYNC_PEER 2

/**
 * vixp2p_sync_state.flags: two histories of the log were seen, nothing more of it is stored here.
 */
#define VIXP2P_SYNC_FROZEN 4

/**
 * vixp2p_target_info.flags: asked for by vixp2p_node_connect() and the like, and dialled until it is told otherwise.
 */
#define VIXP2P_TARGET_WANTED 8

/**
 * Room for the name of a reason with its terminating zero.
 */
#define VIXP2P_REASON_SIZE 32

/**
 * Room for the sentence that explains a reason with its terminating zero.
 */
#define VIXP2P_REASON_TEXT_SIZE 256

/**
 * Bytes of a peer id's text: 64 hex digits and the terminating zero.
 */
#define VIXP2P_PEER_ID_HEX_SIZE 65

/**
 * How a call ended. 0 is success, a positive value is "nothing wrong, but nothing done", a negative value is an error whose
 * text vixp2p_last_error_message() gives. Values are never renumbered; new ones may come, so treat an unknown negative value
 * as an error.
 */
typedef enum vixp2p_status {
    /**
     * Done.
     */
    VIXP2P_OK = 0,
    /**
     * Nothing is waiting, or the event has no such part.
     */
    VIXP2P_EMPTY = 1,
    /**
     * Nothing came within the time given.
     */
    VIXP2P_TIMEOUT = 2,
    /**
     * The node was in that state already.
     */
    VIXP2P_ALREADY = 3,
    /**
     * The handle is NULL, was destroyed, or never was one.
     */
    VIXP2P_ERR_BAD_HANDLE = -1,
    /**
     * An argument is unusable; the text names it.
     */
    VIXP2P_ERR_INVALID = -2,
    /**
     * A string is not UTF-8.
     */
    VIXP2P_ERR_UTF8 = -3,
    /**
     * The operating system refused something; the text says what.
     */
    VIXP2P_ERR_IO = -4,
    /**
     * The port is taken.
     */
    VIXP2P_ERR_PORT_IN_USE = -5,
    /**
     * The key file cannot be used.
     */
    VIXP2P_ERR_KEY = -6,
    /**
     * The data directory belongs to another running node.
     */
    VIXP2P_ERR_DIR_IN_USE = -7,
    /**
     * The log cannot take more; nothing acknowledged is lost.
     */
    VIXP2P_ERR_LOG = -8,
    /**
     * The node is not running.
     */
    VIXP2P_ERR_STOPPED = -9,
    /**
     * That peer is not connected.
     */
    VIXP2P_ERR_NOT_CONNECTED = -10,
    /**
     * The queue towards the peer is full; nothing was taken.
     */
    VIXP2P_ERR_WOULD_BLOCK = -11,
    /**
     * A message or record is over its limit.
     */
    VIXP2P_ERR_TOO_LARGE = -12,
    /**
     * The buffer is too small; the size needed was written.
     */
    VIXP2P_ERR_BUFFER_TOO_SMALL = -13,
    /**
     * The call would wait for the callback it is made from.
     */
    VIXP2P_ERR_WOULD_DEADLOCK = -14,
    /**
     * The handle belongs to the process this one was forked from, or that process had nodes.
     */
    VIXP2P_ERR_FORKED = -15,
    /**
     * The library failed inside the call (a defect); the node can only be destroyed.
     */
    VIXP2P_ERR_PANIC = -16,
    /**
     * An earlier call failed inside the library; the node can only be destroyed.
     */
    VIXP2P_ERR_POISONED = -17,
    /**
     * This library or this node's settings do not offer that.
     */
    VIXP2P_ERR_UNSUPPORTED = -18,
    /**
     * A worker of the node failed; it can only be destroyed.
     */
    VIXP2P_ERR_FAILED = -19,
    /**
     * Records asked for are not kept any more; their effect is in a snapshot.
     */
    VIXP2P_ERR_TRUNCATED = -20,
} vixp2p_status;

/**
 * What happened.
 */
typedef enum vixp2p_event_kind {
    /**
     * No event: the pointer was NULL.
     */
    VIXP2P_EVENT_NONE = 0,
    /**
     * The node runs. Has: port.
     */
    VIXP2P_EVENT_STARTED = 1,
    /**
     * The node has stopped; no event follows until it is started again.
     */
    VIXP2P_EVENT_STOPPED = 2,
    /**
     * A dial did not end in an authenticated link. Has: endpoint, reason, retry_in_ms; peer if the dial named a key.
     */
    VIXP2P_EVENT_CONNECT_FAILED = 3,
    /**
     * A connection failed before its peer was authenticated. Has: endpoint, direction, reason.
     */
    VIXP2P_EVENT_HANDSHAKE_FAILED = 4,
    /**
     * A peer is authenticated and connected. Has: peer, node_id, endpoint, direction, connected, trusted.
     */
    VIXP2P_EVENT_PEER_CONNECTED = 5,
    /**
     * A connected peer is gone. Has: peer, node_id, endpoint, direction, reason, connected.
     */
    VIXP2P_EVENT_PEER_DISCONNECTED = 6,
    /**
     * An application message, with VIXP2P_DELIVERY_POLL only (else the message callback has it). Has: peer, data.
     */
    VIXP2P_EVENT_MESSAGE = 7,
    /**
     * A peer confirmed records of a log; both numbers are cumulative. Has: peer, log, durable, applied.
     */
    VIXP2P_EVENT_ACKED = 8,
    /**
     * Records of another node's log are durable here. Has: log, durable.
     */
    VIXP2P_EVENT_STORED = 9,
    /**
     * A log was found damaged; what was set aside is named in the text.
     */
    VIXP2P_EVENT_LOG_DAMAGED = 10,
    /**
     * Two different records claim the same place of a log, which is frozen here. Has: log, seq.
     */
    VIXP2P_EVENT_LOG_FORKED = 11,
    /**
     * The apply callback refused a record. Has: log, seq, retry_in_ms.
     */
    VIXP2P_EVENT_APPLY_REFUSED = 12,
    /**
     * The disk refused the log; appends fail until it works again.
     */
    VIXP2P_EVENT_LOG_FAILED = 13,
    /**
     * Events were dropped because they were taken too slowly; messages never are. Has: count.
     */
    VIXP2P_EVENT_LOST = 14,
    /**
     * A worker of the node failed; it can only be destroyed.
     */
    VIXP2P_EVENT_FATAL = 15,
    /**
     * A key was written down as a peer's: the first of its node_id, or the proven successor of former. Has: peer, node_id, former.
     */
    VIXP2P_EVENT_PEER_PINNED = 16,
    /**
     * A peer came with a node_id that belongs to the key former, and was refused. Has: peer, node_id, former, endpoint, direction.
     */
    VIXP2P_EVENT_IDENTITY_CHANGED = 17,
    /**
     * A connected peer became trusted: records are exchanged from now on. Has: peer, node_id, trusted.
     */
    VIXP2P_EVENT_TRUST_CHANGED = 18,
    /**
     * A connected peer exchanges no records with this node, which it does not trust. Has: peer, node_id.
     */
    VIXP2P_EVENT_SYNC_DECLINED = 19,
    /**
     * The file known_peers has lines that cannot be used, or cannot be written; the text says which.
     */
    VIXP2P_EVENT_KNOWN_PEERS_FAULTY = 20,
    /**
     * Both directions of the link to a peer go on under keys of a fresh agreement. Has: peer.
     */
    VIXP2P_EVENT_FRESH_KEYS = 21,
    /**
     * A node announces itself on a network of this one; it is dialled unless the node dials nobody. A rumour: nothing about it is
     * proven. Has: node_id, endpoint.
     */
    VIXP2P_EVENT_PEER_DISCOVERED = 22,
    /**
     * The address book (the file peers) has lines that cannot be used, or cannot be written; the text says which.
     */
    VIXP2P_EVENT_ADDRESS_BOOK_FAULTY = 23,
    /**
     * A message sent with vixp2p_node_send_to() has arrived: its recipient has proven it. Has: peer, message_number.
     */
    VIXP2P_EVENT_DELIVERED = 24,
    /**
     * A message sent with vixp2p_node_send_to() was given up. Has: peer, message_number, reason.
     */
    VIXP2P_EVENT_UNDELIVERED = 25,
    /**
     * A connected peer is silent although it was asked; its link is closed soon unless something comes. Has: peer, node_id.
     */
    VIXP2P_EVENT_PEER_STALE = 27,
    /**
     * The registry named a node that its last answer did not; it is dialled unless the node dials nobody. A rumour. Has: node_id,
     * endpoint.
     */
    VIXP2P_EVENT_PEER_NAMED = 30,
    /**
     * The registry answered for the first time, again after a failure, or with new names. Has: count, new_count.
     */
    VIXP2P_EVENT_REGISTRY_ANSWERED = 31,
    /**
     * The registry did not answer, or refused; told once, until it fails in another way or works again. Has: retry_in_ms.
     */
    VIXP2P_EVENT_REGISTRY_FAILED = 32,
    /**
     * The apply callback called a record poison, now or in an earlier run: its log waits for vixp2p_node_apply_resume(). Has: log, seq.
     */
    VIXP2P_EVENT_APPLY_PARKED = 33,
    /**
     * A parked log goes on; the text says whether the record is skipped. Has: log, seq.
     */
    VIXP2P_EVENT_APPLY_RESUMED = 34,
    /**
     * A peer asks where operations for a node lie; the node's outbox answers by itself. Has: peer, target, count (operations asked
     * for at most).
     */
    VIXP2P_EVENT_OUTBOX_PULLED = 37,
    /**
     * A peer tells where operations for a node lie: the answer to vixp2p_outbox_ask(). Has: peer, target, count (ranges in the JSON form).
     */
    VIXP2P_EVENT_OUTBOX_HELD = 38,
    /**
     * The program takes its messages again, after so long that links were not read; the text says how long and whose, the JSON has all of
     * it (held_ms, peers). At most one each ten seconds. Has: count (links at once).
     */
    VIXP2P_EVENT_APPLICATION_BEHIND = 46,
    /**
     * A question of life went to a peer (outbound) or came from it. Only while the log level is trace. Has: peer, direction.
     */
    VIXP2P_EVENT_PING = 40,
    /**
     * The answer to a question of life came from a peer (inbound) or went to it. Only while the log level is trace. Has: peer,
     * direction.
     */
    VIXP2P_EVENT_PONG = 41,
    /**
     * A snapshot of the program's state was made and lies here; the text names it. Has: bytes.
     */
    VIXP2P_EVENT_SNAPSHOT_MADE = 42,
    /**
     * The program's state is that of a snapshot made by peer now. seq is the last record of this node's own log that is in it: what
     * later ones did is to be done again. Has: peer, seq, bytes.
     */
    VIXP2P_EVENT_SNAPSHOT_TAKEN = 43,
    /**
     * The beginning of a log was let go of, up to record seq. Has: log, seq.
     */
    VIXP2P_EVENT_LOG_TRUNCATED = 44,
    /**
     * log_max_bytes had records of count logs go that a peer lacks: it will need a snapshot. Has: peer, count.
     */
    VIXP2P_EVENT_SNAPSHOT_NEEDED = 45,
} vixp2p_event_kind;

/**
 * Who opened a connection.
 */
typedef enum vixp2p_direction {
    /**
     * The event or peer has none.
     */
    VIXP2P_DIRECTION_NONE = 0,
    /**
     * This node dialled.
     */
    VIXP2P_DIRECTION_OUTBOUND = 1,
    /**
     * The peer dialled.
     */
    VIXP2P_DIRECTION_INBOUND = 2,
} vixp2p_direction;

/**
 * Which messages of a connection's handshake have passed.
 */
typedef enum vixp2p_handshake_stage {
    /**
     * None; or there is no connection.
     */
    VIXP2P_STAGE_NONE = 0,
    /**
     * Dialled here: the Hello is on its way.
     */
    VIXP2P_STAGE_HELLO_SENT = 1,
    /**
     * Accepted here: the Hello has come and passed.
     */
    VIXP2P_STAGE_HELLO_RECEIVED = 2,
    /**
     * Accepted here: the HelloAck is on its way.
     */
    VIXP2P_STAGE_ACK_SENT = 3,
    /**
     * Dialled here: the HelloAck has come and passed; the welcome has not come yet.
     */
    VIXP2P_STAGE_ACK_RECEIVED = 4,
    /**
     * All: the link stands.
     */
    VIXP2P_STAGE_FINISHED = 5,
} vixp2p_handshake_stage;

/**
 * How much a log line matters.
 */
typedef enum vixp2p_log_level {
    /**
     * Every message.
     */
    VIXP2P_LOG_TRACE = 0,
    /**
     * Every decision.
     */
    VIXP2P_LOG_DEBUG = 1,
    /**
     * What an operator wants to see.
     */
    VIXP2P_LOG_INFO = 2,
    /**
     * Something went wrong and was dealt with.
     */
    VIXP2P_LOG_WARN = 3,
    /**
     * Something went wrong and needs a person.
     */
    VIXP2P_LOG_ERROR = 4,
    /**
     * The node cannot go on.
     */
    VIXP2P_LOG_CRITICAL = 5,
    /**
     * Nothing at all.
     */
    VIXP2P_LOG_OFF = 6,
} vixp2p_log_level;

/**
 * Where an operation stands.
 */
typedef enum vixp2p_outbox_state {
    /**
     * Put here: the target is not known to have it. For this node: nobody has claimed it.
     */
    VIXP2P_OUTBOX_PENDING = 0,
    /**
     * Put here: the target has it on its disk. For this node: claimed.
     */
    VIXP2P_OUTBOX_IN_FLIGHT = 1,
    /**
     * Executed, as the target says.
     */
    VIXP2P_OUTBOX_DONE = 2,
    /**
     * For this node: an attempt failed and another one follows.
     */
    VIXP2P_OUTBOX_FAILED = 3,
    /**
     * Not executed, and not tried again.
     */
    VIXP2P_OUTBOX_PERMANENT_FAILED = 4,
} vixp2p_outbox_state;

/**
 * Where a peer stands.
 */
typedef enum vixp2p_peer_state {
    /**
     * Never met, and no connection to it is under way: between two attempts.
     */
    VIXP2P_PEER_DISCONNECTED = 0,
    /**
     * A connection to it is being opened.
     */
    VIXP2P_PEER_CONNECTING = 1,
    /**
     * A connection is open; the peer is not authenticated on it yet.
     */
    VIXP2P_PEER_HANDSHAKING = 2,
    /**
     * Authenticated and heard of.
     */
    VIXP2P_PEER_CONNECTED = 3,
    /**
     * Still connected, but silent although asked; soon closed.
     */
    VIXP2P_PEER_STALE = 4,
    /**
     * Met before, and gone.
     */
    VIXP2P_PEER_CLOSED = 5,
} vixp2p_peer_state;

/**
 * What is settled about a key.
 */
typedef enum vixp2p_trust_state {
    /**
     * Trusted by vixp2p_node_trust(), whatever label its node gives itself.
     */
    VIXP2P_TRUST_STATE_TRUSTED = 1,
    /**
     * The first key that came with its label, under #VIXP2P_TRUST_TOFU; trusted with that label.
     */
    VIXP2P_TRUST_STATE_PINNED = 2,
    /**
     * Refused for good by vixp2p_node_revoke().
     */
    VIXP2P_TRUST_STATE_REVOKED = 3,
} vixp2p_trust_state;

/**
 * An event. What its accessors return stays valid until it is freed; inside a callback, until the callback returns.
 */
typedef struct vixp2p_event vixp2p_event;

/**
 * A node. Every function may be called on it from any thread at any time; vixp2p_node_destroy() is the last call, and calls
 * after it are recognised and refused with VIXP2P_ERR_BAD_HANDLE.
 */
typedef struct vixp2p_node vixp2p_node;

/**
 * Where a program reads a state; valid during the call of vixp2p_snapshot_read_fn.
 */
typedef struct vixp2p_snapshot_reader vixp2p_snapshot_reader;

/**
 * Where a program writes its state; valid during the call of vixp2p_snapshot_write_fn.
 */
typedef struct vixp2p_snapshot_writer vixp2p_snapshot_writer;

/**
 * Follows logs of a node. To be freed with vixp2p_subscription_free(), before or after the node is destroyed. Calls on a freed one
 * are recognised and refused with VIXP2P_ERR_BAD_HANDLE.
 */
typedef struct vixp2p_subscription vixp2p_subscription;

/**
 * One log line. Never use the message as a format string: names in it come from the network.
 */
typedef struct vixp2p_log_record {
    /**
     * Bytes of this struct as the library knows it; fields beyond it do not exist.
     */
    uint32_t struct_size;
    /**
     * A #vixp2p_log_level.
     */
    int32_t level;
    /**
     * The line, UTF-8, without a line end, zero-terminated; valid during the call.
     */
    const char *message;
    /**
     * Bytes of the message without the terminating zero.
     */
    size_t message_len;
    /**
     * The label of the node that says it, zero-terminated; valid during the call.
     */
    const char *node_id;
} vixp2p_log_record;

/**
 * Takes a log line. Lines that calls made from inside it cause on its own thread are dropped.
 */
typedef void (*vixp2p_log_fn)(void *userdata, const struct vixp2p_log_record *record);

/**
 * Lets go of a callback's userdata. Runs exactly once, after the last call of that callback has returned.
 */
typedef void (*vixp2p_drop_fn)(void *userdata);

/**
 * Where log lines go. All members may be NULL.
 *
 * The library owns userdata from the call that takes it, even if that call fails, and lets go of it with drop.
 */
typedef struct vixp2p_log_callback {
    /**
     * The function.
     */
    vixp2p_log_fn fn;
    /**
     * Given to the function.
     */
    void *userdata;
    /**
     * Lets go of userdata.
     */
    vixp2p_drop_fn drop;
} vixp2p_log_callback;

/**
 * Takes an event; it is valid during the call and is not freed by the callback.
 */
typedef void (*vixp2p_event_fn)(void *userdata, const struct vixp2p_event *event);

/**
 * Where events go. See vixp2p_log_callback for who owns userdata.
 */
typedef struct vixp2p_event_callback {
    /**
     * The function.
     */
    vixp2p_event_fn fn;
    /**
     * Given to the function.
     */
    void *userdata;
    /**
     * Lets go of userdata.
     */
    vixp2p_drop_fn drop;
} vixp2p_event_callback;

/**
 * Who a node is: its Ed25519 public key. Compare with memcmp.
 */
typedef struct vixp2p_peer_id {
    /**
     * The key.
     */
    uint8_t bytes[32];
} vixp2p_peer_id;

/**
 * Takes an application message of a peer; peer and data are valid during the call.
 */
typedef void (*vixp2p_message_fn)(void *userdata, const struct vixp2p_peer_id *peer, const void *data, size_t len);

/**
 * Where application messages go. See vixp2p_log_callback for who owns userdata.
 */
typedef struct vixp2p_message_callback {
    /**
     * The function.
     */
    vixp2p_message_fn fn;
    /**
     * Given to the function.
     */
    void *userdata;
    /**
     * Lets go of userdata.
     */
    vixp2p_drop_fn drop;
} vixp2p_message_callback;

/**
 * One append-only log: who writes it, and which life of it. A node that lost or rolled back its data goes on in a new
 * incarnation, so that a record's place is never taken twice.
 */
typedef struct vixp2p_log_id {
    /**
     * The node that appends to the log.
     */
    struct vixp2p_peer_id origin;
    /**
     * Which of its logs.
     */
    uint64_t incarnation;
} vixp2p_log_id;

/**
 * One record of a replicated log.
 */
typedef struct vixp2p_record {
    /**
     * Bytes of this struct as the library knows it; fields beyond it do not exist.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Whose log, and which life of it.
     */
    struct vixp2p_log_id log;
    /**
     * The record's number in that log: from 1, rising; only numbers of the outbox's own records are left out.
     */
    uint64_t seq;
    /**
     * The origin's wall clock when it appended, in microseconds since 1970; information only.
     */
    uint64_t time_us;
    /**
     * What was appended; valid during the call.
     */
    const void *data;
    /**
     * Its length in bytes.
     */
    size_t len;
} vixp2p_record;

/**
 * Takes a record of another node's log that is durable here. VIXP2P_APPLY_OK: it took effect;
 * VIXP2P_APPLY_POISON: it never will; any other value, best VIXP2P_APPLY_RETRY: it is offered again later. Records of one log come in order and each once in the life of a process; after
 * a crash those whose return was not yet written down come again, see vixp2p_node_set_cursor_callback().
 */
typedef int32_t (*vixp2p_apply_fn)(void *userdata, const struct vixp2p_record *record);

/**
 * What applies replicated records. See vixp2p_log_callback for who owns userdata.
 */
typedef struct vixp2p_apply_callback {
    /**
     * The function.
     */
    vixp2p_apply_fn fn;
    /**
     * Given to the function.
     */
    void *userdata;
    /**
     * Lets go of userdata.
     */
    vixp2p_drop_fn drop;
} vixp2p_apply_callback;

/**
 * Tells how far the application's own store has come in a log: the last record of it that took effect, 0 for none yet.
 *
 * Called inside vixp2p_node_start() for every log that is here, then for one that appears later before its first record, where
 * records are applied.
 *
 * Returns 1 if it has set *out_seq, 0 to leave it to the library's own note, a negative number if it cannot tell now: then
 * vixp2p_node_start() fails with VIXP2P_ERR_INVALID, or the record waits (VIXP2P_EVENT_APPLY_REFUSED) and this is called again.
 */
typedef int32_t (*vixp2p_cursor_fn)(void *userdata, const struct vixp2p_log_id *log, uint64_t *out_seq);

/**
 * What tells how far the application's own store has come. See vixp2p_log_callback for who owns userdata.
 */
typedef struct vixp2p_cursor_callback {
    /**
     * The function.
     */
    vixp2p_cursor_fn fn;
    /**
     * Given to the function.
     */
    void *userdata;
    /**
     * Lets go of userdata.
     */
    vixp2p_drop_fn drop;
} vixp2p_cursor_callback;

/**
 * Something a peer says of itself.
 */
typedef struct vixp2p_capability_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Its name, without control characters, zero-terminated.
     */
    char name[VIXP2P_CAPABILITY_SIZE];
    /**
     * Its value, likewise.
     */
    char value[VIXP2P_CAPABILITY_SIZE];
} vixp2p_capability_info;

/**
 * A node that announces itself on a network of this one. A rumour: its key is not known before it is connected.
 */
typedef struct vixp2p_discovered_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_DISCOVERED_AUTHENTICATED or 0.
     */
    uint32_t flags;
    /**
     * Milliseconds since it was heard.
     */
    int64_t last_seen_ms_ago;
    /**
     * The label it announces, without control characters, cut if need be, zero-terminated.
     */
    char node_id[VIXP2P_NODE_ID_SIZE];
    /**
     * The address its announcement came from and the port it names, as "tcp://host:port", zero-terminated.
     */
    char endpoint[VIXP2P_ENDPOINT_SIZE];
} vixp2p_discovered_info;

/**
 * What an invite says. Wipe it after use if it has a secret.
 */
typedef struct vixp2p_invite {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_INVITE_HAS_PSK or 0.
     */
    uint32_t flags;
    /**
     * The node that is to answer; whether it does is for the program to compare.
     */
    struct vixp2p_peer_id peer;
    /**
     * The cluster's secret for vixp2p_node_options.psk; zeros if the invite has none.
     */
    uint8_t psk[32];
    /**
     * Addresses there are: 1 to #VIXP2P_INVITE_ADDRESSES_MAX.
     */
    uint32_t address_count;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The addresses for vixp2p_node_connect(), the best first, each zero-terminated.
     */
    char addresses[VIXP2P_INVITE_ADDRESSES_MAX][VIXP2P_ENDPOINT_SIZE];
} vixp2p_invite;

/**
 * Writes the program's whole state with vixp2p_snapshot_write(), as all applied records have left it. own is the last record of this
 * node's own log; *inout_own, which is set to it, is to be the last one whose effect is in the state. Returns 0; anything else gives
 * the snapshot up. Called on a thread of the node under both deliveries, never while another callback of this node runs.
 */
typedef int32_t (*vixp2p_snapshot_write_fn)(void *userdata, struct vixp2p_snapshot_writer *writer, uint64_t *inout_own);

/**
 * Reads a state with vixp2p_snapshot_read() and puts it in the place of the program's own, as a whole or not at all. Returns 0; after
 * anything else the old state stands. A program that keeps its own cursors sets them to vixp2p_snapshot_places() in the same
 * transaction. What records of this node's own log behind its place did is not in the state, and is to be done again. Called on a
 * thread of the node as vixp2p_snapshot_write_fn is, and inside vixp2p_node_start() if the process ended in the middle of it.
 */
typedef int32_t (*vixp2p_snapshot_read_fn)(void *userdata, struct vixp2p_snapshot_reader *reader);

/**
 * What writes the program's state for others and reads another's; both or none. See vixp2p_log_callback for who owns userdata.
 */
typedef struct vixp2p_snapshot_callback {
    /**
     * Writes.
     */
    vixp2p_snapshot_write_fn write;
    /**
     * Reads.
     */
    vixp2p_snapshot_read_fn read;
    /**
     * Given to both.
     */
    void *userdata;
    /**
     * Lets go of userdata.
     */
    vixp2p_drop_fn drop;
} vixp2p_snapshot_callback;

/**
 * Something a node says of itself, such as "role" = "archive": for vixp2p_node_options.capabilities.
 */
typedef struct vixp2p_capability {
    /**
     * Its name, at most 255 bytes of UTF-8.
     */
    const char *name;
    /**
     * Its value, at most 255 bytes of UTF-8.
     */
    const char *value;
} vixp2p_capability;

/**
 * The settings of a node. Fill with vixp2p_node_options_init() or #VIXP2P_NODE_OPTIONS_INIT, then change what matters; members
 * added later get their defaults. A number that is 0 and a string that is NULL mean the default.
 */
typedef struct vixp2p_node_options {
    /**
     * Bytes of this struct as the program knows it.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_FLAG_... joined with |.
     */
    uint32_t flags;
    /**
     * A label for people, at most 255 bytes of UTF-8; default "vixp2p". Peers see it; it is no authority.
     */
    const char *node_id;
    /**
     * An IP address to listen on; default: every interface, IPv4 and IPv6.
     */
    const char *listen_host;
    /**
     * #VIXP2P_LISTEN_OFF (default) or #VIXP2P_LISTEN_ON.
     */
    uint32_t listen;
    /**
     * TCP port, up to 65535; 0 is any free one, see vixp2p_node_port().
     */
    uint32_t listen_port;
    /**
     * Directory for identity and log, made if missing; NULL: both live in memory and die with the node.
     */
    const char *data_dir;
    /**
     * The cluster's secret of 32 bytes; NULL: none. The library copies it.
     */
    const void *psk;
    /**
     * 32, or 0 without a secret.
     */
    size_t psk_len;
    /**
     * Connected peers allowed; default 64.
     */
    uint32_t max_peers;
    /**
     * From TCP up to an authenticated link; default 5000.
     */
    uint32_t handshake_timeout_ms;
    /**
     * Silence after which a peer is asked whether it lives; default 5000.
     */
    uint32_t heartbeat_interval_ms;
    /**
     * Silence after which a link is closed; default 15000, must be longer than the heartbeat interval.
     */
    uint32_t stale_after_ms;
    /**
     * #VIXP2P_DELIVERY_CALLBACK (default) or #VIXP2P_DELIVERY_POLL.
     */
    int32_t delivery;
    /**
     * The least #vixp2p_log_level that reaches the log callback; set to VIXP2P_LOG_INFO by the initialisers.
     */
    int32_t log_level;
    /**
     * Where log lines go.
     */
    struct vixp2p_log_callback log;
    /**
     * Where events go.
     */
    struct vixp2p_event_callback event;
    /**
     * Where application messages go; without it they are dropped under VIXP2P_DELIVERY_CALLBACK.
     */
    struct vixp2p_message_callback message;
    /**
     * What applies replicated records; without it they count as applied once durable.
     */
    struct vixp2p_apply_callback apply;
    /**
     * What opens a sealed key file in data_dir, and seals one that is made: 1 to 1024 bytes, as they are. NULL: the key file is
     * not sealed. The library copies it and wipes the copy once the node is created.
     */
    const void *key_passphrase;
    /**
     * Bytes of it, or 0 without one.
     */
    size_t key_passphrase_len;
    /**
     * The secret before psk while a cluster changes over, 32 bytes, accepted as well; NULL: none. The library copies it.
     */
    const void *psk_previous;
    /**
     * 32, or 0 without one.
     */
    size_t psk_previous_len;
    /**
     * VIXP2P_KEY_AGREEMENT_...
     */
    uint32_t key_agreement;
    /**
     * Age of a link's keys at which this side steps to the next ones; default 900000.
     */
    uint32_t rekey_after_ms;
    /**
     * Age at which the side that dialled agrees on fresh keys; default 3600000.
     */
    uint32_t fresh_keys_after_ms;
    /**
     * Whose keys are trusted: #VIXP2P_TRUST_DEFAULT, _OPEN, _TOFU, _PINNED or _ALLOW_LIST.
     */
    uint32_t trust;
    /**
     * What an append waits for: #VIXP2P_DURABILITY_DURABLE (default) or #VIXP2P_DURABILITY_BUFFERED.
     */
    uint32_t durability;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * A registry to find peers by, "http://host[:port][/path]" or the same with https; NULL: none is asked.
     */
    const char *registry_url;
    /**
     * What opens the registry, 1 to 1024 visible ASCII characters; NULL: nothing. The library copies it.
     */
    const char *registry_token;
    /**
     * The host to announce; NULL: the address the registry sees.
     */
    const char *registry_announce_host;
    /**
     * #VIXP2P_REGISTRY_PULL_ONLY (default) or #VIXP2P_REGISTRY_PULL_AND_ANNOUNCE.
     */
    uint32_t registry_mode;
    /**
     * Pause between two questions that were answered; default 15000.
     */
    uint32_t registry_poll_interval_ms;
    /**
     * An endpoint the registry names is dialled at most this often; default 12000.
     */
    uint32_t registry_connect_cooldown_ms;
    /**
     * From the name of the registry's host up to a connection; default 3000.
     */
    uint32_t registry_connect_timeout_ms;
    /**
     * From there up to the last byte of the answer; default 5000.
     */
    uint32_t registry_request_timeout_ms;
    /**
     * Longest pause after failures; it doubles from registry_poll_interval_ms. Default 60000.
     */
    uint32_t registry_backoff_max_ms;
    /**
     * Bytes of an answer that are read at most, up to 1048576; default 65536.
     */
    uint32_t registry_max_http_bytes;
    /**
     * Peers asked for, up to 1024; default 20.
     */
    uint32_t registry_max_peers_per_poll;
    /**
     * Further places to accept connections at, up to 16 texts: "tcp://ADDRESS:PORT", "unix:///path/to.sock" (a file of mode 0600,
     * removed at the end) or "mem://name" (for nodes of this process). In force whatever listen says; NULL: none.
     */
    const char *const *listen_also;
    /**
     * Number of them, or 0 without any.
     */
    size_t listen_also_count;
    /**
     * Whether nodes on the own networks are looked for: #VIXP2P_DISCOVERY_OFF (default), _BROADCAST, _MULTICAST or _BOTH. The
     * members below count only then.
     */
    uint32_t discovery;
    /**
     * UDP port of announcements; default 37020.
     */
    uint32_t discovery_port;
    /**
     * Time between two announcements; default 2000, at least 100.
     */
    uint32_t discovery_interval_ms;
    /**
     * Silence after which a discovered node is forgotten; default 15000, must be longer than the interval.
     */
    uint32_t discovery_ttl_ms;
    /**
     * Least time between two dials of one endpoint because of announcements; default 8000.
     */
    uint32_t discovery_cooldown_ms;
    /**
     * Longest announcement sent or read; default 1024, at least 256. The format's own limit of 512 holds as well.
     */
    uint32_t discovery_packet_bytes;
    /**
     * The IPv4 group of VIXP2P_DISCOVERY_MULTICAST; default "239.255.0.1". IPv6 takes ff12:: with the same last 32 bits.
     */
    const char *discovery_group;
    /**
     * Names of network interfaces with commas between them; default: all but loopback.
     */
    const char *discovery_interfaces;
    /**
     * Certificate authorities of a registry behind https as PEM text, no other being trusted then; NULL: those of Mozilla.
     */
    const char *registry_ca;
    /**
     * The port to announce by discovery and to the registry, up to 65535, whether or not this node listens; 0: the one it listens on.
     */
    uint32_t announce_port;
    /**
     * 0.
     */
    uint32_t reserved_2;
    /**
     * What writes the program's state for others and reads another's; without it snapshots are neither made nor taken.
     */
    struct vixp2p_snapshot_callback snapshot;
    /**
     * What the program calls the form of its snapshots, at most 64 bytes; one of another form is not taken. Default: "".
     */
    const char *snapshot_schema;
    /**
     * Makers whose snapshots are taken, if they are trusted; NULL: every trusted peer.
     */
    const struct vixp2p_peer_id *snapshot_from;
    /**
     * Number of them; with a pointer and 0 none is taken.
     */
    size_t snapshot_from_count;
    /**
     * Bytes of logs on disk past which records go that a snapshot holds, although peers lack them; 0: no cap.
     */
    uint64_t log_max_bytes;
    /**
     * A peer that was not heard of for so long does not keep records from going; default 2592000000 (30 days).
     */
    uint64_t replica_lease_ms;
    /**
     * What this node says of itself to peers (vixp2p_node_capabilities()), at most 32 names of which no two are the same and some 1,800
     * bytes together; NULL: nothing.
     */
    const struct vixp2p_capability *capabilities;
    /**
     * Number of them, or 0 without any.
     */
    size_t capabilities_count;
} vixp2p_node_options;

/**
 * Names an operation: the record that put it.
 */
typedef struct vixp2p_op_id {
    /**
     * The log of whoever put it.
     */
    struct vixp2p_log_id log;
    /**
     * The record's number.
     */
    uint64_t seq;
} vixp2p_op_id;

/**
 * An operation that was claimed. Read it, execute it, report it, free it.
 */
typedef struct vixp2p_operation {
    /**
     * Bytes of this struct as the library knows it; fields beyond it do not exist.
     */
    uint32_t struct_size;
    /**
     * Which attempt this is, from 1.
     */
    uint32_t attempt;
    /**
     * Which.
     */
    struct vixp2p_op_id id;
    /**
     * The sender's wall clock when it put it, in microseconds since 1970; information only.
     */
    uint64_t time_us;
    /**
     * What is to be done, in the sender's words; zero-terminated.
     */
    const char *kind;
    /**
     * Idempotency key; kept with the effect, it makes the effect happen once whatever fails.
     */
    const void *key;
    /**
     * Its length; 0: none.
     */
    size_t key_len;
    /**
     * What the sender gave.
     */
    const void *data;
    /**
     * Its length in bytes.
     */
    size_t len;
} vixp2p_operation;

/**
 * A line of the list of operations.
 */
typedef struct vixp2p_outbox_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_OUTBOX_RECEIVED and VIXP2P_OUTBOX_FOR_ALL, joined with |.
     */
    uint32_t flags;
    /**
     * Which.
     */
    struct vixp2p_op_id id;
    /**
     * For whom; zeros if for all.
     */
    struct vixp2p_peer_id target;
    /**
     * A #vixp2p_outbox_state.
     */
    int32_t state;
    /**
     * Attempts so far.
     */
    uint32_t attempts;
    /**
     * What is to be done, cut if need be, zero-terminated.
     */
    char kind[VIXP2P_OUTBOX_KIND_SIZE];
    /**
     * Why the last attempt failed, zero-terminated.
     */
    char detail[VIXP2P_OUTBOX_DETAIL_SIZE];
    /**
     * Idempotency key.
     */
    uint8_t key[VIXP2P_OUTBOX_KEY_SIZE];
    /**
     * Its length, 0 for none.
     */
    uint8_t key_len;
    /**
     * 0.
     */
    uint8_t reserved[5];
} vixp2p_outbox_info;

/**
 * One line of the peer list: a peer met, an address being dialled that nobody has answered for yet, or an accepted connection whose
 * peer has said hello.
 */
typedef struct vixp2p_peer_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_PEER_HAS_ID, VIXP2P_PEER_SECURE and VIXP2P_PEER_TRUSTED, joined with |.
     */
    uint32_t flags;
    /**
     * Who it is, or who is expected to answer; zeros if not known yet.
     */
    struct vixp2p_peer_id id;
    /**
     * A #vixp2p_peer_state.
     */
    int32_t state;
    /**
     * A #vixp2p_direction: who opened the last link.
     */
    int32_t direction;
    /**
     * Milliseconds since anything was received from it; -1 if nothing ever was.
     */
    int64_t last_seen_ms_ago;
    /**
     * The label it gave itself, without control characters, cut if need be, zero-terminated.
     */
    char node_id[VIXP2P_NODE_ID_SIZE];
    /**
     * The other end's address on its last link, as "tcp://host:port", zero-terminated.
     */
    char endpoint[VIXP2P_ENDPOINT_SIZE];
    /**
     * A #vixp2p_handshake_stage: how far the handshake of its connection is.
     */
    int32_t stage;
    /**
     * Attempts in a row that failed, or links that ended at once.
     */
    uint32_t failures;
    /**
     * Milliseconds it has been in this state.
     */
    int64_t since_ms_ago;
    /**
     * Milliseconds until it is dialled again: the backoff; -1 if no attempt waits.
     */
    int64_t next_attempt_in_ms;
    /**
     * Why its last link or the last attempt ended: the name vixp2p_event_reason() gives; empty if none has ended.
     */
    char last_reason[VIXP2P_REASON_SIZE];
    /**
     * The same as a sentence, cut if need be; empty if none has ended.
     */
    char last_reason_text[VIXP2P_REASON_TEXT_SIZE];
} vixp2p_peer_info;

/**
 * A node's counters. The first nine are those of the stats line.
 */
typedef struct vixp2p_stats {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Peers known by an authenticated link, connected or gone.
     */
    uint64_t peers_total;
    /**
     * Peers connected now.
     */
    uint64_t peers_connected;
    /**
     * Handshakes begun, on either side.
     */
    uint64_t handshakes_started;
    /**
     * Handshakes that ended authenticated.
     */
    uint64_t handshakes_completed;
    /**
     * Dials begun.
     */
    uint64_t connect_attempts;
    /**
     * Dials left out because one to the same endpoint had just begun, or a link stands.
     */
    uint64_t connect_deduped;
    /**
     * Dials that did not end in an authenticated link.
     */
    uint64_t connect_failures;
    /**
     * Dials left out because the endpoint is backing off.
     */
    uint64_t backoff_skips;
    /**
     * Endpoints the connection guard knows.
     */
    uint64_t tracked_endpoints;
    /**
     * Handshakes that failed.
     */
    uint64_t handshakes_failed;
    /**
     * Bytes written to sockets.
     */
    uint64_t bytes_sent;
    /**
     * Bytes read from sockets.
     */
    uint64_t bytes_received;
    /**
     * Messages sent, of any kind.
     */
    uint64_t frames_sent;
    /**
     * Messages received, of any kind.
     */
    uint64_t frames_received;
    /**
     * Records appended here.
     */
    uint64_t records_appended;
    /**
     * Records of other nodes' logs applied here.
     */
    uint64_t records_applied;
    /**
     * Accepted connections whose peer is not authenticated yet.
     */
    uint64_t half_open;
    /**
     * Accepted connections that gave way to newer ones before their peer was authenticated.
     */
    uint64_t half_open_evicted;
} vixp2p_stats;

/**
 * A peer as a registry names it. A rumour: nothing about it has been checked.
 */
typedef struct vixp2p_registry_peer {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * Where it is said to listen.
     */
    uint32_t tcp_port;
    /**
     * Its label, without control characters, cut if need be, zero-terminated; may be empty.
     */
    char node_id[VIXP2P_NODE_ID_SIZE];
    /**
     * Its host name or address, without brackets, zero-terminated.
     */
    char host[VIXP2P_HOST_SIZE];
} vixp2p_registry_peer;

/**
 * A snapshot that lies here.
 */
typedef struct vixp2p_snapshot_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * Logs that it has taken in.
     */
    uint32_t logs;
    /**
     * Who made it.
     */
    struct vixp2p_peer_id maker;
    /**
     * When, by the maker's clock, in microseconds since 1970.
     */
    uint64_t made_us;
    /**
     * Bytes of the state.
     */
    uint64_t bytes;
    /**
     * Its name, the BLAKE3 hash of its manifest in hex, zero-terminated.
     */
    char id[VIXP2P_SNAPSHOT_ID_SIZE];
    /**
     * What the program that made it calls its form (snapshot_schema), zero-terminated.
     */
    char schema[VIXP2P_SNAPSHOT_SCHEMA_SIZE];
    /**
     * 0.
     */
    uint8_t reserved[6];
} vixp2p_snapshot_info;

/**
 * How far a state goes in one log.
 */
typedef struct vixp2p_snapshot_place {
    /**
     * Which log.
     */
    struct vixp2p_log_id log;
    /**
     * The last record of it that has taken effect in the state.
     */
    uint64_t applied;
} vixp2p_snapshot_place;

/**
 * A place in a log.
 */
typedef struct vixp2p_cursor {
    /**
     * Which log.
     */
    struct vixp2p_log_id log;
    /**
     * The record to go on with; 0 is the first, which is 1.
     */
    uint64_t seq;
} vixp2p_cursor;

/**
 * How far a log has come here, or at a connected peer.
 */
typedef struct vixp2p_sync_state {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_SYNC_OWN, VIXP2P_SYNC_PEER and VIXP2P_SYNC_FROZEN, joined with |.
     */
    uint32_t flags;
    /**
     * Which log.
     */
    struct vixp2p_log_id log;
    /**
     * The peer; zeros in a line about this node.
     */
    struct vixp2p_peer_id peer;
    /**
     * Highest record durable there.
     */
    uint64_t durable;
    /**
     * Highest record applied there.
     */
    uint64_t applied;
    /**
     * Of a peer: records that are durable here and not there. Of this node: records that are durable and not applied.
     */
    uint64_t lag_records;
    /**
     * The same in bytes of log: exact up to 64 KiB and close to it beyond.
     */
    uint64_t lag_bytes;
    /**
     * Age of the first of these records in milliseconds, by the clock of its origin and this node's.
     */
    uint64_t lag_ms;
    /**
     * Of this node: the record its application called poison and is stuck at, see vixp2p_node_apply_resume(); 0 if there is none.
     */
    uint64_t parked;
    /**
     * Of this node, in causal mode (VIXP2P_FLAG_CAUSAL): the record that waits because it comes after others; 0 if none does.
     */
    uint64_t waits;
    /**
     * What it waits for: this log up to waits_for_seq; zeros if nothing waits. It may wait for others too.
     */
    struct vixp2p_log_id waits_for;
    /**
     * See waits_for.
     */
    uint64_t waits_for_seq;
} vixp2p_sync_state;

/**
 * One endpoint that a node dials, or tried in vain. A peer may have several.
 */
typedef struct vixp2p_target_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * VIXP2P_PEER_HAS_ID and VIXP2P_TARGET_WANTED, joined with |.
     */
    uint32_t flags;
    /**
     * Who answered there last, or is expected to; zeros if not known.
     */
    struct vixp2p_peer_id id;
    /**
     * A #vixp2p_peer_state; an endpoint whose peer is connected by another link is VIXP2P_PEER_CONNECTED too.
     */
    int32_t state;
    /**
     * A #vixp2p_handshake_stage.
     */
    int32_t stage;
    /**
     * Milliseconds it has been in this state.
     */
    int64_t since_ms_ago;
    /**
     * Milliseconds until it is dialled: the backoff; -1 if no attempt waits.
     */
    int64_t next_attempt_in_ms;
    /**
     * Attempts in a row that failed, or links that ended at once.
     */
    uint32_t failures;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * The address, as "tcp://host:port", zero-terminated.
     */
    char endpoint[VIXP2P_ENDPOINT_SIZE];
    /**
     * Why the last attempt, or the link it led to, ended: the name vixp2p_event_reason() gives; empty if none has ended.
     */
    char last_reason[VIXP2P_REASON_SIZE];
    /**
     * The same as a sentence, cut if need be; empty if none has ended.
     */
    char last_reason_text[VIXP2P_REASON_TEXT_SIZE];
} vixp2p_target_info;

/**
 * One line of the list of known keys.
 */
typedef struct vixp2p_trust_info {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * A #vixp2p_trust_state.
     */
    int32_t state;
    /**
     * The key.
     */
    struct vixp2p_peer_id id;
    /**
     * When it was added, in seconds since 1970; -1 if that is not known.
     */
    int64_t added_s;
    /**
     * Its label, without control characters, cut if need be, zero-terminated.
     */
    char label[VIXP2P_NODE_ID_SIZE];
} vixp2p_trust_info;

/**
 * Bytes that somebody else owns.
 */
typedef struct vixp2p_slice {
    /**
     * First byte; may be NULL if len is 0.
     */
    const void *data;
    /**
     * Number of bytes.
     */
    size_t len;
} vixp2p_slice;

/**
 * How far a log has come here.
 */
typedef struct vixp2p_log_state {
    /**
     * Bytes of this struct that the library filled.
     */
    uint32_t struct_size;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * Which log.
     */
    struct vixp2p_log_id log;
    /**
     * Highest durable record; 0 if there is none.
     */
    uint64_t durable;
    /**
     * Highest applied record; for this node's own log the same as durable.
     */
    uint64_t applied;
} vixp2p_log_state;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Replaces the log callback, from anywhere, running or not. The old userdata is dropped when no call uses it any more.
 *
 * @param node      the node.
 * @param callback  the new one; NULL for none.
 * @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_log_callback(struct vixp2p_node *node,
                                                const struct vixp2p_log_callback *callback);

/**
 * Replaces the event callback, from anywhere, running or not. The old userdata is dropped when no call uses it any more.
 *
 * @param node      the node.
 * @param callback  the new one; NULL for none.
 * @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_event_callback(struct vixp2p_node *node,
                                                  const struct vixp2p_event_callback *callback);

/**
 * Replaces the message callback, from anywhere, running or not. The old userdata is dropped when no call uses it any more.
 *
 * @param node      the node.
 * @param callback  the new one; NULL for none.
 * @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_message_callback(struct vixp2p_node *node,
                                                    const struct vixp2p_message_callback *callback);

/**
 * Replaces the apply callback, from anywhere. The old userdata is dropped when no call uses it any more.
 *
 * A node that was started without an apply callback treats records as applied once they are durable; a callback given to it
 * takes effect at the next start. Taking the callback away while the node runs keeps records for later.
 *
 * @param node      the node.
 * @param callback  the new one; NULL for none.
 * @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_apply_callback(struct vixp2p_node *node,
                                                  const struct vixp2p_apply_callback *callback);

/**
 * Replaces the cursor callback, from anywhere; it takes effect at the next start. With it a program that keeps the number of the
 * last applied record in the same transaction as its effect applies every record exactly once; without it the library keeps a
 * note, and up to a second's records may come again after a power cut.
 *
 * @param node      the node.
 * @param callback  the new one; NULL for none.
 * @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_cursor_callback(struct vixp2p_node *node,
                                                   const struct vixp2p_cursor_callback *callback);

/**
 * What a connected peer says of itself (its vixp2p_node_options.capabilities), in the order of the names. The peer's signature in the
 * handshake covers it, so nobody else made it up; whether it is true is another matter.
 *
 * @param node         a running node.
 * @param peer         the peer.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_capability_info).
 * @param inout_count  places in the array; becomes the number of capabilities, 32 at most.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), VIXP2P_ERR_NOT_CONNECTED, or
 *         another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_capabilities(const struct vixp2p_node *node,
                                            const struct vixp2p_peer_id *peer,
                                            struct vixp2p_capability_info *infos,
                                            size_t info_size,
                                            size_t *inout_count);

/**
 * Every node that announces itself on a network of this one; none while the node does not run, or discovery is off.
 *
 * @param node         the node.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_discovered_info).
 * @param inout_count  places in the array; becomes the number of nodes. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_discovered(const struct vixp2p_node *node,
                                          struct vixp2p_discovered_info *infos,
                                          size_t info_size,
                                          size_t *inout_count);

/**
 * What happened.
 *
 * @param event  the event.
 * @return its kind; VIXP2P_EVENT_NONE if the event is NULL. Later versions may add kinds: ignore unknown ones.
 */
VIXP2P_API enum vixp2p_event_kind vixp2p_event_get_kind(const struct vixp2p_event *event);

/**
 * The peer the event is about.
 *
 * @param event  the event.
 * @param out    where the peer id goes.
 * @return VIXP2P_OK, VIXP2P_EMPTY if the event has no peer, or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_event_peer(const struct vixp2p_event *event, struct vixp2p_peer_id *out);

/**
 * The key that was there before: whose place the peer takes, or to whom its node_id belongs.
 *
 * @param event  the event.
 * @param out    where the peer id goes.
 * @return VIXP2P_OK, VIXP2P_EMPTY if the event has none, or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_event_former(const struct vixp2p_event *event, struct vixp2p_peer_id *out);

/**
 * The label the peer gave itself. It names no authority; the peer id does.
 *
 * @param event  the event.
 * @return text without control characters, or NULL if the event has none.
 */
VIXP2P_API const char *vixp2p_event_node_id(const struct vixp2p_event *event);

/**
 * The other end's address.
 *
 * @param event  the event.
 * @return text such as "tcp://192.0.2.7:9001", or NULL if the event has none.
 */
VIXP2P_API const char *vixp2p_event_endpoint(const struct vixp2p_event *event);

/**
 * Who opened the connection.
 *
 * @param event  the event.
 * @return the direction; VIXP2P_DIRECTION_NONE if the event has none.
 */
VIXP2P_API enum vixp2p_direction vixp2p_event_direction(const struct vixp2p_event *event);

/**
 * Why a connection was not made or ended, or a message was given up: a stable name for programs, such as "max_peers".
 *
 * @param event  the event.
 * @return the name, or NULL if the event has none.
 */
VIXP2P_API const char *vixp2p_event_reason(const struct vixp2p_event *event);

/**
 * Why a connection was not made or ended, or a message was given up: a sentence for people.
 *
 * @param event  the event.
 * @return the sentence, or NULL if the event has none.
 */
VIXP2P_API const char *vixp2p_event_reason_text(const struct vixp2p_event *event);

/**
 * The bytes of a message.
 *
 * @param event    the event.
 * @param out_len  where their number goes; may be NULL.
 * @return the first byte, or NULL (and a length of 0) if the event is no message. Not NULL for an empty message.
 */
VIXP2P_API const void *vixp2p_event_data(const struct vixp2p_event *event, size_t *out_len);

/**
 * The log the event is about.
 *
 * @param event  the event.
 * @param out    where the log id goes.
 * @return VIXP2P_OK, VIXP2P_EMPTY if the event has no log, or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_event_log(const struct vixp2p_event *event, struct vixp2p_log_id *out);

/**
 * The event as one sentence for people.
 *
 * @param event  the event.
 * @return the sentence; NULL only if the event is NULL.
 */
VIXP2P_API const char *vixp2p_event_text(const struct vixp2p_event *event);

/**
 * The event as one JSON object on one line.
 *
 * @param event  the event.
 * @return the JSON text; NULL only if the event is NULL.
 */
VIXP2P_API const char *vixp2p_event_json(const struct vixp2p_event *event);

/**
 * Frees an event that vixp2p_node_next_event() or vixp2p_node_wait_event() gave. Does nothing for NULL, and nothing for the
 * event of a callback, which the library keeps.
 *
 * @param event  the event; not used again afterwards.
 */
VIXP2P_API
void vixp2p_event_free(struct vixp2p_event *event);

/**
 * The port a started node listens on.
 *
 * @param event  the event.
 * @return the port; 0 if the node does not listen or the event has none.
 */
VIXP2P_API uint16_t vixp2p_event_port(const struct vixp2p_event *event);

/**
 * How many peers are connected after a peer came or went.
 *
 * @param event  the event.
 * @return the number; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_connected(const struct vixp2p_event *event);

/**
 * The highest durable record of the event's log: at the peer (VIXP2P_EVENT_ACKED) or here (VIXP2P_EVENT_STORED).
 *
 * @param event  the event.
 * @return the record's number; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_durable(const struct vixp2p_event *event);

/**
 * The highest record of the event's log that the peer has applied.
 *
 * @param event  the event.
 * @return the record's number; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_applied(const struct vixp2p_event *event);

/**
 * The record a fork, a refusal, a parked or truncated log or a snapshot that was taken in is about.
 *
 * @param event  the event.
 * @return the record's number; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_seq(const struct vixp2p_event *event);

/**
 * When the next attempt is due, after a failed dial, a refused record or a registry that failed.
 *
 * @param event  the event.
 * @return milliseconds; -1 if there will be no further attempt or the event has none.
 */
VIXP2P_API int64_t vixp2p_event_retry_in_ms(const struct vixp2p_event *event);

/**
 * The message that has arrived or was given up.
 *
 * @param event  the event.
 * @return the number vixp2p_node_send_to() gave it; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_message_number(const struct vixp2p_event *event);

/**
 * How many events were dropped (VIXP2P_EVENT_LOST), peers the registry named (VIXP2P_EVENT_REGISTRY_ANSWERED), or links were not read
 * (VIXP2P_EVENT_APPLICATION_BEHIND).
 *
 * @param event  the event.
 * @return the number; 0 if the event has none.
 */
VIXP2P_API
uint64_t vixp2p_event_count(const struct vixp2p_event *event);

/**
 * Bytes of the state of a snapshot that was made or taken in.
 *
 * @param event  the event.
 * @return the number; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_bytes(const struct vixp2p_event *event);

/**
 * How many of the peers the registry named its last answer did not name.
 *
 * @param event  the event.
 * @return the number; 0 if the event has none.
 */
VIXP2P_API uint64_t vixp2p_event_new_count(const struct vixp2p_event *event);

/**
 * Whether records are exchanged with the peer the event is about: after it connected, or from now on.
 *
 * @param event  the event.
 * @return 1 for yes, 0 for no; -1 if the event says nothing about it.
 */
VIXP2P_API int32_t vixp2p_event_trusted(const struct vixp2p_event *event);

/**
 * Makes an invite: one line of text that says who a node is and where it is reached.
 *
 * @param peer           the node to be found.
 * @param addresses      where it is reached: "host:port" or "tcp://host:port", the best first.
 * @param address_count  how many there are: 1 to #VIXP2P_INVITE_ADDRESSES_MAX.
 * @param psk            the cluster's secret of 32 bytes, which makes the line a secret; NULL: it is not passed on.
 * @param psk_len        32, or 0 without a secret.
 * @param out            where the text goes, zero-terminated; may be NULL if *inout_size is 0.
 * @param inout_size     in: bytes at out, #VIXP2P_INVITE_TEXT_SIZE always suffice. Out: bytes needed, the terminating zero included.
 * @return VIXP2P_OK; VIXP2P_ERR_BUFFER_TOO_SMALL, and nothing is written to out; VIXP2P_ERR_INVALID; VIXP2P_ERR_UTF8.
 */
VIXP2P_API
enum vixp2p_status vixp2p_invite_make(const struct vixp2p_peer_id *peer,
                                      const char *const *addresses,
                                      size_t address_count,
                                      const void *psk,
                                      size_t psk_len,
                                      char *out,
                                      size_t *inout_size);

/**
 * Reads an invite, with white space around it or not, in letters of either case.
 *
 * @param text      the line, zero-terminated.
 * @param out       where its content goes; unchanged on failure.
 * @param out_size  sizeof(vixp2p_invite); members beyond it are left out, members the library does not know become 0.
 * @return VIXP2P_OK; VIXP2P_ERR_INVALID if it is no invite, a damaged one, or one of a newer version, as the text of the error
 *         says; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_UTF8.
 */
VIXP2P_API
enum vixp2p_status vixp2p_invite_parse(const char *text,
                                       struct vixp2p_invite *out,
                                       size_t out_size);

/**
 * Changes which log lines reach the log callback, from now on. At VIXP2P_LOG_TRACE the events PING and PONG come too.
 *
 * @param node   the node.
 * @param level  the least #vixp2p_log_level that is wanted.
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_set_log_level(struct vixp2p_node *node, int32_t level);

/**
 * Has the log lines of every node of the process go to a callback as well, whatever the nodes' own callbacks take. Replaces the one
 * that was set before.
 *
 * Unlike a node's own callbacks it is called on any thread of the library, on several at the same time, also for nodes with
 * VIXP2P_DELIVERY_POLL. It must return quickly and may not call functions that wait (VIXP2P_ERR_WOULD_DEADLOCK).
 *
 * @param level     the least #vixp2p_log_level that is wanted.
 * @param callback  where lines go; its userdata is the library's, even if the call fails.
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_set_process_log(int32_t level,
                                          const struct vixp2p_log_callback *callback);

/**
 * Ends what vixp2p_set_process_log() began. Its userdata is dropped when no call uses it any more. Does nothing if there is none.
 *
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_clear_process_log(void);

/**
 * Creates a node: takes the data directory, reads or makes the identity, opens the log. Opens no socket and calls nothing back.
 *
 * The library owns the userdata of every callback in options from this call on: if it fails, their drop functions have run
 * (unless struct_size was too small to hold them).
 *
 * @param options  the settings; NULL for the defaults. Copied: nothing it points to is used after the call but userdata.
 * @param out      where the node goes; NULL there on failure.
 * @return VIXP2P_OK; VIXP2P_ERR_INVALID, VIXP2P_ERR_UTF8, VIXP2P_ERR_UNSUPPORTED for an unusable setting;
 *         VIXP2P_ERR_DIR_IN_USE, VIXP2P_ERR_KEY, VIXP2P_ERR_LOG, VIXP2P_ERR_IO for the data directory; VIXP2P_ERR_FORKED in
 *         the child of a process that had nodes when it was forked.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_create(const struct vixp2p_node_options *options,
                                      struct vixp2p_node **out);

/**
 * Starts listening and dialling. Returns at once; VIXP2P_EVENT_STARTED tells the port. A stopped node can be started again.
 *
 * @param node  the node.
 * @return VIXP2P_OK; VIXP2P_ALREADY if it runs; VIXP2P_ERR_PORT_IN_USE, VIXP2P_ERR_IO or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_start(struct vixp2p_node *node);

/**
 * Lets the callback that runs return, says goodbye to every peer, lets the log finish, and ends; VIXP2P_EVENT_STOPPED is the
 * last event. Blocks meanwhile. Calls that block in other threads end with VIXP2P_ERR_STOPPED.
 *
 * @param node        the node.
 * @param timeout_ms  how long goodbyes may take; -1 for the default of two seconds. What the log acknowledged is always kept.
 * @return VIXP2P_OK; VIXP2P_ALREADY if it does not run; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_stop(struct vixp2p_node *node,
                                    int32_t timeout_ms);

/**
 * Destroys a node: stops it, waits until running callbacks have returned, lets go of all userdata, frees everything. When it
 * returns, no callback runs or will ever run.
 *
 * Legal from anywhere, once. From inside a callback, of this node or another, it returns at once and the same happens on a
 * thread of the library as soon as the callback has returned; the drop functions tell when. Events that were not taken are
 * lost: stop first to see the last ones. In a forked child it does nothing.
 *
 * @param node  the node; NULL is ignored.
 */
VIXP2P_API
void vixp2p_node_destroy(struct vixp2p_node *node);

/**
 * This node's identity.
 *
 * @param node  the node.
 * @param out   where the peer id goes.
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_id(const struct vixp2p_node *node, struct vixp2p_peer_id *out);

/**
 * The TCP port a running node listens on.
 *
 * @param node  the node.
 * @param out   where the port goes; 0 if the node does not run or does not listen.
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_port(const struct vixp2p_node *node, uint16_t *out);

/**
 * Fills options with the defaults.
 *
 * @param options  where they go.
 * @param size     sizeof(vixp2p_node_options).
 * @return VIXP2P_OK, or VIXP2P_ERR_INVALID if options is NULL or size is smaller than in the first release.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_options_init(struct vixp2p_node_options *options, size_t size);

/**
 * Puts an operation for one node, sealed so that nobody else can read it, or for all. Blocks until it is durable. Whoever meets carries
 * it; its target executes it once, however often one with the same key is put, and says so in its own log.
 *
 * The first call on the outbox of a running node reads every log that is here once, and blocks meanwhile.
 *
 * @param node     a running node.
 * @param target   for whom; NULL: for every other node.
 * @param kind     what is to be done, at most 64 bytes.
 * @param key      idempotency key, at most 64 bytes; may be NULL if key_len is 0: then every operation is another one.
 * @param key_len  its length.
 * @param data     what the target is to have; may be NULL if len is 0.
 * @param len      its length, at most 1 MiB less 512 bytes.
 * @param out      where the operation's name goes; may be NULL.
 * @return VIXP2P_OK; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_WOULD_BLOCK if too many are not pruned; VIXP2P_ERR_LOG; VIXP2P_ERR_STOPPED;
 *         VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error. After one it may be in the log all the same: put again with
 *         the same key it is executed once.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_put(struct vixp2p_node *node,
                                     const struct vixp2p_peer_id *target,
                                     const char *kind,
                                     const void *key,
                                     size_t key_len,
                                     const void *data,
                                     size_t len,
                                     struct vixp2p_op_id *out);

/**
 * Takes an operation for this node, to be executed and reported by vixp2p_outbox_done() or vixp2p_outbox_fail() within 30 seconds;
 * otherwise it is offered again.
 *
 * @param node        a running node.
 * @param timeout_ms  how long to wait for one; -1 for ever, 0 not at all.
 * @param out         where the operation goes, to be freed with vixp2p_operation_free(); NULL there if there is none.
 * @return VIXP2P_OK; VIXP2P_EMPTY (0 given) or VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED once the node stops; VIXP2P_ERR_WOULD_DEADLOCK from
 *         inside a callback if timeout_ms is not 0, or from the log callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_claim(struct vixp2p_node *node,
                                       int32_t timeout_ms,
                                       const struct vixp2p_operation **out);

/**
 * A claimed operation has taken effect. When this returns VIXP2P_OK its receipt is durable and it is never offered again; if the program
 * ends before, it is offered once more. After VIXP2P_ERR_LOG the receipt is written as soon as the disk lets it; there is nothing to repeat.
 *
 * @param node  a running node.
 * @param id    which.
 * @return VIXP2P_OK; VIXP2P_ERR_INVALID if it is not claimed, or was answered for; VIXP2P_ERR_LOG if the disk refuses; VIXP2P_ERR_STOPPED;
 *         another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_done(struct vixp2p_node *node,
                                      const struct vixp2p_op_id *id);

/**
 * A claimed operation could not be executed. It is tried again, eight times in all with growing pauses, or given up at once. Where another one
 * with its key was reported done late it is answered as that one.
 *
 * @param node      a running node.
 * @param id        which.
 * @param for_good  not 0: another attempt is no use; the sender is told.
 * @param detail    why, at most 200 bytes of it are kept; may be NULL.
 * @return VIXP2P_OK; VIXP2P_ERR_INVALID if it is not claimed, or the claim has timed out; VIXP2P_ERR_LOG if it is answered and the
 *         disk refuses the answer to its sender, which the node then writes as soon as it can: not to be reported again;
 *         VIXP2P_ERR_STOPPED; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_fail(struct vixp2p_node *node,
                                      const struct vixp2p_op_id *id,
                                      uint32_t for_good,
                                      const char *detail);

/**
 * Waits until an operation that this node put is over: done, or failed for good.
 *
 * @param node        a running node.
 * @param id          which.
 * @param timeout_ms  how long to wait; -1 for ever, 0 only looks.
 * @param out_state   where its #vixp2p_outbox_state goes, also at VIXP2P_TIMEOUT; may be NULL.
 * @return VIXP2P_OK; VIXP2P_TIMEOUT; VIXP2P_ERR_INVALID if this node did not put it, or has pruned it; VIXP2P_ERR_STOPPED once the node
 *         stops; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback if timeout_ms is not 0; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_wait(struct vixp2p_node *node,
                                      const struct vixp2p_op_id *id,
                                      int32_t timeout_ms,
                                      int32_t *out_state);

/**
 * Every operation that this node put and has not pruned, or is to execute.
 *
 * @param node         a running node.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_outbox_info).
 * @param inout_count  places in the array; becomes the number of operations. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_list(struct vixp2p_node *node,
                                      struct vixp2p_outbox_info *infos,
                                      size_t info_size,
                                      size_t *inout_count);

/**
 * Takes an operation back that this node put: targets that have not claimed it will not execute it, and it is listed no more.
 *
 * @param node  a running node.
 * @param id    which; NULL: all that are finished, which only lists them no more.
 * @param out_count  where the number of operations goes; may be NULL.
 * @return VIXP2P_OK; VIXP2P_EMPTY if there was none; VIXP2P_ERR_LOG; VIXP2P_ERR_STOPPED; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_prune(struct vixp2p_node *node,
                                       const struct vixp2p_op_id *id,
                                       size_t *out_count);

/**
 * Asks a connected peer for where operations for a node lie in the logs it carries; VIXP2P_EVENT_OUTBOX_HELD tells, if the peer trusts
 * this node. Their records come by replication, as all do.
 *
 * @param node       a running node.
 * @param peer       whom.
 * @param target     for whom.
 * @param max_items  operations named at most: 1 to 1024.
 * @return VIXP2P_OK, VIXP2P_ERR_NOT_CONNECTED, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_outbox_ask(struct vixp2p_node *node,
                                     const struct vixp2p_peer_id *peer,
                                     const struct vixp2p_peer_id *target,
                                     uint32_t max_items);

/**
 * The node that operations are for, of VIXP2P_EVENT_OUTBOX_PULLED and VIXP2P_EVENT_OUTBOX_HELD.
 *
 * @param event  the event.
 * @param out    where the peer id goes.
 * @return VIXP2P_OK, VIXP2P_EMPTY if the event has none, or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_event_target(const struct vixp2p_event *event, struct vixp2p_peer_id *out);

/**
 * Frees an operation and what it points to. That reports nothing about it.
 *
 * @param operation  the operation; NULL is ignored.
 */
VIXP2P_API void vixp2p_operation_free(const struct vixp2p_operation *operation);

/**
 * Everybody a running node knows of, connected or not.
 *
 * @param node         the node.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_peer_info).
 * @param inout_count  places in the array; becomes the number of peers. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_peers(const struct vixp2p_node *node,
                                     struct vixp2p_peer_info *infos,
                                     size_t info_size,
                                     size_t *inout_count);

/**
 * A snapshot of the node's counters; zeros while it does not run.
 *
 * @param node      the node.
 * @param out       where they go.
 * @param out_size  sizeof(vixp2p_stats); counters beyond it are left out, members the library does not know become 0.
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_stats(const struct vixp2p_node *node,
                                     struct vixp2p_stats *out,
                                     size_t out_size);

/**
 * A descriptor for poll, select, epoll or an event loop: readable as long as something waits. Level-triggered. Do not read,
 * write or close it; it is valid until the node is destroyed.
 *
 * @param node  a node with VIXP2P_DELIVERY_POLL.
 * @return the descriptor, or -1; vixp2p_last_error_code() then says why.
 */
VIXP2P_API
int vixp2p_node_event_fd(const struct vixp2p_node *node);

/**
 * Takes the next event without waiting. Log lines and records that are due are given to the log and apply callbacks first, on
 * the calling thread, a bounded number of them; the event and message callbacks are not used: every message is an event.
 *
 * Take events on one thread; a second one may have to wait until the first one's callbacks return.
 *
 * @param node  a node with VIXP2P_DELIVERY_POLL.
 * @param out   where the event goes, to be freed with vixp2p_event_free(); NULL there if there is none.
 * @return VIXP2P_OK; VIXP2P_EMPTY if there is no event (there may be more records: go by the descriptor);
 *         VIXP2P_ERR_UNSUPPORTED under VIXP2P_DELIVERY_CALLBACK; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_next_event(struct vixp2p_node *node,
                                          struct vixp2p_event **out);

/**
 * Takes the next event and waits for it. Callbacks run as with vixp2p_node_next_event().
 *
 * @param node        a node with VIXP2P_DELIVERY_POLL.
 * @param timeout_ms  how long to wait; -1 for ever, 0 not at all.
 * @param out         where the event goes, to be freed with vixp2p_event_free(); NULL there if there is none.
 * @return VIXP2P_OK; VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED if the node does not run and nothing waits;
 *         VIXP2P_ERR_UNSUPPORTED under VIXP2P_DELIVERY_CALLBACK; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_wait_event(struct vixp2p_node *node,
                                          int32_t timeout_ms,
                                          struct vixp2p_event **out);

/**
 * Runs the callbacks for what waits, on the calling thread, one after the other.
 *
 * @param node      a node with VIXP2P_DELIVERY_POLL.
 * @param max       the most events, messages and runs of records to give out; 0: until nothing waits.
 * @param out_done  where their number goes; may be NULL.
 * @return VIXP2P_OK; VIXP2P_EMPTY if nothing waited; VIXP2P_ERR_UNSUPPORTED under VIXP2P_DELIVERY_CALLBACK;
 *         VIXP2P_ERR_WOULD_DEADLOCK from inside a callback.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_dispatch(struct vixp2p_node *node, size_t max, size_t *out_done);

/**
 * Whom the registry named last (vixp2p_node_options.registry_url); nobody without a registry or while the node does not run.
 *
 * @param node         the node.
 * @param peers        an array to fill; may be NULL if *inout_count is 0.
 * @param peer_size    sizeof(vixp2p_registry_peer).
 * @param inout_count  places in the array; becomes the number of peers. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_registry_peers(const struct vixp2p_node *node,
                                              struct vixp2p_registry_peer *peers,
                                              size_t peer_size,
                                              size_t *inout_count);

/**
 * Sends a message to a peer, connected or not: over its link, or over relays that the node finds by itself. It is sealed end to end:
 * relays can neither read nor alter it. The recipient gets it like any message from this node, at most once, in no promised order;
 * VIXP2P_EVENT_DELIVERED or VIXP2P_EVENT_UNDELIVERED tells here what became of it within its life. A node that stops forgets what is
 * under way. For few messages: vixp2p_node_send() to a connected peer is faster and keeps order, the log survives everything.
 *
 * @param node        a running node.
 * @param peer        whom; not the node itself.
 * @param data        the message; may be NULL if len is 0.
 * @param len         its length, at most 64 KiB.
 * @param life_ms     how long it is tried, at most ten minutes; 0: 30 s.
 * @param out_number  where the message's number goes, which its event carries; may be NULL.
 * @return VIXP2P_OK; VIXP2P_ERR_WOULD_BLOCK if too many messages are under way, or the events of too many wait to
 *         be read (nothing was taken); VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_send_to(struct vixp2p_node *node,
                                       const struct vixp2p_peer_id *peer,
                                       const void *data,
                                       size_t len,
                                       uint32_t life_ms,
                                       uint64_t *out_number);

/**
 * Says by which neighbour a peer is reached. Taken by vixp2p_node_send_to() whenever next_hop is connected and the peer itself is not;
 * without it a way is searched. Holds, also while the node is stopped, until it is removed or the node destroyed.
 *
 * @param node      a node, running or not.
 * @param peer      who is reached; not the node itself.
 * @param next_hop  the neighbour that gets what is for the peer.
 * @param ttl       links a message may pass, 1 to 8; 0: 8.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_route_set(struct vixp2p_node *node,
                                         const struct vixp2p_peer_id *peer,
                                         const struct vixp2p_peer_id *next_hop,
                                         uint32_t ttl);

/**
 * Takes back what vixp2p_node_route_set() said about a peer, and forgets what was found by searching.
 *
 * @param node  a node, running or not.
 * @param peer  who was reached.
 * @return VIXP2P_OK; VIXP2P_EMPTY if nothing had been said; or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_route_remove(struct vixp2p_node *node, const struct vixp2p_peer_id *peer);

/**
 * The way a message to a peer would take now: straight to a connected peer, else as the program said, else as it was found.
 *
 * @param node           a node.
 * @param peer           who is reached.
 * @param out_next_hop   where the neighbour's id goes; may be NULL.
 * @param out_via_relay  where 1 goes if that neighbour passes it on, 0 if it is the peer itself; may be NULL.
 * @param out_ttl        where the number of links a message may pass goes; may be NULL.
 * @return VIXP2P_OK; VIXP2P_EMPTY if a way would have to be searched, or the node does not run; or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_route_resolve(struct vixp2p_node *node,
                                             const struct vixp2p_peer_id *peer,
                                             struct vixp2p_peer_id *out_next_hop,
                                             int32_t *out_via_relay,
                                             uint32_t *out_ttl);

/**
 * Replaces the snapshot callback, from anywhere. The old userdata is dropped when no call uses it any more. Without one this node makes
 * no snapshots and takes none. Set it before vixp2p_node_start(): a snapshot may have to be read there.
 *
 * @param node      the node.
 * @param callback  the new one, with both functions; NULL for none.
 * @return VIXP2P_OK or an error; in both cases the new userdata is the library's.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_snapshot_callback(struct vixp2p_node *node,
                                                     const struct vixp2p_snapshot_callback *callback);

/**
 * Makes a snapshot of the program's state, signed by this node. Blocks until the record that is being applied and the write callback
 * are done. VIXP2P_EVENT_SNAPSHOT_MADE tells.
 *
 * @param node  the node, running.
 * @return VIXP2P_OK once it is on disk; VIXP2P_ERR_INVALID without a snapshot callback and vixp2p_values_keep(); VIXP2P_ERR_LOG if the
 *         callback or the disk fails; VIXP2P_ERR_STOPPED; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_snapshot_make(struct vixp2p_node *node);

/**
 * Lets go of the records that the newest snapshot here holds and that every trusted peer heard of within replica_lease_ms has; past
 * log_max_bytes also of such that some lack (VIXP2P_EVENT_SNAPSHOT_NEEDED). Whole files go; VIXP2P_EVENT_LOG_TRUNCATED tells of each
 * log. Blocks.
 *
 * @param node       the node, running.
 * @param out_bytes  where the bytes that went go; may be NULL.
 * @return VIXP2P_OK; VIXP2P_ERR_LOG or VIXP2P_ERR_IO if the disk refuses; VIXP2P_ERR_STOPPED; VIXP2P_ERR_WOULD_DEADLOCK from inside
 *         a callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_log_truncate(struct vixp2p_node *node,
                                       uint64_t *out_bytes);

/**
 * Snapshots that lie here, the latest first.
 *
 * @param node         the node, running or not.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_snapshot_info).
 * @param inout_count  places in the array; becomes the number of snapshots, at most 4.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_snapshot_list(const struct vixp2p_node *node,
                                        struct vixp2p_snapshot_info *infos,
                                        size_t info_size,
                                        size_t *inout_count);

/**
 * Writes the next bytes of the program's state.
 *
 * @param writer  as the write callback got it.
 * @param data    the bytes.
 * @param len     how many.
 * @return VIXP2P_OK; VIXP2P_ERR_IO if the disk refuses or the state is too large: the callback then returns, and no snapshot is made.
 */
VIXP2P_API
enum vixp2p_status vixp2p_snapshot_write(struct vixp2p_snapshot_writer *writer,
                                         const void *data,
                                         size_t len);

/**
 * Reads the next bytes of a state.
 *
 * @param reader   as the read callback got it.
 * @param out      where they go.
 * @param size     how many fit, at least 1.
 * @param out_len  how many came: less than size only at the end.
 * @return VIXP2P_OK; VIXP2P_EMPTY at the end, with *out_len 0; VIXP2P_ERR_IO if the disk refuses or its bytes are damaged: the
 *         callback then returns anything but 0.
 */
VIXP2P_API
enum vixp2p_status vixp2p_snapshot_read(struct vixp2p_snapshot_reader *reader,
                                        void *out,
                                        size_t size,
                                        size_t *out_len);

/**
 * How far a state goes: the logs it has taken in.
 *
 * @param reader       as the read callback got it.
 * @param places       where they go; NULL to ask for their number.
 * @param inout_count  how many fit; how many there are.
 * @return VIXP2P_OK; VIXP2P_ERR_BUFFER_TOO_SMALL with the number in *inout_count; VIXP2P_ERR_INVALID.
 */
VIXP2P_API
enum vixp2p_status vixp2p_snapshot_places(struct vixp2p_snapshot_reader *reader,
                                          struct vixp2p_snapshot_place *places,
                                          size_t *inout_count);

/**
 * The text of the calling thread's last failed call: function, argument, value and cause in one sentence.
 *
 * A successful call does not clear it.
 *
 * @return a string that stays valid until the next failing call of this thread, or NULL if no call failed.
 */
VIXP2P_API const char *vixp2p_last_error_message(void);

/**
 * The status of the calling thread's last failed call.
 *
 * @return a negative status, or VIXP2P_OK if no call failed.
 */
VIXP2P_API enum vixp2p_status vixp2p_last_error_code(void);

/**
 * What a status means, in a few words. For the cause of one failure see vixp2p_last_error_message().
 *
 * @param status  a #vixp2p_status; any number may be given.
 * @return a static string; never NULL.
 */
VIXP2P_API const char *vixp2p_status_str(int32_t status);

/**
 * Follows logs: this node's own and those it carries, from any place on, live afterwards. Records of one log come in order, each when
 * it is durable here, applied or not, and none but the outbox's own is left out; between logs there is no order. What is not taken waits in the log's files
 * and costs no memory; nobody remembers how far a subscription came but vixp2p_subscription_cursor().
 *
 * @param node     a running node. When it stops the subscription ends; vixp2p_subscription_next() then says VIXP2P_ERR_STOPPED.
 * @param cursors  where logs begin; may be NULL if count is 0.
 * @param count    how many.
 * @param flags    0: the logs named and no others; VIXP2P_SUBSCRIBE_ALL, VIXP2P_SUBSCRIBE_NEW, joined with |.
 * @param out      where the subscription goes; NULL there on failure.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID, VIXP2P_ERR_UNSUPPORTED for unknown flags, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_subscribe(struct vixp2p_node *node,
                                         const struct vixp2p_cursor *cursors,
                                         size_t count,
                                         uint32_t flags,
                                         struct vixp2p_subscription **out);

/**
 * Takes the next record, and waits for it. Of several threads in it each record goes to one.
 *
 * @param subscription  the subscription.
 * @param timeout_ms    how long to wait for a record to come; -1 for ever, 0 not at all (the disk is read in any case).
 * @param out           where a pointer to the record goes; it and its data are valid until the next call of this function, or
 *                      vixp2p_subscription_free(), for this subscription, and if that comes from another thread at least until
 *                      this thread calls this function again. NULL there if there is none.
 * @return VIXP2P_OK; VIXP2P_EMPTY (0 given) or VIXP2P_TIMEOUT; VIXP2P_ERR_TRUNCATED once where records are not kept any more, the
 *         text says which, after which the next call goes on behind them; VIXP2P_ERR_STOPPED once the node stops or the subscription is freed
 *         meanwhile; VIXP2P_ERR_WOULD_DEADLOCK from inside a callback if timeout_ms is not 0, or from the log callback.
 */
VIXP2P_API
enum vixp2p_status vixp2p_subscription_next(struct vixp2p_subscription *subscription,
                                            int32_t timeout_ms,
                                            const struct vixp2p_record **out);

/**
 * A descriptor for poll, select, epoll or an event loop: readable when vixp2p_subscription_next() may have a record, or has an error
 * to tell; not readable after it has answered VIXP2P_EMPTY, until there may be more. Level-triggered. Do not read, write or close it.
 *
 * @param subscription  the subscription.
 * @return the descriptor, valid until the subscription is freed, or -1; vixp2p_last_error_code() then says why.
 */
VIXP2P_API
int vixp2p_subscription_fd(const struct vixp2p_subscription *subscription);

/**
 * Where each log goes on: what vixp2p_node_subscribe() takes to go on here another time, in this or another life of the program.
 *
 * @param subscription  the subscription.
 * @param cursors       an array to fill; may be NULL if *inout_count is 0.
 * @param inout_count   places in the array; becomes the number of logs.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_subscription_cursor(const struct vixp2p_subscription *subscription,
                                              struct vixp2p_cursor *cursors,
                                              size_t *inout_count);

/**
 * Ends a subscription and frees it with the record it gave last. A call of vixp2p_subscription_next() that waits in another thread
 * answers VIXP2P_ERR_STOPPED.
 *
 * @param subscription  the subscription; NULL is ignored.
 */
VIXP2P_API
void vixp2p_subscription_free(struct vixp2p_subscription *subscription);

/**
 * A barrier: blocks until every record that was accepted before is durable. Only under VIXP2P_DURABILITY_BUFFERED is there anything
 * to wait for.
 *
 * @param node         the node, running or not.
 * @param out_durable  where the number of the last durable record of its log goes; may be NULL.
 * @return VIXP2P_OK; VIXP2P_ERR_LOG if the disk refuses (what was accepted is kept and tried again); VIXP2P_ERR_STOPPED while
 *         stopping; VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_flush(struct vixp2p_node *node,
                                     uint64_t *out_durable);

/**
 * Blocks until peers have a record and all before it. What a peer said counts while this waits, whether or not it is connected
 * afterwards.
 *
 * @param node         a running node.
 * @param log          which log; see vixp2p_node_own_log().
 * @param seq          the record.
 * @param peers        whose word is waited for; NULL: any peers, so many as count says.
 * @param count        how many. 0: only until the record is durable here.
 * @param level        VIXP2P_ACK_DURABLE or VIXP2P_ACK_APPLIED.
 * @param timeout_ms   how long to wait; -1 for ever, 0 only looks.
 * @param out_reached  where the number of peers that have the record goes; may be NULL. Written also at VIXP2P_TIMEOUT.
 * @return VIXP2P_OK; VIXP2P_TIMEOUT; VIXP2P_ERR_STOPPED once the node stops; VIXP2P_ERR_INVALID; VIXP2P_ERR_WOULD_DEADLOCK from
 *         inside a callback if timeout_ms is not 0; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_wait_ack(struct vixp2p_node *node,
                                        const struct vixp2p_log_id *log,
                                        uint64_t seq,
                                        const struct vixp2p_peer_id *peers,
                                        size_t count,
                                        uint32_t level,
                                        int32_t timeout_ms,
                                        size_t *out_reached);

/**
 * How far every log is here and at every connected peer, and how far each is behind. A line about this node stands before the lines
 * about peers of the same log; the log this node appends to comes first. Waits for the disk.
 *
 * @param node         the node, running or not.
 * @param states       an array to fill; may be NULL if *inout_count is 0.
 * @param state_size   sizeof(vixp2p_sync_state).
 * @param inout_count  places in the array; becomes the number of lines. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), VIXP2P_ERR_WOULD_DEADLOCK
 *         from the log callback, or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_sync_status(const struct vixp2p_node *node,
                                           struct vixp2p_sync_state *states,
                                           size_t state_size,
                                           size_t *inout_count);

/**
 * Every endpoint a running node dials, then every other one where its last attempt failed: what to look at when a peer is missing.
 *
 * @param node         the node.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_target_info).
 * @param inout_count  places in the array; becomes the number of targets. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_targets(const struct vixp2p_node *node,
                                       struct vixp2p_target_info *infos,
                                       size_t info_size,
                                       size_t *inout_count);

/**
 * Wants a link to an address, now and again after every loss, until vixp2p_node_disconnect(). Returns at once; events tell the
 * rest: VIXP2P_EVENT_PEER_CONNECTED, or VIXP2P_EVENT_CONNECT_FAILED with the time of the next attempt.
 *
 * @param node      a running node.
 * @param endpoint  "host:port" or "tcp://host:port", an IPv6 address in brackets.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_connect(struct vixp2p_node *node,
                                       const char *endpoint);

/**
 * Ends the link to a peer, if there is one, and stops dialling it.
 *
 * @param node  a running node.
 * @param peer  whom.
 * @return VIXP2P_OK, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_disconnect(struct vixp2p_node *node, const struct vixp2p_peer_id *peer);

/**
 * Stops dialling an address, also one where nobody ever answered. A link that stands stays.
 *
 * @param node      a running node.
 * @param endpoint  the address, as given to vixp2p_node_connect().
 * @return VIXP2P_OK, also for an address that is not being dialled, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_forget_endpoint(struct vixp2p_node *node, const char *endpoint);

/**
 * Tells that the network is another one: an interface came or went, the machine woke up. Every link is asked for a sign of life and
 * closed without one within two seconds, and what is not connected is dialled at once, however often that failed before.
 *
 * @param node  a running node.
 * @return VIXP2P_OK, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_network_changed(struct vixp2p_node *node);

/**
 * Agrees on fresh keys with a connected peer, ahead of time: whoever stole the keys in use can open nothing that is sent
 * afterwards. VIXP2P_EVENT_FRESH_KEYS tells when both directions use them.
 *
 * @param node  a running node.
 * @param peer  whom.
 * @return VIXP2P_OK, VIXP2P_ERR_NOT_CONNECTED, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_rekey(struct vixp2p_node *node,
                                     const struct vixp2p_peer_id *peer);

/**
 * Queues a message to a connected peer. Messages to one peer arrive in order, each at most once, as long as the link stands;
 * what must survive a lost link belongs into the log.
 *
 * @param node  a running node.
 * @param peer  whom.
 * @param data  the message; may be NULL if len is 0.
 * @param len   its length, at most 16 MiB.
 * @return VIXP2P_OK; VIXP2P_ERR_WOULD_BLOCK if the queue is full (nothing was taken, try again later);
 *         VIXP2P_ERR_NOT_CONNECTED, VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_send(struct vixp2p_node *node,
                                    const struct vixp2p_peer_id *peer,
                                    const void *data,
                                    size_t len);

/**
 * Queues a message to every connected peer whose queue has room.
 *
 * @param node        a running node.
 * @param data        the message; may be NULL if len is 0.
 * @param len         its length, at most 16 MiB.
 * @param out_queued  where the number of peers whose queue took it goes; may be NULL.
 * @return VIXP2P_OK (even if no peer took it), VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_broadcast(struct vixp2p_node *node,
                                         const void *data,
                                         size_t len,
                                         size_t *out_queued);

/**
 * As vixp2p_node_connect(), but takes no other answer than from one key: whoever else answers is refused, and this node's
 * identity is not shown to them. Under #VIXP2P_TRUST_PINNED that is enough to trust the peer on this link.
 *
 * @param node      a running node.
 * @param endpoint  "host:port" or "tcp://host:port", an IPv6 address in brackets.
 * @param peer      the key.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID, VIXP2P_ERR_STOPPED or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_connect_peer(struct vixp2p_node *node,
                                            const char *endpoint,
                                            const struct vixp2p_peer_id *peer);

/**
 * Trusts a key from now on, also one that was revoked. Standing links follow at once. This and the next two work whether the
 * node runs or not, are kept in the file known_peers of the data directory, and return when that is durable.
 *
 * @param node   the node.
 * @param peer   the key.
 * @param label  for people, at most 255 bytes of UTF-8; NULL or "" leaves the label as it is. Under #VIXP2P_TRUST_TOFU no other
 *               key may use it as its node_id.
 * @return VIXP2P_OK; VIXP2P_ERR_INVALID, VIXP2P_ERR_UTF8, VIXP2P_ERR_TOO_LARGE (label, or too many keys); VIXP2P_ERR_IO if
 *         nothing could be kept, and then nothing has changed.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_trust(struct vixp2p_node *node,
                                     const struct vixp2p_peer_id *peer,
                                     const char *label);

/**
 * Refuses a key for good under every policy, and its proven successors unless they are trusted by vixp2p_node_trust(). A link
 * that stands is closed.
 *
 * @param node  the node.
 * @param peer  the key.
 * @return VIXP2P_OK, VIXP2P_ERR_TOO_LARGE, VIXP2P_ERR_IO or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_revoke(struct vixp2p_node *node,
                                      const struct vixp2p_peer_id *peer);

/**
 * Forgets a key, as if it had never been met. A link that stood on its being trusted is closed.
 *
 * @param node  the node.
 * @param peer  the key.
 * @return VIXP2P_OK, VIXP2P_EMPTY if the key is not listed, VIXP2P_ERR_IO or another error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_forget_peer(struct vixp2p_node *node, const struct vixp2p_peer_id *peer);

/**
 * Every key that is trusted, pinned or revoked, in the order of the keys; also of a node that does not run.
 *
 * @param node         the node.
 * @param infos        an array to fill; may be NULL if *inout_count is 0.
 * @param info_size    sizeof(vixp2p_trust_info).
 * @param inout_count  places in the array; becomes the number of keys. It may have grown before the next call: give spare room.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_trust_list(const struct vixp2p_node *node,
                                          struct vixp2p_trust_info *infos,
                                          size_t info_size,
                                          size_t *inout_count);

/**
 * Writes a peer id as 64 lower-case hex digits and a terminating zero.
 *
 * @param id        the peer id.
 * @param out       where the text goes.
 * @param out_size  bytes there; #VIXP2P_PEER_ID_HEX_SIZE are needed, with fewer nothing is written.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL or VIXP2P_ERR_INVALID.
 */
VIXP2P_API enum vixp2p_status vixp2p_peer_id_to_hex(const struct vixp2p_peer_id *id, char *out, size_t out_size);

/**
 * Reads a peer id from 64 hex digits of either case.
 *
 * @param hex  the text, zero-terminated.
 * @param out  where the peer id goes; unchanged on failure.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID or VIXP2P_ERR_UTF8.
 */
VIXP2P_API enum vixp2p_status vixp2p_peer_id_from_hex(const char *hex, struct vixp2p_peer_id *out);

/**
 * Has a node keep the last value of each key, over all nodes that share records: a ready-made state for programs that want none of
 * their own. Every node of the cluster is to keep it. The later change wins by the clock of whoever made it, and always over what it had
 * seen. It takes the place of the apply, cursor and snapshot callbacks, is replicated, in snapshots, and there again after a restart (the
 * file values of the data directory). All of it is in memory.
 *
 * @param node  the node, before its first start, without apply, cursor and snapshot callbacks; they cannot be given to it later.
 * @return VIXP2P_OK; VIXP2P_ALREADY; VIXP2P_ERR_INVALID if the node runs or has one of the callbacks; VIXP2P_ERR_IO or VIXP2P_ERR_LOG if
 *         the file or the log cannot be read, or lacks records that are not kept any more.
 */
VIXP2P_API
enum vixp2p_status vixp2p_values_keep(struct vixp2p_node *node);

/**
 * Gives a key a value. Blocks as vixp2p_node_append() does, until it is durable here, whatever options.durability says; it is on its way to the
 * others then, or goes there once the node runs.
 *
 * @param node       a node that keeps values, running or not.
 * @param key        the key; may be NULL if key_len is 0.
 * @param key_len    its length, at most 65535.
 * @param value      the value; may be NULL if value_len is 0.
 * @param value_len  its length, at most 1 MiB together with the key, less 15 bytes.
 * @return VIXP2P_OK; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_LOG if the disk refuses; VIXP2P_ERR_STOPPED while the node stops; VIXP2P_ERR_INVALID for a node
 *         without vixp2p_values_keep(); VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_values_put(struct vixp2p_node *node,
                                     const void *key,
                                     size_t key_len,
                                     const void *value,
                                     size_t value_len);

/**
 * Takes a key's value away, everywhere. Blocks as vixp2p_values_put() does.
 *
 * @param node     a node that keeps values, running or not.
 * @param key      the key; may be NULL if key_len is 0. It need not have a value.
 * @param key_len  its length, at most 65535.
 * @return as vixp2p_values_put().
 */
VIXP2P_API enum vixp2p_status vixp2p_values_remove(struct vixp2p_node *node, const void *key, size_t key_len);

/**
 * The value of a key, of a node that runs or does not. Waits while a snapshot is written or read.
 *
 * @param node       a node that keeps values.
 * @param key        the key; may be NULL if key_len is 0.
 * @param key_len    its length.
 * @param out        where the value goes; may be NULL if *inout_len is 0.
 * @param inout_len  bytes that fit at out; becomes the length of the value, 0 if there is none.
 * @return VIXP2P_OK; VIXP2P_EMPTY if the key has no value; VIXP2P_ERR_BUFFER_TOO_SMALL, and nothing is written to out;
 *         VIXP2P_ERR_INVALID; VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_values_get(struct vixp2p_node *node,
                                     const void *key,
                                     size_t key_len,
                                     void *out,
                                     size_t *inout_len);

/**
 * The next key that has a value, in the order of the keys' bytes. To go through all of them: begin with NULL, then give the key that came
 * last; what others change meanwhile is seen or not, and nothing comes twice. Waits as vixp2p_values_get() does.
 *
 * @param node       a node that keeps values.
 * @param after      the key before; NULL: the first key is wanted.
 * @param after_len  its length.
 * @param out        where the key goes; may be after, or NULL if *inout_len is 0.
 * @param inout_len  bytes that fit at out (65535 are always enough); becomes the length of the key, 0 if there is none.
 * @return VIXP2P_OK; VIXP2P_EMPTY if there is none; VIXP2P_ERR_BUFFER_TOO_SMALL, and nothing is written to out; VIXP2P_ERR_INVALID;
 *         VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_values_next_key(struct vixp2p_node *node,
                                          const void *after,
                                          size_t after_len,
                                          void *out,
                                          size_t *inout_len);

/**
 * The library's version as text, such as "0.1.0".
 *
 * @return a static string; never NULL.
 */
VIXP2P_API const char *vixp2p_version(void);

/**
 * The library's version as a number that can be compared: major << 16 | minor << 8 | patch.
 *
 * @return the number; compare it with #VIXP2P_VERSION_NUMBER of the header.
 */
VIXP2P_API uint32_t vixp2p_version_number(void);

/**
 * The library's ABI: the number in its SONAME << 16 | a revision that grows when something is added.
 *
 * A program may use a library with the same upper half and a revision that is not smaller; #VIXP2P_CHECK_ABI says so.
 *
 * @return the number; compare it with #VIXP2P_ABI_VERSION of the header.
 */
VIXP2P_API uint32_t vixp2p_abi_version(void);

/**
 * Appends a record to this node's log and blocks until it is durable, or accepted if vixp2p_node_options.durability says so. Peers get it now or when they next meet this node or
 * another that has it. A node that is created but not running keeps its log too.
 *
 * Allowed from callbacks, but for the log callback.
 *
 * @param node     the node.
 * @param data     the record; may be NULL if len is 0.
 * @param len      its length, at most 1 MiB.
 * @param out_seq  where the record's number goes; may be NULL.
 * @return VIXP2P_OK; VIXP2P_ERR_TOO_LARGE; VIXP2P_ERR_LOG if the disk refuses; VIXP2P_ERR_STOPPED while stopping;
 *         VIXP2P_ERR_WOULD_DEADLOCK from the log callback; another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_append(struct vixp2p_node *node,
                                      const void *data,
                                      size_t len,
                                      uint64_t *out_seq);

/**
 * Appends records in order and blocks until all are durable (or accepted): as vixp2p_node_append(), with one wait for the disk.
 *
 * @param node       the node.
 * @param records    the records, each at most 1 MiB.
 * @param count      how many, at least 1.
 * @param out_first  where the first record's number goes; may be NULL.
 * @param out_last   where the last record's number goes; may be NULL.
 * @return as vixp2p_node_append(); on failure none of them is acknowledged.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_append_batch(struct vixp2p_node *node,
                                            const struct vixp2p_slice *records,
                                            size_t count,
                                            uint64_t *out_first,
                                            uint64_t *out_last);

/**
 * vixp2p_node_append_batch() that also says which log the records are in. Only the log and the number together name a record: a
 * node that was set back goes on in another log. What vixp2p_node_wait_ack() and vixp2p_subscription_cursor() take.
 *
 * @param node       the node.
 * @param records    the records, each at most 1 MiB.
 * @param count      how many, at least 1.
 * @param out_log    where the log's id goes; may be NULL.
 * @param out_first  where the first record's number goes; may be NULL.
 * @param out_last   where the last record's number goes; may be NULL.
 * @return as vixp2p_node_append_batch().
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_append_records(struct vixp2p_node *node,
                                              const struct vixp2p_slice *records,
                                              size_t count,
                                              struct vixp2p_log_id *out_log,
                                              uint64_t *out_first,
                                              uint64_t *out_last);

/**
 * Tells where the application stands: the last record of a log that has taken effect in its own store. It replaces the library's
 * own note of that, back as well as forth; a program that keeps the number in the same transaction as the effect applies every
 * record exactly once.
 *
 * @param node  a node that was created and not started yet, or was stopped.
 * @param log   which log; one that this node has never seen is accepted if seq is 0.
 * @param seq   the record's number; 0: none yet.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID while the node runs, VIXP2P_ERR_LOG, or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_set_applied(struct vixp2p_node *node,
                                           const struct vixp2p_log_id *log,
                                           uint64_t seq);

/**
 * Has a parked log go on, running or not: the record that the apply callback called poison is offered once more, or skipped.
 *
 * In causal mode a log that waits (vixp2p_sync_state.waits) gives up what its status shows it to wait for, if skip is not 0, and no
 * record is skipped: for records that will never come. What else it lacks it still waits for, and shows next.
 *
 * @param node  the node.
 * @param log   which log, as VIXP2P_EVENT_APPLY_PARKED named it.
 * @param skip  0: offer the record again; anything else: it counts as applied although it had no effect. A program with a cursor
 *              callback moves its own number past the record as well.
 * @return VIXP2P_OK, VIXP2P_ERR_INVALID if the log is not parked and does not wait, or another error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_apply_resume(struct vixp2p_node *node,
                                            const struct vixp2p_log_id *log,
                                            int32_t skip);

/**
 * The log this node appends to.
 *
 * @param node  the node.
 * @param out   where the log id goes.
 * @return VIXP2P_OK or an error.
 */
VIXP2P_API enum vixp2p_status vixp2p_node_own_log(const struct vixp2p_node *node, struct vixp2p_log_id *out);

/**
 * How far every log has come here: this node's and those it carries for others.
 *
 * @param node         the node.
 * @param states       an array to fill; may be NULL if *inout_count is 0.
 * @param state_size   sizeof(vixp2p_log_state).
 * @param inout_count  places in the array; becomes the number of logs.
 * @return VIXP2P_OK, VIXP2P_ERR_BUFFER_TOO_SMALL (as many as fit were written, and the number needed), or an error.
 */
VIXP2P_API
enum vixp2p_status vixp2p_node_logs(const struct vixp2p_node *node,
                                    struct vixp2p_log_state *states,
                                    size_t state_size,
                                    size_t *inout_count);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VIXP2P_H */


/* The library's int is an int: no -fshort-enums. */
#if defined(__cplusplus)
#if __cplusplus >= 201103L
static_assert(sizeof(vixp2p_status) == 4 && sizeof(vixp2p_event_kind) == 4, "compile without -fshort-enums");
#endif
#elif defined(__STDC_VERSION__)
#if __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(vixp2p_status) == 4 && sizeof(vixp2p_event_kind) == 4, "compile without -fshort-enums");
#endif
#endif
