//! The trace format: what goes in and out as one line each. Never decides anything.

use std::fmt;

use super::{Compared, Inbound, Input, Output, snapshot};
use crate::wire::Message;
use crate::wire::message::{ParcelId, Verdict};

impl fmt::Display for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Inbound::Data(batch) => write!(f, "data({})", batch.len()),
            Inbound::Message(message) => describe(message, f),
            Inbound::FreshKeys => f.write_str("fresh keys"),
        }
    }
}

/// The short name of a copy of a message.
struct Copy<'a>(&'a ParcelId);

impl fmt::Display for Copy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.0.from.short(), self.0.number, self.0.attempt)
    }
}

fn describe(message: &Message, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match message {
        Message::Ping { .. } => f.write_str("ping"),
        Message::Pong { .. } => f.write_str("pong"),
        Message::Welcome => f.write_str("welcome"),
        Message::Close { code, .. } => write!(f, "close({code})"),
        Message::KeyUpdate(_) => f.write_str("key update"),
        Message::WalPush(m) => write!(f, "push {} {}..={}", m.log, m.seq_begin, m.seq_end),
        Message::WalAck(m) => write!(f, "ack {} durable={} applied={}", m.log, m.durable, m.applied),
        Message::Vector(entries) => write!(f, "vector({})", entries.len()),
        Message::WalNak(m) => write!(f, "nak {} have={}", m.log, m.have),
        Message::Parcel(m) => write!(f, "parcel {} to {} ttl={}", Copy(&m.id), m.to.short(), m.ttl),
        Message::Notice(m) => {
            write!(f, "notice {} ", Copy(&m.id))?;
            match m.verdict {
                Verdict::Received(_) => f.write_str("received"),
                Verdict::Run(_) => f.write_str("another run"),
                other => write!(f, "{other:?}"),
            }
        }
        Message::Search(m) => write!(f, "search {} for {} {:?}", m.origin.short(), m.target.short(), m.step),
        Message::Neighbours(m) => write!(f, "neighbours port={} others={}", m.port, m.others.len()),
        Message::OutboxPull(m) => write!(f, "outbox pull {} max={}", m.target.short(), m.max_items),
        Message::OutboxHeld(m) => write!(f, "outbox held {} ranges={}", m.target.short(), m.ranges.len()),
        Message::SnapshotOffer(m) => write!(f, "offer snapshot {} of {} bytes", m.id.short(), m.size),
        Message::SnapshotDecline(m) => write!(f, "decline {} {:?}", m.id.short(), m.why),
        Message::WalSeal(m) => write!(f, "seal {}", m.log),
        Message::SnapshotFetch(m) => snapshot::describe(&m.id, m.part, None, f),
        Message::SnapshotData(m) => snapshot::describe(&m.id, m.part, Some(m.bytes.as_ref()), f),
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Connect { endpoint, manual, expected: None } => write!(f, "connect {endpoint} manual={manual}"),
            Input::Connect { endpoint, manual, expected: Some(key) } => write!(f, "connect {endpoint}#{} manual={manual}", key.short()),
            Input::Found { endpoint, proven } => write!(f, "found {endpoint} proven={proven}"),
            Input::Heard { endpoint, fresh, restarted, proven } => {
                write!(f, "heard {endpoint} fresh={fresh} restarted={restarted} proven={proven}")
            }
            Input::Disconnect { peer } => write!(f, "disconnect {}", peer.short()),
            Input::Forget { endpoint } => write!(f, "forget {endpoint}"),
            Input::NetworkChanged => f.write_str("network changed"),
            Input::Rekey { peer } => write!(f, "rekey {}", peer.short()),
            Input::Reached { link, peer } => write!(f, "{link} leads to {}", peer.short()),
            Input::DialFailed { link, reason } => write!(f, "{link} dial failed: {reason}"),
            Input::Accepted { link, endpoint, .. } => write!(f, "{link} accepted from {endpoint}"),
            Input::HelloPassed { link } => write!(f, "{link} greeted"),
            Input::Unread { link, unread } => write!(f, "{link} {}", if *unread { "not read" } else { "read again" }),
            Input::Stage { link, stage } => write!(f, "{link} {stage}"),
            Input::Crowded => f.write_str("crowded"),
            Input::Dialled { link } => write!(f, "{link} open"),
            Input::Authenticated { link, peer } => write!(f, "{link} is {} \"{}\"", peer.id.short(), peer.node_id),
            Input::Received { link, items } => {
                write!(f, "{link} <-")?;
                items.iter().try_for_each(|item| write!(f, " [{item}]"))
            }
            Input::LinkClosed { link, reason } => write!(f, "{link} closed: {reason}"),
            Input::Durable { groups } => {
                f.write_str("durable")?;
                groups.iter().try_for_each(|g| write!(f, " {g}"))
            }
            Input::StoreFailed { link, log, durable, reason } => write!(f, "{link} store of {log} failed at {durable}: {reason}"),
            Input::Forked { link, log, seq, detail } => write!(f, "{link} {log} forked at {seq}: {detail}"),
            Input::Diverged { link, log } => write!(f, "{link} {log} goes on differently"),
            Input::ReadDone { link, log, groups } => write!(f, "{link} read {log}: {} groups", groups.len()),
            Input::LastSeals { seals } => write!(f, "last seals of {} logs", seals.len()),
            Input::Compared { link, log, seal, verdict } => {
                let verdict = match verdict.as_ref() {
                    Compared::Fits => "fits",
                    Compared::Unknown => "cannot be compared",
                    Compared::Differs { .. } => "differs",
                    Compared::False(_) => "is false",
                    Compared::Failed(_) => "was not compared",
                };
                write!(f, "{link} seal of {log} at {} {verdict}", seal.last())
            }
            Input::Applied { log, seq } => write!(f, "applied {log} to {seq}"),
            Input::ApplyRefused { log, seq } => write!(f, "apply refused {log} at {seq}"),
            Input::ApplyWaits { log, seq, causes } => {
                write!(f, "apply of {log} waits at {seq}")?;
                causes.iter().try_for_each(|cause| write!(f, " [{cause}]"))
            }
            Input::ApplyPoisoned { log, seq } => write!(f, "apply poisoned {log} at {seq}"),
            Input::ApplyResume { log, skip } => write!(f, "resume {log}{}", if *skip { ", skipping" } else { "" }),
            Input::PullOutbox { peer, target, .. } => write!(f, "pull operations for {} from {}", target.short(), peer.short()),
            Input::TellHeld { peer, target, ranges } => {
                write!(f, "tell {} of {} ranges for {}", peer.short(), ranges.len(), target.short())
            }
            Input::Renewed { log } => write!(f, "own log is now {log}"),
            Input::Trust { table } => write!(f, "trust {} keys, policy {}", table.entries().count(), table.policy()),
            Input::Post { number, to, payload, .. } => write!(f, "post {number} to {}: {} bytes", to.short(), payload.len()),
            Input::RouteTo { to, way: Some((hop, ttl)) } => write!(f, "route to {} by {} ttl={ttl}", to.short(), hop.short()),
            Input::RouteTo { to, way: None } => write!(f, "no route to {}", to.short()),
            Input::Sealed { number, sealed, .. } => write!(f, "sealed {number}: {}", sealed.is_some()),
            Input::Opened { ticket, opened } => write!(f, "opened {ticket}: {}", opened.is_some()),
            Input::Unsent { id } => write!(f, "unsent {}", Copy(id)),
            Input::Snapshot(told) => told.fmt(f),
            Input::Tick => f.write_str("tick"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Dial { link, endpoint, .. } => write!(f, "{link} dial {endpoint}"),
            Output::Send { link, message } => {
                write!(f, "{link} -> [")?;
                describe(message, f)?;
                f.write_str("]")
            }
            Output::Close { link, reason } => write!(f, "{link} close: {reason}"),
            Output::Rekey { link, fresh } => write!(f, "{link} {} keys", if *fresh { "fresh" } else { "next" }),
            Output::Route { peer, link: Some(link) } => write!(f, "route {} via {link}", peer.short()),
            Output::Route { peer, link: None } => write!(f, "route {} gone", peer.short()),
            Output::Event(event) => write!(f, "event: {event}"),
            Output::Store { link, group } => write!(f, "{link} store {group}"),
            Output::Read { link, log, from, max_bytes } => write!(f, "{link} read {log} from {from}, {max_bytes} bytes"),
            Output::LastSeals { logs } => write!(f, "read last seals of {} logs", logs.len()),
            Output::Compare { link, log, seal } => write!(f, "{link} compare seal of {log} at {}", seal.last()),
            Output::Apply { log, from, upto } => write!(f, "apply {log} {from}..={upto}"),
            Output::Park { log, applied, parked: Some(seq) } => write!(f, "park {log} at {seq}, applied to {applied}"),
            Output::Park { log, applied, parked: None } => write!(f, "unpark {log}, applied to {applied}"),
            Output::Seal { number, to, .. } => write!(f, "seal {number} to {}", to.short()),
            Output::Snapshot(wanted) => wanted.fmt(f),
            Output::Open { ticket, parcel } => write!(f, "open {ticket}, {}", Copy(&parcel.id)),
        }
    }
}
