//! Whose turn it is among several addresses of one peer. Never says when a failed one is tried again.

use crate::base::{Endpoint, PeerId, Time, limits};

use super::{Dialer, State, Target};

impl Dialer {
    /// The endpoint to look at next, its peer and the key that was named. What a person asked for comes first. Of several addresses of one
    /// peer IPv6 comes first, then the families take turns (RFC 8305).
    pub(super) fn next_due(&self, now: Time) -> Option<(Endpoint, Option<PeerId>, Option<PeerId>)> {
        let is_due = |target: &Target| matches!(target.state, State::Due(at) if at <= now);
        let due = || self.targets.iter().filter(|(_, target)| is_due(target));
        let first = due().find(|(_, target)| target.manual).or_else(|| due().next())?;
        let of_peer = || self.targets.iter().filter(|(_, t)| t.peer.is_some() && t.peer == first.1.peer);
        let dialled = of_peer().filter(|(_, t)| matches!(t.state, State::Dialling(_))).max_by_key(|(_, t)| t.began);
        let wants_ipv6 = !dialled.is_some_and(|(endpoint, _)| is_ipv6(endpoint));
        let turn = of_peer().filter(|(_, t)| is_due(t)).find(|(endpoint, _)| is_ipv6(endpoint) == wants_ipv6);
        let (endpoint, target) = turn.unwrap_or(first);
        Some((endpoint.clone(), target.peer, target.expected))
    }

    /// From when on another address of `peer` may be dialled: a while after the last one that does not answer, and after the end of one
    /// that does.
    pub(super) fn turn(&self, now: Time, peer: Option<PeerId>) -> Time {
        let under_way = self.targets.values().filter(|t| t.peer.is_some() && t.peer == peer && matches!(t.state, State::Dialling(_)));
        let turn = |t: &Target| if t.open { now + limits::DIAL_DEDUPE_GAP } else { t.began + limits::DIAL_STAGGER };
        under_way.map(turn).max().unwrap_or(now)
    }

    /// A dial to `peer` has failed: what only waited for it is due.
    pub(super) fn next_turn(&mut self, now: Time, peer: Option<PeerId>) {
        for target in self.targets.values_mut().filter(|t| t.waits && t.peer == peer) {
            target.waits = false;
            if let State::Due(at) = target.state {
                target.state = State::Due(at.min(now));
            }
        }
    }

    pub(super) fn postpone(&mut self, endpoint: &Endpoint, waits: bool) {
        if let Some(target) = self.targets.get_mut(endpoint) {
            target.waits = waits;
        }
    }
}

/// Names have addresses of both families, which the carrier takes in turns.
fn is_ipv6(endpoint: &Endpoint) -> bool {
    endpoint.host.contains(':')
}
