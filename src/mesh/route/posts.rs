//! This node's own messages over routes, from `post` to a receipt or the end of their life: what each waits for, and when it is tried again.
//!
//! Never sends anything and knows no routes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::base::answer::{Answers, ProvenRun};
use crate::base::route::Undelivered;
use crate::base::{PeerId, Time, limits};
use crate::wire::message::{Parcel, ParcelId, Verdict};

/// How far a message's seal is.
#[derive(Clone, Debug)]
enum Seal {
    Open,
    /// The carrier makes it, for this run, since then.
    Making(u64, Time),
    /// For this run. `open`: the copies that were sent and of which nothing was heard; `given`: the neighbour each copy was given to.
    Made {
        run: u64,
        since: Time,
        bytes: Bytes,
        answers: Answers,
        open: BTreeSet<u8>,
        given: BTreeMap<u8, PeerId>,
    },
}

/// One message.
#[derive(Clone, Debug)]
struct Post {
    to: PeerId,
    payload: Bytes,
    until: Time,
    due: Time,
    tries: u32,
    /// Number of the next copy.
    attempt: u8,
    seal: Seal,
    reseals: u8,
    /// Copies that came back with a bad word: before the next one the pause is the longer.
    hints: u32,
    /// Not on its way: the next way that is found is taken at once.
    stranded: bool,
    why: Undelivered,
}

/// What a message needs now that there is a way for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// The carrier is to seal it for this run.
    Seal { to: PeerId, run: u64, payload: Bytes },
    /// This copy is to go, its `ttl` still to be filled in.
    Send(Parcel),
    /// Nothing.
    Nothing,
}

/// What a notice changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It arrived.
    Delivered(PeerId),
    /// The recipient has another run than was thought; it is to be sealed for that.
    Renew(PeerId),
    /// The same, proven by somebody the copy was not given to.
    Renewed,
    /// The way led nowhere: another is to be searched.
    Astray(PeerId),
    /// It did not arrive by that way this time: another goes before it.
    Slow(PeerId),
    /// Nothing that matters.
    Nothing,
}

/// See the module. At most `limits::POSTS_MAX`.
#[derive(Debug, Default)]
pub(super) struct Posts {
    posts: BTreeMap<u64, Post>,
    dues: BTreeSet<(Time, u64)>,
    bytes: usize,
    /// The run each recipient was proven to have last, and when.
    runs: BTreeMap<PeerId, (u64, Time)>,
}

impl Posts {
    /// Whether another message of that size fits.
    pub(super) fn has_room(&self, len: usize) -> bool {
        self.posts.len() < limits::POSTS_MAX && self.bytes + len <= limits::POSTS_MAX_BYTES
    }

    /// A new message, due at once.
    pub(super) fn add(&mut self, now: Time, number: u64, to: PeerId, payload: Bytes, life: Duration) {
        let until = now + life.min(limits::ROUTE_LIFE_MAX);
        self.bytes += payload.len();
        let (seal, why) = (Seal::Open, Undelivered::NoRoute);
        let post = Post { to, payload, until, due: now, tries: 0, attempt: 0, seal, reseals: 0, hints: 0, stranded: true, why };
        self.posts.insert(number, post);
        self.dues.insert((now, number));
    }

    /// When the next message is due.
    pub(super) fn deadline(&self) -> Option<Time> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// The next message whose time has come; the caller gives it another time, or ends it.
    pub(super) fn next_due(&self, now: Time) -> Option<u64> {
        self.dues.first().filter(|(due, _)| *due <= now).map(|(_, number)| *number)
    }

    /// Whom a message is for.
    pub(super) fn to(&self, number: u64) -> Option<PeerId> {
        self.posts.get(&number).map(|post| post.to)
    }

    /// Ends a message whose life is over.
    pub(super) fn expire(&mut self, now: Time, number: u64) -> Option<(PeerId, Undelivered)> {
        let post = self.posts.get(&number).filter(|post| post.until <= now)?;
        let told = (post.to, post.why);
        self.remove(number);
        Some(told)
    }

    /// The neighbour whose copy has gone unanswered for so long that its way is doubted.
    pub(super) fn overdue(&self, number: u64) -> Option<PeerId> {
        let post = self.posts.get(&number).filter(|post| !post.stranded)?;
        let Seal::Made { open, given, .. } = &post.seal else { return None };
        open.last().and_then(|attempt| given.get(attempt)).copied()
    }

    /// There is no way for it at present.
    pub(super) fn strand(&mut self, now: Time, number: u64) {
        if let Some(post) = self.posts.get_mut(&number) {
            post.stranded = true;
        }
        self.again(now, number);
    }

    /// There is a way for it, over this neighbour.
    pub(super) fn ready(&mut self, now: Time, number: u64, local: (PeerId, u64), hop: PeerId) -> Need {
        let Some(post) = self.posts.get_mut(&number) else { return Need::Nothing };
        let proven = self.runs.get(&post.to).filter(|(_, at)| now.since(*at) < limits::ROUTE_RUN_FRESH);
        let run = proven.map_or(0, |(run, _)| *run);
        let need = match &mut post.seal {
            Seal::Making(..) => Need::Nothing,
            // A copy that is unaccounted for may have been taken in the run it was sealed for: no other seal while it is, lest the
            // message be taken in two runs. One more copy asks what became of it. It asks for the run as well, if that is forgotten.
            Seal::Made { run: made, bytes, open, given, .. } if *made == run || (*made != 0 && (run == 0 || !open.is_empty())) => {
                if post.attempt == u8::MAX {
                    Need::Nothing
                } else {
                    let id = ParcelId { from: local.0, from_run: local.1, number, attempt: post.attempt };
                    open.insert(post.attempt);
                    given.insert(post.attempt, hop);
                    post.attempt += 1;
                    (post.stranded, post.why) = (false, Undelivered::Unanswered);
                    Need::Send(Parcel { id, to: post.to, to_run: *made, ttl: 0, sealed: bytes.clone() })
                }
            }
            Seal::Open | Seal::Made { .. } => {
                post.seal = Seal::Making(run, now);
                Need::Seal { to: post.to, run, payload: post.payload.clone() }
            }
        };
        match need {
            // Only a copy is a try.
            Need::Seal { .. } => self.set_due(number, now + limits::ROUTE_RETRY.0),
            Need::Send(_) | Need::Nothing => self.again(now, number),
        }
        need
    }

    /// The carrier has sealed a message for a run, or found that it cannot be. `false`: it is not wanted.
    pub(super) fn sealed(&mut self, number: u64, run: u64, sealed: Option<(Bytes, Answers)>) -> Result<bool, (PeerId, Undelivered)> {
        let Some(post) = self.posts.get_mut(&number) else { return Ok(false) };
        let since = match post.seal {
            Seal::Making(making, since) if making == run => since,
            _ => return Ok(false),
        };
        let Some((bytes, answers)) = sealed else {
            let to = post.to;
            self.remove(number);
            return Err((to, Undelivered::NoKey));
        };
        post.seal = Seal::Made { run, since, bytes, answers, open: BTreeSet::new(), given: BTreeMap::new() };
        Ok(true)
    }

    /// Messages for a peer that wait for a way.
    pub(super) fn stranded(&self, to: Option<&PeerId>) -> Vec<u64> {
        let waits = |post: &Post| post.stranded && to.is_none_or(|to| post.to == *to);
        self.posts.iter().filter(|(_, post)| waits(post)).map(|(number, _)| *number).collect()
    }

    /// An answer came that is taken for want of another: what waits for a way to that peer goes on soon.
    pub(super) fn hurry(&mut self, now: Time, to: &PeerId) {
        for number in self.stranded(Some(to)) {
            let due = self.posts.get(&number).map_or(now, |post| post.due.min(now + post.gap()));
            self.set_due(number, due);
        }
    }

    /// A notice about a copy of an own message of this run, from the neighbour `by` (`None`: from this node itself). A receipt and a
    /// run prove themselves, whatever was said before; anything else is heard only from whom the copy was given to, and once. What is said without its proof says nothing of the
    /// copy, which stays unaccounted for, but that another way is to be tried.
    pub(super) fn heard(&mut self, now: Time, id: &ParcelId, by: Option<PeerId>, verdict: Verdict) -> Heard {
        let Some(post) = self.posts.get_mut(&id.number) else { return Heard::Nothing };
        let to = post.to;
        let Seal::Made { run: made, since, answers, open, given, .. } = &mut post.seal else { return Heard::Nothing };
        if let Verdict::Received(theirs) = verdict
            && answers.proves_receipt(&theirs)
        {
            let (made, since) = (*made, *since);
            self.proven(now, to, made, since);
            self.remove(id.number);
            return Heard::Delivered(to);
        }
        let of_hop = given.get(&id.attempt).is_some_and(|hop| by.is_none_or(|by| by == *hop));
        if let Verdict::Run(run) = verdict
            && answers.proves_run(&run)
        {
            return self.renew(now, id, run, of_hop);
        }
        if !of_hop || !open.contains(&id.attempt) {
            return Heard::Nothing;
        }
        let why = match verdict {
            Verdict::Run(_) | Verdict::Received(_) => return self.astray(now, id),
            Verdict::TtlExceeded | Verdict::Loop => Undelivered::TtlExceeded,
            Verdict::Busy => Undelivered::Busy,
            Verdict::Refused => Undelivered::Refused,
            Verdict::NoRoute => Undelivered::NoRoute,
        };
        open.remove(&id.attempt);
        // A copy before may have arrived: that stays to be said.
        post.why = if open.is_empty() { why } else { Undelivered::Unanswered };
        match verdict {
            // Another copy follows in its time.
            Verdict::Busy | Verdict::Refused if post.is_latest(id) => Heard::Slow(to),
            Verdict::Busy | Verdict::Refused => Heard::Nothing,
            _ => self.astray(now, id),
        }
    }

    /// The recipient has another run. What was sealed for the former may have been taken there while copies are
    /// unaccounted for: until every one has come back no other seal is made, and further copies ask what became of it. `of_hop`: whom
    /// this copy was given to says so; another may repeat what was said of a copy before.
    fn renew(&mut self, now: Time, id: &ParcelId, ProvenRun { run, .. }: ProvenRun, of_hop: bool) -> Heard {
        let number = id.number;
        let Some(post) = self.posts.get_mut(&number) else { return Heard::Nothing };
        let (to, Seal::Made { run: made, since, open, .. }) = (post.to, &mut post.seal) else { return Heard::Nothing };
        if *made == run || run == 0 {
            return Heard::Nothing;
        }
        let was_open = of_hop && open.remove(&id.attempt);
        post.why = Undelivered::Restarted;
        let (since, is_unsure) = (*since, *made != 0 && !open.is_empty());
        // A recipient that names run after run is followed after pauses only.
        let is_followed = !is_unsure && post.reseals < limits::RESEALS_MAX;
        if is_followed {
            (post.seal, post.reseals, post.tries, post.stranded) = (Seal::Open, post.reseals + 1, 0, true);
            self.set_due(number, now);
        }
        self.proven(now, to, run, since);
        match (is_followed, of_hop) {
            (true, true) => Heard::Renew(to),
            (true, false) => Heard::Renewed,
            (false, _) if was_open => self.astray(now, id),
            (false, _) => Heard::Nothing,
        }
    }

    /// What was sealed at `since` proves that run: not if another has been proven after that, which may be the later one.
    fn proven(&mut self, now: Time, to: PeerId, run: u64, since: Time) {
        if self.runs.get(&to).is_some_and(|(last, at)| *last != run && *at > since) {
            return;
        }
        if self.runs.len() >= limits::ROUTES_MAX && !self.runs.contains_key(&to) {
            self.runs.pop_first();
        }
        self.runs.insert(to, (run, now));
    }

    /// A copy did not get there: the next goes another way, after a pause that grows.
    fn astray(&mut self, now: Time, id: &ParcelId) -> Heard {
        let Some(post) = self.posts.get_mut(&id.number).filter(|post| post.is_latest(id)) else { return Heard::Nothing };
        let (to, due) = (post.to, now + post.gap());
        (post.stranded, post.hints) = (true, post.hints + 1);
        self.set_due(id.number, due);
        Heard::Astray(to)
    }

    /// Another try after a pause that grows.
    fn again(&mut self, now: Time, number: u64) {
        let Some(post) = self.posts.get_mut(&number) else { return };
        let (first, last) = limits::ROUTE_RETRY;
        let pause = (first * (1 << post.tries.min(8))).min(last);
        post.tries += 1;
        self.set_due(number, now + pause);
    }

    fn set_due(&mut self, number: u64, due: Time) {
        let Some(post) = self.posts.get_mut(&number) else { return };
        self.dues.remove(&(post.due, number));
        post.due = due.min(post.until);
        self.dues.insert((post.due, number));
    }

    fn remove(&mut self, number: u64) {
        if let Some(post) = self.posts.remove(&number) {
            self.bytes -= post.payload.len();
            self.dues.remove(&(post.due, number));
        }
    }
}

impl Post {
    /// Whether this copy is the last that was sent, and nothing bad was heard of it yet.
    fn is_latest(&self, id: &ParcelId) -> bool {
        id.attempt.checked_add(1) == Some(self.attempt) && !self.stranded
    }

    /// The pause before a copy that follows a hint.
    fn gap(&self) -> Duration {
        limits::ROUTE_SEARCH_GAP * (1 << self.hints.min(4))
    }
}

#[cfg(test)]
mod tests;
