//! Snapshots for those who come late: offered in place of pushes, taken from several neighbours, given up and taken up again.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use vixp2p::base::{LinkId, LogId, Time, limits};
use vixp2p::mesh::io::{Examined, Kept, Place, SnapshotInput, SnapshotOutput};
use vixp2p::mesh::{Input, Mesh, MeshSettings, Output};
use vixp2p::sync::LogState;
use vixp2p::wire::Message;
use vixp2p::wire::message::{Decline, Part, SnapshotData, SnapshotDecline, SnapshotFetch, SnapshotId, SnapshotOffer};
use vixp2p::{Config, Event};

use crate::solo::{Solo, ack, closes, events, everybody, group, id, log, nak, push, pushes, sent};

const PIECE: u64 = limits::SNAPSHOT_PIECE_BYTES as u64;

/// Snapshot `n` of number 9, with so many pieces; those with the same tens have the same bytes.
pub(crate) fn offer(n: u8, pieces: u64) -> SnapshotOffer {
    SnapshotOffer { id: SnapshotId([n; 32]), maker: id(9), root: [n / 10; 32], size: pieces * PIECE, manifest: 100 }
}

pub(crate) fn place(log: LogId, applied: u64, base: u64) -> Place {
    Place { log, applied, base }
}

/// Number 5 with logs that are durable, applied and let go of up to these records.
pub(crate) fn based(logs: &[(LogId, u64, u64, u64)]) -> Solo {
    let mut settings = MeshSettings::from_config(&Config::new("solo"), id(5));
    settings.trust = everybody();
    // Nobody answers its Pings.
    settings.stale_after = Duration::from_secs(100_000);
    let state = |(log, durable, applied, base): &(LogId, u64, u64, u64)| LogState {
        log: *log,
        durable: *durable,
        applied: *applied,
        parked: None,
        frozen: None,
        base: *base,
    };
    Solo { mesh: Mesh::resume(settings, logs.iter().map(state).collect(), log(5), 1), now: Time::ZERO }
}

pub(crate) fn tell(solo: &mut Solo, told: SnapshotInput) -> Vec<Output> {
    solo.step(Input::Snapshot(told))
}

pub(crate) fn hold(solo: &mut Solo, offer: SnapshotOffer, places: Vec<Place>) -> Vec<Output> {
    tell(solo, SnapshotInput::Held { offer, places })
}

pub(crate) fn wanted(outputs: &[Output]) -> Vec<SnapshotOutput> {
    outputs.iter().filter_map(|o| if let Output::Snapshot(wanted) = o { Some(wanted.clone()) } else { None }).collect()
}

pub(crate) fn makes(outputs: &[Output]) -> usize {
    wanted(outputs).iter().filter(|wanted| matches!(wanted, SnapshotOutput::Make)).count()
}

pub(crate) fn installs(outputs: &[Output]) -> usize {
    wanted(outputs).iter().filter(|wanted| matches!(wanted, SnapshotOutput::Install { .. })).count()
}

pub(crate) fn offers(outputs: &[Output], link: LinkId) -> Vec<u8> {
    let offer = |m: Message| if let Message::SnapshotOffer(offer) = m { Some(offer.id.0[0]) } else { None };
    sent(outputs, link).into_iter().filter_map(offer).collect()
}

pub(crate) fn fetches(outputs: &[Output], link: LinkId) -> Vec<Part> {
    let part = |m: Message| if let Message::SnapshotFetch(fetch) = m { Some(fetch.part) } else { None };
    sent(outputs, link).into_iter().filter_map(part).collect()
}

pub(crate) fn declines(outputs: &[Output], link: LinkId) -> Vec<Decline> {
    let why = |m: Message| if let Message::SnapshotDecline(no) = m { Some(no.why) } else { None };
    sent(outputs, link).into_iter().filter_map(why).collect()
}

pub(crate) fn applies(outputs: &[Output]) -> Vec<(u64, u64)> {
    outputs.iter().filter_map(|o| if let Output::Apply { from, upto, .. } = o { Some((*from, *upto)) } else { None }).collect()
}

fn reads(outputs: &[Output]) -> usize {
    outputs.iter().filter(|o| matches!(o, Output::Read { .. })).count()
}

pub(crate) fn data(n: u8, part: Part, len: usize) -> Message {
    Message::SnapshotData(SnapshotData { id: SnapshotId([n; 32]), part, bytes: Some(vec![0; len].into()) })
}

/// The peer offers, gives the manifest, and the carrier says this of it.
pub(crate) fn offered(solo: &mut Solo, link: LinkId, offer: &SnapshotOffer, places: &[Place], missing: Option<Vec<u64>>) -> Vec<Output> {
    let seen = solo.receive(link, Message::SnapshotOffer(offer.clone()));
    assert_eq!(fetches(&seen, link), [Part::Manifest]);
    let seen = solo.receive(link, data(offer.id.0[0], Part::Manifest, 100));
    assert!(matches!(wanted(&seen)[..], [SnapshotOutput::Examine { .. }]));
    let verdict = Examined::Good { places: places.to_vec(), missing };
    tell(solo, SnapshotInput::Examined { link, id: offer.id, verdict })
}

/// The peer gives a part, and the carrier keeps it as what was examined as snapshot `of`.
pub(crate) fn given(solo: &mut Solo, link: LinkId, (n, of): (u8, u8), part: Part, verdict: Kept) -> Vec<Output> {
    let seen = solo.receive(link, data(n, part, 10));
    assert!(matches!(wanted(&seen)[..], [SnapshotOutput::Keep { .. }]), "{part:?}");
    let mut seen = seen;
    seen.extend(tell(solo, SnapshotInput::Kept { link, id: SnapshotId([of; 32]), part, verdict }));
    seen
}

pub(crate) fn hashes(solo: &mut Solo, link: LinkId, n: u8, pieces: u64) -> Vec<Output> {
    given(solo, link, (n, n), Part::Hashes, Kept::Hashes { missing: (0..pieces).collect() })
}

// ---- the giver ---------------------------------------------------------------------------------------------------------------

#[test]
fn a_follower_below_the_base_is_offered_a_snapshot_and_never_pushed() {
    let mut solo = based(&[(log(5), 20, 20, 0), (log(1), 30, 30, 12)]);
    hold(&mut solo, offer(10, 1), vec![place(log(1), 25, 20), place(log(5), 20, 20)]);
    let (link, mut seen) = solo.join_with(7, &[(log(5), 20), (log(1), 11)]);
    seen.extend(solo.wait(60_000));
    assert_eq!((offers(&seen, link), reads(&seen), pushes(&seen, link), makes(&seen)), (vec![10], 0, vec![], 0));
    // What it gets of another log meanwhile goes as ever.
    assert_eq!(pushes(&solo.durable(vec![group(log(5), 21, 21, 100)]), link), [(21, 21)]);
    // Behind the snapshot the tail is pushed.
    let mut seen = solo.receive(link, ack(log(1), 20, 20));
    seen.extend(solo.wait(1_000));
    assert_eq!((reads(&seen), offers(&seen, link)), (1, vec![]));
}

#[test]
fn a_log_that_is_cut_while_a_follower_reads_it_is_not_read_on() {
    let mut solo = based(&[(log(5), 20, 20, 0)]);
    let (link, seen) = solo.join_with(7, &[]);
    assert_eq!(reads(&seen), 1);
    tell(&mut solo, SnapshotInput::Truncated { log: log(5), base: 10 });
    let mut seen = solo.step(Input::ReadDone { link, log: log(5), groups: Vec::new() });
    seen.extend(solo.wait(30_000));
    assert_eq!((reads(&seen), makes(&seen)), (0, 1));
    // The other half of the peers, which are behind the cut, goes on.
    let (other, seen) = solo.join_with(8, &[(log(5), 10)]);
    assert_eq!((reads(&seen), offers(&solo.wait(1_000), other)), (1, vec![]));
}

#[test]
fn a_snapshot_is_made_for_who_needs_it_one_at_a_time_and_not_too_often() {
    let mut solo = based(&[(log(5), 20, 20, 10)]);
    let (link, mut seen) = solo.join_with(7, &[]);
    seen.extend(solo.wait(60_000));
    assert_eq!((makes(&seen), offers(&seen, link)), (1, vec![]), "it has not answered");
    // What fails is tried again after ever longer pauses.
    for seconds in [10, 20, 40, 80] {
        tell(&mut solo, SnapshotInput::NotMade);
        assert_eq!(makes(&solo.wait(seconds * 1_000 - 1_000)), 0, "{seconds}");
        assert_eq!(makes(&solo.wait(3_000)), 1, "{seconds}");
    }
    let mut seen = Vec::new();
    seen.extend(hold(&mut solo, offer(10, 1), vec![place(log(5), 20, 20)]));
    seen.extend(solo.wait(60_000));
    assert_eq!((makes(&seen), offers(&seen, link)), (0, vec![10]));
}

#[test]
fn none_is_made_that_would_lack_what_the_peer_has_applied() {
    let mut solo = based(&[(log(5), 20, 20, 10), (log(1), 5, 5, 0)]);
    let (link, mut seen) = solo.join_with(7, &[(log(1), 6)]);
    seen.extend(solo.wait(5_000));
    assert_eq!(makes(&seen), 0);
    solo.receive(link, push(&group(log(1), 6, 6, 10)));
    solo.durable(vec![group(log(1), 6, 6, 10)]);
    let mut seen = solo.step(Input::Applied { log: log(1), seq: 6 });
    seen.extend(solo.wait(2_000));
    assert_eq!(makes(&seen), 1);
}

#[test]
fn a_declined_snapshot_is_followed_by_a_newer_one_unless_none_of_this_node_is_welcome() {
    let mut solo = based(&[(log(5), 20, 20, 10)]);
    let places = || vec![place(log(5), 20, 20)];
    let own = |n| SnapshotOffer { maker: id(5), ..offer(n, 1) };
    hold(&mut solo, own(10), places());
    let (link, _) = solo.join_with(7, &[]);
    assert_eq!(offers(&solo.wait(1_000), link), [10]);
    let no = |n, why| Message::SnapshotDecline(SnapshotDecline { id: SnapshotId([n; 32]), why });
    solo.receive(link, no(10, Decline::Behind));
    assert_eq!(makes(&solo.wait(1_000)), 1);
    hold(&mut solo, own(20), places());
    assert_eq!(offers(&solo.wait(1_000), link), [20]);
    solo.receive(link, no(20, Decline::Behind));
    assert_eq!(makes(&solo.wait(5_000)), 0, "the pauses grow");
    assert_eq!(makes(&solo.wait(40_000)), 1);
    hold(&mut solo, own(30), places());
    assert_eq!(offers(&solo.wait(1_000), link), [30]);
    solo.receive(link, no(30, Decline::Unwelcome));
    assert_eq!(makes(&solo.wait(3_600_000)), 0);
}

#[test]
fn parts_are_read_for_a_peer_a_few_at_a_time_and_what_is_gone_is_said_to_be() {
    let mut solo = based(&[(log(5), 20, 20, 10)]);
    hold(&mut solo, offer(10, 9), vec![place(log(5), 20, 20)]);
    let (link, _) = solo.join_with(7, &[]);
    let fetch = |n, part| Message::SnapshotFetch(SnapshotFetch { id: SnapshotId([n; 32]), part });
    let seen = solo.receive(link, fetch(10, Part::Piece(8)));
    assert!(matches!(wanted(&seen)[..], [SnapshotOutput::Read { part: Part::Piece(8), .. }]));
    let bytes = Some(Bytes::from_static(b"piece"));
    let answer = SnapshotInput::ReadDone { link, id: SnapshotId([10; 32]), part: Part::Piece(8), bytes: bytes.clone() };
    let data = |n, part, bytes| Message::SnapshotData(SnapshotData { id: SnapshotId([n; 32]), part, bytes });
    assert_eq!(sent(&tell(&mut solo, answer), link), [data(10, Part::Piece(8), bytes)]);
    for (n, part) in [(10, Part::Piece(9)), (11, Part::Manifest)] {
        assert_eq!(sent(&solo.receive(link, fetch(n, part)), link), [data(n, part, None)]);
    }
    for index in 0..limits::SNAPSHOT_ASKED_MAX as u64 {
        assert!(closes(&solo.receive(link, fetch(10, Part::Piece(index)))).is_empty());
    }
    assert_eq!(closes(&solo.receive(link, fetch(10, Part::Hashes))).len(), 1, "more than may be asked for");
}

// ---- the taker ---------------------------------------------------------------------------------------------------------------

/// Number 5 with record 1 of number 1's log, linked to number 7 and number 8.
pub(crate) fn taker() -> (Solo, LinkId, LinkId) {
    let mut solo = based(&[(log(5), 3, 3, 0), (log(1), 1, 1, 0)]);
    let (seven, _) = solo.join_with(7, &[(log(5), 2)]);
    let (eight, _) = solo.join_with(8, &[(log(5), 3)]);
    (solo, seven, eight)
}

pub(crate) fn places() -> Vec<Place> {
    vec![place(log(1), 22, 20), place(log(2), 9, 9), place(log(5), 1, 1)]
}

#[test]
fn pieces_come_from_every_neighbour_with_the_same_state_and_nothing_is_applied_meanwhile() {
    let (mut solo, seven, eight) = taker();
    let seen = offered(&mut solo, seven, &offer(10, 12), &places(), None);
    assert_eq!(fetches(&seen, seven), [Part::Hashes]);
    assert!(fetches(&solo.receive(eight, Message::SnapshotOffer(offer(11, 12))), eight).is_empty(), "asked of the first already");
    let seen = hashes(&mut solo, seven, 10, 12);
    let most = limits::SNAPSHOT_ASKED_MAX;
    let (a, b) = (fetches(&seen, seven), fetches(&seen, eight));
    assert_eq!((a.len(), b.len(), a.iter().chain(&b).collect::<BTreeSet<_>>().len()), (most, most, 2 * most));
    // Records that come meanwhile are stored and wait.
    solo.receive(eight, push(&group(log(8), 1, 2, 10)));
    assert!(applies(&solo.durable(vec![group(log(8), 1, 2, 10)])).is_empty());
    let mut open: Vec<(LinkId, u8, Part)> = a.iter().map(|p| (seven, 10, *p)).chain(b.iter().map(|p| (eight, 11, *p))).collect();
    let mut got = BTreeSet::new();
    let mut seen = Vec::new();
    while let Some((link, n, part)) = open.pop() {
        assert!(got.insert(part), "asked for once");
        seen = given(&mut solo, link, (n, 10), part, Kept::Piece);
        assert!(applies(&seen).is_empty());
        open.extend(fetches(&seen, seven).into_iter().map(|p| (seven, 10, p)));
        open.extend(fetches(&seen, eight).into_iter().map(|p| (eight, 11, p)));
    }
    assert_eq!((got.len(), installs(&seen)), (12, 1));
    let seen = tell(&mut solo, SnapshotInput::Installed { id: SnapshotId([10; 32]), places: places() });
    let (told, lines) = (sent(&seen, seven), [ack(log(1), 20, 20), ack(log(2), 9, 9)]);
    assert!(lines.iter().all(|line| told.contains(line)), "{told:?}");
    assert_eq!(applies(&seen), [(1, 2)], "what waited");
    // The tail: what the state has in it already is not applied again.
    solo.receive(seven, push(&group(log(1), 21, 24, 10)));
    assert_eq!(applies(&solo.durable(vec![group(log(1), 21, 24, 10)])), [(23, 24)]);
}

#[test]
fn own_records_that_nobody_has_yet_survive_a_snapshot_and_are_pushed_as_ever() {
    let (mut solo, seven, _) = taker();
    let seen = offered(&mut solo, seven, &offer(10, 1), &places(), Some(Vec::new()));
    assert_eq!(installs(&seen), 1, "all of it was on disk");
    tell(&mut solo, SnapshotInput::Installed { id: SnapshotId([10; 32]), places: places() });
    let own = solo.mesh.log(log(5)).expect("the own log");
    assert_eq!((own.durable, own.applied), (3, 3));
    let seen = solo.step(Input::ReadDone { link: seven, log: log(5), groups: vec![group(log(5), 3, 3, 10)] });
    assert_eq!(pushes(&seen, seven), [(3, 3)]);
    assert_eq!(pushes(&solo.durable(vec![group(log(5), 4, 4, 10)]), seven), [(4, 4)]);
}

#[test]
fn the_state_is_replaced_when_the_application_has_nothing_under_way() {
    let (mut solo, seven, eight) = taker();
    solo.receive(eight, push(&group(log(1), 2, 4, 10)));
    assert_eq!(applies(&solo.durable(vec![group(log(1), 2, 4, 10)])), [(2, 4)]);
    let mut seen = offered(&mut solo, seven, &offer(10, 1), &places(), Some(Vec::new()));
    seen.extend(solo.step(Input::Applied { log: log(1), seq: 3 }));
    assert_eq!(installs(&seen), 0);
    let seen = solo.step(Input::Applied { log: log(1), seq: 4 });
    assert_eq!((installs(&seen), applies(&seen).len()), (1, 0));
    let seen = tell(&mut solo, SnapshotInput::NotInstalled { id: SnapshotId([10; 32]) });
    assert!(closes(&seen).is_empty());
    solo.receive(eight, push(&group(log(1), 5, 5, 10)));
    assert_eq!(applies(&solo.durable(vec![group(log(1), 5, 5, 10)])), [(5, 5)], "the old state stands and goes on");
    assert_eq!(fetches(&solo.wait(10_000), seven), [Part::Manifest], "and it is tried again");
}

#[test]
fn a_snapshot_that_lacks_what_is_applied_here_is_declined_and_a_newer_one_waited_for() {
    let (mut solo, seven, eight) = taker();
    solo.receive(eight, push(&group(log(1), 2, 25, 10)));
    solo.durable(vec![group(log(1), 2, 25, 10)]);
    // 25 is under way, the snapshot has 22 and brings number 2's log.
    let seen = offered(&mut solo, seven, &offer(10, 1), &places(), Some(Vec::new()));
    assert_eq!((declines(&seen, seven), installs(&seen)), (vec![Decline::Behind], 0));
    solo.step(Input::Applied { log: log(1), seq: 25 });
    solo.receive(eight, push(&group(log(1), 26, 26, 10)));
    assert!(applies(&solo.durable(vec![group(log(1), 26, 26, 10)])).is_empty(), "the next one shall cover it");
    let newer = vec![place(log(1), 25, 25), place(log(2), 9, 9)];
    assert_eq!(installs(&offered(&mut solo, seven, &offer(20, 1), &newer, Some(Vec::new()))), 1);
    let seen = tell(&mut solo, SnapshotInput::Installed { id: SnapshotId([20; 32]), places: newer });
    assert_eq!(applies(&seen), [(26, 26)]);
}

#[test]
fn a_snapshot_that_lacks_records_which_are_let_go_of_here_is_declined_and_nothing_waits_for_a_newer_one() {
    let mut solo = based(&[(log(5), 9, 9, 4)]);
    let (seven, _) = solo.join_with(7, &[(log(5), 9)]);
    solo.receive(seven, push(&group(log(8), 1, 1, 10)));
    let with_own = |n| vec![place(log(1), 22, 20), place(log(5), n, n)];
    let seen = offered(&mut solo, seven, &offer(10, 1), &with_own(3), Some(Vec::new()));
    assert_eq!((declines(&seen, seven), installs(&seen)), (vec![Decline::Unneeded], 0));
    assert!(matches!(&events(&seen)[..], [Event::LogFailed { detail }] if detail.contains("up to 4 are no longer kept")), "{seen:?}");
    assert_eq!(applies(&solo.durable(vec![group(log(8), 1, 1, 10)])), [(1, 1)]);
    solo.step(Input::Applied { log: log(8), seq: 1 });
    let with_own = |n| [with_own(n), vec![place(log(8), 1, 1)]].concat();
    assert_eq!(installs(&offered(&mut solo, seven, &offer(20, 1), &with_own(4), Some(Vec::new()))), 1);
}

#[test]
fn the_application_goes_on_if_no_newer_one_comes() {
    let (mut solo, seven, eight) = taker();
    solo.receive(eight, push(&group(log(1), 2, 25, 10)));
    solo.durable(vec![group(log(1), 2, 25, 10)]);
    offered(&mut solo, seven, &offer(10, 1), &places(), None);
    solo.step(Input::Applied { log: log(1), seq: 25 });
    solo.receive(eight, push(&group(log(1), 26, 26, 10)));
    solo.durable(vec![group(log(1), 26, 26, 10)]);
    let seen = solo.wait(limits::SNAPSHOT_PATIENCE.as_millis() as u64 + 1);
    assert_eq!(applies(&seen), [(26, 26)]);
}

#[test]
fn what_is_not_asked_for_is_refused_and_what_helps_nothing_or_is_unwelcome_declined() {
    let (mut solo, seven, eight) = taker();
    let seen = offered(&mut solo, seven, &offer(10, 1), &[place(log(1), 1, 1)], None);
    assert_eq!(declines(&seen, seven), [Decline::Unneeded]);
    solo.receive(seven, Message::SnapshotOffer(offer(20, 1)));
    solo.receive(seven, data(20, Part::Manifest, 100));
    let id = SnapshotId([20; 32]);
    let seen = tell(&mut solo, SnapshotInput::Examined { link: seven, id, verdict: Examined::Unwelcome });
    assert_eq!((declines(&seen, seven), fetches(&solo.wait(3_600_000), seven).len()), (vec![Decline::Unwelcome], 0));
    assert_eq!(closes(&solo.receive(eight, data(10, Part::Piece(0), 5))).len(), 1);
}

#[test]
fn a_manifest_of_another_length_or_one_that_is_false_costs_its_sender_the_link() {
    let (mut solo, seven, eight) = taker();
    solo.receive(seven, Message::SnapshotOffer(offer(10, 1)));
    assert_eq!(closes(&solo.receive(seven, data(10, Part::Manifest, 99)))[0].0, seven);
    let seen = solo.receive(eight, Message::SnapshotOffer(offer(10, 1)));
    assert_eq!(fetches(&seen, eight), [Part::Manifest]);
    solo.receive(eight, data(10, Part::Manifest, 100));
    let id = SnapshotId([10; 32]);
    let seen = tell(&mut solo, SnapshotInput::Examined { link: eight, id, verdict: Examined::False });
    assert_eq!(closes(&seen)[0].0, eight);
    let (again, _) = solo.join_with(8, &[(log(5), 3)]);
    let seen = solo.receive(again, Message::SnapshotOffer(offer(20, 1)));
    assert!(fetches(&seen, again).is_empty(), "not asked again");
}

#[test]
fn a_false_piece_costs_its_sender_the_link_and_the_others_go_on() {
    let (mut solo, seven, eight) = taker();
    offered(&mut solo, seven, &offer(10, 8), &places(), None);
    solo.receive(eight, Message::SnapshotOffer(offer(11, 8)));
    let seen = hashes(&mut solo, seven, 10, 8);
    let (mine, theirs) = (fetches(&seen, seven), fetches(&seen, eight));
    let seen = given(&mut solo, eight, (11, 10), theirs[0], Kept::False);
    assert_eq!(closes(&seen)[0].0, eight);
    let mut open = mine;
    let mut got = BTreeSet::new();
    while let Some(part) = open.pop() {
        got.insert(part);
        let seen = given(&mut solo, seven, (10, 10), part, Kept::Piece);
        open.extend(fetches(&seen, seven));
    }
    assert_eq!(got.len(), 8, "the liar's as well");
}

#[test]
fn a_link_that_goes_and_comes_back_goes_on_where_it_was() {
    let (mut solo, seven, _) = taker();
    offered(&mut solo, seven, &offer(10, 6), &places(), None);
    let seen = hashes(&mut solo, seven, 10, 6);
    for part in &fetches(&seen, seven)[..2] {
        given(&mut solo, seven, (10, 10), *part, Kept::Piece);
    }
    solo.step(Input::LinkClosed { link: seven, reason: vixp2p::base::CloseReason::Lost("cut".into()) });
    solo.wait(3_000);
    let (again, _) = solo.join_with(7, &[(log(5), 3)]);
    // Under another name: the maker's next one has the same state.
    let seen = solo.receive(again, Message::SnapshotOffer(offer(11, 6)));
    let asked = fetches(&seen, again);
    assert_eq!(asked.len(), limits::SNAPSHOT_ASKED_MAX);
    assert!(asked.iter().all(|part| matches!(part, Part::Piece(_))));
    let mut seen = Vec::new();
    for part in asked {
        seen = given(&mut solo, again, (11, 10), part, Kept::Piece);
    }
    assert_eq!(installs(&seen), 1);
}

#[test]
fn taking_is_given_up_when_nothing_comes_and_taken_up_again_later_with_what_is_here() {
    let (mut solo, seven, _) = taker();
    offered(&mut solo, seven, &offer(10, 6), &places(), None);
    hashes(&mut solo, seven, 10, 6);
    let (eight, _) = solo.join_with(8, &[(log(5), 3)]);
    solo.receive(eight, push(&group(log(1), 2, 2, 10)));
    solo.durable(vec![group(log(1), 2, 2, 10)]);
    let seen = solo.wait(limits::SNAPSHOT_PATIENCE.as_millis() as u64 - 5_000);
    assert!(applies(&seen).is_empty());
    let seen = solo.wait(20_000);
    assert_eq!(applies(&seen), [(2, 2)]);
    assert!(fetches(&seen, seven).is_empty(), "it has not answered yet");
    // A late answer is no crime.
    let mut seen = solo.receive(seven, data(10, Part::Piece(0), 10));
    assert!(closes(&seen).is_empty());
    seen.extend(solo.wait(10_000));
    assert_eq!(fetches(&seen, seven), [Part::Manifest]);
    solo.receive(seven, data(10, Part::Manifest, 100));
    let verdict = Examined::Good { places: places(), missing: Some(vec![5]) };
    let seen = tell(&mut solo, SnapshotInput::Examined { link: seven, id: SnapshotId([10; 32]), verdict });
    assert_eq!(fetches(&seen, seven), [Part::Piece(5)]);
}

#[test]
fn what_a_slow_neighbour_was_asked_for_is_asked_of_another() {
    let (mut solo, seven, eight) = taker();
    offered(&mut solo, seven, &offer(10, 40), &places(), None);
    solo.receive(eight, Message::SnapshotOffer(offer(10, 40)));
    let seen = hashes(&mut solo, seven, 10, 40);
    let slow: BTreeSet<Part> = fetches(&seen, eight).into_iter().collect();
    let mut open = fetches(&seen, seven);
    let mut asked = BTreeSet::new();
    for _ in 0..40 {
        let Some(part) = open.pop() else { break };
        let mut seen = given(&mut solo, seven, (10, 10), part, Kept::Piece);
        seen.extend(solo.wait(1_000));
        assert!(closes(&seen).iter().all(|(link, _)| *link != seven));
        open.extend(fetches(&seen, seven));
        asked.extend(open.iter().copied());
    }
    assert!(slow.is_subset(&asked), "{slow:?} {asked:?}");
}

#[test]
fn a_disk_that_refuses_a_piece_is_not_asked_again_at_once() {
    let (mut solo, seven, _) = taker();
    offered(&mut solo, seven, &offer(10, 6), &places(), None);
    let seen = hashes(&mut solo, seven, 10, 6);
    let seen = given(&mut solo, seven, (10, 10), fetches(&seen, seven)[0], Kept::Failed);
    assert!(fetches(&seen, seven).is_empty() && closes(&seen).is_empty());
    for index in 1..4 {
        solo.receive(seven, data(10, Part::Piece(index), 10));
    }
    assert_eq!(fetches(&solo.wait(10_000), seven), [Part::Manifest]);
}

#[test]
fn what_a_snapshot_has_of_a_log_that_is_not_here_yet_is_not_applied_again_whoever_pushes_it() {
    let (mut solo, seven, eight) = taker();
    let within = || [places(), vec![place(log(3), 2, 0)]].concat();
    offered(&mut solo, seven, &offer(10, 1), &within(), Some(Vec::new()));
    tell(&mut solo, SnapshotInput::Installed { id: SnapshotId([10; 32]), places: within() });
    solo.receive(eight, push(&group(log(3), 1, 3, 10)));
    let reason = vixp2p::base::CloseReason::Protocol("a false seal".into());
    assert_eq!(closes(&solo.step(Input::StoreFailed { link: eight, log: log(3), durable: 0, reason })).len(), 1);
    solo.receive(seven, push(&group(log(3), 1, 3, 10)));
    assert_eq!(applies(&solo.durable(vec![group(log(3), 1, 3, 10)])), [(3, 3)]);
}

#[test]
fn a_frozen_log_is_no_reason_to_take_one_and_its_giver_is_told_so() {
    let mut solo = based(&[(log(5), 3, 3, 0)]);
    let (seven, _) = solo.join_with(7, &[]);
    solo.receive(seven, push(&group(log(1), 1, 1, 10)));
    solo.durable(vec![group(log(1), 1, 1, 10)]);
    solo.step(Input::Forked { link: seven, log: log(1), seq: 2, detail: "two".into() });
    let seen = offered(&mut solo, seven, &offer(10, 1), &[place(log(1), 9, 9)], None);
    assert_eq!(declines(&seen, seven), [Decline::Unneeded]);
    assert!(sent(&seen, seven).contains(&nak(log(1), u64::MAX)));
}
