//! What announcements do to dials: whoever speaks can be dialled now, a few times; whoever goes on failing has its pauses.
//!
//! An announcement proves nothing, so all dials that unproven ones ask for, of new endpoints and of old, share one rate. Never closes a
//! link that stands: it says which one may be dead.

use crate::base::{Endpoint, LinkId, PeerId, Time, limits};
use crate::mesh::out::Outbox;
use crate::mesh::peers::Peers;

use super::{Dialer, State, is_connected};

/// What an announcement is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::mesh) struct Sign {
    /// The first one, or of another run, or after a silence.
    pub(in crate::mesh) fresh: bool,
    /// Of another run than before.
    pub(in crate::mesh) restarted: bool,
    /// By somebody who knows the cluster's secret.
    pub(in crate::mesh) proven: bool,
}

/// What is to be done about a sign of life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::mesh) enum Answer {
    /// Nothing, or the dialer has seen to it.
    Nothing,
    /// This dial began when nobody was there, or somebody who is no more: it is called off, another is due.
    CallOff(LinkId),
    /// The peer may have come back without its link.
    Ask(PeerId),
}

impl Dialer {
    /// Discovery names an endpoint: it is wanted, when unproven ones have their turn.
    pub(in crate::mesh) fn found(&mut self, now: Time, endpoint: Endpoint, proven: bool, peers: &Peers, out: &mut Outbox) {
        let turn = self.rumour_turn(now, proven);
        let before = self.targets.get(&endpoint).map(|target| target.state);
        if !proven && before.is_none() && self.guard.pause_end(&endpoint) > turn {
            // Named again when its pause is over, and has its turn then.
            return;
        }
        self.connect(now, (endpoint.clone(), None), false, peers, out);
        let Some(target) = self.targets.get_mut(&endpoint).filter(|target| !is_connected(target.peer, peers)) else { return };
        let State::Due(at) = target.state else { return };
        let planned = before.and_then(|state| if let State::Due(planned) = state { Some(planned) } else { None });
        // It brings nothing forward but in its turn, and puts nothing off.
        let at = planned.map_or(at.max(turn), |planned| at.max(turn).min(planned));
        target.state = State::Due(at);
        if planned != Some(at) {
            self.take_turn(at, proven);
        }
        self.reschedule();
    }

    /// Somebody announces itself at an endpoint.
    pub(in crate::mesh) fn heard(&mut self, now: Time, endpoint: &Endpoint, sign: Sign, peers: &Peers, out: &mut Outbox) -> Answer {
        self.guard.news(endpoint, sign.fresh, sign.restarted);
        let at = self.rumour_turn(now, sign.proven).max(self.guard.distant(now, endpoint));
        // Whoever has to wait for longer is heard again before that.
        let soon = at <= now + limits::DIAL_DEDUPE_GAP;
        let Some(target) = self.targets.get(endpoint) else {
            // Nobody asked for it, it was dialled in vain, and would be found again.
            let failed = self.enabled && self.guard.failures(endpoint) > 0;
            if failed && soon && self.guard.hasten(now, endpoint, at) {
                self.take_turn(at, sign.proven);
                self.connect(now, (endpoint.clone(), None), false, peers, out);
            }
            return Answer::Nothing;
        };
        if let Some(peer) = target.peer.filter(|_| is_connected(target.peer, peers)) {
            return if sign.fresh { Answer::Ask(peer) } else { Answer::Nothing };
        }
        let answer = match target.state {
            State::Due(planned) if planned > at && !target.waits => Answer::Nothing,
            // One that is not answered, or is answered by nobody any more. Whoever only forges announcements ends no handshake by them.
            State::Dialling(link) if (!target.open || (sign.proven && sign.restarted)) && now >= target.began + limits::DIAL_DEDUPE_GAP => {
                Answer::CallOff(link)
            }
            State::Due(_) | State::Dialling(_) | State::Standing(_) | State::Resting => return Answer::Nothing,
        };
        if !soon || !self.guard.hasten(now, endpoint, at) {
            return Answer::Nothing;
        }
        self.set(endpoint, State::Due(at));
        self.take_turn(at, sign.proven);
        answer
    }

    fn rumour_turn(&self, now: Time, proven: bool) -> Time {
        if proven { now } else { now.max(self.next_rumour) }
    }

    fn take_turn(&mut self, turn: Time, proven: bool) {
        if !proven {
            self.next_rumour = turn + limits::DISCOVERY_RUMOUR_DIAL_EVERY;
        }
        self.reschedule();
    }
}
