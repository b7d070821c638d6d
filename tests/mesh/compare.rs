//! Logs compared by their last seals: who shows which, what is compared, and what a peer's word counts for until then.

use std::sync::Arc;

use bytes::Bytes;
use vixp2p::Config;
use vixp2p::base::{CloseReason, Event, Incarnation, LinkId, LogId, Time, limits};
use vixp2p::crypto::{Identity, Secret};
use vixp2p::mesh::io::{Compared, SealRecord, SnapshotInput};
use vixp2p::mesh::{Input, Mesh, MeshSettings, Output};
use vixp2p::sync::{Group, GroupError, StoreError, encode_group, log_head};
use vixp2p::wire::Message;
use vixp2p::wire::message::WalSeal;

use crate::snapshots;
use crate::solo::{Solo, ack, closes, events, everybody, id, log, nak, push, sent};

/// Groups of a log that end at these records; whose history it is the text says. A mesh does not look who signed them.
pub(super) fn groups(of: LogId, ends: &[u64], text: &str) -> Vec<Group> {
    let key = Arc::new(Identity::from_seed(&Secret::new([9; 32])));
    let (mut head, mut first) = (log_head(&of), 1);
    let mut groups = Vec::new();
    for end in ends {
        let payloads: Vec<Bytes> = (first..=*end).map(|n| Bytes::from(format!("{text} {n}"))).collect();
        let (group, after) = encode_group(of, &head, first, 0, &payloads, &*key);
        (head, first) = (after, end + 1);
        groups.push(group);
    }
    groups
}

/// The last seal of such groups.
pub(super) fn seal(of: LogId, ends: &[u64], text: &str) -> SealRecord {
    SealRecord::of(groups(of, ends, text).last().expect("some")).expect("sealed")
}

pub(super) fn shown(log: LogId, seal: &SealRecord) -> Message {
    Message::WalSeal(WalSeal { log, seal: *seal.bytes() })
}

/// What was shown on a link: of which log, up to where.
pub(super) fn shows(outputs: &[Output], link: LinkId) -> Vec<(LogId, u64)> {
    let show = |m: Message| if let Message::WalSeal(m) = m { Some((m.log, SealRecord::read(&m.seal).ok()?.last())) } else { None };
    sent(outputs, link).into_iter().filter_map(show).collect()
}

fn wanted(outputs: &[Output]) -> Vec<Vec<LogId>> {
    outputs.iter().filter_map(|o| if let Output::LastSeals { logs } = o { Some(logs.clone()) } else { None }).collect()
}

pub(super) fn compares(outputs: &[Output]) -> Vec<(LinkId, LogId, u64)> {
    let compare = |o: &Output| if let Output::Compare { link, log, seal } = o { Some((*link, *log, seal.last())) } else { None };
    outputs.iter().filter_map(compare).collect()
}

pub(super) fn counted(solo: &Solo, of: LogId) -> Vec<u64> {
    solo.mesh.log(of).map(|view| view.acked.iter().map(|acked| acked.durable).collect()).unwrap_or_default()
}

fn acked(outputs: &[Output]) -> Vec<u64> {
    events(outputs).into_iter().filter_map(|e| if let Event::Acked { durable, .. } = e { Some(durable) } else { None }).collect()
}

fn protocol(outputs: &[Output]) -> String {
    match &closes(outputs)[..] {
        [(_, CloseReason::Protocol(why))] => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_has_no_more_of_a_log_than_the_peer_shows_its_last_seal_which_is_read_once() {
    let mut solo = Solo::with(|_| {}, vec![(log(1), 5, 5), (log(2), 5, 5), (log(3), 5, 5)]);
    let (seven, seen) = solo.join_with(7, &[(log(1), 9), (log(2), 5), (log(3), 4)]);
    assert_eq!((wanted(&seen), shows(&seen, seven)), (vec![vec![log(1), log(2)]], vec![]));
    let (eight, seen) = solo.join_with(8, &[(log(1), 7)]);
    assert!(wanted(&seen).is_empty(), "one question at a time");
    let read = vec![(log(1), Some(seal(log(1), &[3, 5], "a"))), (log(2), None)];
    let seen = solo.step(Input::LastSeals { seals: read });
    assert_eq!((shows(&seen, seven), shows(&seen, eight)), (vec![(log(1), 5)], vec![(log(1), 5)]));
    assert!(wanted(&seen).is_empty());
    let (nine, seen) = solo.join_with(9, &[(log(1), 5)]);
    assert_eq!((wanted(&seen).len(), shows(&seen, nine)), (0, vec![(log(1), 5)]), "what is known is not read again");
}

#[test]
fn acks_of_this_nodes_log_count_from_when_the_peers_seal_was_seen_to_fit() {
    let mut solo = Solo::new();
    solo.durable(groups(log(5), &[4, 8], "a"));
    let (same, seen) = solo.join_with(7, &[(log(5), 8)]);
    assert!(acked(&seen).is_empty() && counted(&solo, log(5)).is_empty());
    let seen = solo.receive(same, shown(log(5), &seal(log(5), &[4, 8], "a")));
    assert_eq!((acked(&seen), compares(&seen), counted(&solo, log(5))), (vec![8], vec![], vec![8]), "known without the disk");
    let (less, _) = solo.join_with(8, &[(log(5), 4)]);
    let theirs = seal(log(5), &[4], "a");
    let seen = solo.receive(less, shown(log(5), &theirs));
    assert_eq!((compares(&seen), counted(&solo, log(5))), (vec![(less, log(5), 4)], vec![8]));
    let seen = solo.step(Input::Compared { link: less, log: log(5), seal: theirs, verdict: Box::new(Compared::Fits) });
    assert_eq!((acked(&seen), counted(&solo, log(5))), (vec![4], vec![8, 4]));
}

#[test]
fn what_the_peer_took_from_this_node_counts_without_a_seal() {
    let mut solo = Solo::new();
    let (link, _) = solo.join_with(7, &[]);
    solo.durable(groups(log(5), &[4, 8], "a"));
    assert_eq!(acked(&solo.receive(link, ack(log(5), 4, 2))), [4]);
    // More than it was pushed is somebody else's word.
    solo.receive(link, ack(log(5), 8, 8));
    solo.durable(vec![]);
    assert_eq!(counted(&solo, log(5)), [8]);
}

#[test]
fn what_was_pushed_once_counts_when_it_is_acknowledged_also_if_it_was_asked_for_again_meanwhile() {
    let mut solo = Solo::new();
    solo.durable(groups(log(5), &[4], "a"));
    let (link, _) = solo.join_with(7, &[]);
    let all = groups(log(5), &[4, 8], "a");
    solo.step(Input::ReadDone { link, log: log(5), groups: all[..1].to_vec() });
    solo.durable(all[1..].to_vec());
    // Sent before the push came, which it could use after all.
    solo.receive(link, nak(log(5), 0));
    assert_eq!(acked(&solo.receive(link, ack(log(5), 8, 8))), [8]);
}

#[test]
fn an_ack_of_more_than_was_pushed_may_have_crossed_the_push_and_the_peer_is_shown_the_last_seal() {
    let all = groups(log(1), &[3, 5], "a");
    for (durable, is_shown) in [(5, false), (9, true)] {
        let mut solo = Solo::with(|_| {}, vec![(log(1), 5, 5)]);
        let (link, _) = solo.join_with(7, &[]);
        solo.wait(1_000);
        let seen = solo.step(Input::ReadDone { link, log: log(1), groups: all.clone() });
        assert_eq!(sent(&seen, link).len(), 2, "{seen:?}");
        let mut seen = solo.receive(link, ack(log(1), durable, 0));
        if !wanted(&seen).is_empty() {
            seen = solo.step(Input::LastSeals { seals: vec![(log(1), Some(seal(log(1), &[3, 5], "a")))] });
        }
        assert_eq!(!shows(&seen, link).is_empty(), is_shown, "{durable}");
    }
}

#[test]
fn a_peer_with_more_of_an_own_log_that_went_on_meanwhile_is_shown_where_it_ends_by_now() {
    let all = groups(log(5), &[5, 9], "new");
    let mut solo = Solo::with(|_| {}, vec![(log(5), 5, 5)]);
    let (link, seen) = solo.join_with(7, &[(log(5), 21)]);
    assert_eq!(wanted(&seen), [[log(5)]]);
    let seen = solo.step(Input::LastSeals { seals: vec![(log(5), SealRecord::of(&all[0]))] });
    assert_eq!(shows(&seen, link), [(log(5), 5)]);
    assert!(shows(&solo.durable(all[1..].to_vec()), link).is_empty());
    let theirs = seal(log(5), &[5, 21], "old");
    solo.receive(link, shown(log(5), &theirs));
    solo.step(Input::Compared { link, log: log(5), seal: theirs, verdict: Box::new(Compared::Unknown) });
    let seen = solo.wait(limits::SEAL_AGAIN.as_millis() as u64 + 1);
    assert_eq!(shows(&seen, link), [(log(5), 9)], "another history, for all this node can know");
}

#[test]
fn a_peer_with_other_records_of_this_nodes_log_counts_for_nothing_and_is_shown_what_stands_here() {
    let mut solo = Solo::new();
    solo.durable(groups(log(5), &[4, 9], "new"));
    let (link, _) = solo.join_with(7, &[(log(5), 7)]);
    let theirs = seal(log(5), &[4, 7], "old");
    assert_eq!(compares(&solo.receive(link, shown(log(5), &theirs))), [(link, log(5), 7)]);
    // What it took from elsewhere meanwhile changes nothing, nor does what it is pushed.
    solo.receive(link, ack(log(5), 8, 8));
    assert!(counted(&solo, log(5)).is_empty());
    let fresh = LogId { incarnation: Incarnation(99), ..log(5) };
    solo.step(Input::Renewed { log: fresh });
    let ours = Some(seal(log(5), &[4, 9], "new"));
    let why = StoreError::Rollback { have: 9, claimed: 7 };
    let seen = solo.step(Input::Compared { link, log: log(5), seal: theirs, verdict: Box::new(Compared::Differs { ours, why }) });
    assert_eq!(shows(&seen, link), [(log(5), 9)]);
    assert!(matches!(&events(&seen)[..], [Event::LogDamaged { detail }] if detail.contains("other records")), "{seen:?}");
    assert!(closes(&seen).is_empty() && counted(&solo, log(5)).is_empty());
}

#[test]
fn the_writer_of_a_log_is_shown_what_came_from_elsewhere_before_it_is_acknowledged() {
    let mut solo = Solo::new();
    let all = groups(log(7), &[2, 3, 5], "a");
    let (writer, _) = solo.join_with(7, &[(log(7), 5)]);
    let (other, _) = solo.join_with(8, &[(log(7), 5)]);
    solo.receive(writer, push(&all[0]));
    let seen = solo.durable(vec![all[0].clone()]);
    assert!(shows(&seen, writer).is_empty(), "its own push");
    for group in &all[1..] {
        solo.receive(other, push(group));
        let seen = sent(&solo.durable(vec![group.clone()]), writer);
        assert!(matches!(&seen[..], [Message::WalSeal(_), Message::WalAck(a)] if a.durable == group.last), "{seen:?}");
    }
}

#[test]
fn a_log_that_moves_on_two_nodes_from_elsewhere_is_compared_again_after_a_pause() {
    let mut solo = Solo::new();
    let all = groups(log(1), &[2, 3, 4], "a");
    let (feeds, _) = solo.join_with(8, &[(log(1), 4)]);
    let (link, _) = solo.join_with(7, &[(log(1), 2)]);
    let mut seen = solo.receive(feeds, push(&all[0]));
    seen.extend(solo.durable(vec![all[0].clone()]));
    assert_eq!(shows(&seen, link), [(log(1), 2)], "the first at once");
    for (n, group) in (3..).zip(&all[1..]) {
        let mut seen = solo.receive(feeds, push(group));
        seen.extend(solo.durable(vec![group.clone()]));
        seen.extend(solo.receive(link, ack(log(1), n, 0)));
        assert!(shows(&seen, link).is_empty());
    }
    let seen = solo.wait(limits::SEAL_AGAIN.as_millis() as u64 + 1);
    assert_eq!(shows(&seen, link), [(log(1), 4)], "of all that has moved one");
}

#[test]
fn a_peer_is_compared_with_one_seal_at_a_time_and_of_each_log_with_the_last() {
    let mut solo = Solo::with(|_| {}, vec![(log(1), 9, 9), (log(2), 9, 9)]);
    let (link, _) = solo.join_with(7, &[(log(1), 8), (log(2), 8)]);
    assert_eq!(compares(&solo.receive(link, shown(log(1), &seal(log(1), &[3], "a")))), [(link, log(1), 3)]);
    for (of, end) in [(2, 3), (2, 5), (1, 6), (1, 8)] {
        assert!(compares(&solo.receive(link, shown(log(of), &seal(log(of), &[end], "a")))).is_empty());
    }
    for (of, end, next) in [(1, 3, Some((1, 8))), (1, 8, Some((2, 5))), (2, 5, None)] {
        let compared = Input::Compared { link, log: log(of), seal: seal(log(of), &[end], "a"), verdict: Box::new(Compared::Unknown) };
        let next: Vec<_> = next.into_iter().map(|(of, end)| (link, log(of), end)).collect();
        assert_eq!(compares(&solo.step(compared)), next);
    }
}

#[test]
fn seals_that_break_a_rule_close_the_link_and_freeze_nothing() {
    let of = |solo: &mut Solo, has| solo.join_with(7, &[(log(1), has)]).0;
    let play = |seals: &[Message]| {
        let mut solo = Solo::with(|_| {}, vec![(log(1), 9, 9)]);
        let link = of(&mut solo, 8);
        let seen: Vec<Output> = seals.iter().flat_map(|message| solo.receive(link, message.clone())).collect();
        assert!(solo.mesh.logs().iter().all(|view| !view.frozen));
        protocol(&seen)
    };
    let honest = seal(log(1), &[8], "a");
    let mut garbled = *honest.bytes();
    garbled[20] ^= 1;
    assert!(play(&[Message::WalSeal(WalSeal { log: log(1), seal: garbled })]).contains("checksum"));
    assert!(play(&[shown(log(2), &honest)]).contains("has not told of"));
    assert!(play(&[shown(log(1), &seal(log(1), &[9], "a"))]).contains("the sender has told of 8"));
    assert!(play(&[shown(log(1), &honest), shown(log(1), &honest)]).contains("after one at 8"));
    assert!(play(&[shown(log(1), &honest), shown(log(1), &seal(log(1), &[7], "a"))]).contains("after one at 8"));
    // Before the end of the vector, and under another's signature.
    let mut solo = Solo::with(|_| {}, vec![(log(1), 9, 9)]);
    let (link, _) = solo.join(7);
    assert!(protocol(&solo.receive(link, shown(log(1), &honest))).contains("before the end"));
    let link = of(&mut solo, 8);
    solo.receive(link, shown(log(1), &honest));
    let verdict = Box::new(Compared::False(GroupError::Signature { first: 1, last: 8 }));
    let seen = solo.step(Input::Compared { link, log: log(1), seal: honest, verdict });
    assert!(protocol(&seen).contains("not signed"));
}

#[test]
fn two_nodes_with_the_two_histories_of_a_third_ones_log_both_learn_of_it() {
    // The carrier found that number 7 has another record 5 to 8 than this node, which has less.
    let mut solo = Solo::with(|_| {}, vec![(log(1), 9, 9)]);
    let (link, _) = solo.join_with(7, &[(log(1), 8)]);
    let theirs = seal(log(1), &[4, 8], "other");
    solo.receive(link, shown(log(1), &theirs));
    let seen = solo.step(Input::Forked { link, log: log(1), seq: 5, detail: "two".into() });
    assert!(matches!(events(&seen)[..], [Event::LogForked { seq: 5, .. }]));
    let verdict = Box::new(Compared::Differs { ours: Some(seal(log(1), &[4, 9], "a")), why: StoreError::Fork { seq: 5 } });
    let seen = solo.step(Input::Compared { link, log: log(1), seal: theirs, verdict });
    assert_eq!((shows(&seen, link), events(&seen).len()), (vec![(log(1), 9)], 0), "shown, so that it sees it too");
}

#[test]
fn a_seal_that_was_shown_may_be_answered_with_an_earlier_one_once() {
    let mut solo = Solo::with(|_| {}, vec![(log(5), 7, 7)]);
    let (link, seen) = solo.join_with(7, &[(log(5), 12)]);
    assert_eq!(wanted(&seen).len(), 1);
    solo.step(Input::LastSeals { seals: vec![(log(5), Some(seal(log(5), &[7], "new")))] });
    // The peer shows its last, which lies beyond, and then what stands at the place where this node ends.
    for end in [12, 6] {
        assert!(closes(&solo.receive(link, shown(log(5), &seal(log(5), &[end], "old")))).is_empty());
    }
    assert!(protocol(&solo.receive(link, shown(log(5), &seal(log(5), &[5], "old")))).contains("after one at 12"));
}

#[test]
fn a_seal_of_a_log_this_node_wrote_and_has_lost_altogether_is_no_fault_of_the_peer() {
    let mut solo = Solo::new();
    let lost = LogId { incarnation: Incarnation(77), ..log(5) };
    let (link, _) = solo.join_with(7, &[(lost, 8), (log(5), 4)]);
    assert!(closes(&solo.receive(link, shown(lost, &seal(lost, &[8], "a")))).is_empty());
    // Of the one it appends to it is compared also beyond the end.
    let seen = solo.receive(link, shown(log(5), &seal(log(5), &[4], "a")));
    assert_eq!(compares(&seen), [(link, log(5), 4)]);
}

#[test]
fn a_seal_that_lies_beyond_what_is_left_of_an_earlier_log_is_compared_when_that_has_come_back() {
    let former = LogId { incarnation: Incarnation(77), ..log(5) };
    let all = groups(former, &[4, 8], "a");
    let mut solo = Solo::with(|_| {}, vec![(former, 4, 4)]);
    let (link, _) = solo.join_with(7, &[(former, 8)]);
    let (other, _) = solo.join_with(8, &[(former, 8)]);
    let seal = SealRecord::of(&all[1]).expect("sealed");
    solo.receive(link, shown(former, &seal));
    let seen = solo.step(Input::Compared { link, log: former, seal, verdict: Box::new(Compared::Unknown) });
    assert!(compares(&seen).is_empty() && counted(&solo, former).is_empty());
    solo.receive(other, push(&all[1]));
    let seen = solo.durable(all[1..].to_vec());
    assert_eq!(compares(&seen), [(link, former, 8)]);
    solo.step(Input::Compared { link, log: former, seal, verdict: Box::new(Compared::Fits) });
    assert_eq!(counted(&solo, former), [8, 8], "the other one pushed them");
}

#[test]
fn a_seal_that_told_a_node_it_was_set_back_is_compared_again_when_its_log_has_come_back_from_another_peer() {
    let mut solo = Solo::with(|_| {}, vec![(log(5), 4, 4)]);
    let (link, _) = solo.join_with(7, &[(log(5), 8)]);
    let (other, _) = solo.join_with(8, &[(log(5), 8)]);
    let (theirs, ours) = (seal(log(5), &[4, 8], "a"), seal(log(5), &[4], "b"));
    solo.receive(link, shown(log(5), &theirs));
    let verdict = Compared::Differs { ours: Some(ours), why: StoreError::Rollback { have: 4, claimed: 8 } };
    solo.step(Input::Compared { link, log: log(5), seal: theirs, verdict: Box::new(verdict) });
    let fresh = LogId { incarnation: Incarnation(77), ..log(5) };
    solo.step(Input::Renewed { log: fresh });
    let back = groups(log(5), &[4, 8], "b").split_off(1);
    solo.receive(other, push(&back[0]));
    assert_eq!(compares(&solo.durable(back)), [(link, log(5), 8)], "it may be the other history");
}

#[test]
fn two_nodes_with_two_histories_of_a_log_one_of_them_writes_show_each_other_a_few_seals_and_no_more() {
    let of = log(5);
    let settings = MeshSettings { trust: everybody(), ..MeshSettings::from_config(&Config::new("n"), id(7)) };
    // One has twenty records, the other twelve others and goes on while the first seals are on their way.
    let mut keeper = Solo { mesh: Mesh::new(settings, vec![(of, 20, 20)], log(7), 1), now: Time::ZERO };
    let mut writer = Solo::new();
    let ends = |n: u64| (1..=n).collect::<Vec<_>>();
    writer.durable(groups(of, &ends(12), "new"));
    let (to_keeper, mut seen) = writer.join_with(7, &[(of, 20)]);
    let (to_writer, _) = keeper.join_with(5, &[(of, 12)]);
    let mut from_keeper = keeper.step(Input::LastSeals { seals: vec![(of, Some(seal(of, &ends(20), "old")))] });
    seen.extend(writer.durable(groups(of, &ends(15), "new").split_off(12)));
    let mut shown = Vec::new();
    for _ in 0..40 {
        let pass = |outputs: Vec<Output>, link, to: &mut Solo, at: LinkId, (have, text): (u64, &str)| {
            let mut caused = Vec::new();
            for message in sent(&outputs, link).into_iter().filter(|m| matches!(m, Message::WalSeal(_))) {
                let mut todo = to.receive(at, message);
                while let Some(place) = todo.iter().position(|o| matches!(o, Output::Compare { .. })) {
                    let Output::Compare { link, log, seal: theirs } = todo.remove(place) else { unreachable!() };
                    let ours = Some(seal(of, &ends(theirs.last().min(have)), text));
                    let verdict = Box::new(Compared::Differs { ours, why: StoreError::Fork { seq: 11 } });
                    todo.extend(to.step(Input::Compared { link, log, seal: theirs, verdict }));
                }
                caused.extend(todo);
            }
            caused
        };
        shown.extend(shows(&seen, to_keeper));
        shown.extend(shows(&from_keeper, to_writer));
        let next = pass(std::mem::take(&mut from_keeper), to_writer, &mut writer, to_keeper, (15, "new"));
        from_keeper = pass(std::mem::replace(&mut seen, next), to_keeper, &mut keeper, to_writer, (20, "old"));
    }
    assert!(shown.len() <= 5 && shown.contains(&(of, 12)), "{shown:?}");
    assert!(shows(&seen, to_keeper).is_empty() && shows(&from_keeper, to_writer).is_empty());
}

#[test]
fn a_seal_that_the_disk_refused_to_have_compared_is_compared_again_and_nothing_counts_until_then() {
    let mut solo = Solo::new();
    solo.durable(groups(log(5), &[4], "a"));
    let (link, _) = solo.join_with(7, &[(log(5), 3)]);
    let theirs = seal(log(5), &[3], "b");
    assert_eq!(compares(&solo.receive(link, shown(log(5), &theirs))), [(link, log(5), 3)]);
    let verdict = Box::new(Compared::Failed("full".into()));
    assert!(compares(&solo.step(Input::Compared { link, log: log(5), seal: theirs, verdict })).is_empty());
    // Its word on what it was pushed.
    solo.step(Input::ReadDone { link, log: log(5), groups: groups(log(5), &[4], "a") });
    assert!(acked(&solo.receive(link, ack(log(5), 4, 4))).is_empty() && counted(&solo, log(5)).is_empty());
    let again = limits::SEAL_AGAIN.as_millis() as u64;
    assert_eq!(compares(&solo.wait(again + 1)), [(link, log(5), 3)]);
    solo.step(Input::Compared { link, log: log(5), seal: theirs, verdict: Box::new(Compared::Fits) });
    assert_eq!(counted(&solo, log(5)), [4]);
}

#[test]
fn a_group_below_where_a_log_begins_is_settled_and_its_seal_is_shown_to_nobody() {
    let mut solo = Solo::with(|_| {}, vec![(log(1), 5, 5)]);
    let (link, _) = solo.join_with(7, &[(log(1), 10)]);
    let forged = groups(log(1), &[5, 10], "made up").remove(1);
    solo.receive(link, push(&forged));
    solo.durable(vec![Group { bytes: Bytes::new(), ..forged }]);
    assert_eq!(solo.mesh.log(log(1)).map(|view| view.durable), Some(10));
    let (next, seen) = solo.join_with(8, &[(log(1), 10)]);
    assert!(shows(&seen, next).is_empty());
}

#[test]
fn the_writer_of_a_log_that_goes_on_behind_a_snapshots_place_is_shown_the_seal_before_the_ack() {
    let mut solo = Solo::with(|_| {}, vec![(log(7), 8, 8)]);
    let (writer, _) = solo.join_with(7, &[(log(7), 10)]);
    solo.step(Input::LastSeals { seals: vec![(log(7), Some(seal(log(7), &[8], "old")))] });
    let (snapshot, places) = (snapshots::offer(10, 1), [snapshots::place(log(7), 10, 10)]);
    let (giver, _) = solo.join_with(8, &[]);
    let seen = snapshots::offered(&mut solo, giver, &snapshot, &places, Some(Vec::new()));
    assert_eq!(snapshots::installs(&seen), 1);
    let seen = snapshots::tell(&mut solo, SnapshotInput::Installed { id: snapshot.id, places: places.to_vec() });
    assert_eq!((sent(&seen, writer), wanted(&seen)), (vec![], vec![vec![log(7)]]));
    assert_eq!(sent(&seen, giver), [ack(log(7), 10, 10)], "nobody else waits");
    // What it pushed and is here by number is acknowledged no sooner.
    let seen = solo.receive(writer, push(&groups(log(7), &[8, 10], "new")[1]));
    assert_eq!(sent(&seen, writer), []);
    let seen = sent(&solo.step(Input::LastSeals { seals: vec![(log(7), Some(seal(log(7), &[8, 10], "old")))] }), writer);
    assert!(matches!(&seen[..], [Message::WalSeal(_), Message::WalAck(a)] if a.durable == 10), "{seen:?}");
}

#[test]
fn an_ack_does_not_wait_for_ever_for_a_seal_that_cannot_be_read() {
    let mut solo = Solo::with(|_| {}, vec![(log(7), 8, 0)]);
    let (writer, seen) = solo.join_with(7, &[(log(7), 8)]);
    assert_eq!(wanted(&seen), [vec![log(7)]]);
    assert_eq!(sent(&solo.step(Input::Applied { log: log(7), seq: 8 }), writer), []);
    assert_eq!(sent(&solo.step(Input::LastSeals { seals: vec![(log(7), None)] }), writer), [ack(log(7), 8, 8)]);
    // Nothing counts at the writer until then.
    let seen = solo.wait(limits::SEAL_AGAIN.as_millis() as u64 + 1);
    assert_eq!(wanted(&seen), [vec![log(7)]]);
    assert!(wanted(&solo.step(Input::LastSeals { seals: vec![(log(7), None)] })).is_empty());
    solo.receive(writer, Message::Ping { nonce: 1 });
    let seen = solo.wait(2 * limits::SEAL_AGAIN.as_millis() as u64 + 1);
    assert_eq!(wanted(&seen), [vec![log(7)]], "less and less often");
    let ends = seal(log(7), &[8], "a");
    assert_eq!(shows(&solo.step(Input::LastSeals { seals: vec![(log(7), Some(ends))] }), writer), [(log(7), 8)]);
}
