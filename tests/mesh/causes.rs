//! Causal mode: what waits for what, what ends the wait, and what a record of this node names.

use vixp2p::Config;
use vixp2p::base::{Incarnation, LogId, Time};
use vixp2p::crypto::{Identity, Secret};
use vixp2p::mesh::io::SnapshotInput;
use vixp2p::mesh::{Input, LogWait, Mesh, MeshSettings, Output};
use vixp2p::sync::{Cause, Causes, LogState, encode_caused_group};

use crate::snapshots;
use crate::solo::{Solo, ack, group, id, log, push, sent};

fn causal(logs: Vec<(LogId, u64, u64)>) -> Solo {
    Solo::with(|settings| settings.causal = true, logs)
}

fn cause(n: u8, seq: u64) -> Cause {
    Cause { log: log(n), seq }
}

/// These lines, as a carrier reads them.
fn lines(causes: &[Cause]) -> Causes {
    let key = Identity::from_seed(&Secret::new([9; 32]));
    let of = LogId { origin: key.id(), incarnation: Incarnation(1) };
    let (group, _) = encode_caused_group(of, &[0; 32], (1, 0), (causes, &["x".into()]), &key).expect("few");
    group.entries().next().expect("one").causes
}

fn applies(outputs: &[Output]) -> Vec<(u8, u64, u64)> {
    let apply = |o: &Output| if let Output::Apply { log, from, upto } = o { Some((log.origin.0[0], *from, *upto)) } else { None };
    outputs.iter().filter_map(apply).collect()
}

/// The carrier comes to a record, and stops there if it lacks something.
fn offer(solo: &mut Solo, n: u8, seq: u64, causes: &[Cause]) -> Option<Vec<Output>> {
    let lacks = solo.mesh.may_apply(log(n), seq, &lines(causes)).err()?;
    Some(solo.step(Input::ApplyWaits { log: log(n), seq, causes: lacks }))
}

fn applied(solo: &mut Solo, n: u8, seq: u64) -> Vec<Output> {
    solo.step(Input::Applied { log: log(n), seq })
}

fn waits(solo: &Solo, n: u8) -> Option<LogWait> {
    solo.mesh.log(log(n)).and_then(|view| view.waits)
}

#[test]
fn a_record_waits_for_what_it_names_while_its_log_is_stored_and_others_go_on() {
    let mut solo = causal(Vec::new());
    let (link, _) = solo.join_with(2, &[]);
    let answer = group(log(2), 1, 3, 100);
    solo.receive(link, push(&answer));
    assert_eq!(applies(&solo.durable(vec![answer])), [(2, 1, 3)]);
    assert!(offer(&mut solo, 2, 1, &[]).is_none());
    let seen = offer(&mut solo, 2, 2, &[cause(1, 4)]).expect("log 1 is not here");
    assert_eq!(sent(&seen, link), [ack(log(2), 3, 1)], "the origin learns how far it is applied");
    assert_eq!(waits(&solo, 2), Some(LogWait { seq: 2, needs: cause(1, 4) }));
    let more = group(log(2), 4, 4, 100);
    solo.receive(link, push(&more));
    let seen = solo.durable(vec![more]);
    assert_eq!((applies(&seen), sent(&seen, link)), (vec![], vec![ack(log(2), 4, 1)]));

    let (other, _) = solo.join_with(1, &[]);
    let question = group(log(1), 1, 5, 100);
    solo.receive(other, push(&question));
    assert_eq!(applies(&solo.durable(vec![question])), [(1, 1, 5)], "the awaited log waits for nobody");
    assert!(applies(&applied(&mut solo, 1, 3)).is_empty());
    assert_eq!(applies(&applied(&mut solo, 1, 4)), [(2, 2, 4)]);
    assert_eq!(waits(&solo, 2), None);
    assert!(offer(&mut solo, 2, 2, &[cause(1, 4)]).is_none());
}

#[test]
fn a_record_that_names_many_waits_for_the_last_of_them_whatever_their_order() {
    let mut solo = causal(vec![(log(1), 9, 9), (log(2), 5, 0), (log(3), 5, 0), (log(4), 2, 0)]);
    solo.step(Input::Tick);
    let names = [cause(1, 9), cause(2, 5), cause(3, 2)];
    assert!(offer(&mut solo, 4, 1, &names).is_some());
    assert_eq!(waits(&solo, 4), Some(LogWait { seq: 1, needs: cause(2, 5) }), "what is here is not waited for");
    assert!(applies(&applied(&mut solo, 3, 5)).is_empty());
    assert_eq!(applies(&applied(&mut solo, 2, 5)), [(4, 1, 2)]);
}

#[test]
fn what_came_between_the_look_and_the_wait_is_not_waited_for() {
    let mut solo = causal(vec![(log(1), 4, 0), (log(2), 2, 0)]);
    solo.step(Input::Tick);
    let lacks = solo.mesh.may_apply(log(2), 1, &lines(&[cause(1, 4)])).expect_err("not applied");
    applied(&mut solo, 1, 4);
    let seen = solo.step(Input::ApplyWaits { log: log(2), seq: 1, causes: lacks });
    assert_eq!((applies(&seen), waits(&solo, 2)), (vec![(2, 1, 2)], None));
}

#[test]
fn records_of_this_node_count_once_they_are_durable_in_this_life_or_an_earlier_one() {
    let former = LogId { incarnation: Incarnation(99), ..log(5) };
    let mut solo = causal(vec![(log(5), 3, 3), (log(2), 2, 0)]);
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 2, 1, &[cause(5, 3)]).is_none());
    assert!(offer(&mut solo, 2, 2, &[cause(5, 4), Cause { log: former, seq: 2 }]).is_some());
    assert!(applies(&solo.durable(vec![group(log(5), 4, 4, 10)])).is_empty());
    let (link, _) = solo.join_with(7, &[]);
    let back = group(former, 1, 2, 10);
    solo.receive(link, push(&back));
    assert_eq!(applies(&solo.durable(vec![back])), [(2, 2, 2)]);
}

#[test]
fn liars_that_name_each_other_or_what_does_not_exist_hold_up_only_themselves() {
    let mut solo = causal(vec![(log(1), 3, 0), (log(2), 3, 0), (log(3), 3, 0), (log(4), 3, 0)]);
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 1, 1, &[cause(2, 1)]).is_some());
    assert!(offer(&mut solo, 2, 1, &[cause(1, 1)]).is_some());
    assert!(offer(&mut solo, 3, 1, &[cause(4, u64::MAX), cause(77, 1)]).is_some());
    assert!(offer(&mut solo, 4, 1, &[]).is_none());
    let mut seen = applied(&mut solo, 4, 3);
    let four = group(log(4), 4, 5, 10);
    let (link, _) = solo.join_with(4, &[(log(4), 3)]);
    solo.receive(link, push(&four));
    seen.extend(solo.durable(vec![four]));
    assert_eq!(applies(&seen), [(4, 4, 5)], "an honest log goes on");
    assert!(applies(&solo.wait(3_600_000)).is_empty(), "nobody asks again and again");
    let stuck: Vec<Option<Cause>> = (1..=4).map(|n| waits(&solo, n).map(|wait| wait.needs)).collect();
    assert_eq!(stuck, [Some(cause(2, 1)), Some(cause(1, 1)), Some(cause(4, u64::MAX)), None]);
}

#[test]
fn a_log_with_two_histories_is_waited_for_only_as_far_as_it_is_here() {
    let frozen = |applied| LogState { log: log(1), durable: 4, applied, parked: None, frozen: Some(5), base: 0 };
    let waiting = LogState { log: log(2), durable: 1, applied: 0, parked: None, frozen: None, base: 0 };
    let settings = MeshSettings { causal: true, ..MeshSettings::from_config(&Config::new("n"), id(5)) };
    let mesh = Mesh::resume(settings, vec![frozen(2), waiting], log(5), 1);
    let mut solo = Solo { mesh, now: Time::ZERO };
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 2, 1, &[cause(1, 9)]).is_some(), "what is here of it comes first");
    assert_eq!(applies(&applied(&mut solo, 1, 4)), [(2, 1, 1)]);

    let mut solo = causal(vec![(log(1), 4, 4), (log(2), 1, 0)]);
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 2, 1, &[cause(1, 9)]).is_some());
    let (link, _) = solo.join_with(1, &[]);
    let seen = solo.step(Input::Forked { link, log: log(1), seq: 5, detail: "two".into() });
    assert_eq!(applies(&seen), [(2, 1, 1)], "the fork is seen while somebody waits");
}

#[test]
fn what_two_histories_of_a_log_share_is_waited_for_like_any_record() {
    let mut solo = causal(vec![(log(1), 4, 0), (log(2), 2, 0), (log(3), 1, 0)]);
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 2, 1, &[cause(1, 2)]).is_some());
    assert!(offer(&mut solo, 3, 1, &[cause(1, 3)]).is_some());
    let (link, _) = solo.join_with(1, &[]);
    solo.step(Input::Forked { link, log: log(1), seq: 3, detail: "two".into() });
    let seen = solo.step(Input::ApplyPoisoned { log: log(1), seq: 1 });
    assert_eq!(applies(&seen), [(3, 1, 1)], "nobody knows which record 3 was meant, and there is no way to it");
    assert_eq!(waits(&solo, 2), Some(LogWait { seq: 1, needs: cause(1, 2) }), "there is one record 2");
    solo.step(Input::ApplyResume { log: log(1), skip: true });
    assert_eq!(applies(&applied(&mut solo, 1, 2)), [(2, 1, 2)]);
}

#[test]
fn a_node_that_starts_again_offers_what_waited_and_finds_out_again() {
    let mut solo = causal(vec![(log(1), 1, 0), (log(2), 5, 2)]);
    assert_eq!(applies(&solo.step(Input::Tick)), [(1, 1, 1), (2, 3, 5)]);
    assert!(offer(&mut solo, 2, 3, &[cause(1, 1)]).is_some());
    let mut solo = causal(vec![(log(1), 1, 1), (log(2), 5, 2)]);
    assert_eq!(applies(&solo.step(Input::Tick)), [(2, 3, 5)]);
    assert!(offer(&mut solo, 2, 3, &[cause(1, 1)]).is_none());
}

#[test]
fn a_node_without_the_mode_waits_for_nothing_and_names_nothing() {
    let mut solo = Solo::with(|_| {}, vec![(log(1), 9, 9), (log(2), 5, 0)]);
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 2, 1, &[cause(3, 7)]).is_none());
    applied(&mut solo, 2, 5);
    assert_eq!(solo.mesh.take_causes(), []);
}

#[test]
fn the_first_record_names_all_that_is_applied_and_later_ones_what_has_moved() {
    let former = LogId { incarnation: Incarnation(99), ..log(5) };
    let mut solo = causal(vec![(log(5), 7, 7), (log(1), 9, 4), (log(2), 5, 0), (former, 3, 0)]);
    solo.step(Input::Tick);
    assert_eq!(solo.mesh.take_causes(), [cause(1, 4), Cause { log: former, seq: 3 }], "its own earlier log, not the present one");
    assert_eq!(solo.mesh.take_causes(), []);
    applied(&mut solo, 1, 6);
    applied(&mut solo, 2, 1);
    solo.durable(vec![group(log(5), 8, 8, 10)]);
    let taken = solo.mesh.take_causes();
    assert_eq!(taken, [cause(1, 6), cause(2, 1)]);
    solo.mesh.give_back_causes(&taken);
    applied(&mut solo, 1, 7);
    assert_eq!(solo.mesh.take_causes(), [cause(1, 7), cause(2, 1)], "what was not written is named by the next");

    let next = LogId { incarnation: Incarnation(100), ..log(5) };
    solo.step(Input::Renewed { log: next });
    let named = solo.mesh.take_causes();
    assert_eq!(named, [cause(1, 7), cause(2, 1), Cause { log: log(5), seq: 8 }, Cause { log: former, seq: 3 }]);
}

#[test]
fn what_the_application_is_being_given_is_named_unless_it_refuses_it() {
    let mut solo = causal(vec![(log(1), 9, 4), (log(2), 5, 0)]);
    solo.step(Input::Tick);
    solo.mesh.take_causes();
    assert!(offer(&mut solo, 1, 5, &[]).is_none());
    assert_eq!(solo.mesh.take_causes(), [cause(1, 5)], "an answer may be appended before the question is answered for");
    assert!(offer(&mut solo, 1, 6, &[]).is_none());
    solo.step(Input::ApplyRefused { log: log(1), seq: 6 });
    assert!(offer(&mut solo, 2, 1, &[]).is_none());
    solo.step(Input::ApplyPoisoned { log: log(2), seq: 1 });
    assert_eq!(solo.mesh.take_causes(), [], "what it will not have comes before nothing");
}

#[test]
fn an_order_has_a_log_go_on_without_what_it_waits_for_once() {
    let mut solo = causal(vec![(log(2), 3, 0)]);
    solo.step(Input::Tick);
    let names = [cause(1, 4)];
    assert!(offer(&mut solo, 2, 1, &names).is_some());
    assert!(solo.step(Input::ApplyResume { log: log(2), skip: false }).is_empty(), "nothing is parked");
    assert_eq!(applies(&solo.step(Input::ApplyResume { log: log(2), skip: true })), [(2, 1, 3)], "no record is skipped");
    assert_eq!(waits(&solo, 2), None);
    assert!(offer(&mut solo, 2, 1, &names).is_none());
    assert!(offer(&mut solo, 2, 2, &names).is_some(), "the next one waits again");
    assert!(solo.step(Input::ApplyResume { log: log(3), skip: true }).is_empty());
}

#[test]
fn an_order_gives_up_what_was_shown_and_nothing_else_a_record_waits_for() {
    let mut solo = causal(vec![(log(1), 3, 3), (log(2), 3, 0), (log(3), 2, 0)]);
    solo.step(Input::Tick);
    let names = [cause(1, 4), cause(3, 2), cause(4, 1)];
    let skip = Input::ApplyResume { log: log(2), skip: true };
    assert!(offer(&mut solo, 2, 1, &names).is_some());
    assert_eq!(waits(&solo, 2), Some(LogWait { seq: 1, needs: cause(1, 4) }));
    assert!(applies(&solo.step(skip.clone())).is_empty(), "records of log 3 are on their way to the application");
    assert_eq!(waits(&solo, 2), Some(LogWait { seq: 1, needs: cause(3, 2) }));
    assert!(applies(&applied(&mut solo, 3, 2)).is_empty());
    assert_eq!(waits(&solo, 2), Some(LogWait { seq: 1, needs: cause(4, 1) }));
    assert_eq!(applies(&solo.step(skip)), [(2, 1, 3)]);
    assert!(offer(&mut solo, 2, 1, &names).is_none());
    assert!(offer(&mut solo, 2, 2, &names[..1]).is_some(), "the next one waits again");
}

#[test]
fn a_snapshot_that_is_taken_in_ends_a_wait_and_is_named_from_then_on() {
    let mut solo = causal(vec![(log(2), 3, 0)]);
    solo.step(Input::Tick);
    assert!(offer(&mut solo, 2, 2, &[cause(1, 9)]).is_some());
    solo.mesh.take_causes();
    let (link, _) = solo.join_with(7, &[]);
    let (snapshot, places) = (snapshots::offer(10, 1), [snapshots::place(log(1), 20, 20), snapshots::place(log(2), 1, 0)]);
    let seen = snapshots::offered(&mut solo, link, &snapshot, &places, Some(Vec::new()));
    assert_eq!(snapshots::installs(&seen), 1);
    assert_eq!(solo.mesh.take_causes(), [cause(1, 20)], "the state may be there before its carrier says so");
    let seen = snapshots::tell(&mut solo, SnapshotInput::Installed { id: snapshot.id, places: places.to_vec() });
    assert_eq!((applies(&seen), waits(&solo, 2)), (vec![(2, 2, 3)], None));
    assert!(offer(&mut solo, 2, 2, &[cause(1, 9)]).is_none());
}

#[test]
fn a_log_with_two_histories_that_is_held_up_by_what_its_origin_wrote_holds_up_nobody_else() {
    for is_parked in [false, true] {
        for is_frozen_first in [false, true] {
            let mut solo = causal(vec![(log(1), 4, 0), (log(2), 1, 0)]);
            solo.step(Input::Tick);
            assert!(offer(&mut solo, 2, 1, &[cause(1, 5)]).is_some());
            applied(&mut solo, 1, 2);
            let (link, _) = solo.join_with(1, &[]);
            let mut seen = Vec::new();
            for freezes in [is_frozen_first, !is_frozen_first] {
                assert!(applies(&seen).is_empty(), "held up by record 3 of log 1");
                seen = if freezes {
                    solo.step(Input::Forked { link, log: log(1), seq: 5, detail: "two".into() })
                } else if is_parked {
                    solo.step(Input::ApplyPoisoned { log: log(1), seq: 3 })
                } else {
                    offer(&mut solo, 1, 3, &[cause(77, 1)]).expect("never here")
                };
            }
            assert_eq!(applies(&seen), [(2, 1, 1)], "{is_parked} {is_frozen_first}");
            assert_eq!(solo.mesh.log(log(1)).map(|view| view.applied), Some(2), "which itself stays where it is");
        }
    }
}

#[test]
fn an_order_to_go_on_holds_until_the_application_has_applied_the_record() {
    let mut solo = causal(vec![(log(2), 3, 0)]);
    solo.step(Input::Tick);
    let names = [cause(1, 4)];
    assert!(offer(&mut solo, 2, 1, &names).is_some());
    solo.step(Input::ApplyResume { log: log(2), skip: true });
    for seen in 0..3 {
        assert!(offer(&mut solo, 2, 1, &names).is_none(), "{seen}");
        solo.step(Input::ApplyRefused { log: log(2), seq: 1 });
        assert_eq!(applies(&solo.wait(5_000)), [(2, 1, 3)], "a busy application gets it again");
    }
    assert!(offer(&mut solo, 2, 1, &names).is_none());
    applied(&mut solo, 2, 1);
    assert!(offer(&mut solo, 2, 2, &names).is_some(), "of the next record nothing was said");
}
