//! What replication promises about pushes, line by line: credit, overlap, ranges, laggards, frozen logs.

use std::sync::Arc;

use bytes::Bytes;
use vixp2p::Config;
use vixp2p::base::{CloseReason, Event, Incarnation, LinkId, LogId, Time, limits};
use vixp2p::crypto::{Identity, Secret};
use vixp2p::mesh::{Input, Mesh, MeshSettings, Output};
use vixp2p::sync::{Group, LogState, encode_group, log_head};
use vixp2p::wire::Message;
use vixp2p::wire::message::WalPush;

use crate::solo::{Solo, ack, closes, events, group, id, log, nak, push, pushes, sent};

fn stores(outputs: &[Output]) -> Vec<(u64, u64)> {
    outputs.iter().filter_map(|o| if let Output::Store { group, .. } = o { Some((group.first, group.last)) } else { None }).collect()
}

fn reads(outputs: &[Output]) -> Vec<(LinkId, LogId, u64)> {
    let read = |o: &Output| if let Output::Read { link, log, from, .. } = o { Some((*link, *log, *from)) } else { None };
    outputs.iter().filter_map(read).collect()
}

/// A log with real seals, its groups ending at these records.
fn sealed(ends: &[u64]) -> Vec<Group> {
    let key = Arc::new(Identity::from_seed(&Secret::new([9; 32])));
    let log = LogId { origin: key.id(), incarnation: Incarnation(1) };
    let (mut head, mut first) = (log_head(&log), 1);
    let mut groups = Vec::new();
    for end in ends {
        let payloads: Vec<Bytes> = (first..=*end).map(|n| Bytes::from(n.to_string())).collect();
        let (group, after) = encode_group(log, &head, first, 0, &payloads, &*key);
        (head, first) = (after, end + 1);
        groups.push(group);
    }
    groups
}

/// One push of several groups.
fn joined(groups: &[Group]) -> Message {
    let bytes: Vec<u8> = groups.iter().flat_map(|group| group.bytes.to_vec()).collect();
    let (first, last) = (groups.first().expect("some"), groups.last().expect("some"));
    Message::WalPush(WalPush { log: first.log, seq_begin: first.first, seq_end: last.last, wal_bytes: bytes.into() })
}

#[test]
fn no_more_records_are_pushed_than_the_window_takes_however_small_they_are() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let full = limits::GROUP_MAX_RECORDS as u64;
    let mut pushed = Vec::new();
    for n in 0..400 {
        pushed.extend(pushes(&solo.durable(vec![group(log(5), n * full + 1, (n + 1) * full, 10)]), link));
    }
    assert_eq!(pushed.last().map(|(_, last)| *last), Some(limits::REPLICA_WINDOW_RECORDS));
    assert!(reads(&solo.receive(link, ack(log(5), full - 1, 0))).is_empty(), "a part of a group is not a group");
    let seen = solo.receive(link, ack(log(5), full, 0));
    assert_eq!(reads(&seen), [(link, log(5), limits::REPLICA_WINDOW_RECORDS + 1)]);
}

#[test]
fn a_peer_that_pushes_more_records_than_its_window_is_closed() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let full = limits::GROUP_MAX_RECORDS as u64;
    let fits = limits::REPLICA_WINDOW_RECORDS / full;
    for n in 0..fits {
        assert!(closes(&solo.receive(link, push(&group(log(7), n * full + 1, (n + 1) * full, 10)))).is_empty());
    }
    let seen = solo.receive(link, push(&group(log(7), fits * full + 1, fits * full + 1, 10)));
    assert!(matches!(&closes(&seen)[..], [(_, CloseReason::Protocol(why))] if why.contains("65537 records")), "{seen:?}");
}

#[test]
fn ranges_that_no_group_can_have_close_the_link() {
    let push = |first, last, bytes: &'static [u8]| WalPush { log: log(7), seq_begin: first, seq_end: last, wal_bytes: bytes.into() };
    let many = 1 + limits::GROUP_MAX_RECORDS as u64;
    for bad in [push(0, 3, b"x"), push(4, 3, b"x"), push(1, 1, b""), push(1, many, b"x"), push(1, u64::MAX, b"x")] {
        let mut solo = Solo::new();
        let (link, _) = solo.join_with(7, &[]);
        let seen = solo.receive(link, Message::WalPush(bad.clone()));
        assert!(matches!(&closes(&seen)[..], [(_, CloseReason::Protocol(_))]), "{bad:?}");
        assert!(stores(&seen).is_empty() && solo.mesh.logs().len() == 1);
    }
}

#[test]
fn a_push_that_overlaps_what_is_here_gives_its_new_part() {
    let groups = sealed(&[2, 5, 6, 9]);
    let mut solo = Solo::with(|_| {}, vec![(groups[0].log, 5, 5)]);
    let (link, _) = solo.join_with(7, &[]);
    assert_eq!(stores(&solo.receive(link, joined(&groups))), [(6, 6), (7, 9)]);
    assert!(stores(&solo.receive(link, joined(&groups[2..]))).is_empty(), "in storage already");
}

#[test]
fn an_overlap_that_is_not_what_it_says_closes_the_link() {
    let groups = sealed(&[2, 5, 6, 9]);
    let Message::WalPush(honest) = joined(&groups) else { panic!("a push") };
    let longer = WalPush { seq_end: 10, ..honest.clone() };
    let holed = joined(&[groups[0].clone(), groups[2].clone()]);
    let garbled = WalPush { wal_bytes: honest.wal_bytes.slice(1..), ..honest };
    for bad in [Message::WalPush(longer), holed, Message::WalPush(garbled)] {
        let mut solo = Solo::with(|_| {}, vec![(groups[0].log, 5, 5)]);
        let (link, _) = solo.join_with(7, &[]);
        let seen = solo.receive(link, bad);
        assert!(matches!(&closes(&seen)[..], [(_, CloseReason::Protocol(_))]) && stores(&seen).is_empty());
    }
}

#[test]
fn a_group_with_other_borders_than_here_goes_to_storage_which_proves_the_fork() {
    let (ours, theirs) = (sealed(&[2, 5]), sealed(&[2, 7]));
    let mut solo = Solo::with(|_| {}, vec![(ours[0].log, 5, 5)]);
    let (link, _) = solo.join_with(7, &[]);
    assert_eq!(stores(&solo.receive(link, push(&theirs[1]))), [(3, 7)]);
    let forked = Input::Forked { link, log: ours[0].log, seq: 3, detail: "other borders".into() };
    let seen = solo.step(forked);
    assert!(matches!(events(&seen)[..], [Event::LogForked { seq: 3, .. }]));
    assert_eq!(sent(&seen, link), [nak(ours[0].log, u64::MAX)]);
}

#[test]
fn a_laggard_that_is_read_for_holds_up_no_other_neighbours_fresh_records() {
    let mut solo = Solo::with(|_| {}, vec![(log(5), 100, 100)]);
    let (quick, _) = solo.join_with(7, &[(log(5), 100)]);
    let (slow, seen) = solo.join_with(8, &[]);
    assert_eq!(reads(&seen), [(slow, log(5), 1)], "read once, answered late");
    for n in 101..=120 {
        let seen = solo.durable(vec![group(log(5), n, n, 1000)]);
        assert_eq!((pushes(&seen, quick), pushes(&seen, slow).len(), reads(&seen).len()), (vec![(n, n)], 0, 0));
    }
    let seen = solo.step(Input::ReadDone { link: slow, log: log(5), groups: vec![group(log(5), 1, 100, 1000)] });
    assert_eq!((pushes(&seen, slow), reads(&seen)), (vec![(1, 100)], vec![(slow, log(5), 101)]));
}

#[test]
fn a_log_that_was_frozen_is_so_after_a_restart_and_is_still_given_to_others() {
    let state = LogState { log: log(1), durable: 9, applied: 9, parked: None, frozen: Some(10), base: 0 };
    let mut settings = MeshSettings::from_config(&Config::new("n"), id(5));
    settings.trust = crate::solo::everybody();
    let mut solo = Solo { mesh: Mesh::resume(settings, vec![state], log(5), 1), now: Time::ZERO };
    let (link, _) = solo.join_with(7, &[(log(1), 12)]);
    let seen = solo.receive(link, push(&group(log(1), 10, 12, 100)));
    assert_eq!((sent(&seen, link), stores(&seen)), (vec![nak(log(1), u64::MAX)], vec![]));
    let (other, seen) = solo.join_with(8, &[]);
    let seen = [seen, solo.wait(250)].concat();
    assert_eq!(reads(&seen), [(other, log(1), 1)]);
    assert!(solo.mesh.logs().iter().any(|view| view.log == log(1) && view.frozen));
}

#[test]
fn damaged_records_are_taken_from_any_peer_that_has_them_the_own_ones_too() {
    // The own former log was set aside from record 3 on, another's altogether; number 7 wrote neither.
    let former = LogId { origin: id(5), incarnation: Incarnation(77) };
    let mut solo = Solo::with(|_| {}, vec![(former, 2, 2), (log(1), 0, 6)]);
    let (link, _) = solo.join_with(7, &[(former, 5), (log(1), 6)]);
    for back in [group(former, 3, 5, 100), group(log(1), 1, 6, 100)] {
        assert_eq!(stores(&solo.receive(link, push(&back))), [(back.first, back.last)]);
        let seen = solo.durable(vec![back.clone()]);
        assert!(!seen.iter().any(|o| matches!(o, Output::Apply { .. })), "applied before the damage, or written here");
        assert_eq!(sent(&seen, link), [ack(back.log, back.last, back.last)]);
    }
}

#[test]
fn a_peers_word_is_forgotten_with_its_link() {
    let mut solo = Solo::with(|_| {}, vec![(log(5), 9, 9)]);
    let (link, _) = solo.join_with(7, &[(log(5), 9)]);
    solo.step(Input::LinkClosed { link, reason: CloseReason::Stale });
    let (link, seen) = solo.join_with(7, &[(log(5), 4)]);
    assert_eq!(reads(&seen), [(link, log(5), 5)], "it was set back, and is believed");
}

#[test]
fn an_ack_that_gets_lost_costs_nothing() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    solo.durable((1..=6).map(|n| group(log(5), n, n, 10)).collect());
    let seen = solo.receive(link, ack(log(5), 6, 5));
    assert!(matches!(events(&seen)[..], [Event::Acked { durable: 6, applied: 5, .. }]));
}

#[test]
fn a_peer_whose_history_goes_on_differently_is_refused_for_that_log_alone() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let (other, _) = solo.join_with(8, &[]);
    solo.receive(link, push(&group(log(1), 1, 2, 100)));
    solo.receive(other, push(&group(log(1), 1, 2, 100)));
    let seen = solo.step(Input::Diverged { link, log: log(1) });
    assert!(closes(&seen).is_empty());
    assert_eq!((sent(&seen, link), sent(&seen, other)), (vec![nak(log(1), u64::MAX)], vec![nak(log(1), 0)]));
    for n in 1..=3 {
        assert!(solo.receive(link, push(&group(log(1), n, n, 100))).is_empty(), "told once");
    }
    assert_eq!(stores(&solo.receive(other, push(&group(log(1), 1, 2, 100)))), [(1, 2)]);
    assert_eq!(stores(&solo.receive(link, push(&group(log(7), 1, 1, 100)))), [(1, 1)], "other logs of the peer go on");
}

#[test]
fn a_peer_that_stands_inside_a_group_is_pushed_all_of_it_so_that_it_sees_the_fork() {
    let mut solo = Solo::with(|_| {}, vec![(log(5), 10, 10)]);
    let (link, seen) = solo.join_with(7, &[(log(5), 8)]);
    assert_eq!(reads(&seen), [(link, log(5), 9)]);
    let seen = solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 6, 10, 100)] });
    assert_eq!(pushes(&seen, link), [(6, 10)]);
    assert!(solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 6, 10, 100)] }).is_empty(), "once");
}

#[test]
fn a_peer_that_refuses_more_of_this_nodes_log_has_no_word_on_it_any_more() {
    // Set back to record 2, this node wrote 3 to 6 anew; the peer has 1 to 5 of before.
    let mut solo = Solo::with(|_| {}, vec![(log(5), 6, 6)]);
    let (link, _) = solo.join_with(7, &[(log(5), 5), (log(1), 3)]);
    let counted = |solo: &Solo| solo.mesh.log(log(5)).map(|view| view.acked.iter().map(|a| a.durable).collect::<Vec<_>>());
    assert_eq!(counted(&solo), Some(Vec::new()), "nothing shows yet that these are the same records");
    solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 6, 6, 100)] });
    let seen = solo.receive(link, nak(log(5), u64::MAX));
    assert!(matches!(&events(&seen)[..], [Event::LogDamaged { detail }] if detail.contains("not counted")), "{seen:?}");
    assert_eq!(counted(&solo), Some(Vec::new()));
    assert!(events(&solo.receive(link, nak(log(5), u64::MAX))).is_empty(), "told once");
    assert!(!events(&solo.receive(link, ack(log(5), 6, 6))).iter().any(|e| matches!(e, Event::Acked { .. })));
    assert_eq!(counted(&solo), Some(Vec::new()));
    assert_eq!(solo.mesh.log(log(1)).map(|view| view.acked.len()), None, "of other logs nothing changes");
}
