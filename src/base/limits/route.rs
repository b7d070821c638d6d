//! Messages over relays, and addresses told among neighbours.

use std::time::Duration;

/// Payload of a message over a route: with its seal and header it fits one record.
pub const ROUTED_MAX_BYTES: usize = 64 * 1024;
/// A parcel as carried: the largest payload with its seal (145 bytes).
pub const PARCEL_MAX_BYTES: usize = ROUTED_MAX_BYTES + 145;
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
/// Least time between two searches for one peer, and before a copy that follows a hint; each further hint doubles it, up to 16 times.
pub const ROUTE_SEARCH_GAP: Duration = Duration::from_millis(500);
/// How long a neighbour that answered a search and did not get the message there is taken last for a way to that peer.
pub const ROUTE_SILENT: Duration = Duration::from_secs(3 * 60);
/// Next hops known to one peer besides a given one: where one fails, or lies, another is taken.
pub const ROUTE_WAYS_MAX: usize = 8;
/// How long a recipient is thought to have the run that was proven last: a message is not sealed for one that ended long before it.
pub const ROUTE_RUN_FRESH: Duration = Duration::from_secs(60);
/// Times one message is sealed anew at once because its recipient is said to have another run; then after pauses.
pub const RESEALS_MAX: u8 = 4;
/// Copies that have passed and whose way back is remembered; the oldest of the neighbour that brought most gives way.
pub const CRUMBS_MAX: usize = 8192;
/// Notices passed back for one copy; a proof is passed back besides.
pub const CRUMB_NOTICES_MAX: u8 = 4;
/// How long a copy from the same neighbour is one that goes round in a circle; after that it is passed on again, as others are.
pub const CRUMB_LOOPS: Duration = Duration::from_secs(1);
/// Crumbs looked through for a notice that proves nothing, of those under one name.
pub const CRUMBS_WALKED_MAX: usize = 64;
/// Crumbs looked through in a row for proofs of one neighbour that are none, or were told before.
pub const CRUMB_WALK_BURST: u32 = 64 * 1024;
/// One more of them each time this has passed: 100,000 a second, some milliseconds' work.
pub const CRUMB_WALK_EVERY: Duration = Duration::from_micros(10);
/// Searches of others that are remembered; the oldest gives way.
pub const SEARCHES_MAX: usize = 1024;
/// Neighbours that are answered about one search.
pub const SEARCH_ASKERS_MAX: usize = 8;
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
/// What one neighbour has relayed in a row, in KiB, whoever it says sent it: nobody can prove that to a relay. A sender's whole
/// `POSTS_MAX_BYTES` fit, or 1,024 small parcels.
pub const RELAY_BURST_KIB: u32 = 16 * 1024;
/// One more KiB each time this has passed: 12 MiB a second.
pub const RELAY_KIB_EVERY: Duration = Duration::from_micros(80);
/// What a parcel costs besides its own KiB, for what a relay looks up and remembers: so 780 small ones a second, or 154 of the largest.
pub const RELAY_PARCEL_KIB: u32 = 15;
/// How many times as much as is left free one neighbour may have on its way to a next hop: 63 parts of 64 if it is alone. The 64th, 16
/// small parcels, is where others begin; a greater one would be as much more than the next relay takes from this one.
pub const RELAY_SHARE_FACTOR: u64 = 63;
/// The part of what goes to a next hop that this node's own parcels take from those it relays, at most: one of so many.
pub const RELAY_OWN_PART: u64 = 2;
/// What a parcel costs besides, in parcels, that finds the next link full: who fills a link is the first to be kept off it.
pub const RELAY_UNSENT_COST: u32 = 16;
/// The same for one that its recipient refuses, which charges whoever brings such: two a second are passed on.
pub const RELAY_REFUSED_COST: u32 = 400;
/// Neighbours, and pairs of them, whose rate is watched; the one silent longest gives way.
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
