//! Replication: to one neighbour by hand, and between nodes.

use std::collections::{BTreeMap, BTreeSet};

use vixp2p::base::{CloseReason, Event, LinkId, LogId, limits};
use vixp2p::mesh::{Inbound, Input, Output};
use vixp2p::sync::Group;
use vixp2p::wire::Message;
use vixp2p::wire::message::WalAck;

use crate::solo::{Solo, ack, closes, events, group, id, lines, log, nak, push, pushes, sent};
use crate::world::{World, own};

fn reads(outputs: &[Output]) -> Vec<(LinkId, LogId, u64)> {
    let read = |o: &Output| if let Output::Read { link, log, from, .. } = o { Some((*link, *log, *from)) } else { None };
    outputs.iter().filter_map(read).collect()
}

fn stores(outputs: &[Output]) -> Vec<Group> {
    outputs.iter().filter_map(|o| if let Output::Store { group, .. } = o { Some(group.clone()) } else { None }).collect()
}

fn applies(outputs: &[Output]) -> Vec<(u64, u64)> {
    outputs.iter().filter_map(|o| if let Output::Apply { from, upto, .. } = o { Some((*from, *upto)) } else { None }).collect()
}

/// Number 5 with its own log durable to `own` and number 1's to `other`.
fn holding(own: u64, other: u64) -> Solo {
    Solo::with(|_| {}, vec![(log(5), own, own), (log(1), other, other)])
}

#[test]
fn a_peer_that_has_everything_gets_the_tail_at_once() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let seen = solo.durable(vec![group(log(5), 1, 2, 100), group(log(5), 3, 3, 100)]);
    assert_eq!(pushes(&seen, link), [(1, 2), (3, 3)]);
    assert!(events(&seen).is_empty(), "own records are no news to the application");
}

#[test]
fn nothing_is_pushed_before_the_peer_has_said_what_it_has() {
    let mut solo = holding(3, 0);
    let (link, seen) = solo.join(7);
    assert!(reads(&seen).is_empty());
    assert!(pushes(&solo.durable(vec![group(log(5), 4, 4, 100)]), link).is_empty());
    let seen = solo.receive(link, Message::Vector(vec![WalAck { log: log(7), durable: 0, applied: 0 }]));
    assert_eq!(reads(&seen), [(link, log(5), 1)]);
}

#[test]
fn a_peer_that_is_behind_is_served_from_where_it_is() {
    let mut solo = holding(9, 0);
    let (link, seen) = solo.join_with(7, &[(log(5), 4)]);
    assert_eq!(reads(&seen), [(link, log(5), 5)]);
    let seen = solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 5, 9, 100)] });
    assert_eq!((pushes(&seen, link), reads(&seen)), (vec![(5, 9)], vec![]));
    let seen = solo.receive(link, ack(log(5), 9, 8));
    assert_eq!(lines(&seen), ["event: peer 07070707 has 05050505/0000000000000005 durable to 9, applied to 8"]);
    assert!(solo.receive(link, ack(log(5), 9, 8)).is_empty(), "the same again is no news");
    assert!(solo.receive(link, ack(log(5), 6, 6)).is_empty(), "and progress never goes back");
}

#[test]
fn logs_take_turns_so_that_none_starves() {
    let mut solo = Solo::with(|_| {}, (1..=4).map(|n| (log(n), 100, 100)).collect());
    let (link, _) = solo.join_with(7, &[]);
    let (mut seen, mut turns) = (solo.wait(250), Vec::new());
    for _ in 0..12 {
        let (_, id, from) = reads(&seen)[0];
        turns.push(id.origin.0[0]);
        seen = solo.step(Input::ReadDone { link, log: id, groups: vec![group(id, from, from, 1000)] });
    }
    turns[4..].chunks(4).for_each(|round| assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), 4, "{turns:?}"));
}

#[test]
fn a_laggard_is_read_for_while_the_tail_keeps_growing() {
    let mut solo = holding(2, 0);
    let (link, seen) = solo.join_with(7, &[]);
    assert_eq!(reads(&seen), [(link, log(5), 1)]);
    assert!(pushes(&solo.durable(vec![group(log(5), 3, 3, 10)]), link).is_empty());
    let seen = solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 1, 2, 10)] });
    assert_eq!((pushes(&seen, link), reads(&seen)), (vec![(1, 2)], vec![(link, log(5), 3)]));
    solo.durable(vec![group(log(5), 4, 4, 10)]);
    let groups = vec![group(log(5), 3, 3, 10), group(log(5), 4, 4, 10)];
    let seen = solo.step(Input::ReadDone { link, log: log(5), groups });
    assert_eq!((pushes(&seen, link), reads(&seen)), (vec![(3, 3), (4, 4)], vec![]));
    assert_eq!(pushes(&solo.durable(vec![group(log(5), 5, 5, 10)]), link), [(5, 5)]);
}

#[test]
fn the_window_holds_with_ten_thousand_groups() {
    let bytes = 4_000;
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let (mut unacked, mut acked, mut peak, mut queue) = (BTreeMap::new(), 0, 0, Vec::new());
    let mut seen = Vec::new();
    for n in 1..=10_000 {
        seen.extend(solo.durable(vec![group(log(5), n, n, bytes)]));
    }
    loop {
        for (first, last) in pushes(&seen, link) {
            assert_eq!(first, acked + unacked.len() as u64 + 1, "in order, without a gap");
            unacked.insert(last, bytes);
        }
        peak = peak.max(unacked.values().sum());
        queue.extend(reads(&seen));
        if let Some((_, id, from)) = queue.pop() {
            assert!(queue.is_empty(), "one read at a time");
            let groups = (from..=(from + 200).min(10_000)).map(|n| group(id, n, n, bytes)).collect();
            seen = solo.step(Input::ReadDone { link, log: id, groups });
        } else if let Some((last, _)) = unacked.pop_first() {
            acked = last;
            seen = solo.receive(link, ack(log(5), last, 0));
        } else {
            break;
        }
    }
    assert_eq!(acked, 10_000);
    assert!((limits::REPLICA_WINDOW_BYTES / 2..=limits::REPLICA_WINDOW_BYTES).contains(&peak), "{peak}");
}

#[test]
fn a_pushed_group_is_stored_acknowledged_applied_and_acknowledged_again() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let new = group(log(7), 1, 3, 100);
    assert_eq!(stores(&solo.receive(link, push(&new))), vec![new.clone()]);
    let seen = solo.durable(vec![new]);
    assert_eq!((sent(&seen, link), applies(&seen)), (vec![ack(log(7), 3, 0)], vec![(1, 3)]));
    assert!(matches!(events(&seen)[..], [Event::Stored { durable: 3, .. }]));
    let seen = solo.step(Input::Applied { log: log(7), seq: 3 });
    assert_eq!(sent(&seen, link), [ack(log(7), 3, 3)]);
    let view = solo.mesh.logs().into_iter().find(|v| v.log == log(7)).expect("listed");
    assert_eq!((view.durable, view.applied), (3, 3));
}

#[test]
fn a_duplicate_push_is_acknowledged_again_and_stored_once() {
    let mut solo = holding(0, 4);
    let (link, _) = solo.join_with(7, &[]);
    let old = push(&group(log(1), 3, 4, 100));
    let items = vec![Inbound::Message(old.clone()), Inbound::Message(old)];
    let seen = solo.step(Input::Received { link, items });
    assert_eq!((sent(&seen, link), stores(&seen).len()), (vec![ack(log(1), 4, 4)], 0));
    let new = push(&group(log(1), 5, 5, 100));
    assert_eq!(stores(&solo.receive(link, new.clone())).len(), 1);
    assert_eq!(stores(&solo.receive(link, new)).len(), 0);
}

#[test]
fn a_gap_is_named_once_and_changes_nothing() {
    let mut solo = holding(0, 4);
    let (link, _) = solo.join_with(7, &[]);
    assert_eq!(sent(&solo.receive(link, push(&group(log(1), 6, 7, 100))), link), [nak(log(1), 4)]);
    assert!(solo.receive(link, push(&group(log(1), 8, 9, 100))).is_empty(), "told already");
    assert_eq!(stores(&solo.receive(link, push(&group(log(1), 5, 5, 100)))).len(), 1);
    assert_eq!(sent(&solo.receive(link, push(&group(log(1), 7, 7, 100))), link), [nak(log(1), 5)]);
}

#[test]
fn a_nak_is_answered_from_where_it_says_and_a_repeated_one_later() {
    let mut solo = holding(9, 0);
    let (link, _) = solo.join_with(7, &[(log(5), 2)]);
    let backlog = || vec![group(log(5), 3, 9, 100)];
    solo.step(Input::ReadDone { link, log: log(5), groups: backlog() });
    assert_eq!(reads(&solo.receive(link, nak(log(5), 2))), [(link, log(5), 3)]);
    solo.step(Input::ReadDone { link, log: log(5), groups: backlog() });
    assert!(solo.receive(link, nak(log(5), 2)).is_empty());
    assert_eq!(reads(&solo.wait(1_000)), [(link, log(5), 3)]);
}

#[test]
fn a_peer_that_wants_nothing_of_a_log_is_left_alone() {
    let mut solo = holding(9, 3);
    let (link, _) = solo.join_with(7, &[(log(1), 3)]);
    solo.step(Input::ReadDone { link, log: log(5), groups: vec![group(log(5), 1, 9, 100)] });
    assert!(solo.receive(link, nak(log(5), u64::MAX)).is_empty());
    assert!(pushes(&solo.durable(vec![group(log(5), 10, 10, 100)]), link).is_empty());
    assert!(reads(&solo.wait(60_000)).is_empty());
}

#[test]
fn a_read_that_yields_nothing_is_not_repeated_at_once() {
    let mut solo = holding(9, 0);
    let (link, _) = solo.join_with(7, &[]);
    assert!(solo.step(Input::ReadDone { link, log: log(5), groups: Vec::new() }).is_empty());
    assert!(reads(&solo.wait(999)).is_empty());
    assert_eq!(reads(&solo.wait(1)), [(link, log(5), 1)]);
}

#[test]
fn other_origins_records_wait_before_they_are_forwarded_and_go_neither_back_nor_home() {
    let mut solo = Solo::new();
    let (giver, _) = solo.join_with(7, &[]);
    let (home, _) = solo.join_with(1, &[(log(1), 0)]);
    let (quick, _) = solo.join_with(2, &[]);
    let (slow, _) = solo.join_with(3, &[]);
    let new = group(log(1), 1, 1, 100);
    solo.receive(giver, push(&new));
    let seen = solo.durable(vec![new]);
    for link in [giver, quick, slow] {
        assert_eq!(sent(&seen, link), [ack(log(1), 1, 0)], "everybody learns");
    }
    let unread = solo.step(Input::LastSeals { seals: vec![(log(1), None)] });
    assert_eq!((sent(&seen, home), sent(&unread, home)), (vec![], vec![ack(log(1), 1, 0)]), "its writer after the seal, if there is one");
    solo.receive(quick, ack(log(1), 1, 0));
    assert!(reads(&solo.wait(249)).is_empty());
    assert_eq!(reads(&solo.wait(126)), [(slow, log(1), 1)]);
}

#[test]
fn a_refused_record_is_offered_again_later_each_time() {
    let mut solo = holding(0, 0);
    let (link, _) = solo.join_with(1, &[]);
    let new = group(log(1), 1, 3, 100);
    solo.receive(link, push(&new));
    assert_eq!(applies(&solo.durable(vec![new])), [(1, 3)]);
    let seen = solo.step(Input::ApplyRefused { log: log(1), seq: 2 });
    assert!(matches!(events(&seen)[..], [Event::ApplyRefused { seq: 2, retry_in_ms: 500, .. }]));
    assert_eq!(sent(&seen, link), [ack(log(1), 3, 1)]);
    assert!(applies(&solo.wait(499)).is_empty());
    assert_eq!(applies(&solo.wait(1)), [(2, 3)]);
    let seen = solo.step(Input::ApplyRefused { log: log(1), seq: 2 });
    assert!(matches!(events(&seen)[..], [Event::ApplyRefused { retry_in_ms: 1_000, .. }]));
    assert_eq!(applies(&solo.wait(1_000)), [(2, 3)]);
    let seen = solo.step(Input::Applied { log: log(1), seq: 3 });
    assert_eq!(sent(&seen, link), [ack(log(1), 3, 3)]);
}

#[test]
fn records_not_yet_applied_are_offered_at_the_start() {
    let mut solo = Solo::with(|_| {}, vec![(log(5), 9, 0), (log(1), 7, 3)]);
    assert_eq!(applies(&solo.step(Input::Tick)), [(4, 7)]);
}

#[test]
fn a_false_group_costs_its_sender_the_link_and_another_peer_is_asked() {
    let mut solo = Solo::new();
    let (liar, _) = solo.join_with(7, &[]);
    let (honest, _) = solo.join_with(2, &[]);
    solo.receive(liar, push(&group(log(1), 1, 1, 66)));
    assert!(stores(&solo.receive(honest, push(&group(log(1), 1, 1, 100)))).is_empty());
    let reason = CloseReason::Protocol("false seal".into());
    let seen = solo.step(Input::StoreFailed { link: liar, log: log(1), durable: 0, reason: reason.clone() });
    assert_eq!((closes(&seen), sent(&seen, honest)), (vec![(liar, reason)], vec![nak(log(1), 0)]));
    assert_eq!(stores(&solo.receive(honest, push(&group(log(1), 1, 1, 100)))).len(), 1);
}

#[test]
fn a_disk_that_refuses_blames_nobody_and_the_records_are_asked_for_later() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    solo.receive(link, push(&group(log(7), 1, 1, 100)));
    solo.receive(link, push(&group(log(7), 2, 2, 100)));
    let failed = Input::StoreFailed { link, log: log(7), durable: 0, reason: CloseReason::Lost("disk full".into()) };
    assert!(solo.step(failed.clone()).is_empty() && solo.step(failed).is_empty());
    assert!(solo.receive(link, push(&group(log(7), 3, 3, 100))).is_empty());
    assert_eq!(sent(&solo.wait(1_000), link), [nak(log(7), 0)]);
    assert_eq!(stores(&solo.receive(link, push(&group(log(7), 1, 1, 100)))).len(), 1);
}

#[test]
fn a_second_feeder_waits_and_takes_over_when_the_first_falls_silent() {
    let mut solo = Solo::new();
    let (first, _) = solo.join_with(7, &[]);
    let (second, _) = solo.join_with(2, &[]);
    solo.receive(first, push(&group(log(1), 1, 1, 100)));
    for n in 1..=3 {
        assert!(stores(&solo.receive(second, push(&group(log(1), n, n, 100)))).is_empty());
    }
    let seen = solo.durable(vec![group(log(1), 1, 1, 100)]);
    assert!(!sent(&seen, second).contains(&nak(log(1), 1)));
    solo.step(Input::LinkClosed { link: first, reason: CloseReason::Stale });
    assert_eq!(sent(&solo.wait(500), second), [nak(log(1), 1)]);
    assert_eq!(stores(&solo.receive(second, push(&group(log(1), 2, 2, 100)))).len(), 1);
}

#[test]
fn a_forked_log_is_frozen_and_told_once() {
    let mut solo = holding(0, 4);
    let (link, _) = solo.join_with(7, &[]);
    solo.receive(link, push(&group(log(1), 5, 5, 100)));
    let forked = Input::Forked { link, log: log(1), seq: 5, detail: "another record 4".into() };
    let seen = solo.step(forked.clone());
    assert!(matches!(events(&seen)[..], [Event::LogForked { seq: 5, .. }]));
    assert_eq!(sent(&seen, link), [nak(log(1), u64::MAX)]);
    assert!(events(&solo.step(forked)).is_empty());
    assert!(solo.receive(link, push(&group(log(1), 5, 5, 100))).is_empty());
}

#[test]
fn a_peer_that_pushes_past_its_window_is_closed() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    let mut closed = Vec::new();
    for n in 1..=5 {
        closed.extend(closes(&solo.receive(link, push(&group(log(7), n, n, 1_000_000)))));
    }
    assert!(matches!(&closed[..], [(l, CloseReason::Protocol(why))] if *l == link && why.contains("window")), "{closed:?}");
}

#[test]
fn messages_out_of_their_order_close_the_link() {
    for message in [ack(log(5), 0, 0), nak(log(5), 0), push(&group(log(7), 1, 1, 10)), Message::Welcome] {
        let mut solo = Solo::new();
        let (link, _) = solo.join(7);
        assert!(matches!(&closes(&solo.receive(link, message))[..], [(_, CloseReason::Protocol(_))]));
    }
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    assert_eq!(closes(&solo.receive(link, Message::Vector(Vec::new()))).len(), 1);
}

#[test]
fn logs_past_the_limit_are_turned_away_without_a_trace() {
    let logs = |n: usize| LogId { origin: id(1), incarnation: vixp2p::base::Incarnation(n as u64) };
    let mut solo = Solo::with(|_| {}, (1..limits::LOGS_MAX).map(|n| (logs(n), 1, 1)).collect());
    let (link, seen) = solo.join_with(7, &[]);
    let vectors: Vec<usize> =
        sent(&seen, link).iter().filter_map(|m| if let Message::Vector(v) = m { Some(v.len()) } else { None }).collect();
    assert_eq!(vectors, [1024, 1024, 1024, 1024, 0]);
    let one_more = logs(limits::LOGS_MAX + 1);
    assert_eq!(sent(&solo.receive(link, push(&group(one_more, 1, 1, 10))), link), [nak(one_more, u64::MAX)]);
    assert_eq!(solo.mesh.logs().len(), limits::LOGS_MAX);
}

#[test]
fn pushes_that_cannot_be_stored_use_up_no_place_for_logs() {
    let mut solo = holding(0, 0);
    let (link, _) = solo.join_with(1, &[]);
    let before = solo.mesh.logs().len();
    let seen = solo.receive(link, push(&group(log(77), 5, 5, 10)));
    assert_eq!(sent(&seen, link), [nak(log(77), 0)]);
    assert!(solo.receive(link, push(&group(log(77), 6, 6, 10))).is_empty(), "named once");
    for n in 1..=4 {
        solo.receive(link, push(&group(log(1), n, n, 1_000_000)));
    }
    let seen = solo.receive(link, push(&group(log(78), 1, 1, 1_000_000)));
    assert_eq!(closes(&seen).len(), 1, "past the window");
    assert_eq!(solo.mesh.logs().len(), before);
}

#[test]
fn a_node_whose_log_was_rolled_back_says_so_and_takes_its_records_back() {
    let mut solo = holding(2, 0);
    let (link, seen) = solo.join_with(7, &[(log(5), 5)]);
    assert!(matches!(&events(&seen).last(), Some(Event::LogDamaged { detail }) if detail.contains("up to 5, here they end at 2")));
    let lost = group(log(5), 3, 5, 100);
    assert_eq!(stores(&solo.receive(link, push(&lost))), vec![lost.clone()]);
    let seen = solo.durable(vec![lost]);
    assert_eq!((sent(&seen, link), applies(&seen)), (vec![ack(log(5), 5, 5)], vec![]));
}

#[test]
fn an_empty_node_gets_everything_from_its_neighbour() {
    let mut world = World::new(2, 3);
    (0..50).for_each(|n| world.append(0, 100 * n + 1));
    world.settle();
    world.connect(1, 0);
    world.run(1_000);
    world.assert_converged("from empty");
}

#[test]
fn a_transfer_cut_in_the_middle_resumes_where_it_was() {
    let mut world = World::new(2, 4);
    (0..200).for_each(|_| world.append(0, 60_000));
    world.settle();
    world.connect(1, 0);
    while world.nodes[1].durable(own(0)) < 100 {
        assert!(world.happen(), "still under way");
    }
    world.break_wires(0, 1);
    world.run(5_000);
    world.assert_converged("after a cut");
    assert!(world.pushes.1 <= 80, "{} pushes of known records: at most a window", world.pushes.1);
}

#[test]
fn records_reach_a_node_that_never_meets_their_origin() {
    let mut world = World::new(3, 5);
    world.connect(0, 1);
    world.run(100);
    world.append(0, 500);
    world.run(1_000);
    world.cut(0, 1);
    world.cut(0, 2);
    world.connect(2, 1);
    world.run(2_000);
    world.assert_converged("through the middle");
}

#[test]
fn in_a_full_mesh_a_record_is_pushed_about_once_to_each_neighbour() {
    let mut world = World::new(5, 6);
    for a in 0..5 {
        (0..a).for_each(|b| world.connect(a, b));
    }
    world.run(12_000);
    for _ in 0..20 {
        (0..5).for_each(|n| world.append(n, 200));
        world.run(1_000);
    }
    world.assert_converged("full mesh");
    assert_eq!(world.pushes, (20 * 5 * 4, 0), "each record once to each neighbour, never twice");
}

#[test]
fn a_newcomer_fed_by_four_neighbours_is_not_drowned() {
    for seed in 0..20 {
        let mut world = World::new(6, seed);
        (1..5).for_each(|n| world.connect(n, 0));
        (0..300).for_each(|_| world.append(0, 60_000));
        world.run(20_000);
        world.pushes = (0, 0);
        // With its origin gone or not, one feeds and the others see it.
        let first = seed as usize % 2;
        (first..5).for_each(|n| world.connect(5, n));
        world.run(5_000);
        assert_eq!(world.nodes[5].durable(own(0)), world.nodes[0].durable(own(0)));
        assert!(world.pushes.0 < 450, "seed {seed}: {} pushes for 300 groups", world.pushes.0);
    }
}

#[test]
fn refused_records_are_applied_in_the_end_and_nothing_overtakes_them() {
    let mut world = World::new(2, 7);
    world.connect(1, 0);
    world.nodes[1].refuses = BTreeMap::from([((own(0), 2), 3), ((own(0), 5), 1)]);
    (0..6).for_each(|_| world.append(0, 10));
    world.run(20_000);
    world.assert_converged("after refusals");
    let refusals = world.nodes[1].events.iter().filter(|e| matches!(e, Event::ApplyRefused { .. })).count();
    // The third of the same record in a row is not told.
    assert_eq!(refusals, 3);
}
