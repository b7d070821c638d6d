//! This node's own messages over routes, from `post` to a receipt or the end of their life: what each waits for, and when it is tried again.
//!
//! Never sends anything and knows no routes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use subtle::ConstantTimeEq;

use crate::base::route::Undelivered;
use crate::base::{PeerId, Time, limits};
use crate::wire::message::{Parcel, ParcelId, Verdict};

/// How far a message's seal is.
#[derive(Clone, Debug)]
enum Seal {
    Open,
    /// The carrier makes it, for this run.
    Making(u64),
    /// For this run. `open`: the copies that were sent and of which nothing was heard, and the neighbour each was given to.
    Made {
        run: u64,
        bytes: Bytes,
        receipt: [u8; 32],
        open: BTreeMap<u8, PeerId>,
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
    /// Not on its way: the next way that is found is taken at once.
    stranded: bool,
    /// No more copies go out; a receipt for one that did still counts.
    halted: bool,
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
    /// The way led nowhere: another is to be searched.
    Astray(PeerId),
    /// Nothing that matters.
    Nothing,
}

/// See the module. At most `limits::POSTS_MAX`.
#[derive(Debug, Default)]
pub(super) struct Posts {
    posts: BTreeMap<u64, Post>,
    dues: BTreeSet<(Time, u64)>,
    bytes: usize,
    /// The run each recipient said it has.
    runs: BTreeMap<PeerId, u64>,
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
        let post = Post { to, payload, until, due: now, tries: 0, attempt: 0, seal, reseals: 0, stranded: true, halted: false, why };
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

    /// Whom a message is for, if copies of it may still go out.
    pub(super) fn to(&self, number: u64) -> Option<PeerId> {
        self.posts.get(&number).filter(|post| !post.halted).map(|post| post.to)
    }

    /// Ends a message whose life is over.
    pub(super) fn expire(&mut self, now: Time, number: u64) -> Option<(PeerId, Undelivered)> {
        let post = self.posts.get(&number).filter(|post| post.until <= now)?;
        let told = (post.to, post.why);
        self.remove(number);
        Some(told)
    }

    /// A copy has gone unanswered for so long that its way is doubted.
    pub(super) fn is_overdue(&self, number: u64) -> bool {
        self.posts.get(&number).is_some_and(|post| !post.stranded && matches!(&post.seal, Seal::Made { open, .. } if !open.is_empty()))
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
        let Some(post) = self.posts.get_mut(&number).filter(|post| !post.halted) else { return Need::Nothing };
        let run = self.runs.get(&post.to).copied().unwrap_or(0);
        let need = match &mut post.seal {
            Seal::Making(_) => Need::Nothing,
            // A copy that is unaccounted for may have been taken in the run it was sealed for: no other seal while it is, lest the
            // message be taken in two runs. One more copy asks what became of it.
            Seal::Made { run: made, bytes, open, .. } if *made == run || (*made != 0 && !open.is_empty()) => {
                if post.attempt == u8::MAX {
                    Need::Nothing
                } else {
                    let id = ParcelId { from: local.0, from_run: local.1, number, attempt: post.attempt };
                    open.insert(post.attempt, hop);
                    post.attempt += 1;
                    (post.stranded, post.why) = (false, Undelivered::Unanswered);
                    Need::Send(Parcel { id, to: post.to, to_run: *made, ttl: 0, sealed: bytes.clone() })
                }
            }
            Seal::Open | Seal::Made { .. } => {
                post.seal = Seal::Making(run);
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
    pub(super) fn sealed(&mut self, number: u64, run: u64, sealed: Option<(Bytes, [u8; 32])>) -> Result<bool, (PeerId, Undelivered)> {
        let Some(post) = self.posts.get_mut(&number) else { return Ok(false) };
        if !matches!(post.seal, Seal::Making(making) if making == run) {
            return Ok(false);
        }
        let Some((bytes, receipt)) = sealed else {
            let to = post.to;
            self.remove(number);
            return Err((to, Undelivered::NoKey));
        };
        post.seal = Seal::Made { run, bytes, receipt, open: BTreeMap::new() };
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
            let due = self.posts.get(&number).map_or(now, |post| post.due.min(now + limits::ROUTE_SEARCH_GAP));
            self.set_due(number, due);
        }
    }

    /// A notice about a copy of an own message of this run, from the neighbour `by` (`None`: from this node itself). A receipt proves
    /// itself; anything else is heard only from whom the copy was given to, and once.
    pub(super) fn heard(&mut self, now: Time, id: &ParcelId, by: Option<PeerId>, verdict: Verdict) -> Heard {
        let Some(post) = self.posts.get_mut(&id.number) else { return Heard::Nothing };
        let to = post.to;
        let Seal::Made { receipt, open, .. } = &mut post.seal else { return Heard::Nothing };
        if let Verdict::Received(theirs) = verdict {
            if !bool::from(receipt.ct_eq(&theirs)) {
                return Heard::Nothing;
            }
            self.remove(id.number);
            return Heard::Delivered(to);
        }
        if open.get(&id.attempt).is_none_or(|hop| by.is_some_and(|by| by != *hop)) {
            return Heard::Nothing;
        }
        let why = match verdict {
            Verdict::Run(run) => return self.renew(now, id, run),
            Verdict::TtlExceeded | Verdict::Loop => Undelivered::TtlExceeded,
            Verdict::Busy => Undelivered::Busy,
            Verdict::Refused => Undelivered::Refused,
            Verdict::NoRoute | Verdict::Received(_) => Undelivered::NoRoute,
        };
        open.remove(&id.attempt);
        if post.halted {
            return Heard::Nothing;
        }
        // A copy before may have arrived: that stays to be said.
        post.why = if open.is_empty() { why } else { Undelivered::Unanswered };
        let is_latest = id.attempt.checked_add(1) == Some(post.attempt);
        if !is_latest || post.stranded {
            return Heard::Nothing;
        }
        match verdict {
            // The way is right; another copy follows in its time.
            Verdict::Busy | Verdict::Refused => Heard::Nothing,
            _ => {
                post.stranded = true;
                self.set_due(id.number, now + limits::ROUTE_SEARCH_GAP);
                Heard::Astray(to)
            }
        }
    }

    /// The recipient is said to have another run. What was sealed for the former may have been taken there while copies are
    /// unaccounted for: until every one has come back no other goes out.
    fn renew(&mut self, now: Time, id: &ParcelId, run: u64) -> Heard {
        let number = id.number;
        let Some(post) = self.posts.get_mut(&number) else { return Heard::Nothing };
        let (to, Seal::Made { run: made, open, .. }) = (post.to, &mut post.seal) else { return Heard::Nothing };
        if *made == run || run == 0 || open.remove(&id.attempt).is_none() {
            return Heard::Nothing;
        }
        if self.runs.len() >= limits::ROUTES_MAX && !self.runs.contains_key(&to) {
            self.runs.pop_first();
        }
        self.runs.insert(to, run);
        let is_unsure = *made != 0 && !open.is_empty();
        if is_unsure || post.reseals >= limits::RESEALS_MAX {
            if !is_unsure {
                self.runs.remove(&to);
            }
            (post.halted, post.stranded, post.why) = (true, false, Undelivered::Restarted);
            let until = post.until;
            self.set_due(number, until);
            return Heard::Nothing;
        }
        (post.seal, post.reseals, post.tries) = (Seal::Open, post.reseals + 1, 0);
        (post.stranded, post.halted) = (true, false);
        self.set_due(number, now);
        Heard::Renew(to)
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

#[cfg(test)]
mod tests {
    use super::*;

    const TO: PeerId = PeerId([2; 32]);
    const ME: (PeerId, u64) = (PeerId([1; 32]), 7);
    const HOP: PeerId = PeerId([3; 32]);

    fn posts() -> Posts {
        let mut posts = Posts::default();
        posts.add(Time::ZERO, 1, TO, Bytes::from_static(b"hello"), Duration::from_secs(30));
        posts
    }

    fn send(posts: &mut Posts, now: Time) -> ParcelId {
        copy_of(posts, 1, now).id
    }

    /// Seals what is asked for and gives the copy.
    fn copy_of(posts: &mut Posts, number: u64, now: Time) -> Parcel {
        loop {
            match posts.ready(now, number, ME, HOP) {
                Need::Seal { run, .. } => assert_eq!(posts.sealed(number, run, Some((Bytes::new(), [run as u8; 32]))), Ok(true)),
                Need::Send(parcel) => return parcel,
                Need::Nothing => panic!("nothing to send"),
            }
        }
    }

    #[test]
    fn a_receipt_ends_a_message_and_a_false_one_does_not() {
        let mut posts = posts();
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Received([9; 32])), Heard::Nothing);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Received([0; 32])), Heard::Delivered(TO));
        assert_eq!((posts.deadline(), posts.bytes), (None, 0));
    }

    #[test]
    fn a_message_is_sealed_anew_for_the_run_its_recipient_names() {
        let mut posts = posts();
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(5)), Heard::Renew(TO));
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(5)), Heard::Nothing, "an old answer");
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(6)), Heard::Renew(TO), "the only copy was refused");
        let first = send(&mut posts, Time::ZERO);
        let second = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &second, Some(HOP), Verdict::Run(8)), Heard::Nothing, "the first may have been taken");
        assert_eq!(posts.ready(Time::ZERO, 1, ME, HOP), Need::Nothing);
        assert_eq!(posts.posts[&1].why, Undelivered::Restarted);
        assert_eq!(posts.heard(Time::ZERO, &first, Some(HOP), Verdict::Run(8)), Heard::Renew(TO), "neither was");
        assert_eq!(send(&mut posts, Time::ZERO).attempt, 4);
    }

    #[test]
    fn a_copy_that_came_back_is_not_taken_for_one_that_may_have_arrived() {
        let mut posts = posts();
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(5)), Heard::Renew(TO));
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute), Heard::Astray(TO));
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(6)), Heard::Renew(TO));
    }

    #[test]
    fn a_carrier_that_names_run_after_run_is_not_followed_for_ever() {
        let mut posts = posts();
        let renewed = (1..100).take_while(|run| {
            let id = send(&mut posts, Time::ZERO);
            posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(*run)) == Heard::Renew(TO)
        });
        assert_eq!(renewed.count(), usize::from(limits::RESEALS_MAX));
    }

    #[test]
    fn what_may_have_been_taken_is_not_sealed_for_the_run_that_another_message_made_known() {
        let mut posts = posts();
        posts.add(Time::ZERO, 2, TO, Bytes::new(), Duration::from_secs(30));
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(5)), Heard::Renew(TO));
        send(&mut posts, Time::ZERO);
        // The recipient took that, its receipt is lost, and it has restarted.
        let other = copy_of(&mut posts, 2, Time::ZERO).id;
        assert_eq!(posts.heard(Time::ZERO, &other, Some(HOP), Verdict::Run(6)), Heard::Renew(TO));
        assert_eq!(copy_of(&mut posts, 2, Time::ZERO).to_run, 6);
        let again = copy_of(&mut posts, 1, Time::ZERO);
        assert_eq!(again.to_run, 5, "one of run 5 is unaccounted for");
        assert_eq!(posts.heard(Time::ZERO, &again.id, Some(HOP), Verdict::Run(6)), Heard::Nothing);
        assert_eq!(posts.ready(Time::ZERO, 1, ME, HOP), Need::Nothing);
        assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::Restarted)));
    }

    #[test]
    fn a_forgotten_run_does_not_make_it_be_sealed_anew() {
        let mut posts = posts();
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Run(5)), Heard::Renew(TO));
        send(&mut posts, Time::ZERO);
        posts.runs.clear();
        let again = copy_of(&mut posts, 1, Time::ZERO);
        assert_eq!(again.to_run, 5);
        assert_eq!(posts.heard(Time::ZERO, &again.id, Some(HOP), Verdict::Received([5; 32])), Heard::Delivered(TO));
    }

    #[test]
    fn only_whom_a_copy_was_given_to_is_heard_about_it_but_a_receipt_from_anybody() {
        let mut posts = posts();
        let id = send(&mut posts, Time::ZERO);
        let liar = Some(PeerId([9; 32]));
        for verdict in [Verdict::Run(5), Verdict::NoRoute, Verdict::Busy, Verdict::Refused, Verdict::Loop, Verdict::TtlExceeded] {
            assert_eq!(posts.heard(Time::ZERO, &id, liar, verdict), Heard::Nothing);
        }
        assert!(posts.is_overdue(1) && posts.runs.is_empty());
        assert_eq!(posts.posts[&1].why, Undelivered::Unanswered);
        assert_eq!(posts.heard(Time::ZERO, &id, liar, Verdict::Received([0; 32])), Heard::Delivered(TO));
    }

    #[test]
    fn a_message_that_is_sealed_no_more_waits_for_its_receipt() {
        let mut posts = posts();
        let mut last = send(&mut posts, Time::ZERO);
        let mut run = 0;
        while posts.heard(Time::ZERO, &last, Some(HOP), Verdict::Run(run + 1)) == Heard::Renew(TO) {
            last = send(&mut posts, Time::ZERO);
            run += 1;
        }
        assert_eq!((posts.to(1), posts.ready(Time::ZERO, 1, ME, HOP)), (None, Need::Nothing));
        assert_eq!((posts.deadline(), posts.stranded(None)), (Some(Time::from_millis(30_000)), vec![]));
        assert_eq!(posts.heard(Time::ZERO, &last, Some(HOP), Verdict::Received([run as u8; 32])), Heard::Delivered(TO));
    }

    #[test]
    fn a_copy_that_is_refused_does_not_hide_that_another_may_have_arrived() {
        let mut posts = posts();
        send(&mut posts, Time::ZERO);
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::Refused), Heard::Nothing);
        assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::Unanswered)));
    }

    #[test]
    fn a_message_is_tried_after_growing_pauses_until_its_life_is_over() {
        let mut posts = posts();
        let mut times = Vec::new();
        while let Some(due) = posts.deadline() {
            if let Some((to, why)) = posts.expire(due, 1) {
                assert_eq!((to, why, due), (TO, Undelivered::NoRoute, Time::from_millis(30_000)));
                break;
            }
            times.push(due.0 / 1_000_000);
            posts.strand(due, 1);
        }
        assert_eq!(times, [0, 1, 3, 7, 15, 23]);
    }

    #[test]
    fn a_hint_makes_it_search_and_says_why_in_the_end() {
        let mut posts = posts();
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute), Heard::Astray(TO));
        assert_eq!(posts.stranded(Some(&TO)), [1]);
        assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::NoRoute)));
    }

    #[test]
    fn a_hint_about_one_copy_does_not_hide_that_another_may_have_arrived() {
        let mut posts = posts();
        send(&mut posts, Time::ZERO);
        let id = send(&mut posts, Time::ZERO);
        assert_eq!(posts.heard(Time::ZERO, &id, Some(HOP), Verdict::NoRoute), Heard::Astray(TO));
        assert_eq!(posts.expire(Time::from_millis(30_000), 1), Some((TO, Undelivered::Unanswered)));
    }

    #[test]
    fn no_more_messages_wait_than_there_is_room_for() {
        let mut posts = Posts::default();
        let payload = Bytes::from(vec![0; limits::ROUTED_MAX_BYTES]);
        let mut count = 0;
        while posts.has_room(payload.len()) {
            posts.add(Time::ZERO, count, TO, payload.clone(), limits::ROUTE_LIFE);
            count += 1;
        }
        assert_eq!(count as usize, limits::POSTS_MAX_BYTES / limits::ROUTED_MAX_BYTES);
    }
}
