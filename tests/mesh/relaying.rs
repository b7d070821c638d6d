//! What a relay gives to each of its neighbours, and what it does where one of them lies.

use bytes::Bytes;
use vixp2p::base::answer::ProvenRun;
use vixp2p::base::{LinkId, limits};
use vixp2p::mesh::{Input, Output};
use vixp2p::wire::Message;
use vixp2p::wire::message::{Notice, Parcel, ParcelId, Search, SearchStep, Verdict};

use crate::routes::{answers, carried, copy, notices, parcel, parcels, post, seal, searches};
use crate::solo::{Solo, id};

/// Small parcels one neighbour may have relayed in a row.
const SMALL: u64 = (limits::RELAY_BURST_KIB / (limits::RELAY_PARCEL_KIB + 1)) as u64;

fn sized(from: u8, number: u64, to: u8, len: usize) -> Message {
    let Message::Parcel(small) = parcel(copy(from, number, 0), to, 8) else { unreachable!("a parcel") };
    Message::Parcel(Parcel { sealed: Bytes::from(vec![7; len]), ..small })
}

fn passed(solo: &mut Solo, by: LinkId, on: LinkId, message: Message) -> bool {
    let out = solo.receive(by, message);
    let passed = parcels(&out, on).len() == 1;
    assert!(passed || notices(&out, by) == [Verdict::Busy], "{out:?}");
    passed
}

#[test]
fn a_neighbour_that_invents_senders_gets_its_share_and_others_theirs() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let names = (10..90).flat_map(|from| (0..40).map(move |n| (from, n)));
    let by_one = names.filter(|(from, n)| passed(&mut solo, one, two, parcel(copy(*from, *n, 0), 2, 8))).count() as u64;
    assert_eq!(by_one, SMALL * 63 / 64);
    let by_three = (0..SMALL).filter(|n| passed(&mut solo, three, two, parcel(copy(10, *n, 0), 2, 8))).count() as u64;
    assert_eq!(by_three, SMALL / 64 - 1, "whoever used that name before: nearly all that is left");
}

#[test]
fn a_neighbour_that_sends_large_parcels_is_held_to_bytes_and_others_get_through() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let mut large = 0;
    while passed(&mut solo, one, two, sized(1, large, 2, limits::PARCEL_MAX_BYTES)) {
        large += 1;
    }
    let kib = limits::PARCEL_MAX_BYTES.div_ceil(1024) as u32 + limits::RELAY_PARCEL_KIB;
    assert_eq!(large, u64::from(limits::RELAY_BURST_KIB / 64 * 63 / kib));
    assert!(large < SMALL / 4);
    assert!(passed(&mut solo, three, two, sized(3, 0, 2, limits::PARCEL_MAX_BYTES)));
    // What a second brings back is counted the same way.
    let mut later = |len| {
        solo.wait(1_000);
        (0..2_000).take_while(|n| passed(&mut solo, one, two, sized(1, 1_000_000 + n + 10_000 * len as u64, 2, len))).count() as u64
    };
    let (small, large) = (later(100), later(limits::PARCEL_MAX_BYTES));
    assert!(small > 4 * large && large > 100, "{small} and {large}");
}

#[test]
fn who_fills_the_link_to_a_next_hop_is_kept_off_it_before_others() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let four = solo.join(4).0;
    let mut number = 0;
    while passed(&mut solo, one, two, parcel(copy(1, number, 0), 2, 8)) {
        assert_eq!(notices(&solo.step(Input::Unsent { id: copy(1, number, 0) }), one), [Verdict::Busy]);
        number += 1;
    }
    assert!(number < SMALL / 8, "{number}");
    assert!(passed(&mut solo, three, two, parcel(copy(3, 1, 0), 2, 8)), "another neighbour");
    assert!(passed(&mut solo, one, four, parcel(copy(1, number, 1), 4, 8)), "another link");
}

#[test]
fn a_neighbour_that_brings_what_recipients_refuse_is_soon_told_to_wait() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let mut number = 0;
    while passed(&mut solo, one, two, parcel(copy(1, number, 0), 2, 8)) {
        solo.receive(two, Message::Notice(Notice { id: copy(1, number, 0), verdict: Verdict::Refused }));
        number += 1;
    }
    assert!(number < 5, "{number}");
    assert!(passed(&mut solo, three, two, parcel(copy(3, 1, 0), 2, 8)));
}

#[test]
fn a_forged_copy_does_not_use_up_the_name_of_the_true_one() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let (forged, copy) = (sized(8, 1, 2, 9), parcel(copy(8, 1, 0), 2, 8));
    assert!(passed(&mut solo, three, two, forged.clone()) && passed(&mut solo, three, two, copy.clone()));
    assert!(passed(&mut solo, one, two, forged) && passed(&mut solo, one, two, copy.clone()));
    assert_eq!(notices(&solo.receive(one, copy.clone()), one), [Verdict::Loop]);
    // The receipt goes to everybody who brought it, and to who missed it.
    let Message::Parcel(Parcel { id, .. }) = copy else { unreachable!("a parcel") };
    let out = solo.receive(two, Message::Notice(Notice { id, verdict: Verdict::Received([6; 32]) }));
    assert_eq!((notices(&out, one), notices(&out, three)), (vec![Verdict::Received([6; 32])], vec![Verdict::Received([6; 32])]));
    assert_eq!(notices(&solo.receive(one, copy), one), [Verdict::Received([6; 32])]);
}

/// Copies of one message that a liar sent before its sender did, with too few links left or while the way was down.
#[test]
fn a_liar_cannot_use_up_the_copies_of_a_message_before_its_sender_makes_them() {
    for hint in [Some(Verdict::TtlExceeded), Some(Verdict::NoRoute), None] {
        let mut solo = Solo::new();
        let [one, two] = [1, 2].map(|n| solo.join(n).0);
        let forestalled = |attempt, ttl| parcel(copy(8, 1, attempt), 2, ttl);
        for attempt in 0..=u8::MAX {
            assert!(passed(&mut solo, one, two, forestalled(attempt, 3)));
            if let Some(verdict) = hint {
                solo.receive(two, Message::Notice(Notice { id: copy(8, 1, attempt), verdict }));
            }
        }
        for attempt in [0, 1, 255] {
            assert!(passed(&mut solo, one, two, forestalled(attempt, 4)), "one that comes farther");
            assert_eq!(notices(&solo.receive(one, forestalled(attempt, 3)), one), [Verdict::Loop], "a circle");
        }
        if hint.is_none() {
            solo.wait(1_000);
        }
        assert!(passed(&mut solo, one, two, forestalled(7, 3)), "{hint:?}");
    }
}

#[test]
fn what_is_refused_under_a_name_two_use_is_charged_to_neither_and_else_to_who_brought_most() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let refuse = |solo: &mut Solo, number| solo.receive(two, Message::Notice(Notice { id: copy(8, number, 0), verdict: Verdict::Refused }));
    for number in 0..50 {
        assert!(passed(&mut solo, three, two, parcel(copy(8, number, 0), 2, 8)), "the true one, {number}");
        // A forged one beside it.
        assert!(passed(&mut solo, one, two, sized(8, number, 2, 9)));
        refuse(&mut solo, number);
    }
    let mut number = 100;
    while passed(&mut solo, one, two, sized(8, number, 2, 9)) {
        passed(&mut solo, one, two, sized(8, number, 2, 10));
        assert!(passed(&mut solo, three, two, parcel(copy(8, number, 0), 2, 8)));
        refuse(&mut solo, number);
        number += 1;
    }
    assert!(number < 105, "{number}");
    assert!(passed(&mut solo, three, two, parcel(copy(8, number, 0), 2, 8)));
}

#[test]
fn what_a_node_sends_to_a_neighbour_itself_leaves_the_whole_share_to_those_it_relays_for() {
    let mut solo = Solo::new();
    let [one, two] = [1, 2].map(|n| solo.join(n).0);
    let mut own = 0;
    for number in 0..limits::POSTS_MAX as u64 {
        let out = post(&mut solo, number, 2);
        own += parcels(&seal(&mut solo, out), two).len();
    }
    assert_eq!(own, limits::POSTS_MAX);
    let by_one = (0..SMALL).filter(|n| passed(&mut solo, one, two, parcel(copy(10, *n, 0), 2, 8))).count() as u64;
    assert_eq!(by_one, SMALL * 63 / 64);
}

/// A search of peer 8 for peer 7 that was asked by `asker` and answered by `found`, in that order.
fn ways(solo: &mut Solo, asker: LinkId, found: &[LinkId]) {
    let search = Search { origin: id(8), number: 1, target: id(7), step: SearchStep::Seek { ttl: 8 } };
    solo.receive(asker, Message::Search(search));
    for link in found {
        solo.receive(*link, Message::Search(Search { step: SearchStep::Found { hops: 1 }, ..search }));
    }
}

#[test]
fn further_copies_of_a_message_take_other_ways_than_those_before_for_the_neighbour_that_brings_them() {
    let mut solo = Solo::new();
    let [one, two, three, four] = [1, 2, 3, 4].map(|n| solo.join(n).0);
    ways(&mut solo, one, &[two, three]);
    let mut went = |by, number, attempt| {
        let out = solo.receive(by, parcel(copy(8, number, attempt), 7, 8));
        [two, three].into_iter().find(|link| parcels(&out, *link).len() == 1)
    };
    assert_eq!([went(one, 1, 0), went(one, 1, 1), went(one, 1, 2)], [Some(two), Some(three), Some(two)]);
    assert_eq!(went(four, 1, 2), Some(two), "what others tried says nothing");
    assert_eq!(went(one, 1, 4), Some(three));
}

#[test]
fn a_neighbour_that_asks_later_is_answered_and_its_question_is_not_passed_on_again() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    ways(&mut solo, one, &[two]);
    let search = Search { origin: id(8), number: 1, target: id(7), step: SearchStep::Seek { ttl: 8 } };
    let out = solo.receive(three, Message::Search(search));
    assert_eq!(searches(&out, three), [Search { step: SearchStep::Found { hops: 2 }, ..search }]);
    assert_eq!((searches(&out, one).len(), searches(&out, two).len()), (0, 0));
    assert!(solo.receive(two, Message::Search(search)).is_empty(), "who answered");
}

#[test]
fn a_row_stays_where_a_copy_ran_out_of_links_and_goes_where_the_way_is_said_to_end() {
    for (verdict, stays) in [
        (Verdict::TtlExceeded, true),
        (Verdict::Busy, true),
        (Verdict::Refused, true),
        (Verdict::Run(carried().run(3)), true),
        (Verdict::Received(carried().receipt()), true),
        (Verdict::NoRoute, false),
        (Verdict::Loop, false),
    ] {
        let mut solo = Solo::new();
        let [one, two] = [1, 2].map(|n| solo.join(n).0);
        ways(&mut solo, one, &[two]);
        assert_eq!(parcels(&solo.receive(one, parcel(copy(8, 1, 0), 7, 8)), two).len(), 1);
        assert_eq!(notices(&solo.receive(two, Message::Notice(Notice { id: copy(8, 1, 0), verdict })), one), [verdict]);
        assert_eq!(solo.mesh.resolve(&id(7)).is_some(), stays, "{verdict:?}");
        let next = parcels(&solo.receive(one, parcel(copy(8, 2, 0), 7, 8)), two).len();
        assert_eq!(next, usize::from(stays), "{verdict:?}");
    }
}

#[test]
fn who_tells_what_the_recipient_did_not_say_leads_nowhere_and_who_tells_what_it_did_is_taken_first() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    ways(&mut solo, one, &[two, three]);
    let copies = |solo: &mut Solo, number, on| parcels(&solo.receive(one, parcel(copy(8, number, 0), 7, 8)), on).len();
    assert_eq!(copies(&mut solo, 1, two), 1);
    assert_eq!(parcels(&solo.receive(one, parcel(copy(8, 1, 1), 7, 8)), three).len(), 1);
    let run = carried().run(3);
    solo.receive(three, Message::Notice(Notice { id: copy(8, 1, 1), verdict: Verdict::Run(run) }));
    assert_eq!(copies(&mut solo, 2, three), 1, "its way is proven");
    let lie = Verdict::Received(run.opened);
    let out = solo.receive(three, Message::Notice(Notice { id: copy(8, 2, 0), verdict: lie }));
    assert_eq!(notices(&out, one), [Verdict::NoRoute]);
    assert_eq!(solo.mesh.resolve(&id(7)).map(|route| route.next_hop), Some(id(2)), "the other is left");
}

#[test]
fn a_greedy_neighbour_of_an_honest_relay_leaves_the_others_their_share_at_the_next() {
    let (mut near, mut next) = (Solo::new(), Solo::new());
    let [greedy, modest, on] = [1, 3, 2].map(|n| near.join(n).0);
    let [by_near, target] = [4, 7].map(|n| next.join(n).0);
    ways(&mut near, greedy, &[on]);
    let (mut arrived, mut busy) = ([0; 2], [0; 2]);
    for ms in 0..3_000 {
        for n in 0..if ms % 4 == 0 { 9 } else { 8 } {
            let (by, from) = if n == 8 { (modest, 3) } else { (greedy, 1) };
            for passed in parcels(&near.receive(by, parcel(copy(from, 10 * ms + n, 0), 7, 8)), on) {
                let who = usize::from(passed.id.from == id(3));
                let out = next.receive(by_near, Message::Parcel(passed));
                busy[who] += notices(&out, by_near).len();
                arrived[who] += parcels(&out, target).len();
            }
        }
        near.wait(1);
        next.wait(1);
    }
    // At the beginning both together have a little more in a row than the next relay takes.
    assert!(arrived[1] >= 735 && busy[0] + busy[1] <= 20, "{arrived:?} of {} and 750, {busy:?}", 8 * 3_000);
    assert!(arrived[0] > 2_000, "the greedy one has what is left: {arrived:?}");
}

/// Answers every search on `links` in that order, and every copy on the first by `verdict`; the links copies went out on within so long.
fn tried(solo: &mut Solo, mut out: Vec<Output>, links: [LinkId; 2], verdict: Option<Verdict>, seconds: u64) -> Vec<LinkId> {
    let mut tried = Vec::new();
    for _ in 0..seconds * 10 {
        loop {
            let mut next = Vec::new();
            for link in links {
                for search in searches(&out, link) {
                    next.extend(solo.receive(link, Message::Search(Search { step: SearchStep::Found { hops: 1 }, ..search })));
                }
            }
            for link in links {
                for copy in parcels(&out, link) {
                    tried.push(link);
                    let notice = |id: ParcelId| verdict.map(|verdict| Message::Notice(Notice { id, verdict }));
                    if let Some(notice) = notice(copy.id).filter(|_| link == links[0]) {
                        next.extend(solo.receive(link, notice));
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            out = seal(solo, next);
        }
        out = solo.wait(100);
        out = seal(solo, out);
    }
    tried
}

#[test]
fn whatever_a_liar_says_of_a_copy_the_next_one_goes_another_way() {
    for verdict in [
        None,
        Some(Verdict::NoRoute),
        Some(Verdict::Loop),
        Some(Verdict::TtlExceeded),
        Some(Verdict::Busy),
        Some(Verdict::Refused),
        Some(Verdict::Run(answers(0).run(6))),
        Some(Verdict::Run(ProvenRun { run: 6, ..answers(0).run(5) })),
        Some(Verdict::Received([9; 32])),
    ] {
        let mut solo = Solo::new();
        let links = [1, 2].map(|n| solo.join(n).0);
        let out = post(&mut solo, 1, 7);
        let mut tried = tried(&mut solo, out, links, verdict, 4);
        // A run that is said is tried once by who said it.
        tried.dedup();
        assert!(tried.starts_with(&[links[0], links[1]]), "{verdict:?}: {tried:?}");
    }
}
