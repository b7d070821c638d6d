//! One node as sender, relay and recipient of parcels, and what it makes of addresses that neighbours name.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vixp2p::base::answer::Answers;
use vixp2p::base::close::Distrust;
use vixp2p::base::route::Undelivered;
use vixp2p::base::trust::{TrustEntry, TrustState};
use vixp2p::base::{CloseReason, Endpoint, Event, LinkId, PeerId, TrustPolicy, TrustTable, limits};
use vixp2p::mesh::{Input, Output};
use vixp2p::wire::Message;
use vixp2p::wire::message::{Neighbours, Notice, Parcel, ParcelId, Search, SearchStep, Verdict};

use crate::solo::{self, Solo, closes, events, id, sent};

/// The identity of the mesh under test.
pub(crate) const ME: u8 = 5;

pub(crate) fn copy(from: u8, number: u64, attempt: u8) -> ParcelId {
    ParcelId { from: id(from), from_run: 77, number, attempt }
}

pub(crate) fn parcel(id_: ParcelId, to: u8, ttl: u8) -> Message {
    Message::Parcel(Parcel { id: id_, to: id(to), to_run: 9, ttl, sealed: sealed(&carried()) })
}

/// What a parcel of others is answered with.
pub(crate) fn carried() -> Answers {
    answers(6)
}

pub(crate) fn answers(n: u64) -> Answers {
    Answers::new([n as u8; 32], [n as u8; 32])
}

/// Something that promises those answers.
fn sealed(answers: &Answers) -> Bytes {
    let head = [0; 33];
    [&head[..], &answers.pledge().0, b"sealed"].concat().into()
}

pub(crate) fn notices(outputs: &[Output], to: LinkId) -> Vec<Verdict> {
    sent(outputs, to).into_iter().filter_map(|m| if let Message::Notice(n) = m { Some(n.verdict) } else { None }).collect()
}

pub(crate) fn parcels(outputs: &[Output], to: LinkId) -> Vec<Parcel> {
    sent(outputs, to).into_iter().filter_map(|m| if let Message::Parcel(p) = m { Some(p) } else { None }).collect()
}

pub(crate) fn searches(outputs: &[Output], to: LinkId) -> Vec<Search> {
    sent(outputs, to).into_iter().filter_map(|m| if let Message::Search(s) = m { Some(s) } else { None }).collect()
}

fn told(outputs: &[Output], to: LinkId) -> Vec<Neighbours> {
    sent(outputs, to).into_iter().filter_map(|m| if let Message::Neighbours(n) = m { Some(n) } else { None }).collect()
}

/// A table under `policy` with keys that are trusted, and number 9 revoked.
fn trusting(policy: TrustPolicy, trusted: &[u8]) -> Arc<TrustTable> {
    let entry = |n: u8, state| TrustEntry { peer: id(n), state, label: String::new(), added_s: None };
    let listed = trusted.iter().map(|n| entry(*n, TrustState::Trusted)).chain([entry(9, TrustState::Revoked)]);
    Arc::new(TrustTable::new(policy, 0, listed))
}

#[test]
fn a_relay_passes_a_parcel_on_once_and_its_notice_back() {
    let mut solo = Solo::new();
    let (left, right) = (solo.join(1).0, solo.join(2).0);
    let out = solo.receive(left, parcel(copy(3, 1, 0), 2, 8));
    let Parcel { ttl, sealed: as_it_was, id: passed, to_run, .. } = parcels(&out, right).pop().expect("passed on");
    assert_eq!((ttl, as_it_was, passed, to_run), (7, sealed(&carried()), copy(3, 1, 0), 9));
    assert_eq!(notices(&solo.receive(left, parcel(copy(3, 1, 0), 2, 8)), left), [Verdict::Loop]);
    assert_eq!(parcels(&solo.receive(left, parcel(copy(3, 1, 1), 2, 8)), right).len(), 1, "another copy");
    let notice = |verdict| Message::Notice(Notice { id: copy(3, 1, 0), verdict });
    assert!(notices(&solo.receive(left, notice(Verdict::NoRoute)), left).is_empty(), "from where the parcel did not go");
    let run = Verdict::Run(carried().run(3));
    assert_eq!(notices(&solo.receive(right, notice(run)), left), [run]);
    assert_eq!(notices(&solo.receive(right, notice(Verdict::Received([1; 32]))), left), [Verdict::NoRoute], "false");
    let told = (0..10).flat_map(|_| notices(&solo.receive(right, notice(Verdict::Busy)), left)).count();
    assert_eq!(told, usize::from(limits::CRUMB_NOTICES_MAX) - 2);
    // Of a receipt both copies hear, whatever was said before.
    let received = Verdict::Received(carried().receipt());
    assert_eq!(notices(&solo.receive(right, notice(received)), left), [received, received]);
}

#[test]
fn a_parcel_that_cannot_go_on_comes_back_with_the_reason() {
    let mut solo = Solo::new();
    let (left, _right) = (solo.join(1).0, solo.join(2).0);
    for (message, reason) in [
        (parcel(copy(3, 1, 0), 2, 1), Verdict::TtlExceeded),
        (parcel(copy(3, 2, 0), 2, 0), Verdict::TtlExceeded),
        (parcel(copy(3, 3, 0), 4, 8), Verdict::NoRoute),
        (parcel(copy(3, 4, 0), 1, 8), Verdict::NoRoute),
        (parcel(copy(2, 5, 0), 2, 8), Verdict::NoRoute),
        (parcel(copy(ME, 6, 0), 2, 8), Verdict::Loop),
        (parcel(copy(ME, 7, 0), ME, 8), Verdict::Refused),
    ] {
        assert_eq!(notices(&solo.receive(left, message), left), [reason]);
    }
    let mut silent = Solo::with(|settings| settings.relay = false, Vec::new());
    let (left, right) = (silent.join(1).0, silent.join(2).0);
    let out = silent.receive(left, parcel(copy(3, 1, 0), 2, 8));
    assert_eq!((notices(&out, left), parcels(&out, right).len()), (vec![Verdict::NoRoute], 0));
}

#[test]
fn nobody_relays_for_strangers_or_to_them_or_what_a_revoked_key_wrote() {
    let mut solo = Solo::with(|settings| settings.trust = trusting(TrustPolicy::Open, &[1, 2]), Vec::new());
    let [one, two, stranger] = [1, 2, 3].map(|n| solo.join(n).0);
    let out = solo.receive(stranger, parcel(copy(3, 1, 0), 2, 8));
    assert_eq!((notices(&out, stranger), parcels(&out, two).len()), (vec![Verdict::NoRoute], 0));
    assert_eq!(notices(&solo.receive(one, parcel(copy(1, 1, 0), 3, 8)), one), [Verdict::NoRoute]);
    assert_eq!(notices(&solo.receive(one, parcel(copy(9, 1, 0), 2, 8)), one), [Verdict::Refused]);
    let seek = Search { origin: id(3), number: 1, target: id(2), step: SearchStep::Seek { ttl: 8 } };
    assert!(solo.receive(stranger, Message::Search(seek)).is_empty());
    assert_eq!(parcels(&solo.receive(one, parcel(copy(3, 1, 0), 2, 8)), two).len(), 1, "a friend may carry for anybody");
}

#[test]
fn a_search_is_answered_by_who_has_a_link_and_passed_on_once_by_who_has_none() {
    let mut solo = Solo::new();
    let [one, two, three] = [1, 2, 3].map(|n| solo.join(n).0);
    let seek =
        |number, target: u8, ttl| Message::Search(Search { origin: id(8), number, target: id(target), step: SearchStep::Seek { ttl } });
    let answers = |out: &[Output], link| searches(out, link).into_iter().map(|search| search.step).collect::<Vec<_>>();
    assert_eq!(answers(&solo.receive(one, seek(1, 2, 8)), one), [SearchStep::Found { hops: 1 }]);
    assert_eq!(answers(&solo.receive(one, seek(2, ME, 8)), one), [SearchStep::Found { hops: 0 }]);
    let out = solo.receive(one, seek(3, 7, 8));
    assert_eq!(answers(&out, two), [SearchStep::Seek { ttl: 7 }]);
    assert_eq!((answers(&out, three).len(), answers(&out, one).len()), (1, 0));
    assert!(solo.receive(three, seek(3, 7, 8)).is_empty(), "round a circle");
    assert!(solo.receive(one, seek(4, 7, 1)).is_empty(), "far enough");
    // The answer goes back, and the way is known from then on.
    let found = Message::Search(Search { origin: id(8), number: 3, target: id(7), step: SearchStep::Found { hops: 2 } });
    let out = solo.receive(two, found.clone());
    assert_eq!(answers(&out, one), [SearchStep::Found { hops: 3 }]);
    assert_eq!(answers(&out, three), [SearchStep::Found { hops: 3 }], "it asked as well");
    assert!(solo.receive(three, found).is_empty(), "the first answer is passed back");
    let route = solo.mesh.resolve(&id(7)).expect("learned");
    assert_eq!((route.next_hop, route.via_relay, route.learned), (id(2), true, true));
    assert_eq!(parcels(&solo.receive(one, parcel(copy(8, 1, 0), 7, 8)), two).len(), 1);
    // Where that way ends, it is forgotten, and the other answer counts.
    solo.receive(two, Message::Notice(Notice { id: copy(8, 1, 0), verdict: Verdict::NoRoute }));
    assert_eq!(solo.mesh.resolve(&id(7)).map(|route| route.next_hop), Some(id(3)));
    assert_eq!(parcels(&solo.receive(one, parcel(copy(8, 2, 0), 7, 8)), three).len(), 1);
    solo.receive(three, Message::Notice(Notice { id: copy(8, 2, 0), verdict: Verdict::NoRoute }));
    assert!(solo.mesh.resolve(&id(7)).is_none());
}

#[test]
fn a_neighbour_that_searches_without_end_is_passed_over() {
    let mut solo = Solo::new();
    let (one, two) = (solo.join(1).0, solo.join(2).0);
    let seek = |number| Message::Search(Search { origin: id(1), number, target: id(7), step: SearchStep::Seek { ttl: 8 } });
    let mut passed = |by, to| (0..1_000).map(|number| searches(&solo.receive(by, seek(number)), to).len()).sum::<usize>();
    assert_eq!(passed(one, two), limits::SEARCH_SHARE_BURST as usize);
    let seek = |number: u64| Message::Search(Search { origin: id(8), number, target: id(7), step: SearchStep::Seek { ttl: 8 } });
    let mut many = Solo::new();
    let askers: Vec<_> = (10..20).map(|n| many.join(n).0).collect();
    let (last, _) = many.join(20);
    let passed: usize = (0..1_000).map(|number| searches(&many.receive(askers[number as usize % 10], seek(number)), last).len()).sum();
    assert_eq!(passed, limits::SEARCH_FORWARD_BURST as usize, "all together");
    let own: Vec<u64> = (30..40).map(|to| searches(&post(&mut many, u64::from(to), to), last)[0].number).collect();
    assert!(own.windows(2).all(|pair| pair[0].abs_diff(pair[1]) > 1_000), "own ones go on, and tell nothing of each other: {own:?}");
}

/// Sends and seals; the copy that goes out, if one does.
pub(crate) fn post(solo: &mut Solo, number: u64, to: u8) -> Vec<Output> {
    let (payload, life) = (Bytes::from_static(b"hello"), Duration::from_secs(30));
    let out = solo.step(Input::Post { number, to: id(to), payload, life });
    seal(solo, out)
}

/// Seals whatever is asked for: the receipt is the recipient's run.
pub(crate) fn seal(solo: &mut Solo, mut out: Vec<Output>) -> Vec<Output> {
    for (number, to_run) in asked(&out) {
        let sealed = Some((Bytes::from_static(b"sealed"), answers(to_run)));
        out.extend(solo.step(Input::Sealed { number, to_run, sealed }));
    }
    out
}

fn asked(out: &[Output]) -> Vec<(u64, u64)> {
    out.iter().filter_map(|o| if let Output::Seal { number, to_run, .. } = o { Some((*number, *to_run)) } else { None }).collect()
}

/// Messages that were given up.
fn ends(out: &[Output]) -> Vec<(u64, Undelivered)> {
    let end = |event| if let Event::Undelivered { message, reason, .. } = event { Some((message, reason)) } else { None };
    events(out).into_iter().filter_map(end).collect()
}

#[test]
fn a_message_waits_for_its_way_and_is_sealed_for_the_run_its_recipient_names() {
    let mut solo = Solo::new();
    let (one, _) = solo.join(1);
    let out = post(&mut solo, 1, 7);
    let [Search { origin, number, target, .. }] = searches(&out, one)[..] else { panic!("a search") };
    assert_eq!((origin, target), (id(ME), id(7)));
    let found = Message::Search(Search { origin, number, target, step: SearchStep::Found { hops: 1 } });
    let out = solo.receive(one, found);
    let out = seal(&mut solo, out);
    let copy = parcels(&out, one).pop().expect("sent");
    assert_eq!((copy.to_run, copy.ttl, copy.id.attempt), (0, limits::ROUTE_TTL, 0));
    let out = solo.receive(one, Message::Notice(Notice { id: copy.id, verdict: Verdict::Run(answers(0).run(6)) }));
    let out = seal(&mut solo, out);
    let copy = parcels(&out, one).pop().expect("sent again");
    assert_eq!((copy.to_run, copy.id.attempt), (6, 1));
    let forged = solo.receive(one, Message::Notice(Notice { id: copy.id, verdict: Verdict::Received([0; 32]) }));
    assert!(events(&forged).is_empty());
    let out = solo.receive(one, Message::Notice(Notice { id: copy.id, verdict: Verdict::Received([6; 32]) }));
    assert!(matches!(events(&out)[..], [Event::Delivered { message: 1, peer }] if peer == id(7)));
}

#[test]
fn a_message_without_an_answer_goes_again_by_another_way_and_ends_with_its_life() {
    let mut solo = Solo::new();
    let (one, two) = (solo.join(1).0, solo.join(2).0);
    let out = post(&mut solo, 1, 7);
    let ask = searches(&out, one)[0];
    let found = |ask: Search| Message::Search(Search { step: SearchStep::Found { hops: 1 }, ..ask });
    let out = solo.receive(one, found(ask));
    assert_eq!(parcels(&seal(&mut solo, out), one).len(), 1);
    let out = solo.wait(5_000);
    let asked_again = searches(&out, two).pop().expect("another search");
    let out = solo.receive(two, found(asked_again));
    let copy = parcels(&out, two).pop().expect("the other way");
    assert_eq!(copy.id.attempt, 1);
    assert_eq!(ends(&solo.wait(30_000)), [(1, Undelivered::Unanswered)]);
}

#[test]
fn a_full_link_is_told_like_a_full_relay() {
    let mut solo = Solo::new();
    let (one, two) = (solo.join(1).0, solo.join(2).0);
    let out = post(&mut solo, 1, 2);
    let copy_ = parcels(&out, two).pop().expect("sent");
    assert!(events(&solo.step(Input::Unsent { id: copy_.id })).is_empty(), "tried again later");
    assert_eq!(parcels(&solo.wait(1_000), two).len(), 1);
    assert_eq!(parcels(&solo.receive(one, parcel(copy(3, 1, 0), 2, 8)), two).len(), 1);
    assert_eq!(notices(&solo.step(Input::Unsent { id: copy(3, 1, 0) }), one), [Verdict::Busy]);
}

/// The run the mesh under test has.
fn run(solo: &mut Solo, link: LinkId) -> u64 {
    let out = solo.receive(link, parcel(copy(1, 1_000_000, 0), ME, 8));
    let [Output::Open { ticket, .. }] = out[..] else { panic!("{out:?}") };
    let out = solo.step(Input::Opened { ticket, opened: Some((Bytes::new(), carried())) });
    let [Verdict::Run(run)] = notices(&out, link)[..] else { panic!("{out:?}") };
    assert!(events(&out).is_empty() && carried().proves_run(&run));
    run.run
}

#[test]
fn a_parcel_to_this_node_is_opened_for_its_run_taken_once_and_answered_every_time() {
    let mut solo = Solo::new();
    let (one, _) = solo.join(1);
    let to_run = run(&mut solo, one);
    let mut receive = |attempt, opens: bool| {
        let message = Parcel { id: copy(3, 1, attempt), to: id(ME), to_run, ttl: 1, sealed: Bytes::from_static(b"x") };
        let out = solo.receive(one, Message::Parcel(message));
        let [Output::Open { ticket, .. }] = out[..] else { panic!("{out:?}") };
        solo.step(Input::Opened { ticket, opened: opens.then(|| (Bytes::from_static(b"hello"), answers(4))) })
    };
    let out = receive(0, true);
    assert!(matches!(&events(&out)[..], [Event::Data { peer, batch }] if *peer == id(3) && batch.iter().eq([b"hello"])));
    assert_eq!(notices(&out, one), [Verdict::Received([4; 32])]);
    let out = receive(1, true);
    assert_eq!((events(&out).len(), notices(&out, one)), (0, vec![Verdict::Received([4; 32])]));
    let out = receive(2, false);
    assert_eq!((events(&out).len(), notices(&out, one)), (0, vec![Verdict::Refused]));
}

#[test]
fn what_waits_to_be_opened_is_bounded_for_each_neighbour_and_in_all() {
    let mut solo = Solo::new();
    let links: Vec<_> = (10..20).map(|n| solo.join(n).0).collect();
    let to_run = run(&mut solo, links[0]);
    let mut opened = |by: &LinkId, first: u64| {
        let message = |number| Parcel { id: copy(3, number, 0), to: id(ME), to_run, ttl: 1, sealed: Bytes::new() };
        let asked =
            |number| solo.receive(*by, Message::Parcel(message(number))).iter().filter(|o| matches!(o, Output::Open { .. })).count();
        (first..first + 100).map(asked).sum::<usize>()
    };
    assert_eq!(opened(&links[0], 0), limits::OPENINGS_PER_CARRIER_MAX);
    let others: usize = links[1..].iter().zip(1..).map(|(link, n)| opened(link, 1_000 * n)).sum();
    assert_eq!(others, limits::OPENINGS_MAX - limits::OPENINGS_PER_CARRIER_MAX);
}

#[test]
fn a_neighbour_that_brings_what_does_not_open_is_soon_told_to_wait() {
    let mut solo = Solo::new();
    let (one, two) = (solo.join(1).0, solo.join(2).0);
    let to_run = run(&mut solo, one);
    let mut opened = |by, number| {
        let message = Parcel { id: copy(3, number, 0), to: id(ME), to_run, ttl: 1, sealed: Bytes::new() };
        let out = solo.receive(by, Message::Parcel(message));
        let [Output::Open { ticket, .. }] = out[..] else { return false };
        solo.step(Input::Opened { ticket, opened: None });
        true
    };
    let count = (0..1_000).filter(|number| opened(one, *number)).count() as u32;
    assert_eq!(count, limits::OPENING_BURST.div_ceil(limits::OPENING_FAILED_COST + 1));
    assert!(opened(two, 5_000), "another neighbour");
}

#[test]
fn who_may_write_over_relays_is_who_might_come_in_by_a_link() {
    for (policy, stranger) in
        [(TrustPolicy::Open, true), (TrustPolicy::Tofu, true), (TrustPolicy::Pinned, false), (TrustPolicy::AllowList, false)]
    {
        let mut solo = Solo::with(|settings| settings.trust = trusting(policy, &[1, 3]), Vec::new());
        let (one, _) = solo.join(1);
        for (from, welcome) in [(3, true), (4, stranger), (9, false)] {
            let out = solo.receive(one, parcel(copy(from, 1, 0), ME, 8));
            let (verdict, is_welcome) = (notices(&out, one), matches!(out[..], [Output::Open { .. }]));
            assert!(is_welcome == welcome && (welcome || verdict == [Verdict::Refused]), "{policy} {from} {verdict:?}");
        }
    }
}

fn others(list: &[(u8, &str)]) -> Vec<(PeerId, String)> {
    list.iter().map(|(n, endpoint)| (id(*n), (*endpoint).to_owned())).collect()
}

fn dials(out: &[Output]) -> Vec<(Endpoint, Option<PeerId>)> {
    out.iter()
        .filter_map(|o| if let Output::Dial { endpoint, expected, .. } = o { Some((endpoint.clone(), *expected)) } else { None })
        .collect()
}

#[test]
fn whom_a_neighbour_names_is_dialled_with_the_key_and_after_a_pause() {
    let mut solo = Solo::with(|settings| settings.trust = trusting(TrustPolicy::Tofu, &[1, 2, 3, 4]), Vec::new());
    let (one, _) = solo.join(1);
    solo.join(2);
    let list = others(&[
        (3, "tcp://192.0.2.3:9001"),
        (2, "tcp://192.0.2.2:9001"),
        (9, "tcp://192.0.2.9:9001"),
        (ME, "tcp://192.0.2.5:9001"),
        (4, "rubbish"),
        (4, "unix:///run/x.sock"),
        (4, "mem://x"),
    ]);
    assert!(solo.receive(one, Message::Neighbours(Neighbours { port: 0, others: list })).is_empty(), "not at once");
    let seen = dials(&solo.wait(limits::RUMOUR_SPREAD.as_millis() as u64));
    assert_eq!(seen, [(Endpoint::tcp("192.0.2.3", 9001), Some(id(3)))]);
}

#[test]
fn rumours_are_bounded_and_worth_nothing_from_strangers_or_where_they_are_switched_off() {
    let many = || {
        let list = (0..limits::NEIGHBOURS_TOLD_MAX as u8).map(|n| (id(100 + n), format!("tcp://192.0.2.{n}:1"))).collect();
        Message::Neighbours(Neighbours { port: 1, others: list })
    };
    let mut open = Solo::with(|settings| settings.trust = trusting(TrustPolicy::Open, &[]), Vec::new());
    let (stranger, _) = open.join(1);
    open.receive(stranger, many());
    assert!(dials(&open.wait(6_000)).is_empty());
    let mut off = Solo::with(|settings| settings.peer_exchange = false, Vec::new());
    let (one, _) = off.join(1);
    off.receive(one, many());
    assert!(dials(&off.wait(6_000)).is_empty());
    let mut solo = Solo::new();
    let (one, _) = solo.join(1);
    for round in 0..20u8 {
        let list = (0..16).map(|n| (PeerId([round.wrapping_mul(16).wrapping_add(n); 32]), format!("tcp://192.0.{round}.{n}:1"))).collect();
        solo.receive(one, Message::Neighbours(Neighbours { port: 0, others: list }));
    }
    assert!(dials(&solo.wait(6_000)).len() <= limits::RUMOURS_MAX);
}

fn tell(solo: &mut Solo, link: LinkId, list: &[(u8, &str)]) {
    solo.receive(link, Message::Neighbours(Neighbours { port: 0, others: others(list) }));
}

/// The hosts that are dialled within 20 s, none of which answers.
fn dialled(solo: &mut Solo) -> Vec<String> {
    let mut hosts = Vec::new();
    for _ in 0..40 {
        for output in solo.wait(500) {
            if let Output::Dial { link, endpoint, .. } = output {
                hosts.push(endpoint.host);
                solo.fail(link, CloseReason::Timeout);
            }
        }
    }
    hosts.sort();
    hosts
}

#[test]
fn a_neighbour_is_believed_only_about_addresses_that_mean_the_same_to_both() {
    let list = [
        (100, "tcp://127.0.0.2:1"),
        (101, "tcp://[::1]:1"),
        (102, "tcp://[::ffff:127.0.0.1]:1"),
        (103, "tcp://169.254.1.1:1"),
        (104, "tcp://0.0.0.0:1"),
        (105, "tcp://224.0.0.1:1"),
        (106, "tcp://a.example:1"),
        (107, "tcp://10.0.0.7:1"),
        (108, "tcp://192.0.2.8:1"),
    ];
    for (teller, believed) in [
        ("192.0.2.1", vec!["192.0.2.8"]),
        ("10.0.0.1", vec!["10.0.0.7", "192.0.2.8"]),
        ("127.0.0.1", vec!["10.0.0.7", "127.0.0.2", "169.254.1.1", "192.0.2.8", "::1"]),
    ] {
        let mut solo = Solo::new();
        let link = solo::dials(&solo.connect(teller, true))[0];
        solo.authenticate(link, 1);
        tell(&mut solo, link, &list);
        let hosts: Vec<_> = dialled(&mut solo).into_iter().filter(|host| host != teller).collect();
        assert_eq!(hosts, believed, "told by {teller}");
    }
}

#[test]
fn few_rumours_are_dialled_at_a_time_and_one_neighbour_names_so_many_only() {
    let mut solo = Solo::new();
    let (one, _) = solo.join(1);
    for round in 0..4u8 {
        let names: Vec<String> = (0..16).map(|n| format!("tcp://192.0.2.{}:1", 16 * round + n)).collect();
        let list: Vec<(u8, &str)> = names.iter().enumerate().map(|(n, name)| (100 + 16 * round + n as u8, name.as_str())).collect();
        tell(&mut solo, one, &list);
    }
    let counts: Vec<usize> = (0..10).map(|_| dials(&solo.wait(limits::RUMOUR_DIAL_EVERY.as_millis() as u64 - 1)).len()).collect();
    assert!(counts.iter().all(|count| *count <= 1), "{counts:?}");
    let first: usize = counts.iter().sum();
    assert!((1..=limits::RUMOUR_DIALS_MAX).contains(&first), "none has ended: {first}");
    assert_eq!(first + dialled(&mut solo).len(), limits::RUMOURS_PER_TELLER_MAX);
}

#[test]
fn a_rumour_that_names_a_wrong_key_stands_in_nobodys_way() {
    let mut solo = Solo::new();
    let (one, _) = solo.join(1);
    tell(&mut solo, one, &[(9, "tcp://192.0.2.9:1")]);
    let link = solo::dials(&solo.wait(limits::RUMOUR_SPREAD.as_millis() as u64))[0];
    let out = solo.connect("192.0.2.9", true);
    assert_eq!(dials(&out), [(Endpoint::tcp("192.0.2.9", 1), None)], "a person's dial takes any key's answer");
    assert_eq!(closes(&out), [(link, CloseReason::Disconnected)]);
    let mut solo = Solo::new();
    let (one, _) = solo.join(1);
    tell(&mut solo, one, &[(9, "tcp://192.0.2.9:1")]);
    let link = solo::dials(&solo.wait(limits::RUMOUR_SPREAD.as_millis() as u64))[0];
    solo.fail(link, CloseReason::Untrusted(Distrust::Unexpected { wanted: id(9), got: id(8) }));
    tell(&mut solo, one, &[(7, "tcp://192.0.2.9:1")]);
    assert!(dialled(&mut solo).is_empty(), "another rumour about it");
    assert_eq!(dials(&solo.connect("192.0.2.9", false)).len(), 1, "no backoff");
}

#[test]
fn a_peer_is_told_of_with_the_port_it_says_and_the_address_it_is_seen_from() {
    let mut solo = Solo::with(|settings| settings.port = 9005, Vec::new());
    let (one, out) = solo.join(1);
    assert_eq!(told(&out, one), [Neighbours { port: 9005, others: Vec::new() }]);
    let (link, _) = solo.accept_from(2);
    solo.authenticate(link, 2);
    solo.receive(link, Message::Neighbours(Neighbours { port: 9002, others: Vec::new() }));
    let out = solo.wait(limits::NEIGHBOURS_TELL_AFTER.as_millis() as u64);
    let named = others(&[(2, "tcp://10.0.0.2:9002")]);
    assert_eq!(told(&out, one), [Neighbours { port: 9005, others: named.clone() }]);
    assert!(told(&out, link).is_empty(), "not of itself");
    // Once only, and whoever comes later is told at once.
    assert!(told(&solo.wait(4_000), one).is_empty());
    let (three, out) = solo.join(3);
    assert_eq!(told(&out, three)[0].others, named);
    solo.step(Input::Disconnect { peer: id(2) });
    let (four, out) = solo.join(4);
    assert!(told(&out, four)[0].others.is_empty(), "gone");
}

#[test]
fn an_address_of_this_machine_is_told_on_this_machine_only() {
    let mut solo = Solo::new();
    solo.connect("127.0.0.1", true);
    let here = solo.step(Input::Tick);
    assert!(here.is_empty());
    let link = LinkId(1);
    solo.authenticate(link, 1);
    let (far, out) = solo.join(2);
    assert!(told(&out, far).is_empty());
    assert!(told(&solo.wait(2_000), far).is_empty());
}
