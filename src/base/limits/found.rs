//! Who is found: discovery on the own networks, registries and their clients.

use std::time::Duration;

// ---- discovery -----------------------------------------------------------------------------------------------------

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
/// Discovered endpoints that only mDNS names, at once: who names them says for how long, so a quarter of the table at most.
pub const DISCOVERED_NAMED_MAX: usize = DISCOVERED_MAX / 4;
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
/// Signs of life of discovered nodes that are passed on in a row: every node of a network speaks within one interval.
pub const DISCOVERY_SIGNS_BURST: u32 = 256;
/// One more of them each time this has passed: a flood is to cost the node's lock two hundred looks a second at most.
pub const DISCOVERY_SIGN_EVERY: Duration = Duration::from_millis(5);
/// Silence of a discovered node, in announcements that did not come, after which the next one is news: two may be lost.
pub const DISCOVERY_MISSED: u32 = 3;
/// An answer to an own announcement older than this (up to twice it) proves nothing.
pub const DISCOVERY_PROOF_MAX_AGE: Duration = Duration::from_secs(5);
/// Runs of nodes whose counters are remembered against replays; the one known longest gives way.
pub const DISCOVERY_RUNS_MAX: usize = 4096;
/// Time between two looks at the interfaces of the machine: what comes up is used within it.
pub const DISCOVERY_RESCAN: Duration = Duration::from_secs(1);
/// Datagrams read from one socket before the others have their turn.
pub const DISCOVERY_BATCH: usize = 64;

/// Nodes that mDNS names at once; past it mDNS ends for this run of the node, because the memory of its cache has no cap of its own.
pub const MDNS_NAMES_MAX: usize = 4096;
/// Records in the cache of mDNS, of whatever names; past it mDNS ends likewise. Five of each node that may be named.
pub const MDNS_RECORDS_MAX: u64 = 20 * 1024;
/// Timers of that cache, 16 bytes each: every repetition of a record adds two that last as long as it was said to. Past it likewise.
pub const MDNS_TIMERS_MAX: u64 = 256 * 1024;
/// Time between two looks at that cache: what comes meanwhile is what one network carries in so long.
pub const MDNS_CACHE_LOOK_EVERY: Duration = Duration::from_secs(1);
/// Addresses of one node that mDNS names and that are used: both families on several interfaces.
pub const MDNS_ADDRESSES_MAX: usize = 8;
/// Label in a service's TXT record, one string of which holds 255 bytes with its key.
pub const MDNS_LABEL_MAX_BYTES: usize = 200;
/// Label in a service's name, of which one part holds 63 bytes with the random rest.
pub const MDNS_NAME_LABEL_MAX_BYTES: usize = 40;
/// Time between two looks at the own networks while mDNS names many.
pub const MDNS_NETWORKS_EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for mDNS to say goodbye.
pub const MDNS_GOODBYE_GRACE: Duration = Duration::from_secs(1);

// ---- registries ----------------------------------------------------------------------------------------------------

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
