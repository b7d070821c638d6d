//! Everything that goes into a mesh and everything that comes out: no other way in or out.
//!
//! `Display` of both is the trace format of the simulator and of `--log-level trace`.

mod snapshot;
mod text;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::answer::Answers;
use crate::base::endpoint::Source;
use crate::base::{CloseReason, Endpoint, Event, HandshakeStage, LinkId, LogId, LogRange, PeerId, TrustTable};
use crate::sync::{Cause, Group};
use crate::wire::Message;
use crate::wire::message::{Parcel, ParcelId};

pub use crate::base::PeerInfo;
pub use crate::sync::{Compared, SealRecord};
pub use crate::wire::Inbound;
pub use snapshot::{Examined, Kept, Place, SnapshotInput, SnapshotOutput};

/// What happened, told by a carrier.
#[derive(Clone, Debug)]
pub enum Input {
    /// The application wants a link to `endpoint`, now and again after every loss, until `disconnect`. One that nobody asked for
    /// (`manual` is false) is dialled once, and once after a loss: who named it names it again.
    Connect {
        /// Where.
        endpoint: Endpoint,
        /// Asked for by a person or program (`true`), or by discovery and the like (`false`).
        manual: bool,
        /// The only key that will do there, if one is named.
        expected: Option<PeerId>,
    },
    /// Discovery has found somebody: a `Connect` that nobody asked for, at the rate of `DISCOVERY_RUMOUR_DIAL_EVERY` together with what
    /// `Heard` brings forward, unless it is proven.
    Found {
        /// Where.
        endpoint: Endpoint,
        /// Whoever announces itself there knows the cluster's secret.
        proven: bool,
    },
    /// Somebody announces itself: a dial that waits there is made now, a few times; a link that may be dead is asked.
    Heard {
        /// Where.
        endpoint: Endpoint,
        /// For the first time, as another run, or after a silence.
        fresh: bool,
        /// As another run than before.
        restarted: bool,
        /// Whoever announces itself there knows the cluster's secret.
        proven: bool,
    },
    /// The application wants no link to that peer (and no redial of its endpoint).
    Disconnect {
        /// Whom.
        peer: PeerId,
    },
    /// The application wants that endpoint dialled no more; a link that stands stays.
    Forget {
        /// Where.
        endpoint: Endpoint,
    },
    /// The network is another one: standing links are asked whether they live, and everything else is dialled again.
    NetworkChanged,
    /// The application wants fresh keys towards that peer.
    Rekey {
        /// Whom.
        peer: PeerId,
    },
    /// Whom a dialled link leads to is proven, and that peer has a link to this node already: `DialFailed` follows.
    Reached {
        /// The number the mesh gave in `Output::Dial`.
        link: LinkId,
        /// Who is there.
        peer: PeerId,
    },
    /// A dialled connection could not be opened, or its handshake failed.
    DialFailed {
        /// The number the mesh gave in `Output::Dial`.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Somebody connected; the handshake begins. If there are too many, the mesh closes another one as `Busy`.
    Accepted {
        /// The number the carrier took from [`crate::mesh::Mesh::next_link`].
        link: LinkId,
        /// The other end's address.
        endpoint: Endpoint,
        /// What it is counted by.
        source: Source,
    },
    /// The Hello on an accepted connection passed: whoever is there knows the cluster's secret, if it has one.
    HelloPassed {
        /// Which link.
        link: LinkId,
    },
    /// A handshake has come further; for those who look. `Dialled`, `HelloPassed` and `Authenticated` say the other stages.
    Stage {
        /// Which link.
        link: LinkId,
        /// How far.
        stage: HandshakeStage,
    },
    /// Somebody connects, and the carrier has no descriptor for it: an accepted connection that is silent is to be closed.
    Crowded,
    /// A dialled connection is open; the handshake begins.
    Dialled {
        /// The number the mesh gave.
        link: LinkId,
    },
    /// The handshake ended well. An inbound peer waits for `Welcome` or `Close`. A key that is to be pinned has been: the carrier
    /// told the table that has it before.
    Authenticated {
        /// Which link.
        link: LinkId,
        /// Who is there.
        peer: PeerInfo,
    },
    /// What arrived on an authenticated link, in order.
    Received {
        /// Which link.
        link: LinkId,
        /// One or more things.
        items: Vec<Inbound>,
    },
    /// This node has stopped reading an authenticated link because its application is behind (`unread`), or reads it again.
    Unread {
        /// Which link.
        link: LinkId,
        /// Whether it is not read.
        unread: bool,
    },
    /// A link that was accepted, dialled or authenticated is gone.
    LinkClosed {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Groups are durable in the log here: own appends, or groups stored by `Output::Store`.
    Durable {
        /// In order, of one log.
        groups: Vec<Group>,
    },
    /// A `Store` was refused by the log: false seal, broken chain, fork, disk.
    StoreFailed {
        /// The link the groups came from.
        link: LinkId,
        /// Which log.
        log: LogId,
        /// What the log holds durable now.
        durable: u64,
        /// Why; one that `blames_peer` closes the link, another is retried by a later push.
        reason: CloseReason,
    },
    /// Instead of `StoreFailed`: the pushed group is rightly sealed but contradicts what is durable here. The log is frozen
    /// here from now on; no peer is to blame but the origin.
    Forked {
        /// The link the group came from.
        link: LinkId,
        /// Which log.
        log: LogId,
        /// The first record in doubt.
        seq: u64,
        /// What was seen, for people.
        detail: String,
    },
    /// Instead of `StoreFailed`: the pushed group does not follow what is here although its origin sealed it. Nothing more of that
    /// log is taken from that peer.
    Diverged {
        /// The link the group came from.
        link: LinkId,
        /// Which log.
        log: LogId,
    },
    /// The answer to `Output::Read`: whole groups from the asked record on; empty if there is nothing (or reading failed).
    ReadDone {
        /// For which link.
        link: LinkId,
        /// Which log.
        log: LogId,
        /// In order.
        groups: Vec<Group>,
    },
    /// The answer to `Output::LastSeals`.
    LastSeals {
        /// Of each log, if it could be read.
        seals: Vec<(LogId, Option<SealRecord>)>,
    },
    /// The answer to `Output::Compare`. If the log has two histories, `Forked` comes before; if this node was set back, `Renewed`.
    Compared {
        /// Who showed it.
        link: LinkId,
        /// Of which log.
        log: LogId,
        /// The seal.
        seal: SealRecord,
        /// What came of it.
        verdict: Box<Compared>,
    },
    /// The application has applied the log up to here.
    Applied {
        /// Which log.
        log: LogId,
        /// Highest applied record.
        seq: u64,
    },
    /// The application refused this record for now.
    ApplyRefused {
        /// Which log.
        log: LogId,
        /// The refused record.
        seq: u64,
    },
    /// This record was not given to the application (`Mesh::may_apply`): it comes after others, which are not applied here yet.
    ApplyWaits {
        /// Which log.
        log: LogId,
        /// The record; those before it are applied.
        seq: u64,
        /// What it lacks.
        causes: Vec<Cause>,
    },
    /// The application cannot apply this record and says that it never can: the log is parked there.
    ApplyPoisoned {
        /// Which log.
        log: LogId,
        /// The record.
        seq: u64,
    },
    /// The application wants a parked log to go on: with the record it is parked at once more, or behind it. Of one that waits (`ApplyWaits`)
    /// `skip` gives up what it is shown to wait for, and nothing else it may lack.
    ApplyResume {
        /// Which log.
        log: LogId,
        /// Whether the record counts as applied although it had no effect.
        skip: bool,
    },
    /// This node goes on appending in a new log: it was restored from an old copy and must not use a number twice.
    Renewed {
        /// The new log, still empty.
        log: LogId,
    },
    /// The application asks a connected peer where operations for a node lie; `Event::OutboxHeld` follows if it answers.
    PullOutbox {
        /// Whom.
        peer: PeerId,
        /// For whom.
        target: PeerId,
        /// Operations at most.
        max_items: u32,
    },
    /// The answer to `Event::OutboxPulled`.
    TellHeld {
        /// Who asked.
        peer: PeerId,
        /// For whom.
        target: PeerId,
        /// Where operations lie.
        ranges: Vec<LogRange>,
    },
    /// Keys were trusted, revoked, pinned or forgotten. A table older than the last one changes nothing.
    Trust {
        /// What holds from now on, for links that stand as well.
        table: Arc<TrustTable>,
    },
    /// The application sends a message to a peer, connected or not. Refused as `Undelivered` if it does not fit.
    Post {
        /// Its number, never used before in this mesh's life.
        number: u64,
        /// For whom; not this node itself.
        to: PeerId,
        /// At most `limits::ROUTED_MAX_BYTES`.
        payload: Bytes,
        /// How long it is tried.
        life: Duration,
    },
    /// The application says by which neighbour a peer is reached, or that it says so no longer.
    RouteTo {
        /// Whom.
        to: PeerId,
        /// The neighbour, and the links a message may pass.
        way: Option<(PeerId, u8)>,
    },
    /// The answer to `Output::Seal`.
    Sealed {
        /// Which message.
        number: u64,
        /// The run of the recipient it was sealed for.
        to_run: u64,
        /// The parcel and what it is answered with; `None`: the recipient's id is no key.
        sealed: Option<(Bytes, Answers)>,
    },
    /// The answer to `Output::Open`.
    Opened {
        /// Which parcel.
        ticket: u64,
        /// Payload and answers; `None`: it is not what it is said to be.
        opened: Option<(Bytes, Answers)>,
    },
    /// A `Send` of a parcel found the link's queue full: it was not sent.
    Unsent {
        /// Which copy.
        id: ParcelId,
    },
    /// Of snapshots.
    Snapshot(SnapshotInput),
    /// `deadline()` has come.
    Tick,
}

/// What a carrier is to do, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Open a connection; answer `Dialled` and later `Authenticated`, or `DialFailed`.
    Dial {
        /// The link's number.
        link: LinkId,
        /// Where.
        endpoint: Endpoint,
        /// The only key that will do there, for the dialler to insist on before it shows its own.
        expected: Option<PeerId>,
    },
    /// Send on an authenticated link (for an inbound one the first is `Welcome`).
    Send {
        /// Which link.
        link: LinkId,
        /// What.
        message: Message,
    },
    /// Tell the peer the reason (if the link is authenticated), flush, close; then `LinkClosed`. A link closed as `Duplicate` is read on
    /// until the other end is done too, or `HANDOVER_GRACE` is over: what the peer sent before it knew is not lost.
    Close {
        /// Which link.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Go on under the next keys on an authenticated link.
    Rekey {
        /// Which link.
        link: LinkId,
        /// Agree on them with the peer; otherwise the sending direction steps by itself.
        fresh: bool,
    },
    /// Application traffic to this peer goes through this link from now on.
    Route {
        /// Whom.
        peer: PeerId,
        /// `None`: no link any more.
        link: Option<LinkId>,
    },
    /// Tell the application.
    Event(Event),
    /// Verify and make durable; answer `Durable`, `StoreFailed` or `Forked`, also when the link has gone meanwhile. The groups
    /// of a log come in order, each after the one before it. A group the log has already is answered by `Durable`.
    Store {
        /// Where the group came from.
        link: LinkId,
        /// What.
        group: Group,
    },
    /// Read whole groups from `from` on, about `max_bytes`; answer `ReadDone`.
    Read {
        /// For which link.
        link: LinkId,
        /// Which log.
        log: LogId,
        /// First record wanted.
        from: u64,
        /// Stop after the group that passes this.
        max_bytes: usize,
    },
    /// Read the last seal of each of these logs; answer `LastSeals`. One is under way at a time.
    LastSeals {
        /// At most `limits::SEALS_READ_AT_ONCE`.
        logs: Vec<LogId>,
    },
    /// Compare a peer's seal with what is durable of a log; answer `Compared`. One is under way for each link.
    Compare {
        /// Who showed it.
        link: LinkId,
        /// Of which log.
        log: LogId,
        /// The seal.
        seal: SealRecord,
    },
    /// Records `from..=upto` are durable; give them to the application in order, answer `Applied` as it goes (at least once at
    /// the end), or `ApplyRefused` for the first it refuses, or `ApplyWaits`. One is under way per log at a time.
    Apply {
        /// Which log.
        log: LogId,
        /// First record.
        from: u64,
        /// Last record.
        upto: u64,
    },
    /// Note durably that the application stands at `applied` in a log and is stuck at `parked`, or no longer if that is `None`.
    Park {
        /// Which log.
        log: LogId,
        /// Highest applied record.
        applied: u64,
        /// The record it is stuck at.
        parked: Option<u64>,
    },
    /// Seal a message end to end (`crypto::parcel`, `wire::message::route::header`); answer `Sealed`.
    Seal {
        /// Which message.
        number: u64,
        /// For whom.
        to: PeerId,
        /// This node's run.
        from_run: u64,
        /// The recipient's run.
        to_run: u64,
        /// The message.
        payload: Bytes,
    },
    /// Open a parcel to this node; answer `Opened`, the parcels in their order.
    Open {
        /// Names it.
        ticket: u64,
        /// As it came.
        parcel: Parcel,
    },
    /// Do something about snapshots.
    Snapshot(SnapshotOutput),
}
