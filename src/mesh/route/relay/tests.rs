//! What a relay remembers.

use bytes::Bytes;

use super::*;
use crate::base::answer::Answers;

const NOW: Time = Time::ZERO;

fn peer(n: u64) -> PeerId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    PeerId(id)
}

fn parcel(n: u64, sealed: &'static [u8]) -> Parcel {
    let id = ParcelId { from: peer(1), from_run: 1, number: n, attempt: 0 };
    let head = [0; 33];
    let sealed = [&head[..], &answers(sealed[0]).pledge().0, sealed].concat();
    Parcel { id, to: peer(4), to_run: 1, ttl: 8, sealed: Bytes::from(sealed) }
}

fn answers(n: u8) -> Answers {
    Answers::new([n; 32], [n; 32])
}

#[test]
fn the_oldest_crumb_gives_way_and_the_others_lead_back() {
    let mut crumbs = Crumbs::new();
    for n in 0..limits::CRUMBS_MAX as u64 + 5 {
        crumbs.drop_one(NOW, &parcel(n, b"x"), (peer(2), peer(3)));
    }
    assert_eq!(crumbs.crumbs.len(), limits::CRUMBS_MAX);
    assert!(!crumbs.seen(NOW, &parcel(4, b"x"), peer(2)) && crumbs.seen(NOW, &parcel(5, b"x"), peer(2)));
    let id = parcel(5, b"x").id;
    assert_eq!(crumbs.latest(&id).map(|crumb| (crumb.back, crumb.on)), Some((peer(2), peer(3))));
    let told = (0..20).filter(|_| crumbs.told(NOW, &id, peer(3), Verdict::Busy).1[0].1).count();
    assert_eq!(told, usize::from(limits::CRUMB_NOTICES_MAX));
    assert!(crumbs.told(NOW, &id, peer(2), Verdict::Busy).1.is_empty(), "from where it did not go");
}

#[test]
fn a_neighbour_that_brings_many_copies_makes_its_own_be_forgotten_not_those_of_others() {
    let mut crumbs = Crumbs::new();
    (0..10).for_each(|n| crumbs.drop_one(NOW, &parcel(n, b"x"), (peer(5), peer(3))));
    (10..4 * limits::CRUMBS_MAX as u64).for_each(|n| crumbs.drop_one(NOW, &parcel(n, b"x"), (peer(2), peer(3))));
    assert!((0..10).all(|n| crumbs.seen(NOW, &parcel(n, b"x"), peer(5))));
    let ages: usize = crumbs.ages.values().map(BTreeMap::len).sum();
    assert_eq!((crumbs.crumbs.len(), ages, crumbs.crowds.len()), (limits::CRUMBS_MAX, limits::CRUMBS_MAX, 2));
}

#[test]
fn a_copy_is_the_same_only_from_the_same_neighbour_and_with_the_same_content() {
    let mut crumbs = Crumbs::new();
    let copy = parcel(1, b"x");
    crumbs.drop_one(NOW, &copy, (peer(2), peer(3)));
    assert!(!crumbs.seen(NOW, &copy, peer(5)), "another neighbour's");
    assert!(!crumbs.seen(NOW, &parcel(1, b"y"), peer(2)), "a forged one");
    assert!(!crumbs.seen(NOW, &Parcel { to_run: 2, ..copy.clone() }, peer(2)));
    assert!(crumbs.seen(NOW, &Parcel { ttl: 2, ..copy.clone() }, peer(2)));
    crumbs.drop_one(NOW, &copy, (peer(5), peer(3)));
    let (told, about) = crumbs.told(NOW, &copy.id, peer(3), Verdict::Received([b'x'; 32]));
    assert_eq!(told, Told::Proven);
    assert_eq!(about.iter().map(|(crumb, may)| (crumb.back, *may)).collect::<Vec<_>>(), [(peer(2), true), (peer(5), true)]);
    assert_eq!(crumbs.receipt(&copy), Some([b'x'; 32]), "so it can be told again");
    assert_eq!((crumbs.receipt(&parcel(1, b"y")), crumbs.receipt(&parcel(2, b"x"))), (None, None));
}

#[test]
fn a_copy_passes_again_with_more_links_left_or_after_a_second_or_once_something_was_told_of_it() {
    let mut crumbs = Crumbs::new();
    let copy = |ttl| Parcel { ttl, ..parcel(1, b"x") };
    crumbs.drop_one(NOW, &copy(3), (peer(2), peer(3)));
    assert!([1, 2, 3].iter().all(|ttl| crumbs.seen(NOW, &copy(*ttl), peer(2))), "a circle");
    assert!(!crumbs.seen(NOW, &copy(4), peer(2)) && !crumbs.seen(NOW + limits::CRUMB_LOOPS, &copy(3), peer(2)));
    crumbs.drop_one(NOW, &copy(200), (peer(2), peer(4)));
    assert!([4, 8, 201, 255].iter().all(|ttl| crumbs.seen(NOW, &copy(*ttl), peer(2))), "no more links than there are");
    crumbs.told(NOW, &copy(1).id, peer(4), Verdict::TtlExceeded);
    assert!(crumbs.seen(NOW, &copy(3), peer(2)) && !crumbs.seen(NOW, &copy(4), peer(2)));
    // What passed by the way before is still heard of.
    assert_eq!(crumbs.told(NOW, &copy(1).id, peer(3), Verdict::Received([b'x'; 32])).0, Told::Proven);
}

#[test]
fn a_proven_run_is_passed_back_once_however_much_was_said_before() {
    let mut crumbs = Crumbs::new();
    let copy = parcel(1, b"x");
    crumbs.drop_one(NOW, &copy, (peer(2), peer(3)));
    let mut told = |verdict| crumbs.told(NOW, &copy.id, peer(3), verdict).1[0].1;
    assert_eq!((0..20).filter(|_| told(Verdict::TtlExceeded)).count(), usize::from(limits::CRUMB_NOTICES_MAX));
    let run = Verdict::Run(answers(b'x').run(7));
    assert_eq!([told(Verdict::Busy), told(run), told(run)], [false, true, false]);
}

#[test]
fn who_brought_most_under_a_name_is_who_brought_what_was_refused_and_of_equals_nobody() {
    let mut crumbs = Crumbs::new();
    let id = parcel(1, b"x").id;
    assert_eq!(crumbs.culprit(&id, peer(3)), None);
    crumbs.drop_one(NOW, &parcel(1, b"x"), (peer(2), peer(3)));
    assert_eq!(crumbs.culprit(&id, peer(3)), Some(peer(2)));
    crumbs.drop_one(NOW, &parcel(1, b"y"), (peer(5), peer(3)));
    crumbs.drop_one(NOW, &parcel(1, b"z"), (peer(5), peer(4)));
    assert_eq!(crumbs.culprit(&id, peer(3)), None);
    crumbs.drop_one(NOW, &parcel(1, b"z"), (peer(5), peer(3)));
    assert_eq!(crumbs.culprit(&id, peer(3)), Some(peer(5)));
}

#[test]
fn many_forged_copies_under_a_name_are_looked_through_for_a_proof_only() {
    let mut crumbs = Crumbs::new();
    let forged = |n: u32| Parcel { sealed: Bytes::from([&[0; 65][..], &n.to_le_bytes()].concat()), ..parcel(1, b"x") };
    (0..4_000).for_each(|n| crumbs.drop_one(NOW, &forged(n), (peer(2), peer(3))));
    let copy = parcel(1, b"x");
    crumbs.drop_one(NOW, &copy, (peer(5), peer(3)));
    crumbs.told(NOW, &copy.id, peer(3), Verdict::Busy);
    assert_eq!(crumbs.crumbs.values().filter(|crumb| crumb.heard).count(), limits::CRUMBS_WALKED_MAX);
    assert_eq!(crumbs.of_parcel(&copy.id, mark(&copy)).count(), 1, "no more work for the true one");
    (0..100).for_each(|_| assert_eq!(crumbs.told(NOW, &copy.id, peer(9), Verdict::Received([9; 32])).0, Told::False));
    assert!(!crumbs.walks.allow_cost(NOW, peer(9), 0), "who tells what is not so");
    let (told, about) = crumbs.told(NOW, &copy.id, peer(3), Verdict::Received([b'x'; 32]));
    assert_eq!((told, about.len(), about[0].0.back), (Told::Proven, 1, peer(5)));
    crumbs.ages.clone().values().flat_map(|ages| ages.values()).for_each(|key| crumbs.forget(key));
    assert!(crumbs.same.is_empty() && crumbs.crumbs.is_empty());
}

#[test]
fn only_who_opened_a_parcel_can_tell_of_it_and_a_forged_copy_takes_nothing_from_the_true_one() {
    let mut crumbs = Crumbs::new();
    let (copy, forged) = (parcel(1, b"x"), parcel(1, b"y"));
    [&copy, &forged].into_iter().for_each(|parcel| crumbs.drop_one(NOW, parcel, (peer(2), peer(3))));
    let run = answers(b'x').run(7);
    for lie in [Verdict::Received([9; 32]), Verdict::Received(run.opened), Verdict::Run(answers(9).run(7))] {
        let (told, about) = crumbs.told(NOW, &copy.id, peer(3), lie);
        assert_eq!((told, about.len()), (Told::False, 1), "{lie:?}");
    }
    for _ in 0..9 {
        crumbs.told(NOW, &copy.id, peer(3), Verdict::Busy);
    }
    assert_eq!(crumbs.told(NOW, &copy.id, peer(3), Verdict::Run(run)).0, Told::Proven);
    let (told, about) = crumbs.told(NOW, &copy.id, peer(3), Verdict::Received([b'x'; 32]));
    assert_eq!((told, about.len(), about[0].1), (Told::Proven, 1, true), "whatever was said before");
    assert_eq!((crumbs.receipt(&copy), crumbs.receipt(&forged)), (Some([b'x'; 32]), None));
}

#[test]
fn what_has_arrived_is_told_of_every_copy_of_that_parcel_once() {
    let mut crumbs = Crumbs::new();
    let copy = |attempt, sealed| {
        let copy = parcel(1, sealed);
        Parcel { id: ParcelId { attempt, ..copy.id }, ..copy }
    };
    crumbs.drop_one(NOW, &copy(0, b"x"), (peer(2), peer(3)));
    crumbs.drop_one(NOW, &copy(7, b"x"), (peer(5), peer(4)));
    crumbs.drop_one(NOW, &copy(8, b"y"), (peer(5), peer(4)));
    crumbs.told(NOW, &copy(7, b"x").id, peer(4), Verdict::Received([b'x'; 32]));
    let arrived = |crumbs: &mut Crumbs| crumbs.arrived(&copy(7, b"x").id, [b'x'; 32]);
    assert_eq!(arrived(&mut crumbs), [(copy(0, b"x").id, peer(2))]);
    assert!(arrived(&mut crumbs).is_empty());
    assert_eq!(crumbs.receipt(&copy(99, b"x")), Some([b'x'; 32]));
}

#[test]
fn ways_that_copies_of_a_message_took_are_known_by_the_neighbour_that_brought_them() {
    let mut crumbs = Crumbs::new();
    let copy = |attempt| {
        let copy = parcel(1, b"x");
        Parcel { id: ParcelId { attempt, ..copy.id }, ..copy }
    };
    crumbs.drop_one(NOW, &copy(0), (peer(2), peer(3)));
    crumbs.drop_one(NOW, &copy(1), (peer(2), peer(4)));
    crumbs.drop_one(NOW, &copy(2), (peer(2), peer(3)));
    crumbs.drop_one(NOW, &copy(3), (peer(5), peer(6)));
    let tried = crumbs.tried(&copy(9), peer(2));
    assert_eq!(tried.keys().copied().collect::<Vec<_>>(), [peer(3), peer(4)]);
    assert!(tried[&peer(3)] > tried[&peer(4)]);
    assert!(crumbs.tried(&parcel(2, b"x"), peer(2)).is_empty() && crumbs.tried(&parcel(1, b"y"), peer(2)).is_empty());
}

#[test]
fn a_search_is_passed_on_once_and_answered_once_to_all_that_asked() {
    let mut searches = Searches::default();
    let search = (peer(1), 1, peer(9));
    assert_eq!(searches.asked(search, peer(2)), Question::New);
    assert_eq!(searches.asked(search, peer(2)), Question::Known);
    assert_eq!(searches.asked(search, peer(3)), Question::Again(None), "the other way round a circle");
    assert_eq!(searches.answered((peer(1), 1, peer(8)), peer(4), 1), None, "another target");
    assert_eq!(searches.asked((peer(1), 1, peer(8)), peer(3)), Question::New, "a guessed number with another target");
    assert_eq!(searches.answered(search, peer(3), 2), Some(vec![peer(2)]), "not to who says it");
    assert_eq!(searches.answered(search, peer(4), 1), Some(vec![peer(3)]), "who answered first is told of another");
    assert_eq!(searches.answered(search, peer(6), 1), Some(Vec::new()));
    assert_eq!(searches.asked(search, peer(5)), Question::Again(Some((peer(3), 2))), "late");
    let askers = (10..50).filter(|n| searches.asked(search, peer(*n)) != Question::Known).count();
    assert_eq!(askers, limits::SEARCH_ASKERS_MAX - 3);
    let other = (peer(1), 1, peer(8));
    assert_eq!(searches.answered(other, peer(4), 1), Some(vec![peer(3)]));
    assert_eq!(searches.answered(other, peer(5), 2), Some(Vec::new()));
    assert_eq!(searches.asked(other, peer(4)), Question::Again(Some((peer(5), 2))), "not of the way over itself");
    (2..3000).for_each(|n| assert_eq!(searches.asked((peer(1), n, peer(9)), peer(2)), Question::New));
    assert_eq!((searches.seen.len(), searches.ages.len()), (limits::SEARCHES_MAX, limits::SEARCHES_MAX));
}

#[test]
fn a_burst_is_let_through_and_then_one_each_time_and_others_are_not_held_up() {
    let mut rates = Rates::new(4, Duration::from_millis(100));
    let mut allowed = |ms, n| rates.allow(Time::from_millis(ms), peer(n));
    assert_eq!((0..10).filter(|_| allowed(0, 1)).count(), 4);
    assert!(allowed(0, 2) && !allowed(99, 1) && allowed(100, 1) && !allowed(100, 1));
    (0..5_000).for_each(|n| assert!(allowed(100, 10 + n)));
    assert!(rates.full_at.len() <= limits::RELAY_SOURCES_MAX);
}

/// Parcels of that size that pass within so many seconds, offered at every millisecond.
fn passed(shares: &mut Shares, len: usize, seconds: u64) -> u64 {
    let way = (peer(1), peer(2));
    (0..seconds * 1_000).filter(|ms| shares.allow(Time::from_millis(*ms), way, len)).count() as u64
}

#[test]
fn a_neighbour_is_held_to_bytes_and_small_parcels_count_as_well() {
    let burst = u64::from(limits::RELAY_BURST_KIB);
    let kib_a_second = 1_000_000 / limits::RELAY_KIB_EVERY.as_micros() as u64;
    for (len, kib) in [(100, 1), (limits::PARCEL_MAX_BYTES, 65)] {
        let cost = kib + u64::from(limits::RELAY_PARCEL_KIB);
        let count = passed(&mut Shares::new(), len, 10);
        assert!(count.abs_diff((burst * 63 / 64 + 10 * kib_a_second) / cost) <= 2, "{len} bytes: {count}");
    }
}

#[test]
fn what_a_next_hop_has_no_room_for_is_charged_towards_that_one_only() {
    let (mut shares, mut crumbs) = (Shares::new(), Crumbs::new());
    crumbs.drop_one(NOW, &parcel(1, b"x"), (peer(1), peer(2)));
    let crumb = crumbs.latest(&parcel(1, b"x").id).expect("dropped");
    let mut sent = 0;
    while shares.allow(Time::ZERO, (peer(1), peer(2)), 100) {
        shares.charge(Time::ZERO, &crumb, limits::RELAY_UNSENT_COST);
        sent += 1;
    }
    assert_eq!(sent, 1_024_u32.div_ceil(limits::RELAY_UNSENT_COST + 1));
    assert!(shares.allow(Time::ZERO, (peer(1), peer(3)), 100), "another way on");
    assert!(shares.allow(Time::ZERO, (peer(4), peer(2)), 100), "another neighbour");
}
