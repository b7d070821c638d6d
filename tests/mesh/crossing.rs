//! Pushes that cross: each side has the records from elsewhere, and the two may be two histories.

use vixp2p::base::{Incarnation, LogId, limits};
use vixp2p::mesh::Input;
use vixp2p::mesh::io::{Compared, SealRecord, SnapshotInput};
use vixp2p::sync::StoreError;

use crate::compare::{compares, groups, seal, shown, shows};
use crate::snapshots;
use crate::solo::{Solo, ack, log, push, sent};

#[test]
fn a_push_of_what_has_come_from_elsewhere_is_compared_by_its_last_seal() {
    let of = log(9);
    let mut solo = Solo::with(|_| {}, vec![(of, 1, 1)]);
    let (link, _) = solo.join_with(7, &[(of, 1)]);
    let (other, _) = solo.join_with(8, &[(of, 1)]);
    let (here, there) = (groups(of, &[1, 5], "a").split_off(1), groups(of, &[1, 5], "b").split_off(1));
    solo.durable(here.clone());
    assert!(compares(&solo.receive(other, push(&here[0]))).is_empty(), "the seal it ends with here is known");
    let seen = solo.receive(link, push(&there[0]));
    assert_eq!(compares(&seen), [(link, of, 5)], "the peer takes the ack for one of its push");
    let differs = Compared::Differs { ours: SealRecord::of(&here[0]), why: StoreError::Fork { seq: 2 } };
    let seal = SealRecord::of(&there[0]).expect("sealed");
    let seen = solo.step(Input::Compared { link, log: of, seal, verdict: Box::new(differs) });
    assert_eq!(shows(&seen, link), [(of, 5)], "so that it knows as well");
}

#[test]
fn of_pushes_that_are_passed_over_the_last_is_compared_too() {
    let of = log(9);
    let mut solo = Solo::with(|_| {}, vec![(of, 1, 1)]);
    let (link, _) = solo.join_with(7, &[(of, 1)]);
    solo.durable(groups(of, &[1, 3, 5], "a").split_off(1));
    let there = groups(of, &[1, 3, 5], "b").split_off(1);
    assert_eq!(compares(&solo.receive(link, push(&there[0]))), [(link, of, 3)]);
    assert!(compares(&solo.receive(link, push(&there[1]))).is_empty(), "one at a time");
    let first = SealRecord::of(&there[0]).expect("sealed");
    let seen = solo.step(Input::Compared { link, log: of, seal: first, verdict: Box::new(Compared::Fits) });
    assert_eq!(compares(&seen), [(link, of, 5)]);
}

#[test]
fn a_disk_that_cannot_compare_is_left_alone_for_a_while_however_much_is_pushed() {
    let of = log(9);
    let mut solo = Solo::with(|_| {}, vec![(of, 1, 1)]);
    let (link, _) = solo.join_with(7, &[(of, 1)]);
    let here = groups(of, &[1, 3, 5, 7], "a").split_off(1);
    solo.durable(here.clone());
    let there = groups(of, &[1, 3, 5, 7], "b").split_off(1);
    solo.receive(link, push(&there[0]));
    solo.receive(link, push(&there[1]));
    let first = SealRecord::of(&there[0]).expect("sealed");
    let failed = |seal| Input::Compared { link, log: of, seal, verdict: Box::new(Compared::Failed("full".into())) };
    assert!(compares(&solo.step(failed(first))).is_empty(), "also of what came meanwhile");
    assert!(compares(&solo.receive(link, push(&there[1]))).is_empty());
    let again = limits::SEAL_AGAIN.as_millis() as u64 + 1;
    assert_eq!(compares(&solo.wait(again)), [(link, of, 5)], "the furthest");
    // What needs no disk is known at once.
    solo.step(failed(SealRecord::of(&there[1]).expect("sealed")));
    solo.receive(link, push(&here[2]));
    assert!(compares(&solo.wait(2 * again)).is_empty());
}

#[test]
fn a_peer_that_says_it_has_more_than_it_was_pushed_is_shown_the_last_seal_though_it_acknowledged_a_push() {
    let of = log(9);
    let mut solo = Solo::with(|_| {}, vec![(of, 4, 4)]);
    let (link, _) = solo.join_with(7, &[(of, 4)]);
    assert_eq!(shows(&solo.step(Input::LastSeals { seals: vec![(of, Some(seal(of, &[4], "a")))] }), link), [(of, 4)]);
    let last = groups(of, &[4, 5], "a").split_off(1);
    solo.durable(last.clone());
    solo.wait(1_000);
    let pushed = solo.step(Input::ReadDone { link, log: of, groups: last.clone() });
    assert_eq!(sent(&pushed, link), [push(&last[0])]);
    // It may have had another record 5 in storage when the push came.
    solo.receive(link, ack(of, 5, 4));
    solo.receive(link, ack(of, 9, 4));
    assert_eq!(shows(&solo.wait(limits::SEAL_AGAIN.as_millis() as u64 + 1), link), [(of, 5)]);
}

#[test]
fn a_seal_beyond_the_end_is_not_forgotten_for_a_lesser_one_that_waits() {
    let former = LogId { incarnation: Incarnation(77), ..log(5) };
    let ends = [4, 6, 8, 12];
    let (here, there) = (groups(former, &ends, "a"), groups(former, &ends, "b"));
    let mut solo = Solo::with(|_| {}, vec![(former, 4, 4)]);
    let (link, _) = solo.join_with(7, &[(former, 12)]);
    let seals: Vec<SealRecord> = there.iter().filter_map(SealRecord::of).collect();
    let answer = |seal, verdict| Input::Compared { link, log: former, seal, verdict: Box::new(verdict) };
    solo.receive(link, shown(former, &seals[3]));
    solo.step(answer(seals[3], Compared::Unknown));
    solo.durable(here[1..3].to_vec());
    assert_eq!(compares(&solo.receive(link, push(&there[1]))), [(link, former, 6)]);
    solo.receive(link, push(&there[2]));
    solo.durable(here[3..].to_vec());
    assert_eq!(compares(&solo.step(answer(seals[1], Compared::Fits))), [(link, former, 12)]);
}

#[test]
fn a_peer_that_has_shown_nothing_is_answered_with_no_seal_before_the_one_it_was_shown() {
    let of = log(9);
    let mut solo = Solo::with(|_| {}, vec![(of, 1, 1)]);
    let (link, _) = solo.join_with(7, &[(of, 1)]);
    solo.durable(groups(of, &[1, 5, 7], "a").split_off(1));
    assert_eq!(shows(&solo.receive(link, ack(of, 7, 7)), link), [(of, 7)]);
    assert_eq!(compares(&solo.receive(link, push(&groups(of, &[1, 5], "b")[1]))), [(link, of, 5)]);
    let differs = Compared::Differs { ours: Some(seal(of, &[1, 5], "a")), why: StoreError::Fork { seq: 2 } };
    let seen = solo.step(Input::Compared { link, log: of, seal: seal(of, &[1, 5], "b"), verdict: Box::new(differs) });
    assert!(shows(&seen, link).is_empty(), "it would close the link, and sees by the other one");
}

#[test]
fn a_push_below_where_a_log_begins_is_compared_with_nothing() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[(log(9), 12)]);
    let (giver, _) = solo.join_with(8, &[]);
    let (snapshot, places) = (snapshots::offer(10, 1), [snapshots::place(log(9), 10, 10)]);
    snapshots::offered(&mut solo, giver, &snapshot, &places, Some(Vec::new()));
    snapshots::tell(&mut solo, SnapshotInput::Installed { id: snapshot.id, places: places.to_vec() });
    let pushed = groups(log(9), &[5, 10], "b");
    assert!(compares(&solo.receive(link, push(&pushed[0]))).is_empty());
    assert_eq!(compares(&solo.receive(link, push(&pushed[1]))), [(link, log(9), 10)], "its own place is known");
}

#[test]
fn an_answer_is_compared_after_a_failure_although_a_seal_beyond_the_end_waits_as_well() {
    let former = LogId { incarnation: Incarnation(77), ..log(5) };
    let mut solo = Solo::with(|_| {}, vec![(former, 4, 4)]);
    let (link, _) = solo.join_with(7, &[(former, 12)]);
    let (far, near) = (seal(former, &[4, 12], "b"), seal(former, &[4], "b"));
    solo.step(Input::LastSeals { seals: vec![(former, Some(seal(former, &[4], "a")))] });
    let answer = |seal, verdict| Input::Compared { link, log: former, seal, verdict: Box::new(verdict) };
    solo.receive(link, shown(former, &far));
    solo.receive(link, shown(former, &near));
    solo.step(answer(far, Compared::Failed("full".into())));
    let again = limits::SEAL_AGAIN.as_millis() as u64 + 1;
    assert_eq!(compares(&solo.wait(again)), [(link, former, 4)], "what can be compared here");
    solo.step(answer(near, Compared::Fits));
    assert_eq!(compares(&solo.durable(groups(former, &[4, 12], "a").split_off(1))), [(link, former, 12)], "it was not forgotten");
}
